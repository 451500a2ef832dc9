"""Values of Arrow that pandas would change: integers beside nulls, and maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from pyfunc.schema.casting.object_columns import object_array
from pyfunc.schema.data_types import FACTS, DataType
from pyfunc.schema.types import AnyType, Array, ColumnType, Map, Object

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "chunked_of",
    "decode_nested",
    "exact_column",
    "is_nested",
    "masked_types",
    "may_change",
    "nested_column",
]

_MOST = 2**53  # up to here a double has every integer

_Parts = Sequence[Any]  # the arrays of one column, the pieces of a table one after the other
_Decode = Callable[[Any], object]


def exact_column(column: pa.ChunkedArray, dtype: ColumnType | None) -> pd.Series | None:
    """Return a column with the very values, None if what pandas makes of it has them.

    Where the schema asks for floats, or for nothing, they are left to pandas as long as floats
    hold the integers.

    Args:
        column: integers, or lists, structs and maps of anything.
        dtype: what the schema says of it, None if nothing.
    """
    from pyarrow import types

    beside_nulls = [leaf for leaf in _leaves(column.chunks) if _are_integers_with_nulls(leaf)]
    is_changed = any(map(_is_large, beside_nulls))
    if not is_nested(column.type):
        return _exact_integers(column, dtype, is_changed) if beside_nulls else None
    if dtype is None or isinstance(dtype, AnyType):
        return nested_column(column, None) if is_changed else None
    is_other = beside_nulls or _holds(column.type, types.is_map)
    return nested_column(column, dtype) if is_other else None


def _exact_integers(
    column: pa.ChunkedArray, dtype: ColumnType | None, is_changed: bool
) -> pd.Series | None:
    from pyarrow import ArrowInvalid

    if isinstance(dtype, DataType) and FACTS[dtype].numpy.kind == "i":
        with suppress(ArrowInvalid):  # without room for one, pandas says what it is
            column, is_changed = column.cast(FACTS[dtype].numpy.name), True
    masked: pd.Series = column.to_pandas(types_mapper=masked_types().get)
    return masked if is_changed else None


def decode_nested(column: pd.Series, dtype: ColumnType) -> pd.Series:
    """Return :func:`nested_column` of a column of pandas that Arrow backs, if it is nested."""
    arrow: Any = column.dtype
    if not is_nested(arrow.pyarrow_dtype):
        return column
    decoded: pd.Series = nested_column(chunked_of(column), dtype).set_axis(column.index)
    return decoded


def chunked_of(column: pd.Series) -> pa.ChunkedArray:
    """Return what backs a column of pandas, of a dtype of Arrow."""
    import pyarrow as pa

    parts = pa.array(column.array)
    return parts if isinstance(parts, pa.ChunkedArray) else pa.chunked_array([parts])


def nested_column(column: pa.ChunkedArray, dtype: ColumnType | None) -> pd.Series:
    """Return lists, structs and maps as lists and dicts, with None where there is nothing.

    Numbers of 32 bits keep their class where ``dtype`` asks for it. Integers that have nulls among
    them become floats where it asks for those, as in pandas, but only if they stay what they are.
    """
    decode = _decoder(column.chunks, dtype)
    values = column.to_pylist()
    held = object_array(values if decode is None else _decode_all(decode, values))
    decoded: pd.Series = pd.Series(held, dtype=object)
    return decoded


def is_nested(arrow: object) -> bool:
    """Return whether values of a type of Arrow are lists, structs or maps."""
    from pyarrow import types

    return types.is_nested(arrow) and not types.is_union(arrow)


def may_change(arrow: object) -> bool:
    """Return whether pandas may change values of a type of Arrow: integers, in whatever."""
    from pyarrow import types

    return _holds(arrow, types.is_integer) or _holds(arrow, types.is_map)


def _holds(arrow: Any, is_meant: Callable[[object], bool]) -> bool:
    inner = [arrow.field(i).type for i in range(arrow.num_fields)] if is_nested(arrow) else []
    return is_meant(arrow) or any(_holds(each, is_meant) for each in inner)


@cache
def masked_types() -> dict[object, pd.api.extensions.ExtensionDtype]:
    """Return pandas' types with nulls by the Arrow types of truths and integers."""
    import pyarrow as pa

    return {
        pa.bool_(): pd.BooleanDtype(),
        **{
            getattr(pa, name.lower())(): getattr(pd, f"{name}Dtype")()
            for bits in (8, 16, 32, 64)
            for name in (f"Int{bits}", f"UInt{bits}")
        },
    }


def _children(parts: _Parts) -> dict[str, _Parts]:
    """Return the columns inside of a column: the fields of structs, else the one of values."""
    from pyarrow import types

    if not parts or not is_nested(parts[0].type):
        return {}
    arrow = parts[0].type
    if types.is_struct(arrow):
        return {field.name: [part.field(field.name) for part in parts] for field in arrow}
    return {"": [part.items if types.is_map(arrow) else part.flatten() for part in parts]}


def _leaves(parts: _Parts) -> Iterator[_Parts]:
    children = _children(parts)
    if not children:
        yield parts
    for child in children.values():
        yield from _leaves(child)


def _are_integers_with_nulls(parts: _Parts) -> bool:
    from pyarrow import types

    return any(part.null_count and types.is_integer(part.type) for part in parts)


def _is_large(parts: _Parts) -> bool:
    from pyarrow import compute

    ends = [end for part in parts for end in compute.min_max(part).as_py().values()]
    return any(end is not None and abs(end) > _MOST for end in ends)


def _decode_all(decode: _Decode, values: Sequence[object]) -> list[object]:
    return [None if value is None else decode(value) for value in values]


def _decoder(parts: _Parts, dtype: ColumnType | None) -> _Decode | None:
    """Return what decodes a value that is not None, None if values are what they should be."""
    from pyarrow import types

    children = _children(parts)
    if not children:
        return _number_decoder(parts, dtype) if parts else None
    arrow = parts[0].type
    if types.is_struct(arrow):
        members = {p.name: p.dtype for p in dtype.properties} if isinstance(dtype, Object) else {}
        found = {name: _decoder(child, members.get(name)) for name, child in children.items()}
        return _struct_decoder({name: change for name, change in found.items() if change})
    if types.is_map(arrow):
        inner = dtype.value_type if isinstance(dtype, Map) else None
        return _map_decoder(_decoder(children[""], inner))
    decode = _decoder(children[""], dtype.dtype if isinstance(dtype, Array) else None)
    return None if decode is None else lambda value: _decode_all(decode, value)


def _struct_decoder(changes: dict[str, _Decode]) -> _Decode | None:
    def decode(value: dict[str, object]) -> object:
        return value | {name: _decode_all(changes[name], [value[name]])[0] for name in changes}

    return decode if changes else None


def _map_decoder(change: _Decode | None) -> _Decode:
    def decode(pairs: list[tuple[object, object]]) -> object:
        values = [value for _, value in pairs]
        found = values if change is None else _decode_all(change, values)
        return dict(zip([key for key, _ in pairs], found, strict=True))

    return decode


def _number_decoder(parts: _Parts, dtype: ColumnType | None) -> _Decode | None:
    from pyarrow import types

    if dtype is DataType.double and _are_integers_with_nulls(parts):
        return _exact_float
    arrow = parts[0].type
    is_number = types.is_integer(arrow) or types.is_floating(arrow)
    if dtype in (DataType.integer, DataType.float) and is_number and arrow.bit_width <= 32:
        narrow: _Decode = arrow.to_pandas_dtype()
        return narrow
    return None


def _exact_float(value: int) -> float:
    return float(value) if value == float(value) else value
