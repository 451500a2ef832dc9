"""Plain names in ``sys.modules`` for what active scopes have under private names.

Libraries that import on behalf of a model (``joblib.load`` of an artifact, string arguments of
``importlib``) ask for the plain name. While a scope is active there is an alias under it, which
asks the scope of the calling context for the real module. Nothing here finds or runs a file of a
model; the scope that is asked does.
"""

from __future__ import annotations

import contextvars
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import threading
import types
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

__all__ = [
    "Scope",
    "alias_name",
    "current",
    "drop_aliases",
    "exists_outside",
    "lock",
    "put_aliases",
    "scopes",
    "spec_of_alias",
]


class Scope(Protocol):
    """What aliases and the finder ask of a scope."""

    @property
    def directories(self) -> tuple[str, ...]:
        """Where its modules are, searched in this order."""

    @property
    def read(self) -> Callable[[Path], bytes]:
        """What returns the bytes of a source file."""

    @property
    def builtins(self) -> dict[str, object]:
        """What its code runs with."""

    @property
    def is_active(self) -> bool:
        """Whether its modules are in ``sys.modules``."""

    def may_provide(self, top: str) -> bool:
        """Return whether a file or folder of that name is in its directories."""

    def provides(self, name: str) -> bool:
        """Return whether the absolute module ``name`` belongs to it."""

    def import_module(self, name: str) -> types.ModuleType:
        """Return the module ``name`` as its code sees it."""

    def remember(self, qualified: str) -> None:
        """Note that ``qualified`` is a name in ``sys.modules`` that belongs to it."""


current: contextvars.ContextVar[Scope | None] = contextvars.ContextVar(
    "pyfunc_code_scope", default=None
)
"""The scope whose model is being loaded or called in this context."""

# Guards the tables below and the entries in sys.modules that belong to scopes.
lock = threading.RLock()
scopes: weakref.WeakValueDictionary[str, Scope] = weakref.WeakValueDictionary()
"""Each scope by the private name of its package."""

_aliases: dict[str, _Alias] = {}


def spec_of_alias(name: str) -> importlib.machinery.ModuleSpec:
    """Return how an alias for the plain ``name`` is made."""
    return importlib.machinery.ModuleSpec(name, _AliasLoader())


class _AliasLoader(importlib.abc.Loader):
    @staticmethod
    def create_module(spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        with lock:
            return _aliases.setdefault(spec.name, _Alias(spec.name, None))

    @staticmethod
    def exec_module(module: types.ModuleType) -> None:
        getattr(module, "__file__", None)  # a name that the scope does not have fails here


class _Alias(types.ModuleType):
    """Stands in ``sys.modules`` for a plain name that active scopes have modules for."""

    def __init__(self, name: str, original: types.ModuleType | None) -> None:
        super().__init__(name)
        for standard in ("__doc__", "__loader__", "__package__", "__spec__"):
            del self.__dict__[standard]
        self.__dict__["_pyfunc_original"] = original

    def __getattr__(self, attribute: str) -> object:
        return getattr(self._pyfunc_target(), attribute)

    def __setattr__(self, attribute: str, value: object) -> None:
        # The import system sets these on what it imported, and submodules on their parent.
        if attribute in ("__spec__", "__loader__", "__package__") or isinstance(value, _Alias):
            return
        setattr(self._pyfunc_target(), attribute, value)

    def __dir__(self) -> list[str]:
        return dir(self._pyfunc_target())

    def _pyfunc_target(self) -> types.ModuleType:
        name, original = self.__name__, self.__dict__["_pyfunc_original"]
        scope = current.get()
        if scope is not None and scope.provides(name):
            return scope.import_module(name)
        if isinstance(original, types.ModuleType):
            return original
        module = self._pyfunc_import_outside()
        if module is not None:
            return module
        # A thread that the model started has no scope of its own: use the only candidate.
        with lock:
            candidates = [s for s in scopes.values() if s.is_active and s.provides(name)]
        if len(candidates) == 1:
            return candidates[0].import_module(name)
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    def _pyfunc_import_outside(self) -> types.ModuleType | None:
        """Import what the application calls by this name, for code that is of no model."""
        name = self.__name__
        parent = sys.modules.get(name.rpartition(".")[0])
        if isinstance(parent, _Alias):
            parent = parent.__dict__["_pyfunc_original"]
        if "." in name and parent is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, getattr(parent, "__path__", None))
        if spec is None or spec.loader is None:
            return None
        module = importlib.util.module_from_spec(spec)
        self.__dict__["_pyfunc_original"] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            self.__dict__["_pyfunc_original"] = None
            raise
        return module


def alias_name(name: str) -> None:
    """Put an alias for ``name`` and its submodules in the place of the loaded modules."""
    loaded = [n for n in sys.modules if n == name or n.startswith(f"{name}.")]
    for plain in loaded:
        if not isinstance(sys.modules[plain], _Alias):
            alias = _aliases[plain] = _Alias(plain, sys.modules[plain])
            sys.modules[plain] = alias


def put_aliases(name: str) -> None:
    """Put an alias for ``name`` and for each package above it where none is."""
    parts = name.split(".")
    with lock:
        for depth in range(1, len(parts) + 1):
            plain = ".".join(parts[:depth])
            if not isinstance(sys.modules.get(plain), _Alias):
                alias = _aliases[plain] = _Alias(plain, sys.modules.get(plain))
                sys.modules[plain] = alias


def drop_aliases(active: Sequence[Scope]) -> None:
    """Give back every plain name that none of the ``active`` scopes has."""
    for name in list(_aliases):
        top = name.partition(".")[0]
        if any(scope.may_provide(top) for scope in active):
            continue
        alias = _aliases.pop(name)
        if sys.modules.get(name) is alias:
            original = alias.__dict__["_pyfunc_original"]
            if original is None:
                del sys.modules[name]
            else:
                sys.modules[name] = original


def exists_outside(top: str) -> bool:
    """Return whether the environment has a module of that name."""
    module = sys.modules.get(top)
    if module is not None and not isinstance(module, _Alias):
        return True
    return importlib.machinery.PathFinder.find_spec(top) is not None
