"""The code of open models that a model which is being saved refers to, shipped with that model.

Plain names go into the code folder, whole modules of what conflicts into a folder of their private
name beside them, so that the new model is complete without the directories of the others.
"""

from __future__ import annotations

import contextlib
import contextvars
import sys
import types
from collections.abc import Iterator
from pathlib import Path

from pyfunc.code.aliases import Mark, Scope, scopes
from pyfunc.code.bindings import holders
from pyfunc.code.content import files_below
from pyfunc.code.finder import PREFIX, SCRIPT_PREFIX, SourceLoader
from pyfunc.code.shipped import CODE_FOLDER
from pyfunc.errors import InvalidArgumentError, ModelNotFoundError

__all__ = [
    "Inherited",
    "inherit",
    "inherit_marked",
    "inherit_scope",
    "inheriting",
    "is_of_script",
]


class Inherited:
    """The scopes whose code is referred to."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    def write(self, directory: Path) -> str | None:
        """Write their code into the code folder of ``directory``; return its name if there is any.

        Raises:
            InvalidArgumentError: another file has the place of one.
            ModelNotFoundError: the directory of a model is not there any more.
        """
        written = False
        for scope in self.scopes:
            for relative, file in _files_of(scope):
                _put(directory / CODE_FOLDER / relative, scope.read(file), relative)
                written = True
        return CODE_FOLDER if written else None


_current: contextvars.ContextVar[Inherited | None] = contextvars.ContextVar(
    "pyfunc_inherited_code", default=None
)


@contextlib.contextmanager
def inheriting() -> Iterator[Inherited]:
    """Collect the code of open models that is referred to by what the body pickles."""
    inherited = Inherited()
    token = _current.set(inherited)
    try:
        yield inherited
    finally:
        _current.reset(token)


def inherit_scope(scope: Scope) -> None:
    """Note that the model that is being saved needs the code of ``scope``."""
    inherited = _current.get()
    if inherited is not None and scope not in inherited.scopes:
        inherited.scopes.append(scope)


def inherit(value: type | types.FunctionType | types.ModuleType) -> None:
    """Note that ``value`` is referred to, which may be of an open model."""
    if _current.get() is None:
        return
    top = _home_of(value).partition(".")[0]
    scope = scopes.get(top) if top.startswith(PREFIX) else holders.get(top)
    if scope is not None:
        inherit_scope(scope)


def inherit_marked(mark: Mark) -> str:
    """Note that code with ``mark`` is pickled; return the private name that it is known by."""
    scope = scopes.get(mark.package)
    if scope is not None:
        inherit_scope(scope)
    return mark.package


def is_of_script(value: object) -> bool:
    """Return whether ``value`` was made by the script of an open model, which no name leads to."""
    name = getattr(value, "__module__", None)
    if not isinstance(name, str) or not name.startswith(SCRIPT_PREFIX):
        return False
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return isinstance(getattr(spec, "loader", None), SourceLoader)


def _home_of(value: type | types.FunctionType | types.ModuleType) -> str:
    is_module = isinstance(value, types.ModuleType)
    name = getattr(value, "__name__" if is_module else "__module__", None)
    return name if isinstance(name, str) else ""


def _files_of(scope: Scope) -> Iterator[tuple[str, Path]]:
    """Yield each file of a scope with its place in the code folder."""
    private = scope.private_names
    for directory in map(Path, scope.directories):
        if not directory.is_dir():
            raise ModelNotFoundError(
                f"{directory}: the code of a loaded model is gone, and the new one refers to it\n"
                "hint: save it while the directory of that model is in its place"
            )
        for relative, file in files_below(directory):
            top = relative.partition("/")[0]
            if top.startswith(PREFIX):
                yield relative, file  # what it has inherited itself
                continue
            if private:
                yield f"{scope.package}/{relative}", file
            if top.partition(".")[0] not in private:
                yield relative, file


def _put(target: Path, content: bytes, relative: str) -> None:
    if target.is_file():
        if target.read_bytes() == content:
            return
        raise InvalidArgumentError(
            f"code_paths: {relative} is another file than the one of this name in the code of a "
            "loaded model that the new model refers to\n"
            "hint: import your own module before the model is loaded, or give it another name"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
