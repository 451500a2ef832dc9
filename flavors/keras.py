"""Keras 3 models, in the library's own file."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyfunc.errors import InvalidTypeError, ModelFormatError, shorten
from pyfunc.flavors.keras_predictor import KerasPredictor
from pyfunc.flavors.libraries import conda_env_of, import_library, requirements_of_modules
from pyfunc.flavors.loading import flavor_key, library_errors_named, load_native, open_from_inside
from pyfunc.flavors.protocol import LoadArguments, SaveArguments, Serialization
from pyfunc.flavors.saving import NativeModel, save_native
from pyfunc.model.description import MLMODEL_FILE
from pyfunc.model.opened import OpenedModel
from pyfunc.trust import check_code_may_run

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

FLAVOR_NAME = "keras"

_FOLDER = "data"
_FILE = "model.keras"
# The module whose load_model reads the file, as MLflow looks it up.
_MODULE_FILE = "keras_module.txt"


def save_model(
    model: Any, path: str | os.PathLike[str], **arguments: Unpack[SaveArguments]
) -> None:
    """Write the Keras model ``model`` to the new model directory ``path``.

    Args:
        model: a ``keras.Model``.
        path: must not exist, or be an empty directory.
        **arguments: what every flavor takes.
    """
    library = import_library("keras", extra=FLAVOR_NAME)
    if not isinstance(model, library.Model):
        raise InvalidTypeError(f"expected a keras.Model, got {shorten(type(model))}")
    backend = library.config.backend()

    def write(directory: Path) -> None:
        folder = directory / _FOLDER
        folder.mkdir()
        (folder / _MODULE_FILE).write_text("keras", encoding="utf-8")
        model.save(str(folder / _FILE))

    native = NativeModel(
        FLAVOR_NAME,
        {
            "data": _FOLDER,
            "keras_version": library.__version__,
            "keras_backend": backend,
            "save_exported_model": False,
        },
        {},
        requirements_of_modules(["keras", backend]),
        write,
        predictor=lambda: KerasPredictor(model),
    )
    save_native(native, path, arguments)


def load_model(model_uri: str | os.PathLike[str], **arguments: Unpack[LoadArguments]) -> Any:
    """Return the Keras model at ``model_uri``."""
    return load_native(model_uri, FLAVOR_NAME, _read, arguments)


def load_opened(opened: OpenedModel) -> KerasPredictor:
    """Return the model in an opened directory, ready to predict."""
    return KerasPredictor(_read(opened))


def _load_pyfunc(path: str) -> KerasPredictor:
    return load_opened(open_from_inside(path, FLAVOR_NAME))


def describe(section: Mapping[str, Any], files: Collection[str]) -> Serialization:
    """Return the library's format: a configuration and weights."""
    return Serialization("keras", True)


def get_default_pip_requirements() -> list[str]:
    """Return the requirement lines that every model of the flavor has."""
    return requirements_of_modules(["keras"])


def get_default_conda_env() -> dict[str, Any]:
    """Return the conda environment of those requirements."""
    return conda_env_of(get_default_pip_requirements())


def _read(opened: OpenedModel) -> Any:
    library = import_library("keras", extra=FLAVOR_NAME)
    if opened.flavor(FLAVOR_NAME).get("save_exported_model"):
        raise ModelFormatError(
            "exported models are not read here\nhint: load it with MLflow",
            path=opened.root / MLMODEL_FILE,
            key=f"flavors.{FLAVOR_NAME}.save_exported_model",
        )
    relative = f"{flavor_key(opened, FLAVOR_NAME, 'data')}/{_FILE}"
    # The configuration in the file names the classes to import.
    check_code_may_run(f"its file {relative}", opened.root)
    file = opened.files.resolve(relative, key=f"flavors.{FLAVOR_NAME}.data", kind="file")
    with library_errors_named(opened, relative):
        return library.saving.load_model(str(file))
