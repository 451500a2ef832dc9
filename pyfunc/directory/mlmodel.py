"""The ``MLmodel`` file as data: what it is called, what it says, and whether that is well-formed.

Nothing else parses it. What runs a model or only installs its packages, what describes it and
what changes it start from the same :class:`MLmodel`; :class:`pyfunc.Model` is built on it.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pyfunc.errors import ModelFormatError, ModelNotFoundError, shorten
from pyfunc.files.lfs_pointers import POINTER_TEXT, is_lfs_pointer
from pyfunc.files.paths import normal_relative, open_regular_file, read_at_most
from pyfunc.files.yaml_reading import MAX_YAML_BYTES, check_mapping, parse_yaml

__all__ = [
    "PYTHON_LOADER",
    "SCRIPT_LOADER",
    "FLAVOR_NAME",
    "MLMODEL_FILE",
    "MLmodel",
    "check_flavors",
    "check_holds_model",
    "check_section",
    "parse_mlmodel",
    "read_mlmodel",
    "read_mlmodel_if_any",
]

MLMODEL_FILE = "MLmodel"
FLAVOR_NAME = "python_function"
# What the file names as loader of a pickled Python model, and of one in a script.
PYTHON_LOADER = "mlflow.pyfunc.model"
SCRIPT_LOADER = "mlflow.pyfunc.loaders.code_model"

# The keys of a flavor's section that name a folder which its code is imported from.
_CODE_KEYS = ("code", "project")


@dataclass(frozen=True, slots=True)
class MLmodel:
    """What an MLmodel file says, as parsed.

    The properties read what is there and well-formed; who depends on a part checks it with
    :func:`check_flavors` and :func:`check_section`.

    Attributes:
        values: the keys at the top, in the order of the file.
        path: the file, for messages.
    """

    values: Mapping[str, object]
    path: Path | str

    @property
    def flavors(self) -> Mapping[str, Mapping[str, Any]]:
        """The sections of the flavors by name, without what is no section."""
        flavors = self.values.get("flavors")
        found = flavors.items() if isinstance(flavors, Mapping) else ()
        return {name: section for name, section in found if isinstance(section, Mapping)}

    @property
    def section(self) -> Mapping[str, Any]:
        """The section of the python_function flavor; empty if there is none."""
        return self.flavors.get(FLAVOR_NAME, {})

    @property
    def python_version(self) -> str | None:
        """The Python version that the model was saved with, or None."""
        version = self.section.get("python_version")
        return None if version is None else str(version)

    @property
    def mlflow_version(self) -> str | None:
        """The MLflow version whose format the model has, or None."""
        version = self.values.get("mlflow_version")
        return None if version is None else str(version)

    def environment_file(self, kind: Literal["conda", "virtualenv"]) -> str | None:
        """Return the name of the environment file of that kind, or None if none is named."""
        env = self.section.get("env")
        # Text alone is what MLflow 1 wrote.
        name = (env if isinstance(env, Mapping) else {"conda": env}).get(kind)
        return name if isinstance(name, str) else None

    def code_folders(self) -> Iterator[str]:
        """Yield the folders that any flavor or the request handler imports code from.

        ``.`` is the model directory itself.

        Raises:
            ModelPathError: one is named in a way that no folder of the model is.
        """
        for flavor, section in self.flavors.items():
            for key in _CODE_KEYS:
                if section.get(key):
                    where = f"flavors.{flavor}.{key}"
                    yield normal_relative(section[key], key=where, file=self.path)

    def names_itself(self) -> bool:
        """Return whether a flavor reads, or imports from, the model directory as a whole."""
        for section in self.flavors.values():
            artifacts = section.get("artifacts")
            entries = artifacts.values() if isinstance(artifacts, Mapping) else ()
            paths = [entry.get("path") for entry in entries if isinstance(entry, Mapping)]
            texts = [text for text in (*section.values(), *paths) if isinstance(text, str)]
            if any(text and posixpath.normpath(text.replace("\\", "/")) == "." for text in texts):
                return True
        return False


def parse_mlmodel(data: bytes, *, path: Path | str) -> MLmodel:
    """Return what the content ``data`` of the MLmodel file ``path`` says.

    Raises:
        ModelFormatError: it is no YAML mapping, or beyond the bounds of ``parse_yaml``.
    """
    if is_lfs_pointer(data):
        raise ModelFormatError(POINTER_TEXT, path=path)
    return MLmodel(check_mapping(parse_yaml(data, path=path), path=path), path)


def read_mlmodel(place: Path) -> MLmodel:
    """Return what the MLmodel file ``place``, or the one in the directory ``place``, says.

    The file is not held against a manifest: ``ModelFiles.read_mlmodel`` does that.

    Raises:
        ModelNotFoundError: there is no such file.
        ModelFormatError: it is malformed.
        ModelPathError: it is not an ordinary file.
    """
    path = check_holds_model(place) if os.path.isdir(place) else place
    if not os.path.lexists(path):
        raise _not_found(path.parent)
    with open_regular_file(path) as file:
        # One byte more than allowed tells a file that is too large, however it grows.
        return parse_mlmodel(read_at_most(file, MAX_YAML_BYTES + 1), path=path)


def read_mlmodel_if_any(directory: Path) -> MLmodel:
    """Return what :func:`read_mlmodel` does; of a directory without the file, one that is empty.

    Raises:
        ModelFormatError: the file is malformed.
        ModelPathError: it is not an ordinary file.
    """
    path = directory / MLMODEL_FILE
    return read_mlmodel(path) if os.path.lexists(path) else MLmodel({}, path)


def check_holds_model(directory: Path) -> Path:
    """Return the path of the MLmodel file in ``directory``, where something of that name is.

    Raises:
        ModelNotFoundError: nothing is.
    """
    path = directory / MLMODEL_FILE
    if not os.path.lexists(path):
        raise _not_found(directory)
    return path


def _not_found(directory: Path) -> ModelNotFoundError:
    return ModelNotFoundError(
        f"no {MLMODEL_FILE} file in {directory}\nhint: give the directory that save_model wrote"
    )


def check_flavors(flavors: object, path: Path | str | None) -> Mapping[str, Mapping[str, Any]]:
    """Return ``flavors`` unchanged if it maps names to sections.

    Raises:
        ModelFormatError: it does not.
    """
    if not isinstance(flavors, Mapping):
        raise ModelFormatError(
            f"expected a mapping of flavor names, got {shorten(flavors)}",
            path=path,
            key="flavors",
        )
    for name, section in flavors.items():
        if not isinstance(name, str) or not isinstance(section, Mapping):
            raise ModelFormatError(
                f"expected a mapping, got {shorten(section)}", path=path, key=f"flavors.{name}"
            )
    return flavors


def check_section(section: Mapping[str, Any], path: Path | str) -> Mapping[str, Any]:
    """Return the python_function section unchanged if its keys have the right types.

    Raises:
        ModelFormatError: one has not, or ``loader_module`` is missing.
    """
    for key, kinds in _KEYS.items():
        value = section.get(key)
        if isinstance(value, kinds) or (value is None and key != "loader_module"):
            continue
        what = "missing" if value is None else f"got {shorten(value)}"
        quotes = isinstance(value, (int, float)) and str in kinds
        hint = "\nhint: write it in quotes" if quotes else ""
        raise ModelFormatError(
            f"expected {' or '.join(_WORDS[kind] for kind in kinds)}, {what}{hint}",
            path=path,
            key=f"flavors.{FLAVOR_NAME}.{key}",
        )
    return section


_KEYS: dict[str, tuple[type, ...]] = {
    "loader_module": (str,),
    "python_version": (str,),
    "data": (str,),
    "code": (str,),
    "env": (str, Mapping),
    "python_model": (str,),
    "cloudpickle_version": (str,),
    "python_model_compression": (str,),
    "artifacts": (Mapping,),
    "config": (Mapping, str),
    "model_code_path": (str,),
    "streamable": (bool,),
    "predict_fn": (str,),
    "predict_stream_fn": (str,),
}
_WORDS: dict[type, str] = {str: "a string", Mapping: "a mapping", bool: "true or false"}
