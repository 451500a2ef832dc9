"""Restores the plain values of the standard library from what their pickles hold.

Nothing here takes a size for a content: ``bytearray(10**12)`` and ``set(range(10**12))`` are a few
bytes of a pickle, and no pickle of a value has them.
"""

from __future__ import annotations

import codecs
import collections
import datetime
import decimal
import fractions
import pathlib
import pickle
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar, cast

__all__ = ["VALUE_CALLS", "build_uuid", "check_key"]

Key = TypeVar("Key")

_MAX_KEY = 10_000  # parts of one key
_FRACTION = re.compile(r"-?\d{1,4000}(?:/\d{1,4000})?")
_COLLECTIONS = (list, tuple, dict, set, frozenset, collections.deque)
_TEXTS = (str, bytes, bytearray)
_NUMBERS = (bool, int, float)


def check_key(key: Key) -> Key:
    """Return ``key`` unchanged if it is hashed in a moment.

    A tuple of two times one tuple, sixty levels deep, is 200 bytes of a pickle and takes years.

    Raises:
        pickle.UnpicklingError: it is made of too many parts.
    """
    count, pending = 0, [key] if isinstance(key, (tuple, slice)) else []
    while pending:
        part = pending.pop()
        count += 1
        if count > _MAX_KEY:
            raise pickle.UnpicklingError("a key is made of too many parts")
        if isinstance(part, tuple):
            pending.extend(part[: _MAX_KEY + 1])
        elif isinstance(part, slice):
            pending += [part.start, part.stop, part.step]
    return key


def _check(arguments: tuple[object, ...], *kinds: tuple[type, ...], least: int = 0) -> None:
    """Check positional arguments by their exact types.

    Raises:
        pickle.UnpicklingError: there are others.
    """
    fits = least <= len(arguments) <= len(kinds) and all(
        type(value) in allowed for value, allowed in zip(arguments, kinds, strict=False)
    )
    if not fits:
        raise pickle.UnpicklingError("a call has other arguments than a pickle of its value")


def _of(
    make: Callable[..., object], *kinds: tuple[type, ...], least: int = 0
) -> Callable[..., object]:
    def call(*arguments: object) -> object:
        _check(arguments, *kinds, least=least)
        return make(*arguments)

    return call


def _of_keys(make: Callable[..., object]) -> Callable[..., object]:
    def call(*arguments: object) -> object:
        _check(arguments, _COLLECTIONS)
        return make(
            check_key(key) for given in arguments for key in cast("Iterable[object]", given)
        )

    return call


def _make_ordered(*arguments: object) -> collections.OrderedDict[object, object]:
    made: collections.OrderedDict[object, object] = collections.OrderedDict()
    match arguments:
        case ():
            pass
        case (dict() as given,):
            made.update(given)
        case (list() | tuple() as pairs,):
            for key, value in pairs:
                made[check_key(key)] = value
        case _:
            raise pickle.UnpicklingError("a dict is made of something else than its items")
    return made


def _make_fraction(*arguments: object) -> fractions.Fraction:
    match arguments:
        case (str() as text,) if _FRACTION.fullmatch(text):
            return fractions.Fraction(text)
        case (int() as above, int() as below):
            return fractions.Fraction(above, below)
    raise pickle.UnpicklingError("a fraction is not of two whole numbers")


def _encode(*arguments: object) -> bytes:
    # So the protocols before 3 write bytes. Other codecs compress, or are modules of their own.
    _check(arguments, (str,), (str,), least=2)
    text, codec = arguments
    if codec not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("bytes are written in another codec")
    return str(text).encode("latin-1")


def build_uuid(made: uuid.UUID, state: object) -> None:
    """Give ``made`` the number in ``state``.

    Raises:
        pickle.UnpicklingError: it is not that of a UUID.
    """
    number = state.get("int") if isinstance(state, Mapping) else None
    if type(number) is not int or not 0 <= number < 1 << 128 or hasattr(made, "int"):
        raise pickle.UnpicklingError("the state of a UUID is not one number of 128 bits")
    # As its own does it: the class lets nobody set an attribute.
    object.__setattr__(made, "int", number)
    object.__setattr__(made, "is_safe", uuid.SafeUUID.unknown)


def _of_parts(kind: Callable[..., object]) -> Callable[..., object]:
    def call(*arguments: object) -> object:
        _check(arguments, *[(str,)] * len(arguments))
        return kind(*arguments)

    return call


_PATHS: tuple[type, ...] = (pathlib.PurePosixPath, pathlib.PureWindowsPath, type(pathlib.Path()))
_INT = (int,)
_MOMENT = (int, bytes, str)
_ZONE = (datetime.timezone, type(None))

VALUE_CALLS: dict[object, Callable[..., object]] = {
    bool: _of(bool, _NUMBERS),
    bytearray: _of(bytearray, _TEXTS, (str,)),
    bytes: _of(bytes, (*_TEXTS, list, tuple), (str,)),
    complex: _of(complex, _NUMBERS, _NUMBERS),
    dict: lambda *given: dict(_make_ordered(*given)),
    float: _of(float, _NUMBERS),
    frozenset: _of_keys(frozenset),
    int: _of(int, _NUMBERS),
    list: _of(list, _COLLECTIONS),
    object: _of(object),
    range: _of(range, _INT, _INT, _INT, least=1),
    set: _of_keys(set),
    slice: slice,
    str: _of(str, (str,)),
    tuple: _of(tuple, _COLLECTIONS),
    codecs.encode: _encode,
    collections.Counter: _of(collections.Counter, (dict,)),
    collections.OrderedDict: _make_ordered,
    collections.defaultdict: _of(collections.defaultdict, (type, type(None)), (dict,)),
    collections.deque: _of(collections.deque, _COLLECTIONS, (int, type(None))),
    datetime.date: _of(datetime.date, _MOMENT, _INT, _INT, least=1),
    datetime.datetime: _of(datetime.datetime, _MOMENT, (int, *_ZONE), *[_INT] * 5, _ZONE, least=1),
    datetime.time: _of(datetime.time, _MOMENT, (int, *_ZONE), _INT, _INT, _ZONE, least=1),
    datetime.timedelta: _of(datetime.timedelta, _NUMBERS, _NUMBERS, _NUMBERS),
    datetime.timezone: _of(datetime.timezone, (datetime.timedelta,), (str,), least=1),
    decimal.Decimal: _of(decimal.Decimal, (str, tuple), least=1),
    fractions.Fraction: _make_fraction,
    **{kind: _of_parts(kind) for kind in _PATHS},
    uuid.UUID: _of(lambda: object.__new__(uuid.UUID)),
}
"""What stands in for each of these names where a pickle calls it."""
