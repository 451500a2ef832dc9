"""``spark_udf``: from a place to a function of Spark columns."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from pyfunc.directory.verification import hash_files
from pyfunc.distributed.archives import archives_folder, pack_model
from pyfunc.distributed.spark.batches import Job
from pyfunc.distributed.spark.environments import ModelEnvironment, PrebuiltEnvironment
from pyfunc.distributed.spark.models import Answer, ShippedModel
from pyfunc.distributed.spark.result_types import arrow_type, find_result_type
from pyfunc.distributed.spark.shipping import ship
from pyfunc.env.checking.mismatch import check_requirements
from pyfunc.env.checking.report import warn_text
from pyfunc.env.creating.installers import EnvManager
from pyfunc.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    MissingDependencyError,
    ModelNotFoundError,
    shorten,
)
from pyfunc.files.copying import copy_into
from pyfunc.files.locations import download, is_remote, local_path
from pyfunc.loading.opening import Opening, check_choice, open_place
from pyfunc.model.description import Model
from pyfunc.schema.enforce.params import enforce_params

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession
    from pyspark.sql.types import DataType

    from pyfunc.schema import Schema

__all__ = ["ModelFunction", "spark_udf"]

_logger = logging.getLogger("pyfunc.spark")
_warned: set[Literal["environment"]] = set()


class ModelFunction(Protocol):
    """A function of Spark columns; called without any it takes those of the signature."""

    metadata: Model
    returnType: DataType  # noqa: N815 - the names of Spark's functions
    evalType: int  # noqa: N815
    deterministic: bool

    def __call__(self, *columns: Column | str) -> Column:
        """Return the column of predictions."""


def spark_udf(  # noqa: PLR0917 - MLflow's parameters, in its order
    spark: SparkSession,
    model_uri: str | os.PathLike[str],
    result_type: DataType | str | None = None,
    env_manager: EnvManager | None = None,
    params: Mapping[str, object] | None = None,
    extra_env: Mapping[str, str] | None = None,
    prebuilt_env_uri: str | None = None,
    model_config: Mapping[str, object] | str | Path | None = None,
) -> ModelFunction:
    """Return a function of Spark columns that predicts with the model at ``model_uri``.

    The model is taken as it is now: what becomes of its directory later does not matter. See
    docs/spark.md for how columns become the model's input and its answer a column.

    Args:
        spark: a session, classic or of Spark Connect.
        model_uri: a path, a ``file:`` URI, or a URL that fsspec reads.
        result_type: a Spark type or its DDL text; by default what the output schema says, else
            double.
        env_manager: ``local``, the default, predicts in Spark's own Python. ``virtualenv``, ``uv``
            and ``conda`` make the environment that the model was saved with, once per machine.
        params: parameters for every call of the model.
        extra_env: environment variables for the model.
        prebuilt_env_uri: an archive of an environment to run in, see ``build_model_env``.
        model_config: values, or a YAML file of values, that replace those saved with the model.

    Returns:
        A function of columns or their names; a struct is a row with names. It has ``metadata``,
        the MLmodel file, ``returnType``, ``evalType`` and ``deterministic``.

    Raises:
        InvalidArgumentError: an argument cannot work.
        MissingDependencyError: pyspark or pyarrow is not installed.
        ModelNotFoundError: there is no model, or no archive of an environment, at the place.
        ModelFormatError: the MLmodel file is malformed.
        ModelIntegrityError: files are not those that were saved.
        SchemaError: parameters do not fit the signature.
    """
    _check_installed()
    manager = _check_manager(env_manager, prebuilt_env_uri)
    variables = _check_variables(extra_env)
    with open_place(model_uri, model_config=model_config) as opening:
        signature = opening.meta.signature
        outputs = None if signature is None else signature.outputs
        result = find_result_type(spark, result_type, outputs)
        checked = enforce_params(params, None if signature is None else signature.params)
        if manager is None and prebuilt_env_uri is None:
            _warn_once(opening)
        digest, archive = _pack(opening)
        shipped = ShippedModel(
            digest,
            ship(spark, archive),
            None if model_config is None else opening.model_config,
            _environment(spark, manager, prebuilt_env_uri),
            variables,
        )
    zone = spark.conf.get("spark.sql.session.timeZone")
    job = Job(shipped, Answer(checked, arrow_type(result), str(zone)))
    return _make(job, result, opening.meta)


def _check_installed() -> None:
    try:
        import pyarrow  # noqa: F401
        import pyspark.sql  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("spark_udf", "pip install 'pyfunc-format[spark]'") from error


def _check_manager(manager: EnvManager | None, prebuilt: str | None) -> EnvManager | None:
    """Return what makes an environment, None where none is made.

    Raises:
        InvalidArgumentError: it is unknown, or does not go with an archive.
    """
    if manager is not None:
        check_choice("env_manager", manager, get_args(EnvManager))
    if prebuilt is None:
        return None if manager == "local" else manager
    if manager not in (None, "virtualenv", "uv"):
        raise InvalidArgumentError(
            f"env_manager: expected 'virtualenv', 'uv' or None beside prebuilt_env_uri, "
            f"got {manager!r}"
        )
    return None


def _check_variables(given: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    found: object = given or {}
    parts = chain(*found.items()) if isinstance(found, Mapping) else [found]
    if not isinstance(found, Mapping) or not all(isinstance(part, str) for part in parts):
        raise InvalidTypeError(f"extra_env: expected texts by names, got {shorten(given)}")
    for name, value in found.items():
        if not name or "=" in name or "\0" in name + value:
            raise InvalidArgumentError(
                f"extra_env: {shorten(name)} cannot be a variable with the value {shorten(value)}"
            )
    return tuple(sorted(found.items()))


def _warn_once(opening: Opening) -> None:
    """Log one warning per process that the model runs among other packages than its own."""
    if "environment" in _warned:
        return
    _warned.add("environment")
    report = check_requirements(opening.root, python=opening.section.get("python_version"))
    _logger.warning(
        "env_manager='local': the model runs with the packages of Spark's own Python; "
        "env_manager='uv' or 'virtualenv' gives it those that it was saved with\n%s",
        warn_text(report),
    )


def _pack(opening: Opening) -> tuple[str, Path]:
    packed = pack_model(opening.files)
    if opening.place is not None:
        opening.place.check()
    return packed


def _environment(
    spark: SparkSession, manager: EnvManager | None, prebuilt: str | None
) -> ModelEnvironment | PrebuiltEnvironment | None:
    if prebuilt is None:
        return None if manager is None else ModelEnvironment(manager)
    found = download(prebuilt, archives_folder()) if is_remote(prebuilt) else local_path(prebuilt)
    if not found.is_file():
        raise ModelNotFoundError(f"prebuilt_env_uri: there is no archive at {prebuilt}")
    digest = hash_files({prebuilt: str(found.resolve())})[prebuilt]
    archive = archives_folder() / f"env-{digest}.tar.gz"
    if not archive.exists():
        copy_into(found, archive, key="prebuilt_env_uri")
    return PrebuiltEnvironment(digest, ship(spark, archive))


def _make(job: Job, result: DataType, meta: Model) -> ModelFunction:
    from pyfunc.distributed.spark.functions import make_function

    schema = None if meta.signature is None else meta.signature.inputs
    made = make_function(job, result, schema)

    @functools.wraps(made)
    def predict(*columns: Column | str) -> Column:
        return made(*(columns or _default_columns(schema)))

    predict.metadata = meta  # type: ignore[attr-defined]
    return predict  # type: ignore[return-value]


def _default_columns(schema: Schema | None) -> list[str]:
    """Return the columns of the signature, quoted: a dot in a bare name leads into a struct.

    Raises:
        InvalidArgumentError: it names none, or it cannot be told which of them are there.
    """
    if schema is None:
        raise InvalidArgumentError(
            "the model has no input schema that names columns\nhint: name the columns to use"
        )
    if not schema.has_input_names():
        raise InvalidArgumentError(
            f"the {len(schema)} inputs of the model have no names\nhint: name the columns to use"
        )
    optional = schema.optional_input_names()
    if optional:
        raise InvalidArgumentError(
            f"the columns {shorten(optional)} are optional, so it cannot be told which are there\n"
            "hint: name the columns to use"
        )
    return ["`" + str(name).replace("`", "``") + "`" for name in schema.input_names()]
