"""Arrays out of nested JSON lists, of a declared dtype or of the one that fits the values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from pyfunc.errors import shorten
from pyfunc.schema.casting.object_columns import object_array
from pyfunc.schema.text_forms import parse_moment
from pyfunc.schema.wire.json_cells import (
    CellError,
    cast_floats,
    cast_truths,
    cast_whole,
    decode_bytes,
)

__all__ = ["cast_tensor", "cast_tensor_cells", "fit_array", "flatten", "text_array", "text_of"]

_MOST_BYTES = 2**30  # of one fixed-width text array: a single long text widens all others


def cast_tensor(
    value: object, dtype: np.dtype[np.generic], shape: Sequence[int] = ()
) -> npt.NDArray[np.generic]:
    """Return nested lists as a new array of ``dtype``, every value kept exactly.

    Floats are rounded to the nearest that ``dtype`` has; null is NaN or NaT where there is
    one. Bytes come from base64 text, datetimes from ISO 8601 text or from a count of the unit.

    Args:
        value: lists of the same length on each level, or a single value.
        dtype: the dtype; text and bytes get the width that they need. Lists of several
            lengths are let into an object array, which then holds lists.
        shape: the declared shape, by which an empty array gets the axes that empty lists
            cannot show.

    Raises:
        CellError: a value does not fit ``dtype``, or the lists are ragged.
    """
    if dtype.kind == "O" and isinstance(value, list) and _is_ragged(value):
        return object_array(value)
    seen, flat = flatten(value)
    if not flat:
        seen += tuple([max(length, 0) for length in shape[len(seen) :]])
    cells: npt.NDArray[np.generic] = _cast_flat(flat, dtype).reshape(seen)
    return cells


def cast_tensor_cells(values: Sequence[object], dtype: np.dtype[np.generic]) -> object:
    """Return a frame's column under a tensor: lists of numbers as they are, single values cast.

    Text and bytes stay Python objects, as pandas has no fixed width either; in lists, too, bytes
    come from base64 and null is no text.

    Raises:
        CellError: a value does not fit ``dtype``.
    """
    if list in set(map(type, values)):
        if dtype.kind in "US":
            values = [_cast_cell(value, dtype, row) for row, value in enumerate(values)]
        return object_array(values)
    cells = _cast_flat(list(values), dtype)
    return object_array(cells.tolist()) if dtype.kind in "US" else cells


def _cast_cell(value: object, dtype: np.dtype[np.generic], row: int) -> object:
    try:
        return cast_tensor(value, dtype).tolist()
    except CellError as error:
        raise CellError(row, error.expected, error.got) from error


def fit_array(value: object) -> npt.NDArray[np.generic]:
    """Return nested lists as an array of the narrowest dtype that keeps every value.

    Whole numbers give int64 (or uint64), numbers float64, texts a fixed width; anything
    mixed or with null gives objects.

    Raises:
        CellError: the lists are ragged.
    """
    shape, flat = flatten(value)
    return _fit_flat(flat).reshape(shape)


def _fit_flat(flat: list[object]) -> npt.NDArray[np.generic]:
    kinds = set(map(type, flat))
    if kinds <= {int, bool}:
        return np.array(flat) if flat else np.array(flat, dtype=np.float64)
    if kinds <= {int, float, bool} and _are_exact(flat):
        return np.array(flat, dtype=np.float64)
    if kinds == {str}:
        try:
            return text_array(flat)
        except CellError:
            pass
    return object_array(flat)


def _are_exact(flat: list[object]) -> bool:
    return all(abs(value) <= 2**53 for value in flat if type(value) is int)


def _is_ragged(value: list[object]) -> bool:
    try:
        flatten(value)
    except CellError:
        return True
    return False


def flatten(value: Any) -> tuple[tuple[int, ...], list[object]]:
    """Return the shape of nested lists and their innermost values in order.

    Raises:
        CellError: lists of one level differ in length, or stand beside single values.
    """
    shape: list[int] = []
    flat = [value]
    while True:
        kinds = set(map(type, flat))
        if list not in kinds:
            return tuple(shape), flat
        lengths = set(map(len, flat)) if kinds == {list} else set()
        if len(lengths) != 1:
            raise CellError(None, "lists of the same length on each level", "ragged lists")
        shape.append(lengths.pop())
        flat = list(chain.from_iterable(flat))


def _cast_flat(flat: list[object], dtype: np.dtype[np.generic]) -> npt.NDArray[np.generic]:
    kinds = set(map(type, flat))
    if dtype.kind in "iu":
        return np.asarray(cast_whole(flat, dtype, kinds))
    if dtype.kind == "f":
        return np.asarray(cast_floats(flat, dtype, kinds))
    if dtype.kind == "b":
        return np.asarray(cast_truths(flat, kinds))
    if dtype.kind == "O":
        return object_array(flat)
    cast = _OTHER_KINDS.get(dtype.kind)
    if cast is None:
        raise CellError(None, f"dtype {dtype}, which JSON cannot hold", "JSON values")
    return cast(flat, dtype)


def text_array(values: list[object]) -> npt.NDArray[np.str_]:
    """Return texts as a fixed-width array; numbers become text.

    Raises:
        CellError: null, or what such an array cannot hold: a text that ends in NUL, which
            numpy drops, or texts of such different lengths that it would need gigabytes.
    """
    if set(map(type, values)) != {str}:
        values = [text_of(value, row) for row, value in enumerate(values)]
    _check_width(values, 4, "\0")
    return np.array(values, dtype=np.str_)


def text_of(value: object, row: int) -> str:
    """Return a text or a number as text.

    Raises:
        CellError: it is anything else.
    """
    if isinstance(value, (str, int, float)):
        return str(value)
    raise CellError(row, "text", shorten(value))


def _check_width(values: Sequence[Any], size: int, nul: str | bytes) -> None:
    if max(map(len, values), default=0) * len(values) * size > _MOST_BYTES:
        raise CellError(None, "texts of similar lengths", "one that widens the others too far")
    for row, value in enumerate(values):
        if value.endswith(nul):
            raise CellError(row, "a value that does not end in NUL", shorten(value))


def _texts(flat: list[object], dtype: np.dtype[np.generic]) -> npt.NDArray[np.generic]:
    return text_array(flat)


def _bytes(flat: list[object], dtype: np.dtype[np.generic]) -> npt.NDArray[np.generic]:
    values = [decode_bytes(value, row) for row, value in enumerate(flat)]
    _check_width(values, 1, b"\0")
    return np.array(values, dtype=np.bytes_)


def _moments(flat: list[object], dtype: np.dtype[np.generic]) -> npt.NDArray[np.generic]:
    return np.array([_moment(value, dtype, row) for row, value in enumerate(flat)], dtype=dtype)


def _moment(value: object, dtype: np.dtype[np.generic], row: int) -> object:
    if value is None or value == "":
        return np.array("NaT", dtype=dtype)[()]
    try:
        if isinstance(value, str) and dtype.kind == "M":
            return _cast_moment(value, dtype, row)
        if type(value) is int:
            return np.array(value, dtype=np.int64).astype(dtype)[()]
    except (ValueError, OverflowError):
        pass
    raise CellError(row, f"a {dtype.name}", shorten(value))


def _cast_moment(value: str, dtype: np.dtype[np.generic], row: int) -> object:
    moment = parse_moment(value)
    cast = moment.astype(dtype)
    if cast.astype(moment.dtype) != moment:
        raise CellError(row, f"a time that {dtype.name} can hold", shorten(value))
    return cast


def _complex(flat: list[object], dtype: np.dtype[np.generic]) -> npt.NDArray[np.generic]:
    return np.asarray(cast_floats(flat, np.dtype(np.float64), set(map(type, flat)))).astype(dtype)


_OTHER_KINDS: dict[
    str, Callable[[list[object], np.dtype[np.generic]], npt.NDArray[np.generic]]
] = {
    "U": _texts,
    "S": _bytes,
    "M": _moments,
    "m": _moments,
    "c": _complex,
}
