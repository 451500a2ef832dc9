"""Casts that MLflow refuses although no value is lost, for ``coerce="safe"``.

Each is checked on the values: whatever a cast would change is refused. Text never becomes a
number, and a boolean never does.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pyfunc.schema.casting.arrays import fit_numbers
from pyfunc.schema.casting.columns import cast_column, fill_around_nulls
from pyfunc.schema.casting.dtype_rules import NULLABLE, NUMPY
from pyfunc.schema.casting.extension_columns import decode_categories
from pyfunc.schema.casting.findings import Misfit
from pyfunc.schema.casting.object_columns import (
    PANDAS_ERRORS,
    describe_objects,
    infer_column,
)
from pyfunc.schema.data_types import is_missing
from pyfunc.schema.types import DataType

__all__ = ["cast_or_coerce", "coerce_column"]

_ISO_TEXT = re.compile(
    r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(?P<zone>Z|[+-]\d{2}:?\d{2})?)?"
)
_NUMERIC = tuple(member for member, dtype in NUMPY.items() if dtype.kind in "bif")


def cast_or_coerce(
    column: pd.Series, target: DataType, *, optional: bool = False, coerce: bool = True
) -> pd.Series:
    """Return what ``columns.cast_column`` does; if it refuses, and by ``coerce``, what is below.

    Raises:
        Misfit: as in either.
    """
    try:
        return cast_column(column, target, optional=optional)
    except Misfit:
        if not coerce:
            raise
    return coerce_column(column, target, optional=optional)


def coerce_column(column: pd.Series, target: DataType, *, optional: bool = False) -> pd.Series:
    """Return ``column`` as ``target`` where that changes no value.

    Integers and whole floats become any integer or float type that holds them exactly, floats
    narrower ones that do, numbers 0 and 1 booleans, text of the form ``2020-01-02`` or
    ``2020-01-02T03:04:05.678+01:00`` datetimes, categories what their values can become.

    Args:
        column: one that ``columns.cast_column`` refuses; never written to.
        target: the type of the values.
        optional: whether integers and booleans may be null; the other types have a null.

    Raises:
        Misfit: a value would change.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return cast_or_coerce(decode_categories(column), target, optional=optional)
    if target is DataType.datetime:
        return _parse_datetimes(column)
    if target not in _NUMERIC:
        raise Misfit(_describe(column))
    missing = column.isna().to_numpy()
    if missing.any() and target in NULLABLE and not optional:
        row = int(missing.argmax())
        raise Misfit(f"{_describe(column)} with nulls", row, "declare the column as optional")
    numbers = _find_numbers(column[~missing])
    cast, fits = fit_numbers(numbers, target)
    if not fits.all():
        row = int(np.flatnonzero(~missing)[(~fits).argmax()])
        value = numbers[(~fits).argmax()].item()
        raise Misfit(f"{_describe(column)} with values such as {value!r}", row)
    if not missing.any():
        coerced: pd.Series = pd.Series(cast, index=column.index)
        return coerced
    return fill_around_nulls(cast, missing, column.index, target)


def _describe(column: pd.Series) -> str:
    return describe_objects(column) if column.dtype == object else str(column.dtype)


def _find_numbers(column: pd.Series) -> npt.NDArray[np.number]:
    """Return the values of a column without nulls as integers or floats.

    Raises:
        Misfit: they are neither.
    """
    dtype: Any = column.dtype
    if dtype.kind == "O":
        column = infer_column(column)
        dtype = column.dtype
    if getattr(dtype, "kind", "O") not in "iuf" or isinstance(dtype, pd.SparseDtype):
        raise Misfit(_describe(column))
    plain = dtype if isinstance(dtype, np.dtype) else np.dtype(f"{dtype.kind}{dtype.itemsize}")
    numbers: npt.NDArray[np.number] = column.to_numpy(dtype=plain.str)
    return numbers


def _parse_datetimes(column: pd.Series) -> pd.Series:
    if column.dtype != object and column.dtype.name not in ("str", "string"):
        raise Misfit(_describe(column))
    zones = set()
    for row, value in enumerate(column.array):
        if is_missing(value):
            continue
        match = _ISO_TEXT.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise Misfit("text that is no ISO 8601 date", row)
        zones.add(match["zone"])
    if len(zones) > 1:
        raise Misfit("text with several time zones")
    try:
        parsed = pd.to_datetime(column, format="ISO8601")
    except PANDAS_ERRORS as error:
        raise Misfit(f"text of which pandas makes no dates ({str(error)[:60]})") from error
    return cast_column(parsed, DataType.datetime)
