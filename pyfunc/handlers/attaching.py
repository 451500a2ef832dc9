"""Giving a request handler to a model that is saved already, whatever library saved it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pyfunc.directory.manifest import UNLISTED
from pyfunc.directory.mlmodel import MLMODEL_FILE
from pyfunc.directory.opened import ModelFiles
from pyfunc.directory.verification import write_manifest
from pyfunc.env import update_requirements
from pyfunc.env.requirements.deduplication import merge_duplicates
from pyfunc.env.requirements.environment_files import REQUIREMENTS_FILE
from pyfunc.env.requirements.lines import clean_lines
from pyfunc.errors import InvalidArgumentError
from pyfunc.files.copying import copy_into
from pyfunc.files.locations import local_directory, local_path, resolve_model
from pyfunc.files.publishing import staged_directory
from pyfunc.files.temporaries import is_staging_name
from pyfunc.handlers.project import (
    HANDLER_FLAVOR,
    PROJECT_FOLDER,
    WRAPPED_KEY,
    HandlerProject,
    OutputStyle,
)
from pyfunc.handlers.wrapping import INNER_FOLDER, wrap_handled
from pyfunc.model.description import Model

__all__ = ["add_handler"]


def add_handler(
    model_uri: str | os.PathLike[str],
    handler: str | os.PathLike[str] | None,
    *,
    project_dir: str | os.PathLike[str] | None = None,
    handler_metadata: Mapping[str, object] | None = None,
    handler_python_path: Sequence[str] | None = None,
    handler_output_style: OutputStyle | None = None,
    handler_tracker: Mapping[str, object] | None = None,
    wrap_as_pyfunc: bool = False,
    path: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Put a request handler into the model at ``model_uri``; return the model's directory.

    The model appears with its handler in one step, or stays as it was. A handler that it has is
    replaced. A signature of its files no longer holds and is left out.

    Args:
        model_uri: a model of any flavor; without ``path`` in a local directory.
        handler: as in ``save_model``, as are the others; None only makes a copy at ``path``.
        project_dir: the folder of the project.
        handler_metadata: the dictionary for the handler's functions.
        handler_python_path: folders of the project that imports search.
        handler_output_style: what ``post_inference`` is given.
        handler_tracker: which part of the answers a server counts.
        wrap_as_pyfunc: make a model around it whose ``predict`` runs the handler.
        path: where the model with the handler goes; by default it takes the place of the old.
        overwrite: replace what is at ``path``.

    Raises:
        ModelNotFoundError: there is no model, or no handler.
        ModelIntegrityError: files of the model are not those that were saved.
        SaveConflictError: there is something at ``path``.
        PyfuncError: an argument cannot work; nothing was changed.
    """
    source = local_directory(model_uri) if path is None else resolve_model(model_uri)
    files = ModelFiles.open(source)
    model = Model.from_mlmodel(files.read_mlmodel())
    _check_is_no_wrapper(model, source)
    target = source if path is None else local_path(path)
    project = HandlerProject.from_arguments(
        handler,
        project_dir=project_dir,
        handler_metadata=handler_metadata,
        python_path=handler_python_path,
        output_style=handler_output_style,
        tracker=handler_tracker,
        wrap_as_pyfunc=wrap_as_pyfunc,
        target=target,
    )
    files.verify_all()
    left_out = set(UNLISTED)
    if project is not None:
        left_out |= {PROJECT_FOLDER, MLMODEL_FILE}
    with staged_directory(target, overwrite=overwrite or path is None) as directory:
        _copy_but(left_out, source, directory)
        if project is not None:
            project.write(directory, model)
            model.write_into(directory)
            _add_requirements(directory, project)
        write_manifest(directory)
        wrap_handled(project, directory)
    return target


def _check_is_no_wrapper(model: Model, source: Path) -> None:
    section = model.flavors.get(HANDLER_FLAVOR)
    if isinstance(section, Mapping) and section.get(WRAPPED_KEY):
        raise InvalidArgumentError(
            f"{source}: the handler of this model belongs to the one inside it\n"
            f"hint: give a handler to {source / INNER_FOLDER}, with another path and "
            "wrap_as_pyfunc=True"
        )


def _copy_but(left_out: set[str], source: Path, directory: Path, prefix: str = "") -> None:
    for name in sorted(os.listdir(source)):
        relative = prefix + name
        if relative in left_out or is_staging_name(name):
            continue
        if any(path.startswith(f"{relative}/") for path in left_out):
            (directory / name).mkdir()
            _copy_but(left_out, source / name, directory / name, f"{relative}/")
        else:
            copy_into(source / name, directory / name)


def _add_requirements(directory: Path, project: HandlerProject) -> None:
    added = project.requirements
    if added.constraints:
        raise InvalidArgumentError(
            "requirements.txt of the project names constraints, which cannot be added to a "
            "saved model\nhint: write them as requirements"
        )
    if not added.requirements:
        return
    file = directory / REQUIREMENTS_FILE
    lines = clean_lines(file.read_text(encoding="utf-8").splitlines()) if file.exists() else []
    try:
        merge_duplicates([*lines, *added.requirements])
    except InvalidArgumentError as error:
        raise InvalidArgumentError(
            f"requirements.txt of the project contradicts the model's requirements: {error}"
        ) from error
    known = set(lines)
    update_requirements(directory, "add", [ln for ln in added.requirements if ln not in known])
