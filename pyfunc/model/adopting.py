"""Opening the code of a model again in a child process, for a pickle that refers to it.

What the parent offers its children (:mod:`pyfunc.code.children`) calls :func:`adopt`. The files
are read as when the model was loaded: against the same manifest, if it has one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path

from pyfunc.code.scope import CodeScope, Recipe
from pyfunc.directory.opened import ModelFiles
from pyfunc.files.locations import check_directory
from pyfunc.model.config import running_script
from pyfunc.model.mlflow_standin import stand_in_module

__all__ = ["adopt", "code_reader", "recipe_of"]

_adopted: dict[tuple[str, str | None, tuple[str, ...]], CodeScope] = {}


class _FilesOfCode:
    """Reads files below the code of a model, each held against the manifest."""

    def __init__(self, files: ModelFiles) -> None:
        self._files = files

    def __call__(self, path: Path) -> bytes:
        return self._files.read(path.relative_to(self._files.root).as_posix(), key="code")


def code_reader(files: ModelFiles) -> _FilesOfCode:
    """Return what reads a file of a model's code, checked."""
    return _FilesOfCode(files)


def recipe_of(
    files: ModelFiles,
    directories: Iterable[Path | str],
    *,
    script: Path | None = None,
    model_config: Mapping[str, object] | None = None,
    package: str | None = None,
) -> Recipe:
    """Return what a child process does to have a module of the model.

    Args:
        files: the model.
        directories: where its modules are.
        script: the file that the module is made by, if it is none of the modules.
        model_config: the configuration that the script sees.
        package: the private name above its modules, if it does not follow from them.
    """
    digest = None if files.manifest is None else files.manifest.digest
    root = str(files.root.absolute())
    below = tuple(str(Path(directory).absolute()) for directory in directories)
    file = None if script is None else str(script.absolute())
    config = _as_source(model_config)

    def write(name: str, bound: Mapping[str, str]) -> str:
        given = (name, root, digest, below, dict(bound), file, config, package)
        return f"{_NAMES_IN_SOURCE}\nfrom {__name__} import adopt\nadopt{given!r}"

    return write


def _as_source(model_config: Mapping[str, object] | None) -> dict[str, object] | None:
    """Return a configuration whose text is its source; values without one are left out."""
    if model_config is None:
        return None
    return {k: v for k, v in model_config.items() if _has_source(v)}


_NAMES_IN_SOURCE = "import datetime; inf, nan = float('inf'), float('nan')"


def _has_source(value: object) -> bool:
    """Return whether the text of ``value`` is source, as that of whatever YAML holds."""
    if isinstance(value, dict):
        return all(map(_has_source, (*value, *value.values())))
    if isinstance(value, list):
        return all(map(_has_source, value))
    return type(value) in (str, int, float, bool, type(None), date, datetime)


def adopt(  # noqa: PLR0917 - written by recipe_of
    name: str,
    root: str,
    digest: str | None,
    directories: tuple[str, ...],
    bound: Mapping[str, str],
    script: str | None,
    model_config: Mapping[str, object] | None,
    package: str | None,
) -> None:
    """Put the module ``name`` of a model in the place of the one that is calling.

    Raises:
        ModelNotFoundError: the model is gone.
        UntrustedModelError: the manifest is not the one that the parent has checked.
        ModelIntegrityError: a file is not as it was saved.
        ImportError: the code has changed since the parent read it.
    """
    scope = _open(root, digest, directories, bound, package)
    if script is None:
        scope.import_in_place(name)
        return
    with running_script(model_config):
        scope.run_model_script(Path(script), name=name)


def _open(
    root: str,
    digest: str | None,
    directories: tuple[str, ...],
    bound: Mapping[str, str],
    package: str | None,
) -> CodeScope:
    key = (root, digest, directories)
    if key not in _adopted:
        files = ModelFiles(Path(root), None)
        if digest is not None:
            files = ModelFiles.held_against_manifest(check_directory(Path(root)))
            files.require_digest(digest)
        _adopted[key] = CodeScope(
            [Path(directory) for directory in directories],
            read=code_reader(files),
            stand_in=stand_in_module,
            bound=bound,
            package=package,
        )
    return _adopted[key]
