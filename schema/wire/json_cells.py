"""JSON cells of one type as an array of that type, without losing or bending a value.

A cell is decoded to the Python value that it is or spells: ``"5"`` and ``5.0`` are the whole
number 5, as for MLflow's server, but 1.7 and ``"x"`` are none. One table by the kind of a dtype
says how; nothing but the decoded values goes into an array.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain, starmap
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.extensions import ExtensionArray

from pyfunc.errors import shorten
from pyfunc.schema.casting.columns import make_masked
from pyfunc.schema.casting.dtype_rules import NULLABLE, NUMPY
from pyfunc.schema.casting.object_columns import object_array
from pyfunc.schema.specs import ColSpec
from pyfunc.schema.text_forms import PLAIN_MOMENT, decode_bytes, offset_of, parse_moment
from pyfunc.schema.types import DataType

__all__ = [
    "MOST_TEXT_BYTES",
    "CellError",
    "Cells",
    "cast_cells",
    "cast_flat",
    "cast_number_lists",
    "cast_numbers",
    "cast_texts",
    "fixed_width",
    "is_required",
    "may_be_nan",
]

Cells: TypeAlias = "npt.NDArray[Any] | ExtensionArray"
"""A numpy array or, where a value is missing that numpy cannot mark, a pandas array."""

MOST_TEXT_BYTES = 2**27
"""Of one array of fixed-width text: a single long text widens all others."""

_WIDE = frozenset({np.dtype("float64"), np.dtype("int64")})
_NUMBERS = frozenset({int, float, bool, type(None)})
_DOUBLE = np.dtype("float64")
_MICROSECONDS = np.dtype("datetime64[us]")
_NULL = frozenset({type(None)})
_RELATIVE = frozenset({"now", "today"})  # what numpy and pandas read as the current time
_UNREADABLE = (ValueError, OverflowError, TypeError, AttributeError)


class CellError(Exception):
    """A cell does not fit its type; ``row`` counts from 0, None stands for all rows."""

    def __init__(self, row: int | None, expected: str, got: str) -> None:
        super().__init__(expected, got)
        self.row = row
        self.expected = expected
        self.got = got


def is_required(spec: ColSpec) -> bool:
    """Return whether null is no value of a column; without a name it cannot be optional."""
    return bool(spec.required) and spec.name is not None


def may_be_nan(spec: ColSpec | None) -> bool:
    """Return whether a null in a row may be a NaN: JSON lacks it, a required column takes it."""
    dtype = None if spec is None or not is_required(spec) else spec.type
    return isinstance(dtype, DataType) and (dtype in NULLABLE or dtype is DataType.binary)


def cast_numbers(
    values: Sequence[Any], dtype: np.dtype[np.generic]
) -> npt.NDArray[np.generic] | None:
    """Return numbers as an array of doubles or longs, None if one needs a closer look.

    Nothing but the conversion looks at the values, which makes it the quickest way.
    """
    if dtype not in _WIDE or not values:
        return None
    found = _pack([values], len(values), dtype)
    return None if found is None else found[0]


def cast_number_lists(
    lists: Sequence[Any], length: int, dtype: np.dtype[np.generic]
) -> npt.NDArray[np.generic] | None:
    """Return lists of so many numbers as the rows of an array, None if they are anything else.

    Each becomes what :func:`cast_flat` makes of it; a null is a number where there is NaN. Brief
    whatever the lists hold.

    Args:
        lists: of the values of a JSON text.
        length: of each list.
        dtype: floats or integers of 32 or 64 bits.
    """
    if set(map(type, lists)) != {list}:
        return None
    is_float = dtype.kind == "f"
    found = _pack(lists, length, _DOUBLE if is_float else dtype)
    if found is None and is_float and set(map(len, lists)) == {length}:
        values = list(chain.from_iterable(lists))
        if set(map(type, values)) <= _NUMBERS:
            found = np.array(values, dtype=_DOUBLE).reshape(-1, length)
    if found is None or found.dtype == dtype:
        return found
    with np.errstate(over="ignore"):
        cells = found.astype(dtype)
    return None if np.isinf(cells).any() else cells  # no JSON has infinities


def _pack(
    lists: Sequence[Sequence[Any]], length: int, dtype: np.dtype[np.generic]
) -> npt.NDArray[np.generic] | None:
    pack = struct.Struct(f"{length}{dtype.char}").pack  # numpy and struct call C's types alike
    try:
        packed = bytearray().join(starmap(pack, lists))
    except (struct.error, OverflowError):
        return None
    return np.frombuffer(packed, dtype).reshape(len(lists), length)


def cast_cells(values: Sequence[Any], dtype: DataType, required: bool = True) -> Cells:
    """Return the values of one column as a new array of the column's dtype.

    Args:
        values: values as JSON has them.
        dtype: what the column declares.
        required: False lets a null into a boolean, integer, long or binary column, too;
            the result then is a nullable pandas array or holds None.

    Returns:
        One dimension, as long as ``values``. Text stays object, apart from numbers it is
        not checked, as in MLflow; datetimes are ``datetime64[ns]`` or, with UTC offsets in
        all texts, a pandas array with a time zone. Integers beyond 64 bits stay Python's, as
        inference calls them long.

    Raises:
        CellError: the first value that does not fit.
    """
    if dtype is DataType.string:
        return object_array(values)
    if dtype is DataType.datetime:
        return _moments_of_column(values)
    missing = None if required or None not in values else [value is None for value in values]
    if dtype is DataType.binary:
        return object_array(_each(values, decode_bytes, "base64 text", missing))
    try:
        if missing is None or dtype not in NULLABLE:
            return cast_flat(values, NUMPY[dtype])
        filled = [0 if value is None else value for value in values]
        return make_masked(cast_flat(filled, NUMPY[dtype]), np.array(missing))
    except CellError:
        if dtype is not DataType.long or not set(map(type, values)) <= {int} | _NULL:
            raise
    return object_array(_each(values, whole_number, "a whole number", missing))


def cast_flat(values: Sequence[Any], dtype: np.dtype[np.generic]) -> npt.NDArray[Any]:
    """Return values as an array of ``dtype``, every one kept exactly.

    Floats are rounded to the nearest that ``dtype`` has; null is NaN or NaT where there is one.
    Bytes come from base64 text, datetimes from ISO 8601 text or from a count of the unit.

    Raises:
        CellError: the first value that does not fit.
    """
    cast = _KINDS.get(dtype.kind)
    if cast is None:
        raise CellError(None, f"dtype {dtype}, which JSON cannot hold", "JSON values")
    return cast(values, dtype)


def _each(
    values: Sequence[Any],
    decode: Callable[[Any], object],
    expected: str,
    missing: Sequence[bool] | None = None,
) -> list[Any]:
    found: list[object] = []
    try:
        for value in values:
            is_null = missing is not None and missing[len(found)]
            found.append(None if is_null else decode(value))
    except (ValueError, OverflowError):
        raise CellError(len(found), expected, shorten(values[len(found)])) from None
    return found


def whole_number(value: object) -> int:
    """Return the integer that ``value`` is or spells.

    Raises:
        ValueError: it has a fraction, is a float too large to count with, or is no number.
    """
    if isinstance(value, float) and (not value.is_integer() or abs(value) > 2.0**64):
        raise ValueError(value)
    if isinstance(value, (int, float, str)):
        return int(value)
    raise ValueError(value)


def _number(value: object) -> float:
    if value is None:
        return math.nan
    if isinstance(value, (int, float, str)):
        return float(value)
    raise ValueError(value)


def _truth(value: object) -> bool:
    if isinstance(value, (int, float)) and value in (0, 1):
        return bool(value)
    raise ValueError(value)


def _text(value: object) -> str:
    if isinstance(value, (str, int, float)):
        return str(value)
    raise ValueError(value)


def cast_texts(values: Sequence[Any]) -> npt.NDArray[np.object_]:
    """Return texts and numbers as objects of text, null as it is.

    Raises:
        CellError: a value is anything else.
    """
    return object_array(_each(values, _text, "text", [value is None for value in values]))


def _objects(values: Sequence[object], dtype: np.dtype[np.generic]) -> npt.NDArray[Any]:
    return object_array(values)


def _truths(values: Sequence[object], dtype: np.dtype[np.generic]) -> npt.NDArray[Any]:
    plain = set(map(type, values)) <= {bool}
    return np.array(values if plain else _each(values, _truth, "true or false"), dtype=bool)


def _integers(values: Sequence[Any], dtype: np.dtype[np.generic]) -> npt.NDArray[Any]:
    quick = cast_numbers(values, dtype)
    if quick is not None:
        return quick
    if not set(map(type, values)) <= {int, bool}:
        values = _each(values, whole_number, "a whole number")
    low, high = int(np.iinfo(dtype.name).min), int(np.iinfo(dtype.name).max)
    if len(values) and (min(values) < low or max(values) > high):
        row = next(i for i, v in enumerate(values) if not low <= v <= high)
        raise CellError(row, f"a whole number from {low} to {high}", shorten(values[row]))
    return np.array(values, dtype=dtype)


def _floats(values: Sequence[Any], dtype: np.dtype[np.generic]) -> npt.NDArray[Any]:
    exact = cast_numbers(values, _DOUBLE)
    if exact is None and set(map(type, values)) <= {int, float, bool, type(None)}:
        with suppress(OverflowError):  # the loop finds the row
            exact = np.array(values, dtype=np.float64)
    if exact is None:
        exact = np.array(_each(values, _number, "a number"), dtype=np.float64)
    if dtype == _DOUBLE:
        return exact
    with np.errstate(over="ignore"):
        cells = exact.astype(dtype)
    lost = np.isinf(cells) & ~np.isinf(exact)
    if dtype.kind == "f" and lost.any():
        row = int(lost.argmax())
        raise CellError(row, f"a number within {dtype.name}", shorten(values[row]))
    return cells


def _texts(values: Sequence[object], dtype: np.dtype[np.generic]) -> npt.NDArray[Any]:
    """Return texts and numbers as fixed-width text, which must not lose what a text ends in."""
    if set(map(type, values)) != {str}:
        values = _each(values, _text, "text")
    return fixed_width(values, dtype)


def _bytes(values: Sequence[object], dtype: np.dtype[np.generic]) -> npt.NDArray[Any]:
    return fixed_width(_each(values, decode_bytes, "base64 text"), dtype)


def fixed_width(values: Sequence[Any], dtype: np.dtype[np.generic]) -> npt.NDArray[Any]:
    """Return texts or bytes as an array of the width that the longest needs.

    Raises:
        CellError: the array would be too large, or lose what a value ends in.
    """
    size, nul = (4, "\0") if dtype.kind == "U" else (1, b"\0")
    if max(map(len, values), default=0) * len(values) * size > MOST_TEXT_BYTES:
        raise CellError(None, "texts of similar lengths", "one that widens the others too far")
    for row, value in enumerate(values):
        if value.endswith(nul):
            raise CellError(row, "a value that does not end in NUL", shorten(value))
    return np.array(values, dtype=dtype.kind)


def _moments(values: Sequence[object], dtype: np.dtype[np.generic]) -> npt.NDArray[Any]:
    found = _each(values, partial(_moment, dtype=dtype), f"a time that {dtype.name} can hold")
    return np.array(found, dtype=dtype)


def _moment(value: object, dtype: np.dtype[np.generic]) -> object:
    if value is None or value == "":
        return np.array("NaT", dtype=dtype)[()]
    if isinstance(value, str) and dtype.kind == "M":
        moment = parse_moment(value)
        if dtype.name in ("datetime64", "timedelta64"):
            return moment
        cast = moment.astype(dtype)
        if cast.astype(moment.dtype) != moment:
            raise ValueError(value)
        return cast
    if type(value) is int:
        return np.array(value, dtype=np.int64).astype(dtype)[()]
    raise ValueError(value)


_KINDS: dict[str, Callable[[Sequence[Any], np.dtype[np.generic]], npt.NDArray[Any]]] = {
    "b": _truths,
    "i": _integers,
    "u": _integers,
    "f": _floats,
    "c": _floats,
    "O": _objects,
    "U": _texts,
    "S": _bytes,
    "M": _moments,
    "m": _moments,
}


def _moments_of_column(values: Sequence[Any]) -> Cells:
    if not set(map(type, values)) <= {str} | _NULL:
        expected = "ISO 8601 texts only, or nanoseconds only"
        return np.array(_each(values, _nanoseconds, expected), dtype="datetime64[ns]")
    if all(value is not None and PLAIN_MOMENT.fullmatch(value) for value in values):
        try:
            return np.array(values, dtype="datetime64[ns]")
        except ValueError:  # such as the 30th of February; the slow way finds the row
            pass
    try:
        index = _read_moments(values)
        return index.array if index.tz else index.to_numpy()
    except _UNREADABLE:
        pass
    try:  # microseconds reach further than nanoseconds
        return _far_moments(values)
    except _UNREADABLE:
        _each([[value] for value in values], _read_moments, "a date and time")
    expected = "dates of one format, all with or all without offset"
    raise CellError(None, expected, "several")


def _nanoseconds(value: object) -> int:
    number = int(np.iinfo(np.int64).min) if value is None else whole_number(value)  # NaT
    if isinstance(value, (str, bool, float)) or not -(2**63) <= number < 2**63:
        raise ValueError(value)
    return number


def _far_moments(values: Sequence[Any]) -> Cells:
    found: npt.NDArray[Any] = np.array([_moment(value, _MICROSECONDS) for value in values])
    zoned = {bool(offset_of(value)) for value in values if value}
    if zoned == {True}:
        index: pd.DatetimeIndex = pd.DatetimeIndex(found).tz_localize("UTC")
        return index.array
    if len(zoned) > 1:
        raise ValueError("times with and without UTC offset cannot be compared")
    return found


def _read_moments(values: Sequence[Any]) -> pd.DatetimeIndex:
    texts = [value for value in values if value is not None]
    if any(text.strip().lower() in _RELATIVE for text in texts):
        raise ValueError("a word for the current time")
    offsets = set(map(offset_of, texts))
    if len(offsets) > 1 and "" in offsets:
        raise ValueError("times with and without UTC offset cannot be compared")
    in_utc = len(offsets) > 1
    try:
        found: pd.DatetimeIndex = pd.to_datetime(list(values), format="ISO8601", utc=in_utc)
    except pd.errors.OutOfBoundsDatetime:  # before pandas 3: another format says it no better
        raise
    except (ValueError, OverflowError):  # perhaps another format, the same in all rows
        found = pd.to_datetime(list(values), utc=in_utc)
    exact: pd.DatetimeIndex = found.as_unit("ns")
    return exact
