"""Values of a model as an Arrow array of one type: leaves by column, others level by level."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from pyfunc.errors import InvalidArgumentError, shorten
from pyfunc.schema.data_types import is_missing

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "UnfitValuesError",
    "array_of",
    "as_mapping",
    "cast_leaf",
    "guess_array",
    "lists_of",
    "maps_of",
]

Row = list[object] | tuple[object, ...] | npt.NDArray[np.generic]


class UnfitValuesError(InvalidArgumentError):
    """Values cannot be of the type that was asked for; the text says what came."""


def array_of(values: Iterable[object], kind: pa.DataType, zone: str) -> pa.Array:
    """Return ``values``, one per row, as an array of ``kind``.

    Args:
        values: a column or a list; None, NaN and the like are nulls.
        kind: structs take dicts and pydantic models, maps take dicts, lists any sequence. A
            fraction is cut off where integers are wanted, as numpy casts.
        zone: the time zone that times without one are of.

    Raises:
        UnfitValuesError: a value cannot be of ``kind``.
    """
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return _structs(list(values), kind, zone)
    if pa.types.is_map(kind):
        return _maps(list(values), kind, zone)
    if pa.types.is_list(kind):
        return _lists(list(values), kind, zone)
    if pa.types.is_string(kind):
        return _texts(values)
    return cast_leaf(guess_array(values), kind, zone)


def _texts(values: Iterable[object]) -> pa.Array:
    import pyarrow as pa

    texts = [None if is_missing(value) else str(value) for value in values]
    return pa.array(texts, pa.string())


def guess_array(values: Iterable[object]) -> pa.Array:
    """Return the values as an array of the type that they have; NaN is null.

    Raises:
        UnfitValuesError: they have no type in common.
    """
    import pyarrow as pa

    held = values if isinstance(values, (pd.Series, np.ndarray)) else list(values)
    if isinstance(held, pd.Series) and isinstance(held.dtype, pd.DatetimeTZDtype):
        # pandas 4 will hand out another kind of array, and warns of it.
        return pa.array(held.dt.tz_convert(None)).cast(pa.timestamp(held.dtype.unit, "UTC"))
    try:
        array = pa.array(held, from_pandas=True)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        raise UnfitValuesError(f"values of no common type: {_first_line(error)}") from error
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return array.dictionary_decode() if isinstance(array, pa.DictionaryArray) else array


def cast_leaf(array: pa.Array, kind: pa.DataType, zone: str) -> pa.Array:
    """Return ``array`` as one of the type ``kind``, which has no parts.

    Raises:
        UnfitValuesError: a value is none of ``kind``, or out of its range.
    """
    import pyarrow as pa

    try:
        return array if array.type == kind else _cast(array, kind, zone)
    except pa.ArrowException as error:
        raise UnfitValuesError(f"{array.type} for {kind}: {_first_line(error)}") from error


def _cast(array: pa.Array, kind: pa.DataType, zone: str) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    came = array.type
    if pa.types.is_timestamp(kind):
        return _cast_time(array, kind, zone)
    if pa.types.is_date(kind) and pa.types.is_timestamp(came):
        naive = array if came.tz is None else pc.local_timestamp(array)
        array = pc.floor_temporal(naive, unit="day")
    elif pa.types.is_integer(kind) and (pa.types.is_floating(came) or pa.types.is_decimal(came)):
        array = pc.trunc(array)
    elif pa.types.is_decimal(kind):
        array = _rounded(array, kind)
    return array.cast(kind, safe=not pa.types.is_floating(kind))


def _rounded(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return numbers with no more digits after the point than the decimal type ``kind`` has."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_decimal(array.type) and array.type.scale > kind.scale:
        return pc.round(array, kind.scale, round_mode="half_up")
    return array.cast(pa.decimal128(38, 0)) if pa.types.is_integer(array.type) else array


def _cast_time(array: pa.Array, kind: pa.DataType, zone: str) -> pa.Array:
    """Return times of the unit of ``kind``; what is finer than that is cut off."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_timestamp(array.type):
        array = array.cast(pa.timestamp(kind.unit))
    tz = array.type.tz
    array = array.cast(pa.timestamp(kind.unit, tz), safe=False)
    if kind.tz is None:
        return array if tz is None else pc.local_timestamp(array)
    if tz is None:
        array = pc.assume_timezone(array, zone, ambiguous="earliest", nonexistent="earliest")
    return array.cast(kind)


def _lists(cells: list[object], kind: pa.DataType, zone: str) -> pa.Array:
    rows = [None if is_missing(cell) else _row(cell, kind) for cell in cells]
    flat = array_of(_chained([row for row in rows if row is not None]), kind.value_type, zone)
    return lists_of([0 if row is None else len(row) for row in rows], flat, kind, _mask(rows))


def lists_of(
    lengths: Sequence[int], flat: pa.Array, kind: pa.DataType, mask: pa.Array | None = None
) -> pa.Array:
    """Return lists of these lengths, whose values lie in ``flat`` one after the other."""
    import pyarrow as pa

    return pa.ListArray.from_arrays(_offsets(lengths), flat, type=kind, mask=mask)


def _chained(rows: Sequence[Row]) -> Iterable[object]:
    """Return the values of all rows one after the other."""
    arrays = [row for row in rows if isinstance(row, np.ndarray) and row.ndim == 1]
    if arrays and len(arrays) == len(rows) and len({array.dtype for array in arrays}) == 1:
        joined: npt.NDArray[np.generic] = np.concatenate(arrays)
        return joined
    return list(itertools.chain.from_iterable(rows))


def _row(cell: object, kind: pa.DataType) -> Row:
    if isinstance(cell, (list, tuple)) or (isinstance(cell, np.ndarray) and cell.ndim):
        return cell
    if isinstance(cell, pd.Series):
        return cell.to_numpy()
    raise UnfitValuesError(f"a list for {kind}, got {shorten(cell)}")


def _mask(rows: Sequence[object]) -> pa.Array | None:
    import pyarrow as pa

    missing = [row is None for row in rows]
    return pa.array(missing) if any(missing) else None


def _offsets(lengths: Sequence[int]) -> pa.Array:
    import pyarrow as pa

    return pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))


def _maps(cells: list[object], kind: pa.DataType, zone: str) -> pa.Array:
    import pyarrow as pa

    rows = [None if is_missing(cell) else _mapping(cell, kind) for cell in cells]
    there = [row for row in rows if row is not None]
    keys = pa.array([str(key) for row in there for key in row], pa.string())
    items = array_of([value for row in there for value in row.values()], kind.item_type, zone)
    return maps_of(rows, keys, items).cast(kind)


def maps_of(
    rows: Sequence[Mapping[object, object] | None], keys: pa.Array, items: pa.Array
) -> pa.Array:
    """Return one map per row, whose keys and items lie one after the other; None is null."""
    import pyarrow as pa

    lengths = [0 if row is None else len(row) for row in rows]
    made = pa.MapArray.from_arrays(_offsets(lengths), keys, items)
    if all(row is not None for row in rows):
        return made
    # A map array takes no mask, as a list does.
    return made.take(pa.array([None if row is None else i for i, row in enumerate(rows)]))


def _mapping(cell: object, kind: pa.DataType) -> Mapping[object, object]:
    found = as_mapping(cell)
    if found is None:
        raise UnfitValuesError(f"a dict for {kind}, got {shorten(cell)}")
    return found


def as_mapping(cell: object) -> Mapping[object, object] | None:
    """Return the fields of a dict or a pydantic model, None for anything else."""
    if isinstance(cell, Mapping):
        return cell
    dump = getattr(cell, "model_dump", None)
    return dump() if callable(dump) else None


def _structs(cells: list[object], kind: pa.DataType, zone: str) -> pa.Array:
    import pyarrow as pa

    rows = [None if is_missing(cell) else _mapping(cell, kind) for cell in cells]
    parts = [
        array_of([None if row is None else _field(row, f.name) for row in rows], f.type, zone)
        for f in kind
    ]
    return pa.StructArray.from_arrays(parts, fields=list(kind), mask=_mask(rows))


def _field(row: Mapping[object, object], name: str) -> object:
    try:
        return row[name]
    except KeyError:
        raise UnfitValuesError(f"the field {name!r}, got {shorten(list(map(str, row)))}") from None


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
