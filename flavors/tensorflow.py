"""TensorFlow: Keras models in files of their own, and modules as SavedModel folders."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, ModelFormatError, shorten
from pyfunc.flavors.keras_predictor import KerasPredictor
from pyfunc.flavors.libraries import conda_env_of, import_library, requirements_of_modules
from pyfunc.flavors.loading import flavor_key, library_errors_named, load_native, open_from_inside
from pyfunc.flavors.pickled_parts import load_pickled
from pyfunc.flavors.predictors import NativePredictor
from pyfunc.flavors.protocol import LoadArguments, SaveArguments, Serialization
from pyfunc.flavors.saving import NativeModel, save_native
from pyfunc.model.description import MLMODEL_FILE
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
    "save_model",
]

FLAVOR_NAME = "tensorflow"

_KERAS_FOLDER = "data"
_MODULE_FOLDER = "tf2model"
_CUSTOM_OBJECTS = "custom_objects.cloudpickle"


class ModulePredictor(NativePredictor):
    """A ``tf.Module``, called with one tensor."""

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Return what the module gives for a frame or an array, as numpy arrays."""
        library = import_library("tensorflow", extra=FLAVOR_NAME)
        values = data.to_numpy() if isinstance(data, pd.DataFrame) else np.asarray(data)
        return _as_numpy(self.model(library.constant(values)))


def save_model(
    model: Any, path: str | os.PathLike[str], **arguments: Unpack[SaveArguments]
) -> None:
    """Write ``model`` to the new model directory ``path``.

    Args:
        model: a Keras model, or a ``tf.Module``, which needs a signature or an input example.
        path: must not exist, or be an empty directory.
        **arguments: what every flavor takes.
    """
    library = import_library("tensorflow", extra=FLAVOR_NAME)
    if isinstance(model, library.keras.Model):
        native = _native_keras(library, model)
    elif isinstance(model, library.Module):
        if not arguments.get("signature") and arguments.get("input_example") is None:
            raise InvalidArgumentError("a tf.Module needs a signature or an input_example")
        native = _native_module(library, model)
    else:
        raise InvalidTypeError(
            f"expected a Keras model or a tf.Module, got {shorten(type(model))}"
        )
    save_native(native, path, arguments)


def load_model(model_uri: str | os.PathLike[str], **arguments: Unpack[LoadArguments]) -> Any:
    """Return the Keras model, or the loaded SavedModel, at ``model_uri``."""
    return load_native(model_uri, FLAVOR_NAME, _read, arguments)


def load_opened(opened: OpenedModel) -> NativePredictor:
    """Return the model in an opened directory, ready to predict."""
    model = _read(opened)
    is_keras = _model_type(opened) == "keras"
    return KerasPredictor(model) if is_keras else ModulePredictor(model)


def _load_pyfunc(path: str) -> NativePredictor:
    return load_opened(open_from_inside(path, FLAVOR_NAME))


def describe(section: Mapping[str, Any], files: Collection[str]) -> Serialization:
    """Return the format of the file; custom objects of a Keras model are a pickle."""
    if section.get("model_type") != "keras":
        return Serialization("SavedModel", True)
    pickled = any(name.endswith(_CUSTOM_OBJECTS) for name in files)
    written = "h5" if section.get("save_format") == "h5" else "keras"
    return Serialization(f"{written} with cloudpickle" if pickled else written, not pickled)


def get_default_pip_requirements() -> list[str]:
    """Return the requirement lines that every model of the flavor has."""
    return requirements_of_modules(["tensorflow"])


def get_default_conda_env() -> dict[str, Any]:
    """Return the conda environment of those requirements."""
    return conda_env_of(get_default_pip_requirements())


def _native_keras(library: Any, model: Any) -> NativeModel:
    def write(directory: Path) -> None:
        folder = directory / _KERAS_FOLDER
        folder.mkdir()
        (folder / "keras_module.txt").write_text("tensorflow.keras", encoding="utf-8")
        (folder / "save_format.txt").write_text("tf", encoding="utf-8")
        model.save(str(folder / "model.keras"))

    return NativeModel(
        FLAVOR_NAME,
        {
            "data": _KERAS_FOLDER,
            "keras_version": library.__version__,
            "model_type": "keras",
            "save_format": "tf",
        },
        {"data": _KERAS_FOLDER},
        get_default_pip_requirements(),
        write,
        predictor=lambda: KerasPredictor(model),
    )


def _native_module(library: Any, model: Any) -> NativeModel:
    return NativeModel(
        FLAVOR_NAME,
        {"saved_model_dir": _MODULE_FOLDER, "model_type": "tf2-module"},
        {},
        get_default_pip_requirements(),
        write=lambda directory: library.saved_model.save(model, str(directory / _MODULE_FOLDER)),
        predictor=lambda: ModulePredictor(model),
    )


def _read(opened: OpenedModel) -> Any:
    library = import_library("tensorflow", extra=FLAVOR_NAME)
    # A graph may read and write files, and a Keras file names the classes to import.
    check_code_may_run("its TensorFlow model", opened.root)
    if _model_type(opened) == "keras":
        return _read_keras(library, opened)
    relative = flavor_key(opened, FLAVOR_NAME, "saved_model_dir")
    key = f"flavors.{FLAVOR_NAME}.saved_model_dir"
    folder = opened.files.resolve(relative, key=key, kind="dir")
    with library_errors_named(opened, relative):
        return library.saved_model.load(str(folder))


def _read_keras(library: Any, opened: OpenedModel) -> Any:
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


def _as_numpy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _as_numpy(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_numpy(part) for part in value]
    return value.numpy() if hasattr(value, "numpy") else value
