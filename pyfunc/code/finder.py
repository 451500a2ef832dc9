"""Finds the modules of open models: under plain names, and under the private ones of a scope.

From source only: bytecode beside a source is neither read nor written. What is found runs with the
builtins of its scope.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from pyfunc.code.aliases import Scope, asking_scope, scopes, spec_of_alias
from pyfunc.code.bindings import holders
from pyfunc.errors import ModelIncompleteError

__all__ = ["PREFIX", "SourceLoader", "install", "top_level_names", "uninstall"]

PREFIX = "_pyfunc_model_"
_BYTECODE = tuple(importlib.machinery.BYTECODE_SUFFIXES)


def install() -> None:
    """Let the import system find the modules of open models from now on."""
    if _ScopeFinder not in sys.meta_path:
        sys.meta_path.insert(0, _ScopeFinder)


def uninstall() -> None:
    """Leave the import system as it was before."""
    if _ScopeFinder in sys.meta_path:
        sys.meta_path.remove(_ScopeFinder)


class SourceLoader(importlib.machinery.SourceFileLoader):
    """Runs a source file of a scope: never from bytecode, with the builtins of its scope."""

    def __init__(self, scope: Scope, fullname: str, path: str) -> None:
        super().__init__(fullname, path)
        self.scope = scope

    def get_code(self, fullname: str) -> types.CodeType:
        """Return the code of the source, compiled anew."""
        path = self.get_filename(fullname)
        code: types.CodeType = self.source_to_code(self.get_data(path), path)
        return code

    def get_data(self, path: str) -> bytes:
        """Return the content of a file as the scope reads it."""
        return self.scope.read(Path(path))

    def exec_module(self, module: types.ModuleType) -> None:
        """Run the source in ``module``."""
        module.__dict__["__builtins__"] = self.scope.builtins
        self.scope.remember(module.__name__, module)
        super().exec_module(module)


class _Same(importlib.abc.Loader):
    """Puts a module that is there under a second name."""

    def __init__(self, plain: str) -> None:
        self._plain = plain

    def exec_module(self, module: types.ModuleType) -> None:
        sys.modules[module.__name__] = importlib.import_module(self._plain)


class _Portions(list[str]):
    """The folders of a package without ``__init__.py``."""

    def __repr__(self) -> str:
        # importlib.resources knows a namespace package by this word.
        return f"_NamespacePath({super().__repr__()})"


class _ScopeFinder:
    """Finds what open models have, and aliases for what conflicts."""

    @staticmethod
    def find_spec(
        fullname: str, path: Iterable[str] | None = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        top = fullname.partition(".")[0]
        if top.startswith(PREFIX):
            return _find_private(fullname, path)
        scope = asking_scope() if scopes else None
        if scope is not None and scope.crosses(fullname):
            return spec_of_alias(fullname)
        holder = holders.get(top)
        return None if holder is None else _find(holder, fullname, path)


def _scope_called(package: str) -> Scope | None:
    """Return the open scope whose private name is ``package``."""
    found = scopes.get(package)
    if found is None:
        for holder in list(holders.values()):
            if holder.package == package:  # it has its name when it is asked
                return scopes.get(package)
    return found


def _find_private(
    fullname: str, path: Iterable[str] | None
) -> importlib.machinery.ModuleSpec | None:
    package, _, rest = fullname.partition(".")
    scope = _scope_called(package)
    if scope is None:
        return None
    if rest and holders.get(rest.partition(".")[0]) is scope:
        scope.remember(fullname)
        return importlib.machinery.ModuleSpec(fullname, _Same(rest))
    return _find(scope, fullname, path) if rest else _root(scope, package)


def _root(scope: Scope, package: str) -> importlib.machinery.ModuleSpec:
    """Return the package above the private names of a scope, which has no code."""
    scope.remember(package)
    root = importlib.machinery.ModuleSpec(package, None, is_package=True)
    root.submodule_search_locations = _Portions(scope.directories)
    return root


def _find(
    scope: Scope, fullname: str, path: Iterable[str] | None
) -> importlib.machinery.ModuleSpec | None:
    portions = _Portions()
    directories = list(path) if path is not None else scope.directories
    for directory in directories:
        spec = _file_finder(scope, directory).find_spec(fullname)
        if spec is None:
            continue
        if spec.loader is not None:
            scope.remember(fullname)
            return spec
        portions.extend(spec.submodule_search_locations or ())
    if not portions:
        _check_bytecode(fullname, directories)
        return None
    scope.remember(fullname)
    namespace = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
    namespace.submodule_search_locations = portions
    return namespace


def _check_bytecode(fullname: str, directories: Iterable[str]) -> None:
    """Refuse a module that is there as bytecode only.

    Raises:
        ModelIncompleteError: it is; also a ModuleNotFoundError.
    """
    tail = fullname.rpartition(".")[2]
    for directory in map(Path, directories):
        for name in (f"{tail}{suffix}" for suffix in _BYTECODE):
            for file in (directory / name, directory / tail / f"__init__{Path(name).suffix}"):
                if file.is_file():
                    missing = ModuleNotFoundError(fullname, name=fullname)
                    text = (
                        f"No module named {fullname!r}: there is only bytecode, which is never "
                        "run\nhint: ship its source"
                    )
                    raise ModelIncompleteError(text, path=file).caught_as(missing)


def _file_finder(scope: Scope, directory: str) -> importlib.machinery.FileFinder:
    return importlib.machinery.FileFinder(
        directory,
        (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES),
        (partial(SourceLoader, scope), importlib.machinery.SOURCE_SUFFIXES),  # type: ignore[arg-type]
    )


def top_level_names(directories: Sequence[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of modules and packages, and of plain folders, in ``directories``."""
    names: set[str] = set()
    portions: set[str] = set()
    modules = (
        *importlib.machinery.SOURCE_SUFFIXES,
        *importlib.machinery.EXTENSION_SUFFIXES,
        *_BYTECODE,
    )
    for directory in directories:
        for entry in Path(directory).iterdir():
            if entry.is_dir():
                if entry.name.isidentifier() and entry.name != "__pycache__":
                    is_package = any(
                        (entry / f"__init__{suffix}").is_file() for suffix in (".py", *_BYTECODE)
                    )
                    (names if is_package else portions).add(entry.name)
            elif entry.name.endswith(modules):
                names.add(entry.name.partition(".")[0])
    return frozenset(names), frozenset(portions - names)
