"""TensorFlow: Keras models in files of their own, and modules as SavedModel folders."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pyfunc.directory.mlmodel import MLMODEL_FILE
from pyfunc.errors import InvalidArgumentError, InvalidTypeError, ModelFormatError, shorten
from pyfunc.flavors.frame import Frame
from pyfunc.flavors.keras_predictor import KerasPredictor
from pyfunc.flavors.loading import flavor_key, library_errors_named
from pyfunc.flavors.pickled_parts import load_pickled
from pyfunc.flavors.predictors import NativePredictor
from pyfunc.flavors.protocol import SaveArguments, Serialization
from pyfunc.model.opened import OpenedModel
from pyfunc.trust import check_code_may_run

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "FLAVOR_NAME",
    "ModulePredictor",
    "describe",
    "get_default_conda_env",
    "get_default_pip_requirements",
    "load_model",
    "load_opened",
    "log_model",
    "save_model",
]

FLAVOR_NAME = "tensorflow"

_KERAS_FOLDER = "data"
_MODULE_FOLDER = "tf2model"
_CUSTOM_OBJECTS = "custom_objects.cloudpickle"


class ModulePredictor(NativePredictor):
    """A ``tf.Module``, called with one tensor."""

    def predict(self, data: object, params: Mapping[str, object] | None = None) -> object:
        """Return what the module gives for a frame or an array, as numpy arrays."""
        library = _frame.library()
        values = data.to_numpy() if isinstance(data, pd.DataFrame) else np.asarray(data)
        return _as_numpy(self.model(library.constant(values)))


def save_model(
    model: object, path: str | os.PathLike[str], **arguments: Unpack[SaveArguments]
) -> None:
    """Write ``model`` to the new model directory ``path``.

    Args:
        model: a Keras model, or a ``tf.Module``, which needs a signature or an input example.
        path: must not exist, or be an empty directory.
        **arguments: what every flavor takes.
    """
    library = _frame.library()
    if isinstance(model, library.keras.Model):
        _save_keras(library, model, path, arguments)
    elif isinstance(model, library.Module):
        _save_module(library, model, path, arguments)
    else:
        raise InvalidTypeError(
            f"expected a Keras model or a tf.Module, got {shorten(type(model))}"
        )


def load_opened(opened: OpenedModel) -> NativePredictor:
    """Return the model in an opened directory, ready to predict."""
    model = _read(opened)
    is_keras = _model_type(opened) == "keras"
    return KerasPredictor(model) if is_keras else ModulePredictor(model)


def describe(section: Mapping[str, object], files: Collection[str]) -> Serialization:
    """Return the format of the file; custom objects of a Keras model are a pickle."""
    if section.get("model_type") != "keras":
        return Serialization("SavedModel", True)
    pickled = any(name.endswith(_CUSTOM_OBJECTS) for name in files)
    written = "h5" if section.get("save_format") == "h5" else "keras"
    return Serialization(f"{written} with cloudpickle" if pickled else written, not pickled)


def _save_keras(
    library: ModuleType, model: Any, path: str | os.PathLike[str], arguments: SaveArguments
) -> None:
    def write(directory: Path) -> None:
        folder = directory / _KERAS_FOLDER
        folder.mkdir()
        (folder / "keras_module.txt").write_text("tensorflow.keras", encoding="utf-8")
        (folder / "save_format.txt").write_text("tf", encoding="utf-8")
        model.save(str(folder / "model.keras"))

    _frame.save(
        model,
        path,
        arguments,
        write=write,
        section={
            "data": _KERAS_FOLDER,
            "keras_version": library.__version__,
            "model_type": "keras",
            "save_format": "tf",
        },
        python_function={"data": _KERAS_FOLDER},
        predictor=lambda: KerasPredictor(model),
    )


def _save_module(
    library: ModuleType, model: object, path: str | os.PathLike[str], arguments: SaveArguments
) -> None:
    if not arguments.get("signature") and arguments.get("input_example") is None:
        raise InvalidArgumentError("a tf.Module needs a signature or an input_example")
    _frame.save(
        model,
        path,
        arguments,
        write=lambda directory: library.saved_model.save(model, str(directory / _MODULE_FOLDER)),
        section={"saved_model_dir": _MODULE_FOLDER, "model_type": "tf2-module"},
        python_function={},
    )


def _read(opened: OpenedModel) -> object:
    library = _frame.library()
    # A graph may read and write files, and a Keras file names the classes to import.
    check_code_may_run("its TensorFlow model", opened.root)
    if _model_type(opened) == "keras":
        return _read_keras(library, opened)
    relative = flavor_key(opened, FLAVOR_NAME, "saved_model_dir")
    key = f"flavors.{FLAVOR_NAME}.saved_model_dir"
    folder = opened.files.resolve(relative, key=key, kind="dir")
    with library_errors_named(opened, relative):
        return library.saved_model.load(str(folder))


def _read_keras(library: ModuleType, opened: OpenedModel) -> object:
    folder = flavor_key(opened, FLAVOR_NAME, "data")
    key = f"flavors.{FLAVOR_NAME}.data"
    suffix = "h5" if opened.flavor(FLAVOR_NAME).get("save_format") == "h5" else "keras"
    relative = f"{folder}/model.{suffix}"
    file = opened.files.resolve(relative, key=key, kind="file")
    custom = None
    if (opened.root / folder / _CUSTOM_OBJECTS).exists():
        custom = load_pickled(opened, f"{folder}/{_CUSTOM_OBJECTS}", key=key)
    with library_errors_named(opened, relative):
        return library.keras.models.load_model(str(file), custom_objects=custom)


def _model_type(opened: OpenedModel) -> str:
    found = opened.flavor(FLAVOR_NAME).get("model_type")
    if found not in ("keras", "tf2-module"):
        raise ModelFormatError(
            f"expected keras or tf2-module, got {shorten(found)}\nhint: load it with MLflow",
            path=opened.root / MLMODEL_FILE,
            key=f"flavors.{FLAVOR_NAME}.model_type",
        )
    return str(found)


def _as_numpy(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _as_numpy(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_numpy(part) for part in value]
    return value.numpy() if hasattr(value, "numpy") else value


_frame = Frame(
    FLAVOR_NAME, ["tensorflow"], read=_read, predictor=ModulePredictor, load_opened=load_opened
)

load_model = _frame.load_model
log_model = _frame.log_model
_load_pyfunc = _frame.load_pyfunc
get_default_pip_requirements = _frame.get_default_pip_requirements
get_default_conda_env = _frame.get_default_conda_env
