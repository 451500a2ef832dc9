"""LightGBM boosters in the library's text file, and estimators as skops or cloudpickle (7.4)."""

from __future__ import annotations

import copy
import os
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, shorten
from pyfunc.flavors.categories import find_plain_columns, restore_categories
from pyfunc.flavors.frame import Frame
from pyfunc.flavors.libraries import conda_env_of, requirements_of_modules
from pyfunc.flavors.loading import flavor_key, library_errors_named
from pyfunc.flavors.pickled_parts import dump_pickled, load_pickled
from pyfunc.flavors.predictors import NativePredictor
from pyfunc.flavors.protocol import SaveArguments, Serialization
from pyfunc.flavors.sklearn_rows import only_computes
from pyfunc.flavors.skops_files import dump_skops, load_skops
from pyfunc.model.opened import OpenedModel

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pyfunc.model.rows import RowMethod

__all__ = [
    "FLAVOR_NAME",
    "LightgbmPredictor",
    "describe",
    "get_default_conda_env",
    "get_default_pip_requirements",
    "load_model",
    "load_opened",
    "log_model",
    "save_model",
]

FLAVOR_NAME = "lightgbm"

_BOOSTER = "lightgbm.basic.Booster"
_ESTIMATORS = "lightgbm.sklearn"
_RANGE = "["  # of a number, in what a booster says of its features; categories are listed
_TRUSTED = (
    "lightgbm.sklearn.LGBMRegressor",
    "lightgbm.sklearn.LGBMClassifier",
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
)


class LightgbmPredictor(NativePredictor):
    """A booster or an estimator; plain columns become the categories that it was trained with."""

    mlflow_wrapper = "mlflow.lightgbm", "_LGBModelWrapper"

    def predict(self, data: object, params: Mapping[str, object] | None = None) -> object:
        """Return the predictions; ``params`` are ignored, as in MLflow."""
        if isinstance(data, pd.DataFrame) and self._categories:
            places = self._places or find_plain_columns(data)
            if len(places) == len(self._categories) and max(places) < data.shape[1]:
                categories = dict(zip(places, self._categories, strict=True))
                data = restore_categories(data, categories, others=True)
        return self.model.predict(data)

    def row_method(self, name: str, columns: list[str]) -> RowMethod | None:
        """Return a method for rows of numbers; None where categories or code of a user are."""
        if name != "predict" or self._categories:
            return None
        if not only_computes(self.model, "lightgbm", "ctypes", "collections"):
            return None
        model = self.model if self.model is self._booster else _without_names(self.model)

        def call(cells: npt.NDArray[np.generic]) -> object:
            # Integers of a frame become doubles, those of an array single precision.
            floats = cells if cells.dtype.kind == "f" else cells.astype(np.float64)
            return model.predict(floats)

        return call

    @cached_property
    def _booster(self) -> Any:
        is_fitted = hasattr(self.model, "booster_") if hasattr(self.model, "fit") else False
        return self.model.booster_ if is_fitted else self.model

    @cached_property
    def _categories(self) -> list[list[object]]:
        """The categories of each column that was one when the model was trained, in order."""
        return getattr(self._booster, "pandas_categorical", None) or []

    @cached_property
    def _places(self) -> list[int]:
        """The positions of those columns; empty where the booster does not say all."""
        lines = self._booster.model_to_string(num_iteration=1).splitlines()
        infos = next((line for line in lines if line.startswith("feature_infos=")), "")
        words = infos.partition("=")[2].split()
        places = [i for i, word in enumerate(words) if word[0] != _RANGE and word != "none"]
        return places if len(places) == len(self._categories) else []


def save_model(
    lgb_model: object,
    path: str | os.PathLike[str],
    *,
    serialization_format: Literal["skops", "cloudpickle"] = "skops",
    skops_trusted_types: list[str] | None = None,
    **arguments: Unpack[SaveArguments],
) -> None:
    """Write the booster or estimator ``lgb_model`` to the new model directory ``path``.

    Args:
        lgb_model: a ``lightgbm.Booster``, or an estimator such as ``LGBMClassifier``.
        path: must not exist, or be an empty directory.
        serialization_format: of an estimator; a booster has the library's text format.
        skops_trusted_types: dotted names that a skops file may hold beside LightGBM's own.
        **arguments: what every flavor takes.

    Raises:
        InvalidArgumentError: a skops file would hold a type that is not trusted.
    """
    library = _frame.library()
    if serialization_format not in ("skops", "cloudpickle"):
        raise InvalidArgumentError(
            "serialization_format: expected skops or cloudpickle, "
            f"got {shorten(serialization_format)}"
        )
    is_booster = isinstance(lgb_model, library.Booster)
    if not is_booster and not callable(getattr(lgb_model, "predict", None)):
        raise InvalidTypeError(
            f"expected a lightgbm Booster or estimator, got {shorten(type(lgb_model))}"
        )
    is_skops = serialization_format == "skops"
    kind = type(lgb_model)
    # MLflow's list has not all of the library's own estimators.
    own = [f"{kind.__module__}.{kind.__name__}"] if kind.__module__ == _ESTIMATORS else []
    named = (*_TRUSTED, *own, *(skops_trusted_types or ()))
    trusted = [*dict.fromkeys(named)] if is_skops else None
    section: dict[str, object] = {
        "lgb_version": library.__version__,
        "model_class": f"{kind.__module__}.{kind.__name__}",
        "serialization_format": serialization_format,
        "skops_trusted_types": trusted,
    }
    file = "model.lgb" if is_booster else "model.skops" if is_skops else "model.pkl"

    section["data"] = file

    def write(directory: Path) -> None:
        if isinstance(lgb_model, library.Booster):
            lgb_model.save_model(str(directory / file))
        elif is_skops:
            section["skops_trusted_types"] = dump_skops(
                lgb_model, directory / file, trusted, extra=FLAVOR_NAME
            )
        else:
            dump_pickled(lgb_model, directory / file, "cloudpickle")

    _frame.save(
        lgb_model,
        path,
        arguments,
        write=write,
        section=section,
        python_function={"data": file},
        requirements=_requirements(file),
    )


def describe(section: Mapping[str, object], files: Collection[str]) -> Serialization:
    """Return the library's text format for a booster, else that of the estimator."""
    if section.get("model_class", _BOOSTER) == _BOOSTER:
        return Serialization("lightgbm text", True, "data")
    written = str(section.get("serialization_format") or "cloudpickle")
    is_skops = written == "skops"
    return Serialization(written, is_skops, "data" if is_skops else "pickle")


def get_default_pip_requirements(include_cloudpickle: bool = False) -> list[str]:
    """Return the requirement lines that every model of the flavor has."""
    beside = ["cloudpickle"] if include_cloudpickle else []
    return requirements_of_modules(["lightgbm", *beside])


def get_default_conda_env(include_cloudpickle: bool = False) -> dict[str, Any]:
    """Return the conda environment of those requirements."""
    return conda_env_of(get_default_pip_requirements(include_cloudpickle))


def _without_names(estimator: Any) -> Any:
    """Return a copy that does not warn of arrays, which have no names."""

    class Nameless(type(estimator)):  # type: ignore[misc]
        feature_names_in_ = None

    nameless = copy.copy(estimator)
    nameless.__class__ = Nameless
    return nameless


def _requirements(file: str) -> list[str]:
    beside = {"model.skops": ["sklearn", "skops"], "model.pkl": ["sklearn", "cloudpickle"]}
    return requirements_of_modules(["lightgbm", *beside.get(file, [])])


def _read(opened: OpenedModel) -> object:
    library = _frame.library()
    section = opened.flavor(FLAVOR_NAME)
    key = f"flavors.{FLAVOR_NAME}.data"
    relative = flavor_key(opened, FLAVOR_NAME, "data")
    # Releases before the key existed held boosters only.
    if section.get("model_class", _BOOSTER) == _BOOSTER:
        data = opened.files.read(relative, key=key)
        with library_errors_named(opened, relative):
            return library.Booster(model_str=data.decode())
    if section.get("serialization_format") == "skops":
        trusted = section.get("skops_trusted_types")
        return load_skops(opened, relative, trusted, key=key, extra=FLAVOR_NAME)
    return load_pickled(opened, relative, key=key)


_frame = Frame(FLAVOR_NAME, ["lightgbm"], read=_read, predictor=LightgbmPredictor)

load_model = _frame.load_model
log_model = _frame.log_model
load_opened = _frame.load_opened
_load_pyfunc = _frame.load_pyfunc
