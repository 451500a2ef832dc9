"""Classes that a pickle holds by value and that this process has: which of them are the same.

A pickle of the process that defined an Enum, a named tuple, a dataclass or an exception names it
by cloudpickle's tracker. The caller's own class is what it stands for if the pickle defines the
same: then values of the two are equal, and ``isinstance`` and ``except`` find them. A class that
differs in anything, or depends on variables around it, is made anew, and the caller's is never
changed. Which it is shows only when the class was read, so that a load may have to begin again.
"""

from __future__ import annotations

import dataclasses
import enum
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["ClassDiffersError", "LiveClasses"]

_IGNORED = frozenset({"__slotnames__", "__firstlineno__", "__static_attributes__"})
_CHANGEABLE = (list, dict, set, bytearray)
_PLAIN = (str, bytes, int, float, complex, bool, type(None), type(...))
_IMPORTED = (types.ModuleType, type, types.FunctionType, types.BuiltinFunctionType)
_DEEPEST = 40


class ClassDiffersError(Exception):
    """A class that was taken for the caller's is another one: the pickle must be read again."""


class LiveClasses:
    """The caller's classes that one pickle may mean."""

    def __init__(self) -> None:
        self._others: set[str] = set()
        self._found: dict[type, str] = {}

    def find(
        self, tracker: object, metaclass: object, name: str, bases: tuple[type, ...]
    ) -> type | None:
        """Return the class that has ``tracker`` in this process if it may be the same, or None."""
        from cloudpickle.cloudpickle import _DYNAMIC_CLASS_TRACKER_BY_ID

        if not isinstance(tracker, str) or tracker in self._others:
            return None
        live = _DYNAMIC_CLASS_TRACKER_BY_ID.get(tracker)
        if not isinstance(live, type) or not _is_of_values(live):
            return None
        given = vars(live).get("__orig_bases__", live.__bases__)
        if type(live) is not metaclass or live.__name__ != name or given != bases:
            return None
        self._found[live] = tracker
        return live

    def find_enum(
        self, tracker: object, name: str, bases: tuple[type, ...], members: Mapping[str, object]
    ) -> type | None:
        """Return what :meth:`find` does for an Enum of these members."""
        live = self.find(tracker, type(bases[-1]), name, bases)
        if live is None or not issubclass(live, enum.Enum):
            return None
        return live if _are_same({e.name: e.value for e in live}, members) else None

    def check(self, kind: type, state: tuple[Mapping[str, object], object]) -> bool:
        """Return whether ``kind`` is the caller's; it then is as the pickle says.

        Raises:
            ClassDiffersError: it is the caller's, and is not.
        """
        tracker = self._found.get(kind)
        if tracker is None:
            return False
        if not _is_defined_by(kind, state[0]):
            self._others.add(tracker)
            raise ClassDiffersError(kind.__name__)
        return True


def _is_of_values(kind: type) -> bool:
    return (
        issubclass(kind, (enum.Enum, BaseException))
        or dataclasses.is_dataclass(kind)
        or (issubclass(kind, tuple) and hasattr(kind, "_fields"))
    )


def _is_defined_by(kind: type, attributes: Mapping[str, object]) -> bool:
    from cloudpickle.cloudpickle import _class_getstate, _enum_getstate

    state = _enum_getstate if issubclass(kind, enum.Enum) else _class_getstate
    live = {n: value for n, value in state(kind)[0].items() if n not in _IGNORED}
    written = {n: value for n, value in attributes.items() if n not in _IGNORED}
    if any(type(v) in _CHANGEABLE and not n.startswith("_") for n, v in live.items()):
        return False
    return live.keys() == written.keys() and all(_are_same(live[n], written[n]) for n in live)


def _are_same(live: object, written: object, depth: int = 0) -> bool:
    """Return whether two values that classes are made of are the same and stay so."""
    if live is written:
        return True
    if type(live) is not type(written) or depth > _DEEPEST:
        return False
    if isinstance(live, _PLAIN):
        return live == written
    if isinstance(live, types.FunctionType) and isinstance(written, types.FunctionType):
        return _are_same_functions(live, written, depth + 1)
    return _are_all_same(_parts(live), _parts(written), depth + 1)


def _are_all_same(live: list[object] | None, written: list[object] | None, depth: int) -> bool:
    if live is None or written is None or len(live) != len(written):
        return False
    return all(_are_same(a, b, depth) for a, b in zip(live, written, strict=True))


_PARTS: tuple[tuple[type, Callable[[Any], Iterable[object]]], ...] = (
    (tuple, list),
    (list, list),
    (dict, lambda value: [part for item in value.items() for part in item]),
    (types.MappingProxyType, lambda value: [dict(value)]),
    (set, lambda value: sorted(value, key=repr)),
    (frozenset, lambda value: sorted(value, key=repr)),
    (staticmethod, lambda value: [value.__func__]),
    (classmethod, lambda value: [value.__func__]),
    (property, lambda value: [value.fget, value.fset, value.fdel, value.__doc__]),
    (types.CellType, lambda value: [value.cell_contents]),
)


def _parts(value: object) -> list[object] | None:
    """Return what a value consists of, or None if nothing is known of it."""
    if isinstance(value, type):
        return None
    for kind, read in _PARTS:
        if type(value) is kind:
            return list(read(value))
    try:
        reduced = value.__reduce_ex__(4)
    except Exception:  # an object of the user may refuse
        return None
    return [reduced] if isinstance(reduced, str) else [*reduced]


def _are_same_functions(live: types.FunctionType, written: types.FunctionType, depth: int) -> bool:
    return (
        live.__code__ == written.__code__
        and _are_all_same(_made_of(live), _made_of(written), depth)
        and all(
            name in written.__globals__
            and value is written.__globals__[name]
            and _is_imported(value, live)
            for name, value in _globals_of(live).items()
        )
    )


def _made_of(function: types.FunctionType) -> list[object]:
    return [
        function.__name__,
        function.__qualname__,
        function.__defaults__,
        function.__kwdefaults__,
        function.__annotations__,
        function.__dict__,
        list(function.__closure__ or ()),
    ]


def _globals_of(function: types.FunctionType) -> dict[str, object]:
    from cloudpickle.cloudpickle import _extract_code_globals

    names = _extract_code_globals(function.__code__)
    return {n: function.__globals__[n] for n in names if n in function.__globals__}


def _is_imported(value: object, function: types.FunctionType) -> bool:
    """Return whether a variable of a function's module has what no other value will replace."""
    home = getattr(value, "__module__", None)
    return isinstance(value, _IMPORTED) and home != function.__globals__.get("__name__")
