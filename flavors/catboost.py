"""CatBoost models, in the library's own files."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Literal

from pyfunc.directory.mlmodel import MLMODEL_FILE
from pyfunc.errors import InvalidArgumentError, InvalidTypeError, ModelFormatError, shorten
from pyfunc.flavors.frame import Frame
from pyfunc.flavors.loading import flavor_key, library_errors_named
from pyfunc.flavors.predictors import NativePredictor
from pyfunc.flavors.protocol import SaveArguments, Serialization
from pyfunc.model.opened import OpenedModel

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "FLAVOR_NAME",
    "describe",
    "get_default_conda_env",
    "get_default_pip_requirements",
    "load_model",
    "load_opened",
    "log_model",
    "save_model",
]

FLAVOR_NAME = "catboost"

_FILE = "model.cb"
_CLASSES = ("CatBoost", "CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker")
_FORMATS = ("cbm", "json", "onnx", "coreml")


class CatboostPredictor(NativePredictor):
    """A CatBoost model."""

    mlflow_wrapper = "mlflow.catboost", "_CatboostModelWrapper"


def save_model(
    cb_model: object,
    path: str | os.PathLike[str],
    *,
    format: Literal["cbm", "json", "onnx", "coreml"] = "cbm",
    pool: object = None,
    **arguments: Unpack[SaveArguments],
) -> None:
    """Write ``cb_model`` to the new model directory ``path``.

    Args:
        cb_model: a ``CatBoost``, ``CatBoostClassifier``, ``CatBoostRegressor`` or
            ``CatBoostRanker``.
        path: must not exist, or be an empty directory.
        format: of the library's file; ``cbm`` and ``json`` keep everything. None holds code.
        pool: the training data, which ``json`` needs for categorical features.
        **arguments: what every flavor takes.
    """
    library = _frame.library()
    if format not in _FORMATS:
        raise InvalidArgumentError(
            f"format: expected one of {', '.join(_FORMATS)}, got {shorten(format)}"
        )
    if not isinstance(cb_model, library.CatBoost):
        raise InvalidTypeError(f"expected a catboost model, got {shorten(type(cb_model))}")
    model_type = next(k.__name__ for k in type(cb_model).__mro__ if k.__name__ in _CLASSES)
    _frame.save(
        cb_model,
        path,
        arguments,
        write=lambda directory: cb_model.save_model(
            str(directory / _FILE), format=format, pool=pool
        ),
        section={
            "data": _FILE,
            "catboost_version": library.__version__,
            "model_type": model_type,
            "save_format": format,
        },
        python_function={"data": _FILE},
    )


def describe(section: Mapping[str, object], files: Collection[str]) -> Serialization:
    """Return the library's format; none of them is a pickle."""
    return Serialization(f"catboost {section.get('save_format') or 'cbm'}", True, "data")


def _read(opened: OpenedModel) -> object:
    library = _frame.library()
    section = opened.flavor(FLAVOR_NAME)
    name = section.get("model_type") or "CatBoost"
    if name not in _CLASSES:
        raise ModelFormatError(
            f"expected one of {', '.join(_CLASSES)}, got {shorten(name)}",
            path=opened.root / MLMODEL_FILE,
            key=f"flavors.{FLAVOR_NAME}.model_type",
        )
    written = section.get("save_format") or "cbm"
    if written not in _FORMATS:
        raise ModelFormatError(
            f"expected one of {', '.join(_FORMATS)}, got {shorten(written)}",
            path=opened.root / MLMODEL_FILE,
            key=f"flavors.{FLAVOR_NAME}.save_format",
        )
    relative = flavor_key(opened, FLAVOR_NAME, "data")
    file = opened.files.resolve(relative, key=f"flavors.{FLAVOR_NAME}.data", kind="file")
    model = getattr(library, name)()
    with library_errors_named(opened, relative):
        return model.load_model(str(file), format=written)


_frame = Frame(FLAVOR_NAME, ["catboost"], read=_read, predictor=CatboostPredictor)

load_model = _frame.load_model
log_model = _frame.log_model
load_opened = _frame.load_opened
_load_pyfunc = _frame.load_pyfunc
get_default_pip_requirements = _frame.get_default_pip_requirements
get_default_conda_env = _frame.get_default_conda_env
