"""scikit-learn estimators: pickle, cloudpickle and skops files (format.md 7.2)."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pyfunc.directory.mlmodel import FLAVOR_NAME as PYTHON_FUNCTION
from pyfunc.directory.mlmodel import MLMODEL_FILE
from pyfunc.errors import InvalidArgumentError, ModelFormatError, shorten
from pyfunc.flavors.frame import Frame
from pyfunc.flavors.libraries import conda_env_of, requirements_of_modules
from pyfunc.flavors.pickled_parts import PickleFormat, dump_pickled, load_pickled
from pyfunc.flavors.predictors import NativePredictor
from pyfunc.flavors.protocol import SaveArguments, Serialization
from pyfunc.flavors.sklearn_rows import RowEstimator
from pyfunc.flavors.skops_files import dump_skops, load_skops
from pyfunc.model.opened import OpenedModel

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "FLAVOR_NAME",
    "SklearnPredictor",
    "describe",
    "get_default_conda_env",
    "get_default_pip_requirements",
    "load_model",
    "load_opened",
    "log_model",
    "save_model",
]

FLAVOR_NAME = "sklearn"

_FILES = {"pickle": "model.pkl", "cloudpickle": "model.pkl", "skops": "model.skops"}
# What changes an estimator, in place of asking it.
_CHANGING = ("fit", "partial_fit", "set_")
_logger = logging.getLogger("pyfunc.flavors")


class SklearnPredictor(NativePredictor):
    """An estimator, with those of its methods that ``predict_fn`` may name."""

    mlflow_wrapper = "mlflow.sklearn", "_SklearnModelWrapper"

    def __init__(self, model: object) -> None:
        super().__init__(model)
        self._rows = RowEstimator.of(model)

    def __getattr__(self, name: str) -> Any:
        # A pipeline's methods have **params, which are not the parameters of a signature.
        if _may_predict(name) and callable(getattr(self.model, name, None)):
            return partial(self._call, name)
        raise AttributeError(name)

    def predict(self, data: object, params: Mapping[str, object] | None = None) -> Any:
        """Return what the estimator predicts; ``params`` are ignored, as in MLflow."""
        return self._call("predict", data)

    def get_raw_model(self) -> Any:
        """Return the estimator; what is changed in it changes the predictions."""
        self._rows = None  # it is a copy
        return self.model

    def _call(self, method: str, data: object) -> object:
        rows = self._rows
        row = None if rows is None else rows.as_array(data)
        if rows is None or row is None:
            return getattr(self.model, method)(data)
        return getattr(rows.estimator, method)(row)


def save_model(
    sk_model: object,
    path: str | os.PathLike[str],
    *,
    serialization_format: Literal["skops", "pickle", "cloudpickle"] = "skops",
    pyfunc_predict_fn: str = "predict",
    skops_trusted_types: list[str] | None = None,
    **arguments: Unpack[SaveArguments],
) -> None:
    """Write the estimator ``sk_model`` to the new model directory ``path``.

    Args:
        sk_model: an estimator or a pipeline. One without the method ``pyfunc_predict_fn`` is
            saved for :func:`load_model` only.
        path: must not exist, or be an empty directory.
        serialization_format: ``skops`` holds no code; pickles run code when they are loaded.
        pyfunc_predict_fn: the method that predicts, any of the estimator's own that does not
            fit or change it; MLflow loads ``predict`` and its likes alone.
        skops_trusted_types: dotted names that a skops file may hold beside those that skops
            knows to be harmless. Parts of scikit-learn that hold no code are added by themselves.
        **arguments: what every flavor takes.

    Raises:
        InvalidArgumentError: an argument cannot work; a skops file would hold a type that is not
            trusted, or something that skops cannot hold.
    """
    file = _FILES.get(serialization_format)
    if file is None:
        raise InvalidArgumentError(
            f"serialization_format: expected one of {', '.join(_FILES)}, "
            f"got {shorten(serialization_format)}"
        )
    if not _may_predict(pyfunc_predict_fn):
        raise InvalidArgumentError(
            "pyfunc_predict_fn: expected a method that predicts, such as predict, predict_proba, "
            f"transform or decision_function, got {shorten(pyfunc_predict_fn)}"
        )
    library = _frame.library()
    predicts = callable(getattr(sk_model, pyfunc_predict_fn, None))
    if not predicts:
        _logger.warning("the model has no method %s, it is saved without one", pyfunc_predict_fn)

    section: dict[str, object] = {
        "pickled_model": file,
        "sklearn_version": library.__version__,
        "serialization_format": serialization_format,
        "skops_trusted_types": skops_trusted_types,
    }

    def write(directory: Path) -> None:
        if serialization_format == "skops":
            trusted = dump_skops(
                sk_model, directory / file, skops_trusted_types, extra=FLAVOR_NAME
            )
            section["skops_trusted_types"] = trusted
        else:
            dump_pickled(sk_model, directory / file, serialization_format)

    keys = {"model_path": file, "predict_fn": pyfunc_predict_fn}
    _frame.save(
        sk_model,
        path,
        arguments,
        write=write,
        section=section,
        python_function=keys if predicts else None,
        requirements=_requirements(serialization_format),
        predict_fn=pyfunc_predict_fn,
    )


def _may_predict(name: object) -> bool:
    return isinstance(name, str) and name.isidentifier() and not name.startswith(("_", *_CHANGING))


def describe(section: Mapping[str, object], files: Collection[str]) -> Serialization:
    """Return the serialization format that the section names."""
    written = str(section.get("serialization_format") or "pickle")
    is_skops = written == "skops"
    return Serialization(written, is_skops, "data" if is_skops else "pickle")


def get_default_pip_requirements(include_cloudpickle: bool = False) -> list[str]:
    """Return the requirement lines that every model of the flavor has."""
    return _requirements("cloudpickle" if include_cloudpickle else "pickle")


def get_default_conda_env(include_cloudpickle: bool = False) -> dict[str, Any]:
    """Return the conda environment of those requirements."""
    return conda_env_of(get_default_pip_requirements(include_cloudpickle))


def _requirements(written: str) -> list[str]:
    beside = {"skops": ["skops"], "cloudpickle": ["cloudpickle"]}.get(written, [])
    return requirements_of_modules(["sklearn", *beside])


def _read(opened: OpenedModel) -> object:
    _frame.library()
    relative, key = _model_file(opened)
    section = opened.flavor(FLAVOR_NAME)
    # Releases before the key existed wrote plain pickles.
    written: PickleFormat | str = section.get("serialization_format") or "pickle"
    if written in ("pickle", "cloudpickle"):
        return load_pickled(opened, relative, key=key)
    if written == "skops":
        trusted = section.get("skops_trusted_types")
        return load_skops(opened, relative, trusted, key=key, extra=FLAVOR_NAME)
    raise ModelFormatError(
        f"expected one of {', '.join(_FILES)}, got {shorten(written)}",
        path=opened.root / MLMODEL_FILE,
        key=f"flavors.{FLAVOR_NAME}.serialization_format",
    )


def _model_file(opened: OpenedModel) -> tuple[object, str]:
    """Return the file of the estimator, and the key that names it: ``data`` before MLflow 1.10."""
    sections = (
        (FLAVOR_NAME, opened.flavor(FLAVOR_NAME), ("pickled_model",)),
        (PYTHON_FUNCTION, opened.section, ("model_path", "data")),
    )
    for name, section, keys in sections:
        for key in keys:
            if section.get(key) is not None:
                return section[key], f"flavors.{name}.{key}"
    raise ModelFormatError(
        "expected the file of the estimator, missing",
        path=opened.root / MLMODEL_FILE,
        key=f"flavors.{FLAVOR_NAME}.pickled_model",
    )


_frame = Frame(FLAVOR_NAME, ["sklearn"], read=_read, predictor=SklearnPredictor)

load_model = _frame.load_model
log_model = _frame.log_model
load_opened = _frame.load_opened
_load_pyfunc = _frame.load_pyfunc
