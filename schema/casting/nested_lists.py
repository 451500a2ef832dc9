"""Lists and arrays of scalars inside a column: elements of one type, nulls kept."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pyfunc.schema.casting.coercion import coerce_column
from pyfunc.schema.casting.columns import cast_column
from pyfunc.schema.casting.dtype_rules import NUMPY
from pyfunc.schema.casting.findings import Misfit
from pyfunc.schema.casting.nested_scalars import to_timestamp
from pyfunc.schema.casting.object_columns import (
    PANDAS_ERRORS,
    describe_values,
    is_empty,
    is_exact,
    make_column,
    object_array,
)
from pyfunc.schema.data_types import FACTS, DataType, is_missing

__all__ = ["all_conform", "array_oddity", "cast_around_empty", "cast_list"]

_CONFORMING: dict[DataType, frozenset[type]] = {
    member: frozenset({facts.element or pd.Timestamp, type(None)})
    for member, facts in FACTS.items()
}
"""Classes of elements that pass untouched; None does where floats have no NaN for it."""
_CONFORMING[DataType.float] = frozenset({np.float32})
_CONFORMING[DataType.double] = frozenset({float})
_CONFORMING[DataType.binary] |= {bytearray}

_BOOLEANS = (bool, np.bool_)
_NUMBERS = frozenset({float, int, np.float64, type(None)})
_SMALL_FLOATS = frozenset({np.float32, np.float16})
_NAN = float("nan")
_CONTAINERS = (list, tuple, dict, set, np.ndarray)


def all_conform(lists: list[Any], target: DataType) -> bool:
    """Return whether every element of every list passes untouched."""
    if set(map(type, lists)) != {list}:
        return False
    return set(map(type, chain.from_iterable(lists))) <= _CONFORMING[target]


def array_oddity(value: object) -> str:
    """Return what keeps an array from being a list of elements, empty if nothing does.

    Looked at before the elements, of which numpy and pandas can make nothing then.
    """
    if not isinstance(value, np.ndarray):
        return ""
    if not value.ndim:
        return "an array without dimensions"
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        return "a masked array"
    is_unitless = value.dtype.name in ("datetime64", "timedelta64")
    return f"an array of {value.dtype}" if is_unitless or value.dtype.kind == "V" else ""


def cast_list(values: Any, target: DataType, *, coerce: bool = False) -> Any:
    """Return a list or array whose elements are of ``target``, the same object if they are.

    A list gives a list, an array an array. Nulls among the elements stay as they are, except in
    floats, where None is NaN; datetimes of a list become Timestamps.

    Raises:
        Misfit: the elements need more than widening.
    """
    try:
        return _cast_list(values, target)
    except Misfit:
        if not coerce or not len(values) or isinstance(values[0], _CONTAINERS):
            raise
    column = coerce_column(make_column(values), target, optional=True)
    if isinstance(values, np.ndarray):
        return column.to_numpy()
    return [None if is_missing(value) else value for value in column.tolist()]


def cast_around_empty(values: Any, target: DataType, *, coerce: bool = False) -> object:
    """Return :func:`cast_list` of ``values``, empty lists and dicts among them kept.

    Raises:
        Misfit: the other elements need more than widening.
    """
    try:
        return cast_list(values, target, coerce=coerce)
    except Misfit:
        present = [value for value in values if not is_empty(value)]
        if len(present) == len(values):
            raise
    cast = iter(cast_list(present, target, coerce=coerce))
    elements = [value if is_empty(value) else next(cast) for value in values]
    return elements if isinstance(values, list) else object_array(elements)


def _cast_list(values: Any, target: DataType) -> Any:
    if isinstance(values, np.ndarray):
        return _cast_array(values, target)
    kinds = set(map(type, values))
    if kinds <= _CONFORMING[target]:
        return values
    if any(isinstance(value, _CONTAINERS) for value in values):
        raise Misfit(f"a list of {describe_values(values)}")
    return _cast_elements(list(values), kinds, target)


def _cast_array(values: npt.NDArray[np.generic], target: DataType) -> object:
    if not values.size or values.dtype == NUMPY[target]:
        if values.ndim > 1 and values.size:
            raise Misfit(f"an array of {values.ndim} dimensions")
        return values
    if values.ndim != 1:
        raise Misfit(f"an array of {values.ndim} dimensions")
    if values.dtype.kind in "OT":  # T is numpy's text of any width
        return _cast_object_array(values, target)
    if values.dtype.kind == NUMPY[target].kind and values.dtype.kind in "US":
        return values
    if values.dtype.kind == "U" and target is DataType.binary:
        return _encode_text_array(values)
    if values.dtype.kind not in "biufM":
        raise Misfit(f"an array of {values.dtype}")
    try:
        return cast_column(pd.Series(values), target).to_numpy()
    except Misfit as misfit:
        raise Misfit(f"an array of {misfit.got}", None, misfit.hint) from misfit


def _encode_text_array(values: npt.NDArray[np.generic]) -> object:
    try:
        return values.astype(NUMPY[DataType.binary])
    except PANDAS_ERRORS as error:
        raise Misfit(f"an array of {values.dtype} beyond ASCII") from error


def _cast_object_array(values: npt.NDArray[np.generic], target: DataType) -> object:
    elements = values.tolist()
    cast = _cast_list(elements, target)
    if any(value[-1:] in ("\0", b"\0") for value in cast if isinstance(value, (str, bytes))):
        return object_array(cast)  # a fixed width drops the end
    if target is not DataType.double and any(is_missing(element) for element in cast):
        return object_array(cast)
    if target is DataType.datetime:  # the array has UTC, and the unit that holds all
        moments = [moment.tz_convert(None) if moment.tzinfo else moment for moment in cast]
        return cast_column(pd.Series(moments, dtype=object), target).to_numpy()
    if target is DataType.binary:
        cast = [bytes(value) if isinstance(value, bytearray) else value for value in cast]
    with suppress(OverflowError):  # integers beyond 64 bits stay objects
        return np.array(cast, dtype=NUMPY[target])
    return object_array(cast)


def _cast_elements(values: list[Any], kinds: set[type], target: DataType) -> list[object]:
    # MLflow refuses booleans alone, and integers.
    is_mixed = kinds <= _NUMBERS and kinds != {int}
    if target is DataType.double and (is_mixed or kinds == {bool, int}):
        if int in kinds and not all(map(is_exact, values)):
            raise Misfit("a list with integers that a double does not hold")
        return [_NAN if value is None else float(value) for value in values]
    if kinds == {int} and target in (DataType.float, DataType.double):
        if not set(values) <= {0, 1}:
            raise Misfit("a list of int other than 0 and 1")
        make = float if target is DataType.double else np.float32
        return [make(value) for value in values]
    missing = [is_missing(value) for value in values]
    present = [value for value, is_null in zip(values, missing, strict=True) if not is_null]
    if any(missing) and (
        target is DataType.double
        or (target is DataType.float and not set(map(type, present)) <= _SMALL_FLOATS)
    ):
        # None, NaN and NA are values of a float column.
        return _cast_present([_NAN if value is pd.NaT else value for value in values], target)
    cast = iter(_cast_present(present, target) if present else [])
    return [
        value if is_null else next(cast) for value, is_null in zip(values, missing, strict=True)
    ]


def _cast_present(values: list[Any], target: DataType) -> list[object]:
    """Return elements without nulls as MLflow has them, but with numpy's 32-bit numbers."""
    if set(map(type, values)) <= _CONFORMING[target]:
        return values
    if target is DataType.boolean:
        if not all(isinstance(value, _BOOLEANS) for value in values):
            raise Misfit(f"a list of {describe_values(values)}")
        return [bool(value) for value in values]
    if target is DataType.datetime and all(
        type(value) in (dt.date, dt.datetime) for value in values
    ):
        return [to_timestamp(value) for value in values]
    try:
        column = cast_column(pd.Series(values), target)
    except Misfit as misfit:
        raise Misfit(f"a list of {describe_values(values)}", None, misfit.hint) from misfit
    except PANDAS_ERRORS as error:
        raise Misfit(f"a list of {describe_values(values)}") from error
    if target in (DataType.integer, DataType.float):
        return list(column.to_numpy())  # Python numbers would be refused next time
    if target in _FINISH:
        return [_FINISH[target](value) for value in column.tolist()]
    return list(column.tolist())


def _to_text(value: object) -> object:
    if not isinstance(value, (bytes, bytearray)):
        return value if type(value) is object else str(value)
    try:
        return value.decode("ascii")
    except UnicodeDecodeError as error:
        raise Misfit("a list with bytes beyond ASCII") from error


def _to_bytes(value: object) -> object:
    if isinstance(value, (bytes, bytearray)):
        return value
    try:
        return str(value).encode("ascii")
    except UnicodeEncodeError as error:
        raise Misfit("a list with text beyond ASCII") from error


_FINISH: dict[DataType, Callable[[object], object]] = {
    DataType.string: _to_text,
    DataType.binary: _to_bytes,
}
