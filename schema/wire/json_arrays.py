"""Arrays out of nested JSON lists, of a declared dtype or of the one that fits the values."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from pyfunc.schema.casting.object_columns import object_array
from pyfunc.schema.wire.json_cells import CellError, cast_flat, cast_numbers

__all__ = ["cast_tensor", "cast_tensor_cells", "fit_array", "flatten"]

_TEXT = np.dtype("str")


def cast_tensor(
    value: object, dtype: np.dtype[np.generic], shape: Sequence[int] = ()
) -> npt.NDArray[np.generic]:
    """Return nested lists as a new array of ``dtype``, every value kept exactly.

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
    seen, flat = _peel(value)
    if not flat:
        seen += tuple([max(length, 0) for length in shape[len(seen) :]])
    numbers = cast_numbers(flat, dtype)
    if numbers is None:
        _check_flat(flat)
        numbers = cast_flat(flat, dtype)
    return numbers.reshape(seen)


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
    cells = cast_flat(list(values), dtype)
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
            return cast_flat(flat, _TEXT)
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
    shape, flat = _peel(value)
    _check_flat(flat)
    return shape, flat


def _peel(value: Any) -> tuple[tuple[int, ...], list[Any]]:
    """Return what :func:`flatten` does, though a list may be left behind a single value."""
    shape: list[int] = []
    flat = [value]
    while flat and type(flat[0]) is list:
        lengths = set(map(len, flat)) if set(map(type, flat)) == {list} else set()
        if len(lengths) != 1:
            raise _ragged()
        shape.append(lengths.pop())
        flat = list(chain.from_iterable(flat))
    return tuple(shape), flat


def _check_flat(values: list[object]) -> None:
    if list in set(map(type, values)):
        raise _ragged()


def _ragged() -> CellError:
    return CellError(None, "lists of the same length on each level", "ragged lists")
