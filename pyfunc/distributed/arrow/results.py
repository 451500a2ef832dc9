"""What a model answers as an Arrow array with one value per row.

The rules are those of MLflow's ``spark_udf``: a scalar type takes the leftmost column that has
it, a list takes all such columns, a struct takes columns by their names. Maps and lists of
structs, which MLflow gets wrong, take one value per row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pyfunc.distributed.arrow.tables import Table, cells_of, read_table
from pyfunc.distributed.arrow.values import (
    UnfitValuesError,
    array_of,
    cast_leaf,
    guess_array,
    lists_of,
)
from pyfunc.errors import INVALID_PARAMETER_VALUE, ModelFailedError, shorten

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["convert_prediction"]


def convert_prediction(prediction: object, rows: int, kind: pa.DataType, zone: str) -> pa.Array:
    """Return ``prediction`` as an array of ``kind`` with ``rows`` values.

    Args:
        prediction: a frame, a series, an array, a list, a dict of columns, an Arrow table, or
            a list of dicts or pydantic models.
        rows: how many rows it is the prediction for.
        kind: what is wanted.
        zone: the time zone that times without one are of.

    Raises:
        ModelFailedError: there is not one value per row, or none of ``kind``; says what came.
    """
    out: object = "unknown"
    try:
        table = read_table(prediction, kind)
        out = len(table)
        if out != rows:
            raise UnfitValuesError("one value per row")  # noqa: TRY301 - told as the others are
        return _convert(table, kind, zone)
    except UnfitValuesError as error:
        raise ModelFailedError(
            f"the model's answer cannot be used: rows in {rows}, rows out {out}, "
            f"came {_describe(prediction)}, expected {error}",
            INVALID_PARAMETER_VALUE,
        ) from error


def _describe(value: object) -> str:
    name = f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins.")
    if isinstance(value, pd.DataFrame):
        return f"{name} with the columns {shorten(list(map(str, value.columns)))}"
    shape = getattr(value, "shape", None)
    return f"{name} of shape {shape}" if shape else f"{name} {shorten(value)}"


def _convert(table: Table, kind: pa.DataType, zone: str) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_struct(kind) and not isinstance(table, list):
        return _struct_of(table, kind, zone)
    if pa.types.is_list(kind):
        return _list_of(table, kind, zone)
    cells = table if isinstance(table, list) else cells_of(table)
    if cells is not None and not pa.types.is_string(kind):
        return array_of(cells, kind, zone)
    assert not isinstance(table, list) or pa.types.is_string(kind)
    frame = pd.DataFrame({0: table}) if isinstance(table, list) else table
    if pa.types.is_map(kind):
        return _map_of(frame, kind, zone)
    return _scalar_of(frame, kind, zone)


def _scalar_of(frame: pd.DataFrame, kind: pa.DataType, zone: str) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_string(kind) and frame.shape[1]:
        return _text_of(frame.iloc[:, 0])
    return _matching(frame, kind, zone, most=1)[0]


def _text_of(column: pd.Series) -> pa.Array:
    """Return a column as text, each value as Python shows it; a null is ``None`` or ``nan``."""
    import pyarrow as pa

    if isinstance(column.dtype, pd.StringDtype) and not column.hasnans:
        return guess_array(column).cast(pa.string())
    return pa.array(column.astype(object).map(str).tolist(), pa.string())


def _matching(frame: pd.DataFrame, kind: pa.DataType, zone: str, most: int) -> list[pa.Array]:
    """Return up to ``most`` of the columns that ``kind`` takes, from the left; at least one.

    Raises:
        UnfitValuesError: there is none.
    """
    columns = [frame.iloc[:, i] for i in range(frame.shape[1])]
    for takes in (_takes, _takes_too):
        found: list[pa.Array] = []
        for column in columns:
            array = _guess(column)
            if len(found) < most and array is not None and takes(kind, array.type):
                found.append(cast_leaf(array, kind, zone))
        if found:
            return found
    raise UnfitValuesError(f"values of the type {kind}; string and array<string> take every value")


def _guess(column: pd.Series) -> pa.Array | None:
    try:
        return guess_array(column)
    except UnfitValuesError:
        return None


def _takes(kind: pa.DataType, came: pa.DataType) -> bool:
    """Return whether a column of the type ``came`` counts as one of ``kind``."""
    import pyarrow as pa

    is_integer, is_number = pa.types.is_integer, _is_number
    if is_integer(kind):
        return bool(is_integer(came)) and _range_of(came) <= kind.bit_width
    tests: tuple[tuple[Callable[[object], bool], Callable[[object], bool]], ...] = (
        (pa.types.is_floating, is_number),
        (pa.types.is_decimal, lambda t: is_number(t) or pa.types.is_decimal(t)),
        (pa.types.is_boolean, pa.types.is_boolean),
        (pa.types.is_binary, _is_binary),
        (pa.types.is_date, lambda t: pa.types.is_date(t) or pa.types.is_timestamp(t)),
        (pa.types.is_timestamp, lambda t: pa.types.is_date(t) or pa.types.is_timestamp(t)),
    )
    return any(wanted(kind) and accepted(came) for wanted, accepted in tests)


def _takes_too(kind: pa.DataType, came: pa.DataType) -> bool:
    """Return whether ``came`` will do where no column counts as one of ``kind``.

    MLflow has neither bytes nor shorts; what a model computes is mostly of 64 bits.
    """
    import pyarrow as pa

    narrow = pa.types.is_integer(kind) and kind.bit_width < 32
    nothing = pa.types.is_null(came) and not pa.types.is_nested(kind)
    return bool(nothing or (narrow and pa.types.is_integer(came)))


def _range_of(kind: pa.DataType) -> int:
    """Return how many bits a signed integer needs for the values of an integer type."""
    import pyarrow as pa

    return int(kind.bit_width) + int(pa.types.is_unsigned_integer(kind))


def _is_number(kind: object) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_binary(kind: object) -> bool:
    import pyarrow as pa

    of_bytes = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    return any(test(kind) for test in of_bytes)


def _struct_of(frame: pd.DataFrame, kind: pa.DataType, zone: str) -> pa.Array:
    import pyarrow as pa

    cells = cells_of(frame)
    if cells is not None and str(frame.columns[0]) not in {field.name for field in kind}:
        return array_of(cells, kind, zone)
    places = {str(name): i for i, name in reversed(list(enumerate(frame.columns)))}
    missing = [field.name for field in kind if field.name not in places]
    if missing:
        raise UnfitValuesError(f"a column for each field, there is none for {shorten(missing)}")
    parts = [array_of(frame.iloc[:, places[f.name]], f.type, zone) for f in kind]
    return pa.StructArray.from_arrays(parts, fields=list(kind))


def _map_of(frame: pd.DataFrame, kind: pa.DataType, zone: str) -> pa.Array:
    """Return each row as a map from the names of the columns."""
    import pyarrow as pa

    columns = [array_of(frame.iloc[:, i], kind.item_type, zone) for i in range(frame.shape[1])]
    items = _interleaved(columns, kind.item_type)
    keys = pa.array([str(name) for name in frame.columns] * len(frame), pa.string())
    offsets = pa.array(np.arange(len(frame) + 1, dtype=np.int32) * frame.shape[1])
    return pa.MapArray.from_arrays(offsets, keys, items).cast(kind)


def _list_of(table: Table, kind: pa.DataType, zone: str) -> pa.Array:
    import pyarrow as pa

    inner = kind.value_type
    cells = table if isinstance(table, list) else cells_of(table)
    if cells is not None and not (_is_keyed(inner) and _are_mappings(cells)):
        return array_of(cells, kind, zone)
    if isinstance(table, list) or _is_keyed(inner):
        # One struct or map per row is a list of one, as one number per row is.
        flat = _convert(table, inner, zone)
        return lists_of([1] * len(table), flat, kind)
    if pa.types.is_string(inner):
        columns = [_text_of(table.iloc[:, i]) for i in range(table.shape[1])]
    elif pa.types.is_nested(inner):
        columns = [array_of(table.iloc[:, i], inner, zone) for i in range(table.shape[1])]
    else:
        columns = _matching(table, inner, zone, most=table.shape[1])
    return lists_of([len(columns)] * len(table), _interleaved(columns, inner), kind)


def _is_keyed(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_struct(kind) or pa.types.is_map(kind))


def _are_mappings(cells: Sequence[object] | pd.Series) -> bool:
    return not any(isinstance(cell, (list, tuple, np.ndarray)) for cell in cells)


def _interleaved(columns: Sequence[pa.Array], kind: pa.DataType) -> pa.Array:
    """Return the values of the columns row by row."""
    import pyarrow as pa

    if not columns:
        return pa.array([], kind)
    rows = len(columns[0])
    order = np.arange(rows)[:, None] + rows * np.arange(len(columns))
    return pa.concat_arrays(columns).take(pa.array(order.ravel()))
