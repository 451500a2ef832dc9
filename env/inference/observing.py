"""Sees which modules code imports while it runs, also those that were imported before."""

from __future__ import annotations

import builtins
import importlib
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from types import FrameType, ModuleType

__all__ = ["ImportObserver", "is_asked_for"]

Policy = Callable[[Mapping[str, object], bool], bool]
"""Is given the globals of importing code, and whether that is a module that is just being loaded;
says whether its imports are recorded."""

_import = builtins.__import__
_import_module = importlib.import_module
_lock = threading.Lock()
_active: list[ImportObserver] = []


def is_asked_for(importer: Mapping[str, object], is_loading: bool) -> bool:
    """Return whether an import is one that running code needs.

    Libraries try imports of optional helpers when they load, and ours are not the model's.
    """
    top = str(importer.get("__name__", "")).partition(".")[0]
    return not is_loading and top not in ("pyfunc", "mlflow")


class ImportObserver:
    """Records the absolute names of what is imported while it is entered.

    The import functions of this process are those of all observers, while there is one.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.seen: set[str] = set()

    def __enter__(self) -> ImportObserver:
        global _import, _import_module
        with _lock:
            if builtins.__import__ is not _observed_import:
                _import, _import_module = builtins.__import__, importlib.import_module
                builtins.__import__ = _observed_import
                importlib.import_module = _observed_import_module
            _active.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        with _lock:
            _active.remove(self)
            # Who has put another function in its place keeps it; ours then only hands on.
            if not _active and builtins.__import__ is _observed_import:
                builtins.__import__, importlib.import_module = _import, _import_module


def _observed_import(
    name: str,
    globals: Mapping[str, object] | None = None,
    locals: Mapping[str, object] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    module = _import(name, globals, locals, fromlist, level)
    if level == 0:
        _record(name, sys._getframe(1), globals)
    return module


def _observed_import_module(name: str, package: str | None = None) -> ModuleType:
    module = _import_module(name, package)
    if not name.startswith("."):
        _record(name, sys._getframe(1), None)
    return module


def _record(name: str, frame: FrameType, globals: Mapping[str, object] | None) -> None:
    importer = frame.f_globals if globals is None else globals
    is_loading = frame.f_code.co_name == "<module>"
    for observer in tuple(_active):
        if observer.policy(importer, is_loading):
            observer.seen.add(name)
