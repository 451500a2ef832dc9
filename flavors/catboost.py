"""CatBoost models, in the library's own files."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, ModelFormatError, shorten
from pyfunc.flavors.libraries import conda_env_of, import_library, requirements_of_modules
from pyfunc.flavors.loading import flavor_key, library_errors_named, load_native, open_from_inside
from pyfunc.flavors.predictors import NativePredictor
from pyfunc.flavors.protocol import LoadArguments, SaveArguments, Serialization
from pyfunc.flavors.saving import NativeModel, save_native
from pyfunc.model.description import MLMODEL_FILE
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
    "save_model",
]

FLAVOR_NAME = "catboost"

_FILE = "model.cb"
_CLASSES = ("CatBoost", "CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker")
_FORMATS = ("cbm", "json", "onnx", "coreml")


def save_model(
    cb_model: Any,
    path: str | os.PathLike[str],
    *,
    format: Literal["cbm", "json", "onnx", "coreml"] = "cbm",
    pool: Any = None,
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
    library = import_library("catboost", extra=FLAVOR_NAME)
    if format not in _FORMATS:
        raise InvalidArgumentError(
            f"format: expected one of {', '.join(_FORMATS)}, got {shorten(format)}"
        )
    if not isinstance(cb_model, library.CatBoost):
        raise InvalidTypeError(f"expected a catboost model, got {shorten(type(cb_model))}")
    model_type = next(k.__name__ for k in type(cb_model).__mro__ if k.__name__ in _CLASSES)
    native = NativeModel(
        FLAVOR_NAME,
        {
            "data": _FILE,
            "catboost_version": library.__version__,
            "model_type": model_type,
            "save_format": format,
        },
        {"data": _FILE},
        get_default_pip_requirements(),
        write=lambda directory: cb_model.save_model(
            str(directory / _FILE), format=format, pool=pool
        ),
        predictor=lambda: NativePredictor(cb_model),
    )
    save_native(native, path, arguments)


def load_model(model_uri: str | os.PathLike[str], **arguments: Unpack[LoadArguments]) -> Any:
    """Return the model at ``model_uri``, of the class that was saved."""
    return load_native(model_uri, FLAVOR_NAME, _read, arguments)


def load_opened(opened: OpenedModel) -> NativePredictor:
    """Return the model in an opened directory, ready to predict."""
    return NativePredictor(_read(opened))


def _load_pyfunc(path: str) -> NativePredictor:
    return load_opened(open_from_inside(path, FLAVOR_NAME))


def describe(section: Mapping[str, Any], files: Collection[str]) -> Serialization:
    """Return the library's format; none of them is a pickle."""
    return Serialization(f"catboost {section.get('save_format') or 'cbm'}", True)


def get_default_pip_requirements() -> list[str]:
    """Return the requirement lines that every model of the flavor has."""
    return requirements_of_modules(["catboost"])


def get_default_conda_env() -> dict[str, Any]:
    """Return the conda environment of those requirements."""
    return conda_env_of(get_default_pip_requirements())


def _read(opened: OpenedModel) -> Any:
    library = import_library("catboost", extra=FLAVOR_NAME)
    section = opened.flavor(FLAVOR_NAME)
    name = section.get("model_type") or "CatBoost"
    if name not in _CLASSES:
        raise ModelFormatError(
            f"expected one of {', '.join(_CLASSES)}, got {shorten(name)}",
            path=opened.root / MLMODEL_FILE,
            key=f"flavors.{FLAVOR_NAME}.model_type",
        )
    relative = flavor_key(opened, FLAVOR_NAME, "data")
    file = opened.files.resolve(relative, key=f"flavors.{FLAVOR_NAME}.data", kind="file")
    model = getattr(library, name)()
    with library_errors_named(opened, relative):
        return model.load_model(str(file), format=section.get("save_format") or "cbm")
