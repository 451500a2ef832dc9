"""Columns of pandas' and arrow's own dtypes as plain columns of a scalar type."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd

from pyfunc.schema.casting.arrow_values import chunked_of
from pyfunc.schema.casting.dtype_rules import NUMPY, Action, find_action, is_widening
from pyfunc.schema.casting.findings import Misfit
from pyfunc.schema.casting.object_columns import PANDAS_ERRORS
from pyfunc.schema.data_types import TYPE_OF_CLASS, DataType

__all__ = ["cast_datetimes", "decode_categories", "decode_extension", "without_views"]

_TYPE_OF_KIND = {
    "b": DataType.boolean,
    "i": DataType.long,
    "u": DataType.long,
    "f": DataType.double,
}


def without_views(column: pd.Series) -> pd.Series:
    """Return a column of Arrow's views of text or bytes, as polars hands them over, without them.

    Arrow itself does not know how to filter views, nor how to read those of a dictionary.
    """
    dtype: Any = column.dtype
    if not isinstance(dtype, pd.ArrowDtype) or "_view" not in str(dtype.pyarrow_dtype):
        return column
    import pyarrow as pa

    is_dictionary = pa.types.is_dictionary(dtype.pyarrow_dtype)
    values = dtype.pyarrow_dtype.value_type if is_dictionary else dtype.pyarrow_dtype
    plain = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}.get(values)
    if plain is None:
        return column
    chunked = chunked_of(column)
    if is_dictionary:
        arrow = dtype.pyarrow_dtype
        kind = pa.dictionary(arrow.index_type, plain, arrow.ordered)
        cast = pa.chunked_array([_with_values(chunk, kind) for chunk in chunked.chunks], kind)
    else:
        cast = chunked.cast(plain)
    array: Any = pd.arrays.ArrowExtensionArray(cast)
    plain_column: pd.Series = pd.Series(array, index=column.index, name=column.name)
    return plain_column


def _with_values(chunk: Any, kind: Any) -> Any:
    """Return an array of a dictionary with the values of another type."""
    import pyarrow as pa

    values = chunk.dictionary.cast(kind.value_type)
    return pa.DictionaryArray.from_arrays(chunk.indices, values, ordered=kind.ordered)


def decode_extension(column: pd.Series, target: DataType) -> pd.Series:
    """Return a column of an extension dtype as a numpy column that may still need a cast.

    Datetimes with a time zone keep it; categories and sparse columns whose values are of
    ``target`` stay as they are, for which MLflow refuses all of them. Text of pandas' own dtypes
    is expected to have been dealt with before.

    Raises:
        Misfit: the dtype does not fit, or the column has nulls that its numpy dtype lacks.
    """
    dtype: Any = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        _check_categories(column, target)
        return column
    if isinstance(dtype, pd.DatetimeTZDtype):
        return cast_datetimes(column, target)
    if isinstance(dtype, pd.ArrowDtype):
        return _decode_arrow(column, target)
    is_sparse = isinstance(dtype, pd.SparseDtype)
    # Inference has a type for no other kinds of sparse columns.
    if is_sparse and dtype.kind in "bO" and find_action(dtype.subtype, target) is Action.KEEP:
        return column
    if dtype.name in ("string", "str") or is_sparse:
        raise Misfit(str(dtype))
    kind, itemsize = getattr(dtype, "kind", "O"), getattr(dtype, "itemsize", 0)
    return _widen(column, kind, itemsize, target)


def _widen(column: pd.Series, kind: str, itemsize: int, target: DataType) -> pd.Series:
    if not is_widening(kind, itemsize, target):
        raise Misfit(str(column.dtype))
    missing = column.isna()
    if target not in (DataType.float, DataType.double) and missing.any():
        row = int(missing.to_numpy().argmax())
        raise Misfit(f"{column.dtype} with nulls", row, "declare the column as optional")
    fill: Any = np.nan if missing.any() else None
    values = column.to_numpy(dtype=NUMPY[target], na_value=fill)
    cast: pd.Series = pd.Series(values, index=column.index)
    return cast


def decode_categories(column: pd.Series) -> pd.Series:
    """Return a categorical column as a column of the values, nulls kept."""
    categories = column.cat.categories
    codes = column.cat.codes.to_numpy()
    values: object
    if not (codes < 0).any():
        values = categories.take(codes)
    elif categories.dtype.kind in "iub":  # numpy has no null there
        values = column.astype(object)
    else:
        values = categories.take(codes, fill_value=np.nan)
    decoded: pd.Series = pd.Series(values, index=column.index)
    return decoded


def _check_categories(column: pd.Series, target: DataType) -> None:
    """Refuse categories for whose values inference does not give ``target``."""
    categories = column.cat.categories
    inferred = _TYPE_OF_KIND.get(getattr(categories.dtype, "kind", "O"))
    if inferred is None and categories.dtype.kind == "O":
        kinds = {TYPE_OF_CLASS.get(type(value)) for value in categories.tolist()}
        inferred = kinds.pop() if len(kinds) == 1 else None
    if inferred is not target:
        raise Misfit(f"category of {categories.dtype}")


def cast_datetimes(column: pd.Series, target: DataType) -> pd.Series:
    """Return datetimes in nanoseconds, in their own unit when one is out of that range.

    Raises:
        Misfit: ``target`` is not datetime.
    """
    if target is not DataType.datetime:
        raise Misfit(str(column.dtype))
    in_nanoseconds: pd.Series = column
    with suppress(*PANDAS_ERRORS):
        in_nanoseconds = column.dt.as_unit("ns")
    return in_nanoseconds


def _decode_arrow(column: pd.Series, target: DataType) -> pd.Series:
    import pyarrow as pa

    dtype: Any = column.dtype
    arrow = dtype.pyarrow_dtype
    if pa.types.is_dictionary(arrow):
        return _decode_arrow_dictionary(column, arrow, target)
    if pa.types.is_timestamp(arrow) or pa.types.is_date(arrow):
        return cast_datetimes(_decode_arrow_datetimes(column, arrow), target)
    if _is_arrow_text(arrow) and target is DataType.string:
        return _to_objects(column)
    if _is_arrow_binary(arrow) and target is DataType.binary:
        return _to_objects(column)
    return _widen(column, dtype.kind, dtype.itemsize, target)


def _decode_arrow_dictionary(column: pd.Series, arrow: Any, target: DataType) -> pd.Series:
    import pyarrow as pa

    values = arrow.value_type
    fits = {
        DataType.string: _is_arrow_text(values),
        DataType.binary: _is_arrow_binary(values),
        DataType.long: pa.types.is_integer(values),
        DataType.double: pa.types.is_floating(values),
        DataType.boolean: pa.types.is_boolean(values),
    }
    if not fits.get(target):
        raise Misfit(str(column.dtype))
    return _decode_arrow(column.astype(pd.ArrowDtype(values)), target)


def _decode_arrow_datetimes(column: pd.Series, arrow: object) -> pd.Series:
    unit = getattr(arrow, "unit", "s")
    zone = getattr(arrow, "tz", None)
    dtype: Any = pd.DatetimeTZDtype(unit, zone) if zone else f"datetime64[{unit}]"
    return column.astype(dtype)


def _to_objects(column: pd.Series) -> pd.Series:
    nothing: Any = None
    values = column.to_numpy(dtype=object, na_value=nothing)
    cast: pd.Series = pd.Series(values, index=column.index, dtype=object)
    return cast


def _is_arrow_text(arrow: object) -> bool:
    return str(arrow) in ("string", "large_string", "string_view")


def _is_arrow_binary(arrow: object) -> bool:
    text = str(arrow)
    return text in ("binary", "large_binary", "binary_view") or text.startswith("fixed_size_bin")
