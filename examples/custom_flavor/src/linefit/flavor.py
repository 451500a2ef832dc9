"""Saving and loading lines as model directories."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from linefit.model import Line

FLAVOR_NAME = "linefit"
MODEL_PACKAGES = ("linefit",)  # objects of these packages are saved by this flavor

_FILE = "line.json"


class LinePredictor:
    """What ``load_model`` of pyfunc and of MLflow call."""

    def __init__(self, line: Line) -> None:
        self.line = line

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        return self.line.at(data)

    def get_raw_model(self) -> Line:
        return self.line


def save_model(line: Line, path: str | os.PathLike[str], **arguments: Any) -> None:
    from pyfunc.flavors.saving import NativeModel, save_native

    native = NativeModel(
        FLAVOR_NAME,
        section={"data": _FILE},
        python_function={"data": _FILE},
        requirements=get_default_pip_requirements(),
        write=lambda directory: line.write(directory / _FILE),
        predictor=lambda: LinePredictor(line),
        loader_module="linefit.flavor",
    )
    save_native(native, path, arguments)


def load_model(model_uri: str | os.PathLike[str], **arguments: Any) -> Line:
    from pyfunc.flavors.loading import flavor_key, load_native

    def read(opened: Any) -> Line:
        relative = flavor_key(opened, FLAVOR_NAME, "data")
        return Line.read(opened.files.resolve(relative, key="flavors.linefit.data", kind="file"))

    return load_native(model_uri, FLAVOR_NAME, read, arguments)


def _load_pyfunc(path: str) -> LinePredictor:
    """Load the model for pyfunc and for MLflow, which both give the path of the data."""
    return LinePredictor(Line.read(Path(path)))


def describe(section: Mapping[str, Any], files: Collection[str]) -> Any:
    from pyfunc.flavors import Serialization

    return Serialization("json", is_pickle_free=True, contents="data")


def get_default_pip_requirements() -> list[str]:
    return ["linefit"]
