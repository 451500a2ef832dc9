"""Arrow columns as what a model is given: column by column, with types and nulls kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pyfunc.errors import InvalidArgumentError, shorten
from pyfunc.schema.casting.arrow_values import masked_types
from pyfunc.schema.enforce.layouts import make_index
from pyfunc.schema.types import Object

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from pyfunc.schema import Schema, TensorSpec

__all__ = ["build_input"]


def build_input(columns: Sequence[pa.Array], schema: Schema | None) -> object:
    """Return what a model with the input ``schema`` is asked to predict for.

    One struct is a frame of its fields. Other columns get the names of the schema, in its order,
    or ``"0"``, ``"1"``, ... without a schema; more columns than it has are left out, and optional
    ones that are not given are columns of nulls. Tensors are arrays of the shape that the schema
    says, where the rows have it.

    Raises:
        InvalidArgumentError: there are fewer columns than the schema requires.
    """
    import pyarrow as pa

    if len(columns) == 1 and pa.types.is_struct(columns[0].type):
        names = [field.name for field in columns[0].type]
        if not _is_column_of_objects(schema, names):
            return _build_frame(names, columns[0].flatten())
    if schema is None:
        return _build_frame([str(i) for i in range(len(columns))], columns)
    if schema.is_tensor_spec():
        return _build_tensors(columns, schema)
    names = schema.input_names()
    _check_count(len(columns), schema)
    frame = _build_frame(names[: len(columns)], columns[: len(names)])
    return frame if len(columns) >= len(names) else frame.reindex(columns=names)


def _is_column_of_objects(schema: Schema | None, fields: Sequence[object]) -> bool:
    """Return whether a struct is the one column of a schema, rather than a row of its columns."""
    if schema is None or schema.is_tensor_spec() or len(schema.inputs) != 1:
        return False
    spec = schema.inputs[0]
    return isinstance(spec.type, Object) and spec.name not in fields


def _check_count(count: int, schema: Schema) -> None:
    required = schema.required_input_names() if schema.has_input_names() else schema.input_names()
    if count < len(required):
        raise InvalidArgumentError(
            f"the model requires {len(required)} columns {shorten(required)}, got {count}\n"
            "hint: columns without names count in the order of the signature; a struct has names"
        )


def _build_frame(names: Sequence[object], columns: Sequence[pa.Array]) -> pd.DataFrame:
    import pyarrow as pa

    columns = [_without_zone(column) for column in columns]
    block = _build_block(columns)
    if block is not None:
        numbers: pd.DataFrame = pd.DataFrame(block, columns=make_index(names), copy=False)
        return numbers
    if not any(_needs_masks(column) or _holds_objects(column.type) for column in columns):
        table = pa.Table.from_arrays(columns, names=[str(i) for i in range(len(columns))])
        frame: pd.DataFrame = table.to_pandas(**_OPTIONS)
        if frame.shape[1] == len(columns):
            frame.columns = make_index(names)
            return frame
    made = pd.concat([_build_series(column) for column in columns], axis=1)
    made.columns = make_index(names)
    return made


def _build_block(columns: Sequence[pa.Array]) -> npt.NDArray[np.generic] | None:
    """Return numbers of one type as the one array that a frame holds them in, else None.

    Arrow's own way comes to the same frame in four times the time.
    """
    import pyarrow as pa

    kinds = {column.type for column in columns}
    kind = kinds.pop() if len(kinds) == 1 else pa.null()
    if not pa.types.is_floating(kind) and not pa.types.is_integer(kind):
        return None
    if any(map(_needs_masks, columns)):
        return None
    shape = (len(columns[0]), len(columns))
    block: npt.NDArray[np.generic] = np.empty(shape, kind.to_pandas_dtype(), order="F")
    for i, column in enumerate(columns):
        block[:, i] = column.to_numpy(zero_copy_only=False)
    return block


# Spark counts microseconds; frames of MLflow hold nanoseconds.
_OPTIONS = {"coerce_temporal_nanoseconds": True, "maps_as_pydicts": "strict"}


def _needs_masks(column: pa.Array) -> bool:
    """Return whether nulls would turn integers into floats, or truths into objects."""
    import pyarrow as pa

    kind = column.type
    return bool(column.null_count and (pa.types.is_integer(kind) or pa.types.is_boolean(kind)))


def _build_series(column: pa.Array) -> pd.Series:
    """Return one column; integers and truths with nulls get pandas' types that have nulls.

    Integers beside a null in dicts are Python's, which have no such types either.
    """
    column = _without_zone(column)
    mapper = masked_types().get if _needs_masks(column) else None
    integers = _holds_objects(column.type)
    series: pd.Series = column.to_pandas(
        types_mapper=mapper, integer_object_nulls=integers, **_OPTIONS
    )
    return series


def _holds_objects(kind: pa.DataType) -> bool:
    """Return whether the cells are dicts, or lists of such."""
    import pyarrow as pa

    while _is_list(kind):
        kind = kind.value_type
    return bool(pa.types.is_struct(kind) or pa.types.is_map(kind))


def _without_zone(column: pa.Array) -> pa.Array:
    """Return times of a zone as what its clocks show, as Spark's frames have them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_timestamp(kind):
        return column if kind.tz is None else pc.local_timestamp(column)
    if not pa.types.is_nested(kind) or "tz=" not in str(kind):
        return column
    if pa.types.is_struct(kind):
        # Of a struct that is null its fields are null too, so flatten and field agree.
        parts = [_without_zone(part) for part in column.flatten()]
        fields = [pa.field(f.name, part.type) for f, part in zip(kind, parts, strict=True)]
        return pa.StructArray.from_arrays(parts, fields=fields, mask=column.is_null())
    return _rebuilt_list(column)


def _rebuilt_list(column: pa.Array) -> pa.Array:
    import pyarrow as pa

    offsets = _offsets(column)
    if pa.types.is_map(column.type):
        keys, items = column.keys, _without_zone(column.items)
        return _with_nulls(pa.MapArray.from_arrays(offsets, keys, items), column)
    return _with_nulls(pa.ListArray.from_arrays(offsets, _without_zone(column.flatten())), column)


def _offsets(column: pa.Array) -> pa.Array:
    """Return where each list begins in the flattened values; a null one is empty there."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_map(column.type):
        return column.offsets
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))


def _with_nulls(made: pa.Array, column: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not column.null_count:
        return made
    return pc.if_else(column.is_null(), pa.scalar(None, made.type), made)


def _build_tensors(columns: Sequence[pa.Array], schema: Schema) -> object:
    specs: list[TensorSpec] = schema.inputs
    if schema.has_input_names():
        _check_count(len(columns), schema)
        arrays = {
            spec.name: _build_tensor(column, spec)
            for spec, column in zip(specs, columns, strict=False)
        }
        if all(array is not None for array in arrays.values()):
            return arrays
        return _build_frame(list(arrays), columns[: len(arrays)])
    array = _build_tensor(columns[0], specs[0]) if len(columns) == 1 else None
    return _build_frame(range(len(columns)), columns) if array is None else array


def _build_tensor(column: pa.Array, spec: TensorSpec) -> npt.NDArray[np.generic] | None:
    """Return the rows of a column as one array, None if they are of different lengths."""
    shape = [len(column)]
    values = column
    while _is_list(values.type):
        flat = values.flatten()
        if values.null_count or not _is_even(values, flat):
            return None
        shape.append(len(flat) // max(len(values), 1))
        values = flat
    if values.null_count:
        return None
    array: npt.NDArray[np.generic] = _without_zone(values).to_numpy(zero_copy_only=False)
    wanted = (len(column), *spec.shape[1:])
    fits = -1 not in wanted and math.prod(wanted) == array.size
    return array.reshape(wanted if fits else shape)


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _is_even(lists: pa.Array, flat: pa.Array) -> bool:
    import pyarrow.compute as pc

    bounds = pc.min_max(pc.list_value_length(lists))
    return bool(len(flat) == 0 or bounds["min"] == bounds["max"])
