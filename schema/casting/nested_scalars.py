"""Scalar values inside objects, maps and arrays, checked in bulk by their exact class."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import numpy.typing as npt
import pandas as pd

from pyfunc.schema.casting.coercion import coerce_column
from pyfunc.schema.casting.columns import cast_column
from pyfunc.schema.casting.dtype_rules import NUMPY, is_widening
from pyfunc.schema.casting.findings import Misfit, name_type
from pyfunc.schema.casting.object_columns import PANDAS_ERRORS, make_column
from pyfunc.schema.data_types import FACTS, DataType, is_missing

__all__ = ["cast_scalar", "cast_scalars", "to_timestamp"]

Values = list[object]

_AS_THEY_ARE: dict[DataType, frozenset[type]] = {
    **{member: frozenset({facts.numpy.type}) for member, facts in FACTS.items()},
    DataType.string: frozenset({str}),
    DataType.binary: frozenset({bytes, str, bytearray}),
    DataType.datetime: frozenset({pd.Timestamp}),
}
"""Classes whose values are results already; MLflow refuses bytearray and Timestamp."""

_IN_BULK = {
    member: FACTS[member].python for member in (DataType.boolean, DataType.long, DataType.double)
}
"""The Python class that one array conversion turns into the numpy scalars of a type."""

_DATES = (dt.date, dt.datetime)


def cast_scalars(
    values: Values,
    target: DataType,
    *,
    optional: bool,
    coerce: bool,
    report: Callable[[int, Misfit], None],
) -> Values:
    """Return the numpy scalars that MLflow makes of ``values``, the same list if they are.

    Text and bytes stay Python objects, datetimes become Timestamps. Nulls become None if
    ``optional``. ``report`` gets the position and the misfit of each value that does not fit.
    """
    kinds = set(map(type, values))
    if kinds <= _AS_THEY_ARE[target]:
        return values
    if kinds == {_IN_BULK.get(target)}:
        converted = _convert_all(values, NUMPY[target])
        if converted is not None and not (optional and np.isnan(converted).any()):
            return list(converted)
    cast = cast_or_coerce_scalar if coerce else cast_scalar
    return _cast_one_by_one(values, target, cast, report, optional=optional)


def _convert_all(values: Values, dtype: np.dtype[np.generic]) -> npt.NDArray[np.generic] | None:
    try:
        return np.array(values, dtype=dtype)
    except OverflowError:
        return None


def _cast_one_by_one(
    values: Values,
    target: DataType,
    cast_one: Callable[[object, DataType], object],
    report: Callable[[int, Misfit], None],
    *,
    optional: bool,
) -> Values:
    cast: Values = list(values)
    changed = False
    for position, value in enumerate(values):
        if optional and is_missing(value):
            new = None
        else:
            try:
                new = cast_one(value, target)
            except Misfit as misfit:
                report(position, misfit)
                continue
        if new is not value:
            cast[position] = new
            changed = True
    return cast if changed else values


def cast_scalar(value: object, target: DataType) -> object:  # noqa: PLR0911 - one line a case
    """Return one value as the numpy scalar, text, bytes or Timestamp of ``target``.

    Raises:
        Misfit: ``value`` is no scalar, or needs more than widening.
    """
    kind = type(value)
    if kind in _AS_THEY_ARE[target]:
        return value
    if kind is _IN_BULK.get(target):
        return _convert(value, target)
    if target in (DataType.float, DataType.double) and kind in (int, np.int64):
        if value in (0, 1):
            return NUMPY[target].type(value)
        raise Misfit(f"{kind.__name__} other than 0 and 1")
    if isinstance(value, np.number) and is_widening(value.dtype.kind, value.itemsize, target):
        return NUMPY[target].type(value)
    if target is DataType.string and kind is np.str_:
        return str(value)
    if target is DataType.string and kind is object:
        return value
    if target is DataType.datetime and isinstance(value, _DATES):
        return to_timestamp(value)
    if isinstance(value, _DATES) or not np.isscalar(value):
        raise Misfit(name_type(value))
    return _cast_as_column(value, target)


def cast_or_coerce_scalar(value: object, target: DataType) -> object:
    """Return :func:`cast_scalar` of ``value``, or what it becomes without loss.

    Raises:
        Misfit: a cast would change ``value``.
    """
    try:
        return cast_scalar(value, target)
    except Misfit:
        if not np.isscalar(value):
            raise
    return coerce_column(make_column([value]), target).iloc[0]


def _convert(value: object, target: DataType) -> object:
    try:
        return NUMPY[target].type(value)
    except OverflowError:
        return value  # an integer beyond 64 bits, for which inference says long


def to_timestamp(value: dt.date) -> object:
    """Return a Timestamp in nanoseconds, in another unit if it is out of that range."""
    stamp = pd.Timestamp(value)
    with suppress(*PANDAS_ERRORS):
        stamp = stamp.as_unit("ns")
    return stamp


def _cast_as_column(value: object, target: DataType) -> object:
    """Return what MLflow makes of any other scalar: the cell of a column of one row."""
    column = make_column([value])
    try:
        return cast_column(column, target).iloc[0]
    except Misfit as misfit:
        raise Misfit(misfit.got if column.dtype != object else name_type(value)) from misfit
