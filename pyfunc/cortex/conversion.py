"""An API of a Cortex project as a model directory: its model, its request handler, its files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pyfunc.cortex.configuration import CortexApi, CortexProject, load_project
from pyfunc.directory.mlmodel import MLMODEL_FILE
from pyfunc.errors import InvalidArgumentError, ModelNotFoundError, PyfuncError
from pyfunc.files.locations import local_path
from pyfunc.flavors.libraries import import_library
from pyfunc.flavors.registry import find_flavor
from pyfunc.handlers.attaching import add_handler

__all__ = ["convert_api"]


def convert_api(
    project: CortexProject | str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    api: str | None = None,
    model: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write an API of a Cortex project as a model directory; return the directory.

    What is for a cluster only (replicas, endpoints) is not part of a model.

    Args:
        project: the project, its folder, or its ``cortex.yaml``.
        path: where the model goes.
        api: the name of the API; not needed if there is one only.
        model: the model's file, if it is not where ``cortex.yaml`` says: an ONNX file, or a model
            directory of this library or MLflow.
        overwrite: replace what is at ``path``.

    Raises:
        ModelNotFoundError: there is no such project or model.
        ModelFormatError: ``cortex.yaml`` is malformed.
        InvalidArgumentError: there is no such API, or none was named and there are several.
        PyfuncError: the model is of a kind that cannot be converted.
    """
    if not isinstance(project, CortexProject):
        project = load_project(Path(project))
    chosen = _choose(project, api)
    source = _find_model(project, chosen, model)
    if (source / MLMODEL_FILE).is_file():
        return _write(project, chosen, source, Path(path), overwrite)
    if chosen.model_format != "onnx" or not source.is_file():
        raise PyfuncError(
            f"{source}: a {chosen.model_format} model in this form cannot be converted\n"
            "hint: save it with its flavor, and give the model directory that results"
        )
    with tempfile.TemporaryDirectory(prefix="pyfunc-convert-") as folder:
        saved = Path(folder, "model")
        library = import_library("onnx", extra="onnx")
        find_flavor("onnx").save_model(library.load(str(source)), saved)
        return _write(project, chosen, saved, Path(path), overwrite)


def _choose(project: CortexProject, name: str | None) -> CortexApi:
    named = [api for api in project.apis if name in (None, api.name)]
    if len(named) != 1:
        known = ", ".join(api.name for api in project.apis) or "none"
        problem = "which API?" if name is None else f"there is no API {name!r}"
        raise InvalidArgumentError(f"{project.root}: {problem} The project has: {known}")
    return named[0]


def _find_model(
    project: CortexProject, api: CortexApi, given: str | os.PathLike[str] | None
) -> Path:
    if given is None and "://" in api.model:
        raise ModelNotFoundError(
            f"API {api.name}: the model is at {api.model}\n"
            "hint: download it, and give the local file as model"
        )
    source = project.root / api.model if given is None else local_path(given)
    if not source.exists():
        raise ModelNotFoundError(f"API {api.name}: there is no model at {source}")
    return source


def _write(
    project: CortexProject, api: CortexApi, source: Path, path: Path, overwrite: bool
) -> Path:
    return add_handler(
        source,
        api.request_handler,
        project_dir=None if api.request_handler is None else project.root,
        handler_metadata=None if api.request_handler is None else api.metadata,
        handler_python_path=None if api.python_path is None else [api.python_path],
        handler_tracker=None if api.request_handler is None else api.tracker,
        path=path,
        overwrite=overwrite,
    )
