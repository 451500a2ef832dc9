"""Columns of Python objects as columns of a scalar type."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pyfunc.schema.casting.findings import Misfit
from pyfunc.schema.data_types import FACTS, DataType

__all__ = [
    "LARGE",
    "PANDAS_ERRORS",
    "cast_mixed_objects",
    "describe_objects",
    "describe_values",
    "infer_column",
    "is_empty",
    "is_exact",
    "make_column",
    "object_array",
]

PANDAS_ERRORS = (
    ArithmeticError,  # out of range, and decimal's signals
    AttributeError,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,  # also arrow's errors and pandas' OutOfBoundsDatetime
)
"""What numpy, pandas and arrow raise when values cannot be converted."""

LARGE = 2.0**53
"""From here on a double lacks integers."""

_DATES = (dt.date, np.datetime64)  # a datetime and a Timestamp are dates too


def is_empty(value: Any) -> bool:
    """Return whether ``value`` is an empty list or dict, for which inference takes any type."""
    return (type(value) is list or type(value) is dict) and not value


def is_exact(value: object) -> bool:
    """Return whether ``value`` is no integer, or one that a double holds."""
    return type(value) is not int or (abs(value) < 2**1023 and float(value) == value)


def object_array(values: Collection[object]) -> npt.NDArray[np.object_]:
    """Return a one-dimensional array of the very objects, lists among them kept whole."""
    return np.fromiter(values, dtype=object, count=len(values))


def make_column(values: Collection[object]) -> pd.Series:
    """Return values as a column of the dtype that all share, else of objects."""
    return infer_column(pd.Series(list(values), dtype=object))


def infer_column(column: pd.Series) -> pd.Series:
    """Return an object column as the dtype that all its values share, else unchanged."""
    inferred = column
    with suppress(*PANDAS_ERRORS):  # text with lone surrogates is no text to arrow
        inferred = column.infer_objects()
    return column if find_rounded(column, inferred) else inferred


def find_rounded(column: pd.Series, cast: pd.Series) -> list[int]:
    """Return the rows whose integers are others in ``cast``, a column of any dtype."""
    if cast.dtype != np.float64:
        return []
    large = np.flatnonzero(np.abs(cast.to_numpy()) >= LARGE)
    return [row for row in large.tolist() if not is_exact(column.iloc[row])]


def describe_objects(column: pd.Series) -> str:
    """Return the classes of the values of an object column, for messages."""
    return f"objects of {describe_values(column.array)}" if len(column) else "no objects"


def describe_values(values: Iterable[object]) -> str:
    """Return the classes of values, for messages."""
    names = sorted({kind.__name__ for kind in set(map(type, values))})
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


def cast_mixed_objects(column: pd.Series, target: DataType) -> pd.Series:
    """Return an object column whose values share no dtype as a column of ``target``.

    ``boolean`` is returned unchanged and unchecked, ``double`` goes through ``to_numeric`` and
    may become int64, both as in MLflow. ``datetime`` becomes ``datetime64[ns]``, or stays as it
    is when its dates share no time zone or leave the range of nanoseconds.

    Raises:
        Misfit: the values cannot be converted.
    """
    if not _is_all_text(column):  # pandas 3 has a dtype for these, pandas 2 keeps objects
        if target is DataType.boolean:
            return column
        if target is DataType.double:
            return _to_numbers(column)
        if target is DataType.datetime:
            return _to_datetimes(column)
        kinds = set(map(type, column.array))
        if target is DataType.long and kinds and kinds <= FACTS[target].classes:
            return column  # integers beyond 64 bits, for which inference says long
    raise Misfit(describe_objects(column))


def _is_all_text(column: pd.Series) -> bool:
    return pd.api.types.infer_dtype(column, skipna=True) == "string"


def _to_numbers(column: pd.Series) -> pd.Series:
    try:
        numbers: pd.Series = pd.to_numeric(column, errors="raise")
    except PANDAS_ERRORS as error:
        raise Misfit(describe_objects(column), _find_row(column, pd.to_numeric)) from error
    rounded = find_rounded(column, numbers)
    if rounded:
        raise Misfit("objects of int that a double does not hold", rounded[0])
    return numbers


def _to_datetimes(column: pd.Series) -> pd.Series:
    try:
        return _cast_in_some_unit(column)
    except PANDAS_ERRORS as error:
        present = column.dropna()
        if len(present) and all(isinstance(value, _DATES) for value in present.array):
            return column
        row = _find_row(column, pd.Timestamp)
        raise Misfit(describe_objects(column), row) from error


def _cast_in_some_unit(column: pd.Series) -> pd.Series:
    """Return datetimes in nanoseconds, in microseconds if they are out of that range."""
    nanoseconds: Any = "datetime64[ns]"
    microseconds: Any = "datetime64[us]"
    cast: pd.Series = column
    try:
        cast = column.astype(nanoseconds)
    except (OverflowError, pd.errors.OutOfBoundsDatetime):
        cast = column.astype(microseconds)
    return cast


def _find_row(column: pd.Series, convert: Any) -> int | None:
    """Return the first row that ``convert`` refuses, None if it refuses none alone."""
    for row, value in enumerate(column.array):
        if value is None:
            continue
        try:
            convert(value)
        except PANDAS_ERRORS:
            return row
    return None
