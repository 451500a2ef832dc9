"""The end of every save: from a checked request to a complete model in its place.

The directory is built beside its target and put in place in one step, so that after any failure
the target, and the description that the caller gave, are as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pyfunc.code.inherited import Inherited, inheriting
from pyfunc.code.own_files import find_imported_files
from pyfunc.code.shipped import copy_code, copy_code_files
from pyfunc.directory.manifest import MANIFEST_PATH
from pyfunc.directory.mlmodel import MLMODEL_FILE
from pyfunc.directory.verification import write_manifest
from pyfunc.env.inference.entry import infer_or_defaults
from pyfunc.errors import InvalidArgumentError
from pyfunc.files.paths import size_of
from pyfunc.files.publishing import staged_directory
from pyfunc.files.uploads import uploaded_directory
from pyfunc.handlers.wrapping import wrap_handled
from pyfunc.model.description import Model
from pyfunc.saving.request import SaveRequest

if TYPE_CHECKING:
    from pyfunc.schema import InputExample

__all__ = ["Content", "write_model"]


class Content(Protocol):
    """What kinds of models differ in: the files of their own and what MLmodel says of them."""

    def write(self, directory: Path, model: Model) -> InputExample | None:
        """Write the files below ``directory``, and set the signature of ``model``.

        Returns:
            The example that is saved with it, if there is one.
        """

    def describe(self, model: Model, code: str | None) -> None:
        """Add the flavors of the model, whose code is in the folder ``code``, to ``model``."""

    def modules(self) -> set[str]:
        """Return the modules that loading starts from; called after :meth:`write`."""

    @property
    def imports(self) -> set[str]:
        """What the model imported as it was tried, if it was; called after :meth:`write`."""


def write_model(request: SaveRequest, content: Content, defaults: Sequence[str]) -> Model:
    """Write the model directory that ``request`` asks for; return what MLmodel says of it.

    A description that the caller gave is what is returned, and says the same from now on.

    Args:
        request: what was asked for.
        content: what the kind of model writes and says.
        defaults: requirement lines that it needs whatever else is found.

    Raises:
        SaveConflictError: there is something at the target.
        PyfuncError: an argument cannot work. The target is as it was.
    """
    model = request.new_description()
    with _staged(request.path, request.overwrite) as directory:
        with inheriting() as inherited:
            example = content.write(directory, model)
        if example is not None:
            example.write(directory)
            model.saved_input_example_info = example.info
        if request.handler is not None:
            request.handler.write(directory, model)
        model.model_size_bytes = size_of(directory) or None
        content.describe(model, _write_code(request, content, inherited, directory))
        model.write_into(directory)
        _write_environment(request, content, defaults, directory)
        if request.uv_project is not None:
            request.uv_project.copy_files(directory)
        write_manifest(directory)
        wrap_handled(request.handler, directory)
    return request.hand_out(model)


def _staged(place: Path | str, overwrite: bool) -> AbstractContextManager[Path]:
    """Return what yields a directory and puts it in its place: on a disk, or in a store."""
    if isinstance(place, Path):
        return staged_directory(place, overwrite=overwrite)
    # A directory without MLmodel is no model, here and in MLflow; with it, all is there.
    return uploaded_directory(place, last=(MANIFEST_PATH, MLMODEL_FILE), overwrite=overwrite)


def _write_code(
    request: SaveRequest, content: Content, inherited: Inherited, directory: Path
) -> str | None:
    """Copy the code of the model; return the name of its folder, None if there is none."""
    if request.infer_code_paths:
        files = find_imported_files(content.modules(), _working_directory())
        own = copy_code_files(files, directory)
    else:
        own = copy_code(request.code_paths, directory)
    return inherited.write(directory) or own


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise InvalidArgumentError(
            "infer_code_paths: code is looked for in the working directory, which is gone"
        ) from error


def _write_environment(
    request: SaveRequest, content: Content, defaults: Sequence[str], directory: Path
) -> None:
    inferred: Sequence[str] | None = None
    if request.environment.needs_inference:
        if request.uv_project is not None:
            inferred = request.uv_project.export_requirements()
        if inferred is None:
            inferred = infer_or_defaults(directory, defaults, content.imports)
    request.environment.write(
        directory, defaults=defaults, inferred=inferred, loader=request.loader
    )
