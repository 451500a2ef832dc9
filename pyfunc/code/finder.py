"""Finds the private names of scopes (``_pyfunc_model_7.helper``) in the directories of models.

From source only: bytecode beside a source is neither read nor written. What is found runs with the
builtins of its scope.
"""

from __future__ import annotations

import importlib.machinery
import sys
import types
from collections.abc import Iterable
from pathlib import Path

from pyfunc.code.aliases import Scope, current, scopes, spec_of_alias

__all__ = ["PREFIX", "SourceLoader", "install", "top_level_names", "uninstall"]

PREFIX = "_pyfunc_model_"

# Never taken from a model: a copy of these beside the running ones would have classes that the
# running ones do not know.
_NEVER_PRIVATE = frozenset({"pyfunc", "mlflow"})


def install() -> None:
    """Let the import system find private names from now on."""
    if _ScopeFinder not in sys.meta_path:
        sys.meta_path.insert(0, _ScopeFinder)


def uninstall() -> None:
    """Leave the import system as it was before."""
    sys.meta_path.remove(_ScopeFinder)


class SourceLoader(importlib.machinery.SourceFileLoader):
    """Runs a source file of a scope: never from bytecode, with the builtins of its scope."""

    def get_code(self, fullname: str) -> types.CodeType:
        """Return the code of the source, compiled anew."""
        path = self.get_filename(fullname)
        code: types.CodeType = self.source_to_code(self.get_data(path), path)
        return code

    def get_data(self, path: str) -> bytes:
        """Return the source as the scope reads it."""
        return _scope_of(self.name).read(Path(path))

    def exec_module(self, module: types.ModuleType) -> None:
        """Run the source in ``module``."""
        module.__dict__["__builtins__"] = _scope_of(self.name).builtins
        super().exec_module(module)


class _ScopeFinder:
    """Finds private names in the directories of their scope, and aliases for plain names."""

    @staticmethod
    def find_spec(
        fullname: str, path: Iterable[str] | None = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.startswith(PREFIX):
            return _find_private(fullname, path)
        scope = current.get()
        if scope is None or not scope.provides(fullname):
            return None
        return spec_of_alias(fullname)


def _find_private(
    fullname: str, path: Iterable[str] | None
) -> importlib.machinery.ModuleSpec | None:
    package, _, rest = fullname.partition(".")
    scope = scopes.get(package)
    if scope is None or not rest:
        return None
    portions: list[str] = []
    for directory in path if path is not None else scope.directories:
        spec = _file_finder(directory).find_spec(fullname)
        if spec is None:
            continue
        if spec.loader is not None:
            scope.remember(fullname)
            return spec
        portions.extend(spec.submodule_search_locations or ())
    if not portions:
        return None
    scope.remember(fullname)
    namespace = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
    namespace.submodule_search_locations = portions
    return namespace


def _file_finder(directory: str) -> importlib.machinery.FileFinder:
    return importlib.machinery.FileFinder(
        directory,
        (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES),
        (SourceLoader, importlib.machinery.SOURCE_SUFFIXES),
    )


def _scope_of(qualified: str) -> Scope:
    package = qualified.partition(".")[0]
    return scopes[package]


def top_level_names(directories: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of modules and packages, and of plain folders, in ``directories``."""
    names: set[str] = set()
    portions: set[str] = set()
    suffixes = (*importlib.machinery.SOURCE_SUFFIXES, *importlib.machinery.EXTENSION_SUFFIXES)
    for directory in directories:
        for entry in Path(directory).iterdir():
            if entry.is_dir():
                if entry.name.isidentifier() and entry.name != "__pycache__":
                    is_package = (entry / "__init__.py").is_file()
                    (names if is_package else portions).add(entry.name)
            elif entry.name.endswith(suffixes):
                names.add(entry.name.partition(".")[0])
    return frozenset(names - _NEVER_PRIVATE), frozenset(portions - names - _NEVER_PRIVATE)
