"""Saving the object of a library: what all flavors do around the library's own file.

The directory is staged, described, completed with its environment and manifest, and put in place
in one step, as by ``pyfunc.save_model``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyfunc.code.shipped import copy_code
from pyfunc.directory.manifest import write_manifest
from pyfunc.env.inference.entry import infer_or_defaults
from pyfunc.env.requirements.environment_files import CONDA_FILE, VIRTUALENV_FILE
from pyfunc.errors import InvalidTypeError, shorten
from pyfunc.files.copying import copy_into
from pyfunc.files.paths import size_of
from pyfunc.files.publishing import staged_directory
from pyfunc.flavors.protocol import Predictor, SaveArguments
from pyfunc.handlers.wrapping import wrap_handled
from pyfunc.model.description import FLAVOR_NAME as PYTHON_FUNCTION
from pyfunc.model.description import MLMODEL_FILE, Model, add_to_model
from pyfunc.model.hints import TypeHints
from pyfunc.saving.request import SaveRequest
from pyfunc.saving.signature import Trial, find_signature
from pyfunc.saving.writing import write_example

__all__ = ["NativeModel", "save_native"]

_NOT_OF_FLAVORS = (
    "artifacts",
    "auth_policy",
    "data_path",
    "infer_code_paths",
    "python_model",
    "resources",
    "streamable",
    "uv_extras",
    "uv_groups",
    "uv_project_path",
)


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
    """

    flavor: str
    section: Mapping[str, Any]
    python_function: Mapping[str, Any] | None
    requirements: Sequence[str]
    write: Callable[[Path], None]
    predictor: Callable[[], Predictor]
    predict_fn: str = "predict"
    loader_module: str | None = None


def save_native(
    native: NativeModel,
    path: str | os.PathLike[str],
    arguments: SaveArguments,
    *,
    model_config: Mapping[str, Any] | None = None,
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
    request = _request(path, arguments, loader_module, model_config)
    extra_files = _check_extra_files(arguments.get("extra_files"))
    with staged_directory(request.path, overwrite=request.overwrite) as directory:
        native.write(directory)
        model = request.model
        if native.python_function is not None:
            _describe_python_function(native, request, loader_module)
            trial = Trial(_Called(native), {}, None)
            model.signature = find_signature(
                trial, TypeHints(), request.example, request.signature
            )
        elif request.signature is not None:
            model.signature = request.signature
        write_example(request.example, model, directory)
        section = {"code": None, **native.section}
        if extra_files:
            section["extra_files"] = _copy_extra_files(extra_files, directory)
        model.add_flavor(native.flavor, **section)
        if request.handler is not None:
            request.handler.write(directory, model)
        _complete(native, request, directory)


def _request(
    path: Any, arguments: SaveArguments, loader_module: str, config: Mapping[str, Any] | None
) -> SaveRequest:
    given: dict[str, Any] = dict.fromkeys((*_NOT_OF_FLAVORS, *SaveArguments.__annotations__))
    given.update({"loader": "pyfunc", "overwrite": False}, **arguments)
    del given["extra_files"]
    return SaveRequest.from_arguments(
        path, loader_module=loader_module, model_config=config, **given
    )


def _describe_python_function(
    native: NativeModel, request: SaveRequest, loader_module: str
) -> None:
    assert native.python_function is not None
    keys = dict(native.python_function)
    add_to_model(
        request.model,
        loader_module,
        conda_env=CONDA_FILE,
        python_env=VIRTUALENV_FILE,
        model_config=request.model_config,
        **keys,
    )


class _Called:
    """Predicts with the method that ``predict_fn`` of a native model names."""

    def __init__(self, native: NativeModel) -> None:
        self._native = native

    def load_context(self, context: Any) -> None:
        self._method = getattr(self._native.predictor(), self._native.predict_fn)

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        return self._method(data, params) if params else self._method(data)


def _complete(native: NativeModel, request: SaveRequest, directory: Path) -> None:
    """Write what every kind of model has: its description, code, environment and manifest."""
    model: Model = request.model
    model.model_size_bytes = size_of(directory) or None
    code = copy_code(request.code_paths, directory)
    model.flavors[native.flavor]["code"] = code
    if code and PYTHON_FUNCTION in model.flavors:
        model.flavors[PYTHON_FUNCTION]["code"] = code
    (directory / MLMODEL_FILE).write_text(model.to_yaml(), encoding="utf-8")
    needed = request.environment.needs_inference
    request.environment.write(
        directory,
        defaults=native.requirements,
        inferred=infer_or_defaults(directory, native.requirements) if needed else None,
        loader=request.loader,
    )
    write_manifest(directory)
    wrap_handled(request.handler, directory)


def _check_extra_files(given: Any) -> list[Path]:
    if given is None:
        return []
    if not isinstance(given, (list, tuple)):
        raise InvalidTypeError(f"extra_files: expected a list of paths, got {shorten(given)}")
    return [Path(os.path.abspath(item)) for item in given]


def _copy_extra_files(files: Sequence[Path], directory: Path) -> list[dict[str, str]]:
    entries = []
    for file in files:
        relative = f"extra_files/{file.name}"
        copy_into(file, directory / relative, key="extra_files")
        entries.append({"path": relative})
    return entries
