"""Columns as a pandas function of Spark is given them, as the Arrow columns that they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from pyfunc.distributed.arrow.values import guess_array, maps_of
from pyfunc.errors import InvalidArgumentError
from pyfunc.schema.data_types import DataType, is_missing

if TYPE_CHECKING:
    import pyarrow as pa

    from pyfunc.schema import Schema

__all__ = ["to_arrow"]

_WHOLE = (DataType.integer, DataType.long)
_EXACT = 1 << 53  # beyond it a float of 64 bits does not have every integer


Column = pd.Series | pd.DataFrame


def to_arrow(batch: Column | Sequence[Column], schema: Schema | None) -> list[pa.Array]:
    """Return the columns of a batch; a frame is a struct.

    Integers with nulls come as floats; those that the schema calls integers are such again.

    Raises:
        InvalidArgumentError: of such an integer digits are lost already.
    """
    columns = [batch] if isinstance(batch, (pd.Series, pd.DataFrame)) else list(batch)
    if len(columns) == 1 and isinstance(columns[0], pd.DataFrame):
        names = {} if schema is None else dict(zip(schema.input_names(), schema, strict=True))
        return [_struct(columns[0], [names.get(name) for name in columns[0].columns])]
    specs = [] if schema is None else list(schema)
    specs += [None] * len(columns)
    return [
        _struct(column, [None] * column.shape[1])
        if isinstance(column, pd.DataFrame)
        else _column(column, spec)
        for column, spec in zip(columns, specs, strict=False)
    ]


def _struct(frame: pd.DataFrame, specs: Sequence[object]) -> pa.Array:
    import pyarrow as pa

    parts = [_column(frame.iloc[:, i], spec) for i, spec in enumerate(specs)]
    return pa.StructArray.from_arrays(parts, names=list(map(str, frame.columns)))


def _column(series: pd.Series, spec: object) -> pa.Array:
    import pyarrow as pa

    if series.dtype == object and any(isinstance(value, dict) for value in series):
        return _maps(series)  # a struct is a frame
    array = guess_array(series)
    is_whole = getattr(spec, "type", None) in _WHOLE
    if not (is_whole and array.null_count and pa.types.is_floating(array.type)):
        return array
    if series.abs().max() > _EXACT:
        raise InvalidArgumentError(
            f"column {series.name!r}: Spark made floats of integers, since there are nulls, and "
            "beyond 2**53 these are other numbers\nhint: pyspark 4.1 hands over Arrow instead"
        )
    return array.cast(pa.int64())


def _maps(series: pd.Series) -> pa.Array:
    rows = [None if is_missing(value) else value for value in series]
    there = [row for row in rows if row is not None]
    keys = guess_array([key for row in there for key in row])
    items = guess_array([value for row in there for value in row.values()])
    return maps_of(rows, keys, items)
