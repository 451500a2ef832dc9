"""Column specs of pandas objects, from dtypes where they say enough, else from the values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pyfunc.errors import INTERNAL_ERROR, InvalidArgumentError, InvalidTypeError, shorten
from pyfunc.schema.data_types import DataType, missing_classes
from pyfunc.schema.infer.value_types import infer_elements_type
from pyfunc.schema.specs import ColSpec
from pyfunc.schema.types import AnyType, ColumnType

__all__ = ["infer_column_spec", "infer_frame_specs"]


def infer_frame_specs(frame: pd.DataFrame) -> list[ColSpec]:
    """Return one spec for each column, in order; a column with a missing value is optional.

    Nulls are counted once for the whole frame and only columns of objects are looked into.

    Raises:
        InvalidTypeError: two columns have the same name.
        InvalidArgumentError: a column has no type in a schema; it is named.
    """
    if not frame.columns.is_unique:
        twice = list(dict.fromkeys(frame.columns[frame.columns.duplicated()]))
        raise InvalidTypeError(f"the frame has several columns of the same name: {shorten(twice)}")
    dtypes = list(frame.dtypes)
    # Types first, for of what has none pandas cannot tell the nulls.
    types = {
        i: _plain_type(dtype, name)
        for i, (name, dtype) in enumerate(zip(frame.columns, dtypes, strict=True))
        if _is_plain(dtype)
    }
    has_nulls: dict[int, bool] = {}
    if types:
        block = frame if len(types) == len(dtypes) else frame.iloc[:, list(types)]
        has_nulls = dict(zip(types, block.isna().any(axis=0).tolist(), strict=True))
    specs = []
    for i, name in enumerate(frame.columns):
        if i in types:
            specs.append(ColSpec(types[i], name, required=not has_nulls[i]))
        else:
            specs.append(_object_spec(frame.iloc[:, i], name))
    return specs


def infer_column_spec(column: pd.Series) -> ColSpec:
    """Return the spec of one column; without a name if the Series has none."""
    if _is_plain(column.dtype):
        dtype = _plain_type(column.dtype, column.name)
        return ColSpec(dtype, column.name, required=not column.isna().any())
    return _object_spec(column, column.name)


def _is_plain(dtype: object) -> bool:
    """Return whether the dtype says the type, without a look at the values."""
    return getattr(dtype, "kind", "O") != "O"


def _plain_type(dtype: Any, name: object) -> DataType:
    """Return the narrowest type that holds every value of a numpy or nullable dtype."""
    kind, size = dtype.kind, getattr(dtype, "itemsize", 0)
    found = {"b": DataType.boolean, "M": DataType.datetime, "U": DataType.string}.get(kind)
    if kind == "S":
        found = DataType.binary
    elif kind in "iu" and 0 < size <= 4:
        found = DataType.long if (kind, size) == ("u", 4) else DataType.integer
    elif kind == "i" and size == 8:
        found = DataType.long
    elif kind == "f" and 0 < size <= 8:
        found = DataType.float if size <= 4 else DataType.double
    if found is None:
        raise _no_type(name, f"dtype {dtype}")
    return found


def _object_spec(column: pd.Series, name: object) -> ColSpec:
    is_object = column.dtype == np.dtype(object)
    if is_object and len(column) and pd.api.types.infer_dtype(column, skipna=False) == "string":
        return ColSpec(DataType.string, name)
    has_nulls = bool(column.isna().any())
    dtype = _object_type(column, name, has_nulls)
    return ColSpec(dtype, name, required=not (has_nulls and _counts_as_null(column)))


def _object_type(column: pd.Series, name: object, has_nulls: bool) -> ColumnType:
    dtype: object = column.dtype
    if isinstance(dtype, pd.StringDtype):
        empty = has_nulls and not column.notna().any()
        return AnyType() if empty else DataType.string
    if isinstance(dtype, pd.CategoricalDtype):
        return _values_type(column, name, _used_categories(column, has_nulls))
    if dtype == np.dtype(object):
        if pd.api.types.infer_dtype(column, skipna=True) == "string":
            return DataType.string
        column = column.infer_objects()
        if _is_plain(column.dtype):
            return _plain_type(column.dtype, name)
    return _values_type(column, name, column.tolist())


def _values_type(column: pd.Series, name: object, values: list[object]) -> ColumnType:
    if not len(column):
        if pd.api.types.is_string_dtype(column):
            return DataType.string
        raise _no_type(name, f"no values of dtype {column.dtype}")
    try:
        return infer_elements_type(values)
    except InvalidArgumentError as error:
        raise _no_type(name, str(error)) from error


def _used_categories(column: pd.Series, has_nulls: bool) -> list[object]:
    codes = np.unique(column.cat.codes.to_numpy())
    values: list[object] = column.cat.categories.take(codes[codes >= 0]).tolist()
    return [*values, None] if has_nulls else values


def _counts_as_null(column: pd.Series) -> bool:
    """Return whether a null of the column is one for MLflow.

    In columns of objects it knows None, NA, NaT and Python's NaN, but no NaN of another class.
    """
    if column.dtype != np.dtype(object):
        return True
    kinds = set(map(type, column[column.isna()].array))
    return not kinds.isdisjoint(missing_classes()) or any(issubclass(k, float) for k in kinds)


def _no_type(name: object, got: str) -> InvalidArgumentError:
    where = "the column" if name is None else f"column {name!r}"
    return InvalidArgumentError(f"{where} has no type in a schema: {got}", INTERNAL_ERROR)
