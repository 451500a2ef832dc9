"""Restores numpy's dtypes and arrays from a pickle by what numpy's own constructors make.

``numpy.dtype.__setstate__`` believes sizes, offsets and flags: a crafted state makes it read
memory where the pickle says. So a state is taken only if it is the very state of a dtype that was
made from its description, and an array only of as many bytes as its shape and dtype come to.
"""

from __future__ import annotations

import copy
import math
import pickle
import re
from collections.abc import Callable
from typing import Protocol, TypeGuard, cast

import numpy as np
import numpy.typing as npt

__all__ = ["ARRAY_CALLS", "build_array", "build_dtype"]

Array = npt.NDArray[np.generic]
Dtype = np.dtype[np.generic]
State = tuple[object, ...]

# Booleans, numbers, dates, text, bytes, raw fields and objects; nothing that points elsewhere.
_CODE = re.compile(r"[?biufcmMSUVO]\d{0,9}")
_MAX_PARTS = 1000
_MAX_ITEM = 1 << 20
_MAX_BYTES = 1 << 62
_UNITS = frozenset(["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"])


class _Pickled(Protocol):
    """What numpy's types have, and their type stubs do not."""

    def __setstate__(self, state: State) -> None: ...


def _refused(what: str) -> pickle.UnpicklingError:
    return pickle.UnpicklingError(f"expected what numpy itself writes, got {what}")


def _reduced(made: object, protocol: int = 2) -> tuple[Callable[..., object], State, State]:
    return cast("tuple[Callable[..., object], State, State]", made.__reduce_ex__(protocol))


def _make_dtype(code: object, align: object = False, copy: object = True) -> Dtype:
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise _refused("another description of a dtype")
    return _check_size(np.dtype(code, copy=True))


def _check_size(dtype: Dtype) -> Dtype:
    if dtype.itemsize > _MAX_ITEM:
        raise _refused("a dtype of very large items")
    count, pending = 0, [dtype]
    while pending:
        part = pending.pop()
        count += 1
        if count > _MAX_PARTS:
            raise _refused("a dtype of very many parts")
        if part.subdtype is not None:
            pending.append(part.subdtype[0])
        pending += [field[0] for field in (part.fields or {}).values()]
    return dtype


def _kept(dtype: Dtype) -> Dtype:
    """Return a dtype of one's own: what the pickle does next with this one has no effect."""
    return dtype if dtype.isbuiltin == 1 else copy.deepcopy(_check_size(dtype))


def build_dtype(made: Dtype, state: object) -> None:
    """Give ``made`` the ``state`` of a dtype that numpy would make from the same description.

    Raises:
        pickle.UnpicklingError: the state is of no such dtype.
    """
    if not isinstance(state, tuple) or len(state) not in (8, 9):
        raise _refused("a state of another form")
    if made is np.dtype(made.str):
        raise _refused("a state for a dtype that all share")
    expected = _reduced(_check_size(_described(made, state)))[2]
    if _without_metadata(expected) != _without_metadata(state):
        raise _refused("a state that belongs to no dtype of this description")
    cast("_Pickled", made).__setstate__(expected)


def _without_metadata(state: State) -> State:
    # Releases before 2.0 wrote another value where there are none.
    match state:
        case (_, *most, (_, (unit, *rest))) if len(most) == 7:
            return (*most, (_as_text(unit), *rest))
    return (*state[1:8], None)


def _as_text(unit: object) -> object:
    return unit.decode("ascii") if isinstance(unit, bytes) else unit


def _described(made: Dtype, state: State) -> Dtype:
    """Return the dtype that ``state`` describes, as numpy makes it."""
    match state[1:6]:
        case (str(), (part, shape), None, None, _) if made.kind == "V":
            return _of_subarray(part, shape)
        case (str(), None, tuple(names), dict(fields), int(size)) if made.kind == "V":
            return _of_fields(names, fields, size, state[7])
        case ("<" | ">" | "=" | "|" as order, None, None, None, _):
            if made.kind in "mM":
                return np.dtype(f"{order}{made.kind}8{_unit_of(state)}")
            return np.dtype(f"{order if order in '<>' else ''}{made.str.lstrip('<>=|')}")
    raise _refused("a state of another form")


def _unit_of(state: State) -> str:
    match state[8:]:
        case () | (None,):
            return ""
        case ((_, (unit, int(count), 1, int())),) if 0 < count < 1 << 31:
            name = _as_text(unit)
            if name == "generic":
                return ""
            if name in _UNITS:
                return f"[{count}{name}]"
    raise _refused("a unit of time of another form")


def _of_fields(names: State, fields: dict[object, object], size: int, flags: object) -> Dtype:
    if not 0 <= size <= _MAX_ITEM or len(names) > _MAX_PARTS or not isinstance(flags, int):
        raise _refused("a size of another form")
    formats, offsets = [], []
    for name in names:
        match fields.get(name):
            case (np.dtype() as part, int(offset)) if isinstance(name, str) and offset >= 0:
                formats.append(_kept(part))
                offsets.append(offset)
            case _:
                raise _refused("a field of another form")
    make: Callable[..., Dtype] = np.dtype
    described = {"names": names, "formats": formats, "offsets": offsets, "itemsize": size}
    return make(described, align=bool(flags & _ALIGNED))


_ALIGNED = 0x80


def _of_subarray(part: object, shape: object) -> Dtype:
    if not isinstance(part, np.dtype) or _size(shape, part.itemsize) > _MAX_ITEM:
        raise _refused("a part that is an array of another form")
    make: Callable[..., Dtype] = np.dtype
    return make((_kept(part), shape))


def _is_shape(shape: object) -> TypeGuard[tuple[int, ...]]:
    return (
        isinstance(shape, tuple)
        and len(shape) <= 32
        and all(type(length) is int and 0 <= length < _MAX_BYTES for length in shape)
    )


def _size(shape: object, itemsize: int = 1) -> int:
    """Return how many bytes an array of ``shape`` takes."""
    if not _is_shape(shape):
        raise _refused("another shape")
    if math.prod(length or 1 for length in shape) * max(itemsize, 1) >= _MAX_BYTES:
        raise _refused("a very large shape")
    return math.prod(shape) * itemsize


def _start_array(kind: object, shape: object, code: object) -> Array:
    if kind is not np.ndarray or shape != (0,) or code not in (b"b", "b"):
        raise _refused("an array of another kind")
    return np.zeros(0, np.int8)


def build_array(array: Array, state: object) -> None:
    """Give ``array``, which is a new one, the content in ``state``.

    Raises:
        pickle.UnpicklingError: the content does not fit its shape and dtype.
    """
    if array.shape != (0,) or array.dtype.char != "b":
        raise _refused("a second state of one array")
    match state:
        case (1, shape, np.dtype() as dtype, int(fortran), list(content)):
            if not dtype.hasobject or len(content) != _size(shape):
                raise _refused("objects that do not fit their shape")
        case (1, shape, np.dtype() as dtype, int(fortran), bytes() | bytearray() as content):
            _check_bytes(content, dtype, shape)
        case _:
            raise _refused("a state of an array in another form")
    cast("_Pickled", array).__setstate__((1, shape, _kept(dtype), bool(fortran), content))


def _check_bytes(content: object, dtype: object, shape: object) -> tuple[bytes | bytearray, Dtype]:
    if not isinstance(dtype, np.dtype) or dtype.hasobject:
        raise _refused("bytes of another dtype")
    if not isinstance(content, (bytes, bytearray)) or len(content) != _size(shape, dtype.itemsize):
        raise _refused("bytes that do not fit their shape and dtype")
    return content, _kept(dtype)


def _make_scalar(dtype: object, content: object = b"") -> object:
    held, kept = _check_bytes(content, dtype, (1,))
    return np.frombuffer(bytes(held), kept)[0] if kept.itemsize else np.zeros(1, kept)[0]


def _make_from_buffer(content: object, dtype: object, shape: object, order: object) -> Array:
    held, kept = _check_bytes(content, dtype, shape)
    assert _is_shape(shape)
    if order not in ("C", "F"):
        raise _refused("another order of an array")
    if not held:
        return np.zeros(shape, kept)
    return np.frombuffer(held, kept).reshape(shape, order="F" if order == "F" else "C")


# Asked of numpy itself: where these functions live has moved between its releases.
ARRAY_CALLS: dict[object, Callable[..., object]] = {
    np.dtype: _make_dtype,
    _reduced(np.empty(0))[0]: _start_array,
    _reduced(np.float64(0))[0]: _make_scalar,
    _reduced(np.empty(0), 5)[0]: _make_from_buffer,
}
"""What stands in for each of numpy's functions that pickles call."""
