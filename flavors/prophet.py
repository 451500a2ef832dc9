"""Prophet models, in the library's own JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyfunc.errors import InvalidTypeError, shorten
from pyfunc.flavors.libraries import conda_env_of, import_library, requirements_of_modules
from pyfunc.flavors.loading import flavor_key, library_errors_named, load_native, open_from_inside
from pyfunc.flavors.predictors import NativePredictor
from pyfunc.flavors.protocol import LoadArguments, SaveArguments, Serialization
from pyfunc.flavors.saving import NativeModel, save_native
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

FLAVOR_NAME = "prophet"

_FILE = "model.pr"


def save_model(
    pr_model: Any, path: str | os.PathLike[str], **arguments: Unpack[SaveArguments]
) -> None:
    """Write the fitted ``pr_model`` to the new model directory ``path``.

    Args:
        pr_model: a ``prophet.Prophet`` that was fitted.
        path: must not exist, or be an empty directory.
        **arguments: what every flavor takes.
    """
    library = import_library("prophet", extra=FLAVOR_NAME)
    if not isinstance(pr_model, library.Prophet):
        raise InvalidTypeError(f"expected a prophet.Prophet, got {shorten(type(pr_model))}")

    def write(directory: Path) -> None:
        text = import_library("prophet.serialize", extra=FLAVOR_NAME).model_to_json(pr_model)
        # MLflow's file is the library's JSON text, once more as a JSON string.
        (directory / _FILE).write_text(json.dumps(text), encoding="utf-8")

    native = NativeModel(
        FLAVOR_NAME,
        {
            "data": _FILE,
            "prophet_version": library.__version__,
            "model_type": type(pr_model).__name__,
        },
        {"data": _FILE},
        get_default_pip_requirements(),
        write,
        predictor=lambda: NativePredictor(pr_model),
    )
    save_native(native, path, arguments)


def load_model(model_uri: str | os.PathLike[str], **arguments: Unpack[LoadArguments]) -> Any:
    """Return the model at ``model_uri``."""
    return load_native(model_uri, FLAVOR_NAME, _read, arguments)


def load_opened(opened: OpenedModel) -> NativePredictor:
    """Return the model in an opened directory; it predicts for a frame with a column ``ds``."""
    return NativePredictor(_read(opened))


def _load_pyfunc(path: str) -> NativePredictor:
    return load_opened(open_from_inside(path, FLAVOR_NAME))


def describe(section: Mapping[str, Any], files: Collection[str]) -> Serialization:
    """Return json, the only format."""
    return Serialization("json", True)


def get_default_pip_requirements() -> list[str]:
    """Return the requirement lines that every model of the flavor has."""
    return requirements_of_modules(["prophet"])


def get_default_conda_env() -> dict[str, Any]:
    """Return the conda environment of those requirements."""
    return conda_env_of(get_default_pip_requirements())


def _read(opened: OpenedModel) -> Any:
    serialize = import_library("prophet.serialize", extra=FLAVOR_NAME)
    relative = flavor_key(opened, FLAVOR_NAME, "data")
    data = opened.files.read(relative, key=f"flavors.{FLAVOR_NAME}.data")
    with library_errors_named(opened, relative):
        return serialize.model_from_json(json.loads(data))
