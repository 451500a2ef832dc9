"""Keras 3 models, in the library's own file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pyfunc.directory.mlmodel import MLMODEL_FILE
from pyfunc.errors import InvalidTypeError, ModelFormatError, shorten
from pyfunc.flavors.frame import Frame
from pyfunc.flavors.keras_predictor import KerasPredictor
from pyfunc.flavors.libraries import requirements_of_modules
from pyfunc.flavors.loading import flavor_key, library_errors_named
from pyfunc.flavors.protocol import SaveArguments, Serialization
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
    "log_model",
    "save_model",
]

FLAVOR_NAME = "keras"

_FOLDER = "data"
_FILE = "model.keras"
# The module whose load_model reads the file, as MLflow looks it up.
_MODULE_FILE = "keras_module.txt"


def save_model(
    model: object, path: str | os.PathLike[str], **arguments: Unpack[SaveArguments]
) -> None:
    """Write the Keras model ``model`` to the new model directory ``path``.

    Args:
        model: a ``keras.Model``.
        path: must not exist, or be an empty directory.
        **arguments: what every flavor takes.
    """
    library = _frame.library()
    if not isinstance(model, library.Model):
        raise InvalidTypeError(f"expected a keras.Model, got {shorten(type(model))}")
    backend = library.config.backend()

    def write(directory: Path) -> None:
        folder = directory / _FOLDER
        folder.mkdir()
        (folder / _MODULE_FILE).write_text("keras", encoding="utf-8")
        model.save(str(folder / _FILE))

    _frame.save(
        model,
        path,
        arguments,
        write=write,
        section={
            "data": _FOLDER,
            "keras_version": library.__version__,
            "keras_backend": backend,
            "save_exported_model": False,
        },
        python_function={},
        requirements=requirements_of_modules(["keras", backend]),
    )


def _read(opened: OpenedModel) -> object:
    library = _frame.library()
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


_frame = Frame(
    FLAVOR_NAME,
    ["keras"],
    read=_read,
    predictor=KerasPredictor,
    stored=Serialization("keras", True),
)

load_model = _frame.load_model
log_model = _frame.log_model
load_opened = _frame.load_opened
_load_pyfunc = _frame.load_pyfunc
get_default_pip_requirements = _frame.get_default_pip_requirements
get_default_conda_env = _frame.get_default_conda_env
describe = _frame.describe
