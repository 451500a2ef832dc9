"""Saving the object of a library: what all flavors do around the library's own file.

The directory is staged, described, completed with its environment and manifest, and put in place
in one step, as by ``pyfunc.save_model``.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyfunc.env.requirements.environment_files import CONDA_FILE, VIRTUALENV_FILE
from pyfunc.errors import InvalidTypeError
from pyfunc.files.copying import copy_into
from pyfunc.flavors.protocol import Predictor, SaveArguments
from pyfunc.model.description import Model, add_to_model
from pyfunc.model.hints import TypeHints
from pyfunc.saving.request import SaveRequest
from pyfunc.saving.signature import Trial, find_signature
from pyfunc.saving.writing import write_model

if TYPE_CHECKING:
    from pyfunc.schema import InputExample, ModelSignature

__all__ = ["NativeModel", "save_native"]


@dataclass(frozen=True)
class NativeModel:
    """What a flavor says about the file that it writes.

    Attributes:
        flavor: name of the flavor; its loader module is ``mlflow.<flavor>`` unless given.
        section: keys of the flavor in MLmodel.
        python_function: keys of the python_function flavor, or None if the model cannot predict.
        requirements: requirement lines that it needs whatever else is found.
        write: writes the library's files below the directory that it is given.
        predictor: returns the model as it will predict; called to find a signature.
        predict_fn: the method of the predictor that predicts.
        loader_module: the module that loads it, when that is not one of MLflow's names.
        default_signature: what is saved if nobody gives a signature and no example shows one.
    """

    flavor: str
    section: Mapping[str, object]
    python_function: Mapping[str, Any] | None
    requirements: Sequence[str]
    write: Callable[[Path], object]
    predictor: Callable[[], Predictor]
    predict_fn: str = "predict"
    loader_module: str | None = None
    default_signature: ModelSignature | None = None


def save_native(
    native: NativeModel,
    path: str | os.PathLike[str],
    arguments: SaveArguments,
    *,
    model_config: Mapping[str, object] | None = None,
) -> None:
    """Write a model directory; afterwards it is complete, or nothing of it is there.

    Args:
        native: the model, as its flavor describes it.
        path: must not exist, or be an empty directory.
        arguments: what every flavor takes.
        model_config: default configuration of the model.

    Raises:
        SaveConflictError: there is something at ``path``.
        PyfuncError: an argument cannot work.
    """
    unknown = sorted(arguments.keys() - SaveArguments.__annotations__.keys())
    if unknown:
        raise InvalidTypeError(f"save_model() got unexpected arguments: {unknown}")
    loader_module = native.loader_module or f"mlflow.{native.flavor}"
    request = SaveRequest.from_arguments(
        path, loader_module=loader_module, model_config=model_config, **arguments
    )
    # A uv project of the working directory is saved with models of one's own code only.
    request = dataclasses.replace(request, uv_project=None)
    write_model(request, _NativeContent(native, request, loader_module), native.requirements)


@dataclass
class _NativeContent:
    """The object of a library, in the files that its flavor writes."""

    native: NativeModel
    request: SaveRequest
    loader_module: str
    copied: dict[str, object] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)

    def write(self, directory: Path, model: Model) -> InputExample | None:
        request = self.request
        self.native.write(directory)
        if self.native.python_function is not None:
            trial = Trial(_Called(self.native), {}, None, self.imports)
            model.signature = find_signature(
                trial, TypeHints(), request.example, request.signature
            )
            if model.signature is None and request.signature is None:
                model.signature = self.native.default_signature
        elif request.signature is not None:
            model.signature = request.signature
        if request.extra_files:
            self.copied["extra_files"] = _copy_extra_files(request.extra_files, directory)
        return request.example

    def describe(self, model: Model, code: str | None) -> None:
        native = self.native
        if native.python_function is not None:
            add_to_model(
                model,
                self.loader_module,
                code=code,
                conda_env=CONDA_FILE,
                python_env=VIRTUALENV_FILE,
                model_config=self.request.model_config,
                **dict(native.python_function),
            )
        model.add_flavor(native.flavor, **{**native.section, **self.copied, "code": code})

    def modules(self) -> set[str]:
        return {self.loader_module}


class _Called:
    """Predicts with the method that ``predict_fn`` of a native model names."""

    def __init__(self, native: NativeModel) -> None:
        self._native = native

    def load_context(self, context: object) -> None:
        self._method = getattr(self._native.predictor(), self._native.predict_fn)

    def predict(self, data: object, params: Mapping[str, object] | None = None) -> object:
        return self._method(data, params) if params else self._method(data)


def _copy_extra_files(files: Sequence[Path], directory: Path) -> list[dict[str, str]]:
    entries = []
    for file in files:
        relative = f"extra_files/{file.name}"
        copy_into(file, directory / relative, key="extra_files")
        entries.append({"path": relative})
    return entries
