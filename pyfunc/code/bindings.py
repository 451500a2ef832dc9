"""Which name each top-level module of a model gets: its plain name, or a private one.

Plain where nothing conflicts: the name is free, or what has it consists of the same files. Private
where another open model, the application, the standard library or an installed package has
something else of that name.
"""

from __future__ import annotations

import enum
import importlib.util
import os
import sys
import sysconfig
import types
from collections.abc import Callable, Mapping
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import NamedTuple

from pyfunc.code.aliases import Scope, is_alias
from pyfunc.code.children import identity_of
from pyfunc.code.content import Files, files_of, files_of_module, mentioned, same_content

__all__ = ["ALWAYS_REAL", "Binding", "Code", "former", "bind", "holders", "is_of_libraries"]

# What the interpreter loads before it runs any code, whatever its version and build.
_LOADED_FIRST = (
    "__future__ __main__ _collections_abc _frozen_importlib _frozen_importlib_external "
    "_sitebuiltins abc codecs encodings genericpath importlib io ntpath os posixpath site stat "
    "zipimport"
)
ALWAYS_REAL = frozenset({*sys.builtin_module_names, *_LOADED_FIRST.split(), "pyfunc", "mlflow"})
"""Names that are never a model's. What is compiled into the interpreter, or loaded before it runs
any code, is found before every folder, so no code of anybody's has been tried with others; and
beside a second ``pyfunc`` or ``mlflow`` there would be classes that the running ones do not know.
"""


class Binding(enum.Enum):
    """Whose module a name means in the code of a model."""

    OWN = "own"
    SHARED = "shared"
    PRIVATE = "private"


holders: dict[str, Scope] = {}
"""The model that has each plain top-level name; guarded by the lock of the aliases."""


class _Other(NamedTuple):
    """What somebody else has under a name, which is loaded."""

    files: Files
    read: Callable[[Path], bytes]
    names: frozenset[str]


former: dict[str, str] = {}
"""The identity of the model that had each plain name last, open or closed."""


class Code(NamedTuple):
    """What a model ships.

    Attributes:
        names: its top-level modules and packages.
        folders: its folders without ``__init__.py``, which give way to any real module.
        directories: where they are.
        read: returns the bytes of a file there.
        identity: a line that tells the model from others.
    """

    names: frozenset[str]
    folders: frozenset[str]
    directories: tuple[str, ...]
    read: Callable[[Path], bytes]
    identity: str


def bind(code: Code) -> dict[str, Binding]:
    """Return what each top-level name of ``code`` is bound to, as things stand."""
    folders = [name for name in code.folders if not _is_real_outside(name)]
    bound: dict[str, Binding] = {}
    others: dict[str, _Other] = {}
    for name in (*code.names, *folders):
        other = _loaded(name)
        if name in sys.stdlib_module_names:
            bound[name] = Binding.PRIVATE
        elif other is None:
            bound[name] = Binding.OWN if _is_free(name, code) else Binding.PRIVATE
        elif _is_same(name, code, other.files, other.read):
            bound[name] = Binding.SHARED
            others[name] = other
        else:
            bound[name] = Binding.PRIVATE
    _part(bound, others, code)
    return bound


def _loaded(name: str) -> _Other | None:
    """Return what another open model or the application has under ``name``."""
    holder = holders.get(name)
    if holder is not None:
        names = frozenset(holder.names)
        return _Other(files_of(name, holder.directories), holder.read, names)
    loaded = sys.modules.get(name)
    if loaded is None or is_alias(loaded):
        return None
    return _Other(files_of_module(loaded), Path.read_bytes, frozenset())


def _is_free(name: str, code: Code) -> bool:
    """Return whether an import of ``name`` would find nothing else, now or in a parent process."""
    if name in sys.modules and sys.modules[name] is None:
        return False  # somebody forbids it
    if former.get(name, code.identity) != code.identity and _has_children():
        return False  # a child may still have what a closed model had
    found = _find_outside(name)
    if found is None:
        return True
    offered = None if found.origin is None else identity_of(found.origin)
    if offered is not None:
        return offered == code.identity
    return _is_same(name, code, _files_of_spec(found), Path.read_bytes)


def _has_children() -> bool:
    processes = sys.modules.get("multiprocessing")
    return processes is not None and bool(processes.active_children())


def _is_same(name: str, code: Code, files: Files, read: Callable[[Path], bytes]) -> bool:
    return same_content(files_of(name, code.directories), code.read, files, read)


# Source with one of these words may import what it does not name.
_BY_OTHER_NAMES = frozenset(
    {
        *("__import__", "eval", "exec", "import_module", "importlib"),
        *("load", "load_model", "loads", "read_pickle"),
    }
)


def _part(bound: dict[str, Binding], others: Mapping[str, _Other], code: Code) -> None:
    """Make private what would find other modules where it is than in this model."""
    if Binding.PRIVATE not in bound.values() and bound.keys() == others.keys():
        return
    words = {n: mentioned(files_of(n, code.directories), code.read) - {n} for n in others}
    shared = {n for n in others if words[n].isdisjoint(_BY_OTHER_NAMES)}
    bound.update(dict.fromkeys(others.keys() - shared, Binding.PRIVATE))
    while True:
        lost = {n for n in shared if words[n] & ((bound.keys() | others[n].names) - shared)}
        if not lost:
            return
        shared -= lost
        bound.update(dict.fromkeys(lost, Binding.PRIVATE))


def _find_outside(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):  # a finder of others fails, or forbids it
        return None


def _is_real_outside(name: str) -> bool:
    """Return whether the environment has more than a plain folder of that name."""
    if name in sys.stdlib_module_names:
        return True
    loaded = sys.modules.get(name)
    if loaded is not None and not is_alias(loaded):
        return getattr(loaded, "__file__", None) is not None
    if name in holders:
        return False
    found = _find_outside(name)
    return found is not None and found.origin is not None


def _files_of_spec(spec: ModuleSpec) -> Files:
    described = types.ModuleType(spec.name)
    described.__file__ = spec.origin
    if spec.submodule_search_locations is not None:
        described.__path__ = list(spec.submodule_search_locations)
    return files_of_module(described)


_ROOTS = tuple(
    sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")
)


def is_of_libraries(name: str) -> bool:
    """Return whether the environment's module ``name`` is one that libraries can mean."""
    if name in sys.stdlib_module_names:
        return True
    if name in holders:
        return False
    loaded = sys.modules.get(name)
    if loaded is not None and not is_alias(loaded):
        origin = vars(loaded).get("__file__")
    else:
        found = _find_outside(name)
        origin = None if found is None else found.origin
    return isinstance(origin, str) and origin.startswith(_ROOTS)
