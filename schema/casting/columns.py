"""One column of a frame as a column of a scalar type.

The outcome is that of MLflow on pandas 3, under every version of pandas, except where MLflow
would lose a value or refuse the data that a signature was inferred from.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.extensions import ExtensionArray

from pyfunc.schema.casting.arrays import fit_numbers
from pyfunc.schema.casting.dtype_rules import NULLABLE, NUMPY, Action, find_action
from pyfunc.schema.casting.extension_columns import (
    cast_datetimes,
    decode_extension,
    without_views,
)
from pyfunc.schema.casting.findings import Misfit
from pyfunc.schema.casting.object_columns import cast_mixed_objects, infer_column, is_empty
from pyfunc.schema.types import DataType

__all__ = ["MISSING_VALUES_HINT", "cast_column", "fill_around_nulls", "make_masked"]

MISSING_VALUES_HINT = (
    "missing values turn whole numbers into floats: declare the column as optional or as double"
)


def cast_column(column: pd.Series, target: DataType, *, optional: bool = False) -> pd.Series:
    """Return ``column`` as a column of ``target``, the same object if it is one already.

    Args:
        column: never written to.
        target: the type of the values.
        optional: whether nulls are allowed. The other values are then enforced alone, and the
            result has NaN, NaT, None or, for integers and booleans, a nullable dtype.

    Empty lists and dicts among values that fit stay where they are, since inference takes them
    for values of any type; the result then has objects.

    Raises:
        Misfit: a value cannot become one of ``target`` by widening.
    """
    column = without_views(column)
    try:
        return _cast(column, target)
    except Misfit:
        missing = column.isna().to_numpy() if optional else np.zeros(len(column), dtype=bool)
        empty = _find_empty(column)
        if (missing | empty).all() if empty.any() else not missing.any():
            raise
    if empty.any():
        return _cast_around_empty(column, missing | empty, target)
    return _cast_around_nulls(column, missing, target)


def _cast(column: pd.Series, target: DataType) -> pd.Series:  # noqa: PLR0911 - by case
    dtype: Any = column.dtype
    action = find_action(dtype, target)
    if action is Action.KEEP:
        return column
    if action is Action.CAST:
        return column.astype(NUMPY[target])
    if action is Action.ZERO_OR_ONE:
        row = _find_not_zero_or_one(column.to_numpy())
        if row is not None:
            raise Misfit(f"{dtype}", row, "only 0 and 1 become floats without loss for sure")
        return column.astype(NUMPY[target])
    if dtype.kind == "O" and isinstance(dtype, np.dtype):
        return _cast_objects(column, target)
    if not isinstance(dtype, np.dtype):
        decoded = decode_extension(column, target)
        if decoded is column or decoded.dtype.kind in "mM":
            return decoded
        return _cast(decoded, target)
    if dtype.kind == "M" and target is DataType.datetime:
        return cast_datetimes(column, target)
    if dtype.kind in "SU" and dtype.kind == NUMPY[target].kind:  # of a fixed width
        return column.astype(object)
    raise Misfit(str(dtype), None, _hint_for_floats(column, target))


def _cast_objects(column: pd.Series, target: DataType) -> pd.Series:
    inferred = infer_column(column)
    if inferred.dtype == object:
        return cast_mixed_objects(column, target)
    try:
        return _cast(inferred, target)
    except Misfit:
        if target is DataType.long and inferred.dtype.kind == "u":
            return cast_mixed_objects(column, target)
        raise


def _find_not_zero_or_one(values: npt.NDArray[np.generic]) -> int | None:
    """Return the first position of a value other than 0 and 1, None if there is none."""
    other = (values != 0) & (values != 1)
    return int(other.argmax()) if other.any() else None


def _hint_for_floats(column: pd.Series, target: DataType) -> str:
    if column.dtype.kind != "f" or target not in (DataType.integer, DataType.long):
        return ""
    values = column.to_numpy()
    missing = np.isnan(values)
    if not missing.any():
        return ""
    present = values[~missing]
    return MISSING_VALUES_HINT if (present == np.trunc(present)).all() else ""


def _find_empty(column: pd.Series) -> npt.NDArray[np.bool_]:
    """Return which values are empty lists or dicts."""
    if column.dtype != object:
        return np.zeros(len(column), dtype=bool)
    return np.fromiter(map(is_empty, column.array), dtype=bool, count=len(column))


def _cast_around_empty(
    column: pd.Series, left_out: npt.NDArray[np.bool_], target: DataType
) -> pd.Series:
    """Return ``column`` with the values that are ``left_out`` kept, the rest enforced alone."""
    values = _cast_some(column, ~left_out, target)
    filled = column.to_numpy(copy=True)
    filled[~left_out] = np.fromiter(values.array, dtype=object, count=len(values))
    cast: pd.Series = pd.Series(filled, index=column.index, dtype=object)
    return cast


def _cast_some(column: pd.Series, chosen: npt.NDArray[np.bool_], target: DataType) -> pd.Series:
    """Return the values that are ``chosen`` as a column of ``target``."""
    try:
        return _cast_present(column[chosen], target)
    except Misfit as error:
        row = None if error.row is None else int(np.flatnonzero(chosen)[error.row])
        raise Misfit(error.got, row, error.hint) from error


def _cast_around_nulls(
    column: pd.Series, missing: npt.NDArray[np.bool_], target: DataType
) -> pd.Series:
    """Return ``column`` with its nulls kept and the rest enforced alone."""
    if missing.all():
        return _make_nulls(column.index, target)
    values = _cast_some(column, ~missing, target)
    if values.dtype == object or not isinstance(values.dtype, np.dtype):
        return column
    return fill_around_nulls(values.to_numpy(), missing, column.index, target)


def fill_around_nulls(
    values: npt.NDArray[np.generic],
    missing: npt.NDArray[np.bool_],
    index: pd.Index,
    target: DataType,
) -> pd.Series:
    """Return a column with a null where ``missing``, and ``values`` in order elsewhere."""
    is_masked = target in NULLABLE
    filled = (
        np.zeros(len(index), dtype=NUMPY[target])
        if is_masked
        else _make_nulls(index, target).to_numpy().astype(values.dtype)
    )
    filled[~missing] = values
    column: pd.Series = pd.Series(
        make_masked(filled, missing) if is_masked else filled, index=index
    )
    return column


def _cast_present(present: pd.Series, target: DataType) -> pd.Series:
    is_whole_target = target in (DataType.integer, DataType.long)
    if is_whole_target and present.dtype.kind == "f":
        whole, fits = fit_numbers(present.to_numpy(), target)
        if not fits.all():
            raise Misfit(str(present.dtype), int((~fits).argmax()))
        cast: pd.Series = pd.Series(whole, index=present.index)
        return cast
    return _cast(present, target)


def _make_nulls(index: pd.Index, target: DataType) -> pd.Series:
    if target in NULLABLE:
        nothing_else = np.empty(0, dtype=NUMPY[target])
        return fill_around_nulls(nothing_else, np.ones(len(index), dtype=bool), index, target)
    if target in (DataType.string, DataType.binary):
        return pd.Series([None] * len(index), index=index, dtype=object)
    nothing: object = np.datetime64("NaT", "ns") if target is DataType.datetime else np.nan
    return pd.Series(np.full(len(index), nothing, dtype=NUMPY[target]), index=index)


def make_masked(values: npt.NDArray[Any], missing: npt.NDArray[np.bool_]) -> ExtensionArray:
    """Return booleans or integers as an array of pandas that is null where ``missing``."""
    if values.dtype == bool:
        return pd.arrays.BooleanArray(values, missing)
    return pd.arrays.IntegerArray(values, missing)
