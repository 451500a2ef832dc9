"""XGBoost boosters and estimators, in the library's own files (format.md 7.3)."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from pyfunc.errors import InvalidTypeError, shorten
from pyfunc.flavors.categories import restore_categories
from pyfunc.flavors.frame import Frame
from pyfunc.flavors.libraries import requirements_of_modules
from pyfunc.flavors.loading import flavor_key, import_class, library_errors_named
from pyfunc.flavors.predictors import NativePredictor
from pyfunc.flavors.protocol import SaveArguments, Serialization
from pyfunc.flavors.sklearn_rows import only_computes
from pyfunc.model.opened import OpenedModel

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pyfunc.model.rows import RowMethod

__all__ = [
    "FLAVOR_NAME",
    "XgboostPredictor",
    "describe",
    "get_default_conda_env",
    "get_default_pip_requirements",
    "load_model",
    "load_opened",
    "log_model",
    "save_model",
]

FLAVOR_NAME = "xgboost"
_BINARY = (
    "it is neither JSON nor UBJSON, so most likely the binary format of old releases, which "
    "XGBoost reads up to 3.0: load it with `pip install 'xgboost<3.1'` and save it again"
)

_logger = logging.getLogger("pyfunc.flavors")


class XgboostPredictor(NativePredictor):
    """A booster or an estimator; parameters go to those that its ``predict`` names.

    Plain columns become the categories that the model was trained with.
    """

    mlflow_wrapper = "mlflow.xgboost", "_XGBModelWrapper"

    def predict(self, data: object, params: Mapping[str, object] | None = None) -> object:
        """Return the predictions; a booster is given a DMatrix of ``data``."""
        known = _known_params(self.model, params or {})
        if isinstance(data, pd.DataFrame) and self._categories:
            data = restore_categories(data, self._categories, others=False)
        if _is_booster(self.model):
            data = _frame.library().DMatrix(data, enable_categorical=self._has_categories)
        return self.model.predict(data, **known)

    def row_method(self, name: str, columns: list[str]) -> RowMethod | None:
        """Return a method for rows of numbers; None for others, and where code of a user is."""
        model, known = self.model, list(self._booster.feature_names or [])
        if name != "predict" or columns != known or self._has_categories:
            return None
        if not only_computes(model, "xgboost", "ctypes"):
            return None
        if not _is_booster(model):
            method: RowMethod = model.predict
            return method
        matrix = _frame.library().DMatrix
        return lambda cells: model.predict(matrix(cells, feature_names=columns))

    @property
    def _booster(self) -> Any:
        return self.model if _is_booster(self.model) else self.model.get_booster()

    @cached_property
    def _has_categories(self) -> bool:
        return "c" in (self._booster.feature_types or [])

    @cached_property
    def _categories(self) -> dict[int, list[object]]:
        """The categories of each column that has some; releases before 3.1 do not know them."""
        booster = self._booster
        if not self._has_categories or not hasattr(booster, "get_categories"):
            return {}
        columns = booster.get_categories(export_to_arrow=True).to_arrow()
        arrays = [values for _, values in columns]
        return {i: values.to_pylist() for i, values in enumerate(arrays) if values is not None}


def save_model(
    xgb_model: object,
    path: str | os.PathLike[str],
    *,
    model_format: Literal["ubj", "json", "xgb"] = "ubj",
    **arguments: Unpack[SaveArguments],
) -> None:
    """Write the booster or estimator ``xgb_model`` to the new model directory ``path``.

    Args:
        xgb_model: an ``xgboost.Booster`` or an estimator such as ``XGBClassifier``.
        path: must not exist, or be an empty directory.
        model_format: suffix of the library's file, which decides about its format. None of
            them holds code.
        **arguments: what every flavor takes.
    """
    library = _frame.library()
    if not hasattr(xgb_model, "save_model"):
        raise InvalidTypeError(
            f"expected an xgboost Booster or estimator, got {shorten(type(xgb_model))}"
        )
    kind = type(xgb_model)
    file = f"model.{model_format}"
    _frame.save(
        xgb_model,
        path,
        arguments,
        write=lambda directory: xgb_model.save_model(str(directory / file)),
        section={
            "data": file,
            "xgb_version": library.__version__,
            "model_class": f"{kind.__module__}.{kind.__name__}",
            "model_format": model_format,
        },
        python_function={"data": file},
        requirements=requirements_of_modules(
            ["xgboost"] if _is_booster(xgb_model) else ["xgboost", "sklearn"]
        ),
    )


def describe(section: Mapping[str, object], files: Collection[str]) -> Serialization:
    """Return the library's format; none of them is a pickle."""
    return Serialization(f"xgboost {section.get('model_format') or 'xgb'}", True, "data")


def _read(opened: OpenedModel) -> object:
    _frame.library()
    # Releases before the key existed held boosters only.
    name = opened.flavor(FLAVOR_NAME).get("model_class") or "xgboost.core.Booster"
    key = f"flavors.{FLAVOR_NAME}.model_class"
    relative = _file(opened)
    data = opened.files.read(relative, key=f"flavors.{FLAVOR_NAME}.data")
    hint = "" if data.startswith(b"{") else _BINARY
    with opened.scope.active(), library_errors_named(opened, relative, hint):
        model = import_class(opened, name, library="xgboost", key=key)()
        model.load_model(bytearray(data))
    return model


def _file(opened: OpenedModel) -> str:
    if "data" in opened.flavor(FLAVOR_NAME) or "data" not in opened.section:
        return flavor_key(opened, FLAVOR_NAME, "data")
    return str(opened.section["data"])


def _is_booster(model: object) -> bool:
    return any(kind.__name__ == "Booster" for kind in type(model).__mro__)


def _known_params(model: Any, params: Mapping[str, object]) -> dict[str, object]:
    import inspect

    if not params:
        return {}
    taken = list(inspect.signature(model.predict).parameters)[1:]
    unknown = sorted(params.keys() - set(taken))
    if unknown:
        _logger.warning("params %s are ignored: predict of the model takes %s", unknown, taken)
    return {name: value for name, value in params.items() if name in taken}


_frame = Frame(FLAVOR_NAME, ["xgboost"], read=_read, predictor=XgboostPredictor)

load_model = _frame.load_model
log_model = _frame.log_model
load_opened = _frame.load_opened
_load_pyfunc = _frame.load_pyfunc
get_default_pip_requirements = _frame.get_default_pip_requirements
get_default_conda_env = _frame.get_default_conda_env
