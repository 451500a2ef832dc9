"""The answer of a model as columns, or as one value per row where it is not made of columns."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence, Set
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pyfunc.distributed.arrow.values import UnfitValuesError, as_mapping
from pyfunc.errors import shorten
from pyfunc.schema.casting.arrow_values import masked_types
from pyfunc.schema.data_types import is_arrow, is_missing

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Table", "cells_of", "holds_values", "read_table"]

Table = pd.DataFrame | list[object]
"""Columns, or one value of any kind per row."""


def read_table(prediction: object, kind: pa.DataType) -> Table:
    """Return what a model answered as columns, or as values that become ``kind`` one by one.

    Raises:
        UnfitValuesError: there is not one value per row.
    """
    if isinstance(prediction, pd.DataFrame):
        return prediction
    if isinstance(prediction, (pd.Series, pd.Index)):
        return _frame_of({prediction.name: prediction}, kind)
    columns = as_mapping(prediction)
    if columns is not None:
        return _read_columns(columns, kind)
    if isinstance(prediction, (list, tuple)):
        return _read_rows(list(prediction), kind)
    return _read_other(prediction, kind)


def _read_other(prediction: object, kind: pa.DataType) -> Table:
    """Return what the arrays of some library hold, or what is iterated over."""
    if isinstance(prediction, pd.api.extensions.ExtensionArray):
        return _frame_of({0: prediction}, kind)
    if is_arrow(prediction):
        return _read_arrow(prediction)
    if isinstance(prediction, np.ma.MaskedArray):
        return _read_rows(prediction.tolist(), kind)
    has_form = hasattr(prediction, "__array__") or hasattr(prediction, "toarray")
    if has_form or isinstance(prediction, _NOT_ROWS) or not isinstance(prediction, Iterable):
        return _read_array(prediction)
    return _read_rows(list(prediction), kind)


_NOT_ROWS = (str, bytes, bytearray, Set)
"""One value, or those that have no order."""


def _frame_of(data: dict[Hashable, object] | Sequence[object], kind: pa.DataType) -> Table:
    """Return a frame of columns or of rows, in which integers beside a null stay integers."""
    frame: pd.DataFrame = pd.DataFrame(data)
    if _wants_integers(kind) and any(_has_gaps(frame.iloc[:, i]) for i in range(frame.shape[1])):
        frame = pd.DataFrame(data, dtype=object)
    return frame


def _wants_integers(kind: pa.DataType) -> bool:
    import pyarrow as pa

    leaf = kind.value_type if pa.types.is_list(kind) else kind
    return bool(pa.types.is_integer(leaf))


def _has_gaps(column: pd.Series) -> bool:
    return bool(column.dtype == np.float64 and column.hasnans)


def _read_arrow(prediction: object) -> Table:
    """Return an Arrow table, or a single column, of whatever library."""
    import pyarrow as pa

    try:
        table = pa.table(prediction)
    except (pa.ArrowInvalid, TypeError):
        column = [prediction] if isinstance(prediction, pa.Array) else prediction
        table = pa.table({"0": pa.chunked_array(column)})
    frame: pd.DataFrame = table.to_pandas(types_mapper=masked_types().get)
    return frame


def _read_columns(columns: Mapping[object, object], kind: pa.DataType) -> Table:
    held: dict[Hashable, object] = {}
    for name, value in columns.items():
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise UnfitValuesError(f"one value per row, got a single one for {name!r}")
        held[name] = list(value)
    try:
        return _frame_of(held, kind)
    except ValueError as error:
        raise UnfitValuesError(f"columns of one length ({error})") from error


def _read_array(prediction: object) -> Table:
    dense = getattr(prediction, "toarray", None)  # a sparse matrix
    array = np.asarray(dense() if callable(dense) else prediction)
    if array.ndim == 0:
        raise UnfitValuesError(f"one value per row, got a single one: {shorten(prediction)}")
    table: Table = list(array) if array.ndim > 2 else pd.DataFrame(array)
    return table


def _read_rows(rows: list[object], kind: pa.DataType) -> Table:
    mappings = [as_mapping(row) for row in rows]
    has_lists = any(map(_is_sequence, rows))
    if holds_values(kind) or (has_lists and not _is_grid(rows)):
        return rows
    if any(mapping is not None for mapping in mappings):
        return _frame_of(mappings, kind)
    if has_lists:
        return _frame_of([list(row) for row in rows if isinstance(row, Iterable)], kind)
    return _frame_of({0: rows}, kind)


def holds_values(kind: pa.DataType) -> bool:
    """Return whether ``kind`` is made of the value of a row rather than of its columns."""
    import pyarrow as pa

    if pa.types.is_list(kind):
        return bool(pa.types.is_nested(kind.value_type))
    return bool(pa.types.is_map(kind) or pa.types.is_struct(kind))


def _is_grid(rows: Sequence[object]) -> bool:
    """Return whether all rows have as many values, and these have no parts."""
    lengths = {len(row) if isinstance(row, (list, tuple, np.ndarray)) else -1 for row in rows}
    return len(lengths) == 1 and not any(
        _is_sequence(value) or as_mapping(value) is not None
        for row in rows
        if isinstance(row, Iterable)
        for value in row
    )


def _is_sequence(value: object) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, (list, tuple, pd.Series))


def cells_of(frame: pd.DataFrame) -> pd.Series | None:
    """Return the one column of a frame if its values have parts, else None."""
    if frame.shape[1] != 1 or frame.dtypes.iloc[0].kind != "O":
        return None
    column: pd.Series = frame.iloc[:, 0]
    first = next((value for value in column if not is_missing(value)), None)
    return column if _is_sequence(first) or as_mapping(first) is not None else None
