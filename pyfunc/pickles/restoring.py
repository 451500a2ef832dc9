"""Restores what a pickle describes, without calling anything that it names.

Each name of the base list has a way of its own here, which takes what pickles of it hold and
refuses the rest. Instances of a class that holds data get their attributes and are not called.
Only names that the caller allowed as dangerous are called as the pickle says.
"""

from __future__ import annotations

import collections
import copyreg
import pickle
import types
import uuid
from collections.abc import Callable, Iterable, Mapping, Sized
from typing import Any, Protocol

import numpy as np

from pyfunc.errors import UntrustedModelError
from pyfunc.pickles.allowlist import Allowlist
from pyfunc.pickles.arrays import ARRAY_CALLS, build_array, build_dtype
from pyfunc.pickles.known_data import BASE_GLOBALS
from pyfunc.pickles.values import VALUE_CALLS, build_uuid, check_key
from pyfunc.pickles.walking import map_global

__all__ = ["Restorer", "Stack", "restoring_dispatch"]

Find = Callable[[str, str], object]
Action = Callable[["Stack"], None]

_SLACK = 1 << 20
_NAMED = (type, types.FunctionType, types.BuiltinFunctionType)
_BUILDERS: dict[type, Callable[[Any, object], None]] = {
    np.ndarray: build_array,
    uuid.UUID: build_uuid,
}
_CALLS = {**VALUE_CALLS, **ARRAY_CALLS}
_RECONSTRUCTOR: object = vars(copyreg)["_reconstructor"]
_LISTS = (list, collections.deque)
_DICTS = (dict, collections.OrderedDict, collections.defaultdict, collections.Counter)


class Stack(Protocol):
    """An unpickler at work: what the actions below need of it."""

    stack: list[Any]
    restorer: Restorer
    readline: Callable[[], bytes]

    def find_class(self, module: str, name: str) -> object:
        """Return what ``module.name`` is."""

    def pop_mark(self) -> list[Any]:
        """Return what was pushed since the last mark."""


class Restorer:
    """Makes the values of one pickle.

    Args:
        allowed: the names that it may import.
        find: looks a name up once it is allowed.
        size: of the pickle in bytes; what is made may be a few times as large.
    """

    def __init__(self, allowed: Allowlist, find: Find, size: int) -> None:
        self._allowed = allowed
        self._find = allowed.guard(find)
        self._left = 4 * size + _SLACK
        self._classes: list[object] = []
        self._dangerous: list[object] = []

    def find(self, module: str, name: str) -> object:
        """Return what ``module.name`` is.

        Raises:
            UntrustedModelError: the name is not allowed.
        """
        found = self._find(module, name)
        asked = {(module, name), map_global(module, name, 2)}
        held = self._dangerous if asked & self._allowed.dangerous else self._classes
        # Those of the base list have their own ways, and no attributes.
        if (held is self._dangerous or not asked & BASE_GLOBALS) and not _is_in(found, held):
            held.append(found)
        return found

    def call(self, function: object, arguments: object) -> object:
        """Return what a call in the pickle stands for.

        Raises:
            UntrustedModelError: the name may not be called.
            pickle.UnpicklingError: the arguments are not those of a pickle of it.
        """
        if not isinstance(arguments, tuple):
            raise pickle.UnpicklingError("expected the arguments of a call as a tuple")
        if _is_in(function, self._dangerous) and callable(function):
            return function(*arguments)
        if function is _RECONSTRUCTOR:
            return self._reconstruct(*arguments)
        call = _CALLS.get(function) if isinstance(function, _NAMED) else None
        if call is None:
            raise UntrustedModelError(
                f"the pickle calls {_name(function)}, which is allowed to hold data only\n"
                "hint: dangerously_allowed_globals lets a name run, whatever its arguments say"
            )
        self._charge(arguments)
        return call(*arguments)

    def make(self, kind: object, arguments: object) -> object:
        """Return a new instance of the class ``kind``, whose own code does not run.

        Raises:
            UntrustedModelError: it is no class that holds data.
        """
        if not isinstance(arguments, tuple):
            raise pickle.UnpicklingError("expected the arguments of a class as a tuple")
        if isinstance(kind, type) and _is_in(kind, self._dangerous):
            return kind.__new__(kind, *arguments)
        if isinstance(kind, type) and not arguments and _is_in(kind, self._classes):
            plain: object = kind.__new__
            if plain is object.__new__:
                return object.__new__(kind)
        return self.call(kind, arguments)

    def build(self, made: object, state: object) -> None:
        """Give ``made`` its ``state``.

        Raises:
            UntrustedModelError: it is nothing that takes a state.
            pickle.UnpicklingError: the state is not that of a pickle of it.
        """
        if isinstance(made, np.dtype):
            build_dtype(made, state)
        elif type(made) in _BUILDERS:
            self._charge(state if isinstance(state, tuple) else ())
            _BUILDERS[type(made)](made, state)
        elif self._dangerous or (_is_in(type(made), self._classes) and hasattr(made, "__dict__")):
            _set_state(made, state, may_run=bool(self._dangerous))
        else:
            raise UntrustedModelError(f"the pickle gives a state to {_name(type(made))}")

    def check_target(self, target: object, kinds: tuple[type, ...]) -> None:
        """Check that a collection of the pickle is filled, and nothing else called.

        Raises:
            UntrustedModelError: it is something else, and no dangerous name is allowed.
        """
        if type(target) not in kinds and not self._dangerous:
            raise UntrustedModelError(f"the pickle adds items to {_name(type(target))}")

    def _reconstruct(self, kind: object, base: object, state: object) -> object:
        if base is not object or state is not None:
            raise pickle.UnpicklingError("expected an object without a base of its own")
        return self.make(kind, ())

    def _charge(self, arguments: Iterable[object]) -> None:
        """Count what a call may copy: a few bytes can name one large value many times.

        Raises:
            pickle.UnpicklingError: it comes to more than a pickle of this size describes.
        """
        self._left -= sum(len(value) for value in arguments if isinstance(value, Sized))
        if self._left < 0:
            raise pickle.UnpicklingError("the pickle describes much more than it holds")


def _is_in(found: object, held: list[object]) -> bool:
    return any(found is item for item in held)


def _name(found: object) -> str:
    name = getattr(found, "__qualname__", None) or type(found).__qualname__
    return f"{getattr(found, '__module__', None) or type(found).__module__}.{name}"


def _set_state(made: object, state: object, *, may_run: bool) -> None:
    own = getattr(made, "__setstate__", None)
    if own is not None:  # of a class that was looked at when it was listed
        own(state)
        return
    attributes, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
    vars(made).update(_as_attributes(attributes))
    for name, value in _as_attributes(slots).items():
        place = getattr(type(made), name, None)
        if not may_run and not isinstance(place, types.MemberDescriptorType):
            raise UntrustedModelError(f"the pickle sets {name!r}, which is no slot")
        setattr(made, name, value)


def _as_attributes(state: object) -> dict[str, object]:
    if state is None:
        return {}
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise pickle.UnpicklingError("expected the attributes of an object as a dict")
    return state


def _reduce(at: Stack) -> None:
    arguments = at.stack.pop()
    at.stack[-1] = at.restorer.call(at.stack[-1], arguments)


def _new(at: Stack) -> None:
    arguments = at.stack.pop()
    at.stack[-1] = at.restorer.make(at.stack[-1], arguments)


def _new_with_names(at: Stack) -> None:
    if at.stack.pop():
        raise UntrustedModelError("the pickle gives a class arguments by name")
    _new(at)


def _new_marked(at: Stack) -> None:
    kind, *arguments = at.pop_mark()
    at.stack.append(at.restorer.make(kind, tuple(arguments)))


def _new_named(at: Stack) -> None:
    module, name = (at.readline()[:-1].decode("ascii") for _ in range(2))
    made = at.restorer.make(at.find_class(module, name), tuple(at.pop_mark()))
    at.stack.append(made)


def _build(at: Stack) -> None:
    state = at.stack.pop()
    at.restorer.build(at.stack[-1], state)


def _append(at: Stack) -> None:
    value = at.stack.pop()
    at.restorer.check_target(at.stack[-1], _LISTS)
    at.stack[-1].append(value)


def _append_all(at: Stack) -> None:
    values = at.pop_mark()
    at.restorer.check_target(at.stack[-1], _LISTS)
    at.stack[-1].extend(values)


def _set_item(at: Stack) -> None:
    value, key = at.stack.pop(), at.stack.pop()
    at.restorer.check_target(at.stack[-1], _DICTS)
    at.stack[-1][check_key(key)] = value


def _set_items(at: Stack) -> None:
    items = at.pop_mark()
    at.restorer.check_target(at.stack[-1], _DICTS)
    for key, value in zip(items[::2], items[1::2], strict=True):
        at.stack[-1][check_key(key)] = value


def _make_dict(at: Stack) -> None:
    items = at.pop_mark()
    pairs = zip(items[::2], items[1::2], strict=True)
    at.stack.append({check_key(key): value for key, value in pairs})


def _add_items(at: Stack) -> None:
    items = at.pop_mark()
    at.restorer.check_target(at.stack[-1], (set,))
    at.stack[-1].update(map(check_key, items))


def _make_frozenset(at: Stack) -> None:
    made = frozenset(map(check_key, at.pop_mark()))
    at.stack.append(made)


def restoring_dispatch(plain: Mapping[int, Any]) -> dict[int, Any]:
    """Return the actions of an unpickler by opcode, with those in place that call or fill."""
    return {
        **plain,
        pickle.REDUCE[0]: _reduce,
        pickle.NEWOBJ[0]: _new,
        pickle.NEWOBJ_EX[0]: _new_with_names,
        pickle.OBJ[0]: _new_marked,
        pickle.INST[0]: _new_named,
        pickle.BUILD[0]: _build,
        pickle.APPEND[0]: _append,
        pickle.APPENDS[0]: _append_all,
        pickle.SETITEM[0]: _set_item,
        pickle.SETITEMS[0]: _set_items,
        pickle.DICT[0]: _make_dict,
        pickle.ADDITEMS[0]: _add_items,
        pickle.FROZENSET[0]: _make_frozenset,
    }
