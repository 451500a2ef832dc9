"""JSON cells of one type as an array of that type, without losing or bending a value.

Each cast takes what MLflow's server takes as far as the value stays the same: ``"5"`` and
``5.0`` are the long 5, but 1.7, 2**70 and ``"x"`` are refused, not cut to fit.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from pyfunc.errors import shorten
from pyfunc.schema import text_forms
from pyfunc.schema.casting.columns import make_masked
from pyfunc.schema.casting.dtype_rules import NULLABLE
from pyfunc.schema.casting.object_columns import object_array
from pyfunc.schema.specs import ColSpec
from pyfunc.schema.types import DataType

__all__ = [
    "Cells",
    "CellError",
    "cast_cells",
    "cast_doubles",
    "cast_moments",
    "decode_bytes",
    "is_required",
]

Cells: TypeAlias = Any
"""A numpy array or, where a value is missing that numpy cannot mark, a pandas array."""

_NUMBERS = frozenset({int, float, bool, type(None)})
_TEXTS = frozenset({str, type(None)})
_RELATIVE = frozenset({"now", "today"})  # what numpy and pandas read as the current time


class CellError(Exception):
    """A cell does not fit its type; ``row`` counts from 0, None stands for all rows."""

    def __init__(self, row: int | None, expected: str, got: str) -> None:
        super().__init__(expected, got)
        self.row = row
        self.expected = expected
        self.got = got


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
        all texts, a pandas array with a time zone.

    Raises:
        CellError: the first value that does not fit.
    """
    kinds = set(map(type, values))
    nullable = not required and type(None) in kinds
    if nullable and dtype in NULLABLE:
        missing = np.fromiter([value is None for value in values], bool, len(values))
        filled = [0 if value is None else value for value in values]
        plain = _CASTS[dtype](filled, kinds - {type(None)} | {int})
        return make_masked(plain, missing)
    if nullable and dtype is DataType.binary:
        return object_array(
            [None if v is None else decode_bytes(v, i) for i, v in enumerate(values)]
        )
    return _CASTS[dtype](values, kinds)


def is_required(spec: ColSpec) -> bool:
    """Return whether null is no value of a column; without a name it cannot be optional."""
    return bool(spec.required) and spec.name is not None


def _each(values: Sequence[object], convert: Callable[[object, int], object]) -> list[object]:
    return [convert(value, row) for row, value in enumerate(values)]


def cast_doubles(values: list[Any]) -> Cells | None:
    """Return numbers as an array of doubles, None if there is anything else or one is too large.

    Nothing but the conversion looks at the values, which makes it the quickest way.
    """
    try:
        return np.frombuffer(array("d", values))
    except (TypeError, OverflowError):
        return None


def _double(values: Sequence[object], kinds: set[type]) -> Cells:
    if kinds <= _NUMBERS:
        try:
            return np.array(values, dtype=np.float64)
        except OverflowError:  # the loop below finds the row
            pass
    return np.array(_each(values, _float_of), dtype=np.float64)


def _float_of(value: object, row: int) -> float:
    if value is None:
        return math.nan
    if isinstance(value, (int, float, str)):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    raise CellError(row, "a number", shorten(value))


def cast_floats(values: Sequence[Any], dtype: np.dtype[np.generic], kinds: set[type]) -> Cells:
    """Return numbers as an array of a floating dtype, each rounded to the nearest.

    Raises:
        CellError: a value is no number, or finite but beyond the range of ``dtype``.
    """
    exact = _double(values, kinds)
    with np.errstate(over="ignore"):
        cells = exact.astype(dtype)
    lost = np.isinf(cells) & ~np.isinf(exact)
    if lost.any():
        row = int(lost.argmax())
        raise CellError(row, f"a number within {dtype.name}", shorten(values[row]))
    return cells


def cast_whole(values: Sequence[Any], dtype: np.dtype[np.generic], kinds: set[type]) -> Cells:
    """Return whole numbers as an array of an integer dtype.

    Raises:
        CellError: a value has a fraction, is no number, or is beyond the range of ``dtype``.
    """
    if not kinds <= {int, bool}:
        values = _each(values, whole_number)
    low, high = int(np.iinfo(dtype.name).min), int(np.iinfo(dtype.name).max)
    if values and (min(values) < low or max(values) > high):
        row = next(i for i, v in enumerate(values) if not low <= v <= high)
        raise CellError(row, f"a whole number from {low} to {high}", shorten(values[row]))
    return np.array(values, dtype=dtype)


def whole_number(value: object, row: int) -> int:
    """Return the integer that ``value`` is or spells.

    Raises:
        CellError: it has a fraction or is no number.
    """
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            pass
    raise CellError(row, "a whole number", shorten(value))


def cast_truths(values: Sequence[object], kinds: set[type]) -> Cells:
    """Return booleans, 0 and 1 as an array of bool.

    Raises:
        CellError: a value is anything else.
    """
    if kinds <= {bool}:
        return np.array(values, dtype=bool)
    return np.array(_each(values, truth_of), dtype=bool)


def truth_of(value: object, row: int) -> bool:
    """Return the boolean that ``value`` is: true, false, 1 or 0.

    Raises:
        CellError: it is anything else.
    """
    if isinstance(value, (bool, int, float)) and value in (0, 1):
        return bool(value)
    raise CellError(row, "true or false", shorten(value))


def _string(values: Sequence[object], kinds: set[type]) -> Cells:
    return object_array(values)


def _binary(values: Sequence[object], kinds: set[type]) -> Cells:
    return object_array(_each(values, decode_bytes))


def decode_bytes(value: object, row: int) -> bytes:
    """Return the bytes of a base64 text, line breaks and spaces in it ignored.

    Raises:
        CellError: it is not base64.
    """
    try:
        return text_forms.decode_bytes(value)
    except ValueError:
        raise CellError(row, "base64 text", shorten(value)) from None


def _datetime(values: Sequence[object], kinds: set[type]) -> Cells:
    if kinds <= _TEXTS:
        return _parse_datetimes(values)
    return np.array([_nanoseconds(v, i) for i, v in enumerate(values)], dtype="datetime64[ns]")


def _nanoseconds(value: Any, row: int) -> int:
    if value is None:
        return int(np.iinfo(np.int64).min)  # NaT
    if not isinstance(value, (str, bool)):
        number = whole_number(value, row)
        if abs(number) < 2**63:
            return number
    raise CellError(row, "ISO 8601 texts only, or nanoseconds only", shorten(value))


def _parse_datetimes(values: Sequence[Any]) -> Cells:
    if all(value is not None and text_forms.PLAIN_MOMENT.fullmatch(value) for value in values):
        try:
            return np.array(values, dtype="datetime64[ns]")
        except ValueError:  # such as the 30th of February; the slow way finds the row
            pass
    for row, value in enumerate(values):
        if value is not None and value.strip().lower() in _RELATIVE:
            raise CellError(row, "a date and time", shorten(value))
    try:
        index = _read_datetimes(list(values))
    except (ValueError, OverflowError, TypeError, AttributeError):
        cells = cast_moments(values)
        if cells is None:
            raise _first_bad_datetime(values) from None
        return cells
    return index.array if index.tz else index.to_numpy()


def cast_moments(values: Sequence[object]) -> npt.NDArray[np.datetime64] | None:
    """Return ISO texts without UTC offset as microseconds, which reach further than nanoseconds.

    None if there is anything else but null, or a text is finer.
    """
    try:
        found = [np.datetime64("NaT", "us") if v is None else _moment_of(v) for v in values]
    except ValueError:
        return None
    return np.array(found, dtype="datetime64[us]")


def _moment_of(text: object) -> np.datetime64:
    if not isinstance(text, str) or text_forms.offset_of(text):
        raise ValueError(f"not a text without offset: {text!r}")
    moment = text_forms.parse_moment(text)
    cast: np.datetime64 = moment.astype("datetime64[us]")
    if cast.astype(moment.dtype) != moment:
        raise ValueError(f"not within microseconds: {text!r}")
    return cast


def _read_datetimes(values: list[Any]) -> pd.DatetimeIndex:
    offsets = {text_forms.offset_of(value) for value in values if value is not None}
    if len(offsets) > 1 and "" in offsets:
        raise ValueError("times with and without UTC offset cannot be compared")
    in_utc = len(offsets) > 1
    try:
        found: pd.DatetimeIndex = pd.to_datetime(values, format="ISO8601", utc=in_utc)
    except (ValueError, OverflowError):  # perhaps another format, the same in all rows
        found = pd.to_datetime(values, utc=in_utc)
    exact: pd.DatetimeIndex = found.as_unit("ns")
    return exact


def _first_bad_datetime(values: Sequence[object]) -> CellError:
    for row, value in enumerate(values):
        if not _is_datetime(value):
            return CellError(row, "a date and time", shorten(value))
    return CellError(None, "dates of one format, all with or all without offset", "several")


def _is_datetime(value: object) -> bool:
    try:
        _read_datetimes([value])
    except (ValueError, OverflowError, TypeError, AttributeError):
        return False
    return True


_CASTS: dict[DataType, Callable[[Sequence[object], set[type]], Cells]] = {
    DataType.boolean: cast_truths,
    DataType.integer: lambda values, kinds: cast_whole(values, np.dtype(np.int32), kinds),
    DataType.long: lambda values, kinds: cast_whole(values, np.dtype(np.int64), kinds),
    DataType.float: lambda values, kinds: cast_floats(values, np.dtype(np.float32), kinds),
    DataType.double: _double,
    DataType.string: _string,
    DataType.binary: _binary,
    DataType.datetime: _datetime,
}
