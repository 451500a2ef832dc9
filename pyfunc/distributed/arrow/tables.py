"""The answer of a model as columns, or as one value per row where it is not made of columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pyfunc.distributed.arrow.values import UnfitValuesError, as_mapping
from pyfunc.errors import shorten
from pyfunc.schema.data_types import is_missing

if TYPE_CHECKING:
    import numpy.typing as npt
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
        column: pd.DataFrame = pd.DataFrame({prediction.name: prediction})
        return column
    if isinstance(prediction, Mapping):
        return _read_columns(prediction)
    if isinstance(prediction, (list, tuple)):
        return _read_rows(list(prediction), kind)
    if hasattr(prediction, "__arrow_c_stream__"):
        import pyarrow as pa

        frame: pd.DataFrame = pa.table(prediction).to_pandas()
        return frame
    dense = getattr(prediction, "toarray", None)  # a sparse matrix
    return _read_array(np.asarray(dense() if callable(dense) else prediction), prediction)


def _read_columns(columns: Mapping[object, object]) -> Table:
    held: dict[object, object] = {}
    for name, value in columns.items():
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise UnfitValuesError(f"one value per row, got a single one for {name!r}")
        held[name] = list(value)
    try:
        frame: pd.DataFrame = pd.DataFrame(held)
    except ValueError as error:
        raise UnfitValuesError(f"columns of one length ({error})") from error
    return frame


def _read_array(array: npt.NDArray[np.generic], prediction: object) -> Table:
    if array.ndim == 0:
        raise UnfitValuesError(f"one value per row, got a single one: {shorten(prediction)}")
    table: Table = list(array) if array.ndim > 2 else pd.DataFrame(array)
    return table


def _read_rows(rows: list[object], kind: pa.DataType) -> Table:
    mappings = [as_mapping(row) for row in rows]
    has_lists = any(map(_is_sequence, rows))
    if holds_values(kind) or (has_lists and not _is_grid(rows)):
        return rows
    frame: pd.DataFrame
    if any(mapping is not None for mapping in mappings):
        frame = pd.DataFrame(mappings)
    elif has_lists:
        frame = pd.DataFrame([list(row) for row in rows if isinstance(row, Iterable)])
    else:
        frame = pd.DataFrame({0: rows})
    return frame


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
