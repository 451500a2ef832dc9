"""Nested values out of JSON: what JSON cannot express gets its declared type back.

Only the form changes (text to bytes, a number to its 32-bit class); whether the value fits
its type is for enforcement to say, so a value that cannot be turned is left as it stands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeAlias

import numpy as np

from pyfunc.schema.casting.object_columns import object_array
from pyfunc.schema.data_types import FACTS, DataType
from pyfunc.schema.text_forms import NONFINITE, decode_bytes, parse_datetime, restore_datetime
from pyfunc.schema.types import Array, Map, Object
from pyfunc.schema.wire.json_arrays import fit_array, flatten
from pyfunc.schema.wire.json_cells import CellError, cast_flat

__all__ = ["HINTED", "Restore", "pack_array", "restore_nonfinite", "restorer"]

Restore: TypeAlias = Callable[[Any], Any]


def restorer(dtype: object, scalars: Mapping[DataType, Restore] | None = None) -> Restore | None:
    """Return a function that turns a JSON value into one of ``dtype``, None if none is needed.

    The function returns new lists and dicts and leaves None and misfits alone. ``scalars`` says
    what restores each scalar type; by default all that JSON lacks.
    """
    scalars = _SCALARS if scalars is None else scalars
    if isinstance(dtype, DataType):
        return scalars.get(dtype)
    if isinstance(dtype, Array):
        return _array_restorer(dtype, scalars)
    if isinstance(dtype, Map):
        return _map_restorer(dtype, scalars)
    return _object_restorer(dtype, scalars) if isinstance(dtype, Object) else None


def _array_restorer(dtype: Array, scalars: Mapping[DataType, Restore]) -> Restore | None:
    item = restorer(dtype.dtype, scalars)
    if item is None:
        return None
    change = item
    if dtype.dtype is DataType.double:  # the usual case: nothing to do
        return lambda v: [change(x) for x in v] if _is_list_with_text(v) else v
    return lambda v: [change(x) for x in v] if isinstance(v, list) else v


def _is_list_with_text(value: object) -> bool:
    return isinstance(value, list) and str in set(map(type, value))


def _map_restorer(dtype: Map, scalars: Mapping[DataType, Restore]) -> Restore | None:
    item = restorer(dtype.value_type, scalars)
    if item is None:
        return None
    change = item
    return lambda v: {k: change(x) for k, x in v.items()} if isinstance(v, dict) else v


def _object_restorer(dtype: Object, scalars: Mapping[DataType, Restore]) -> Restore | None:
    found = {prop.name: restorer(prop.dtype, scalars) for prop in dtype.properties}
    if scalars is _SCALARS:  # a required date has no null but NaT, which JSON lacks
        moments = [p.name for p in dtype.properties if p.required and p.dtype is DataType.datetime]
        found |= dict.fromkeys(moments, _restore_present_moment)
    changes = {name: change for name, change in found.items() if change is not None}
    if not changes:
        return None

    def restore(value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {k: changes[k](x) if k in changes else x for k, x in value.items()}

    return restore


def _restore_bytes(value: object) -> object:
    try:
        return decode_bytes(value)
    except ValueError:
        return value


def _restore_moment(value: object) -> object:
    try:
        return parse_datetime(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _restore_present_moment(value: object) -> object:
    return np.datetime64("NaT", "ns") if value is None else restore_datetime(value)


def _restore_integer(value: object) -> object:
    if type(value) is int and -(2**31) <= value < 2**31:
        return np.int32(value)
    return value


def _restore_double(value: object) -> object:
    return NONFINITE.get(value, value) if isinstance(value, str) else value


def _restore_float(value: object) -> object:
    value = _restore_double(value)
    if not isinstance(value, float):
        return value
    with np.errstate(over="ignore"):
        single = np.float32(value)
    return value if np.isinf(single) and math.isfinite(value) else single


def pack_array(value: list[object], dtype: Array) -> object:
    """Return lists as the array that MLflow makes of them, if it holds the very same values.

    The lists are returned themselves where they are ragged, or hold another type, null
    (other than for doubles) or what an array cannot hold.
    """
    depth, scalar = 1, dtype.dtype
    while isinstance(scalar, Array):
        depth, scalar = depth + 1, scalar.dtype
    if not isinstance(scalar, DataType) and depth > 1:
        return value
    if isinstance(scalar, (Object, Map)):
        return object_array(value)
    with suppress(CellError, OverflowError):
        return _pack(value, scalar, depth)
    return value


def _pack(value: list[object], scalar: object, depth: int) -> object:
    if not isinstance(scalar, DataType):
        return fit_array(value)
    shape, cells = flatten(value)
    kinds = set(map(type, cells))
    if len(shape) != depth or not kinds <= _PLAIN_KINDS.get(scalar, frozenset()):
        return value
    if scalar is DataType.string:
        return cast_flat(cells, scalar.to_numpy()).reshape(shape)
    # Integers stay integers under double: whether they fit is for enforcement to say.
    return np.array(cells, dtype=np.int64 if kinds == {int} else scalar.to_numpy()).reshape(shape)


_PLAIN_KINDS: dict[DataType, frozenset[type]] = {
    member: frozenset({facts.element})
    for member, facts in FACTS.items()
    if facts.element and member is not DataType.binary
}
_PLAIN_KINDS[DataType.double] = frozenset({int, float, bool, type(None)})


def restore_nonfinite(tree: object) -> object:
    """Return nested lists of numbers with ``"Infinity"`` as infinity, if all text is such."""
    found = _nonfinite_items(tree)
    return tree if found is None else found


def _nonfinite_items(tree: object) -> object:
    if isinstance(tree, list):
        items = [_nonfinite_items(item) for item in tree]
        return None if None in items and None not in tree else items
    return NONFINITE.get(tree) if isinstance(tree, str) else tree


_SCALARS: dict[DataType, Restore] = {
    DataType.binary: _restore_bytes,
    DataType.datetime: restore_datetime,
    DataType.integer: _restore_integer,
    DataType.float: _restore_float,
    DataType.double: _restore_double,
}
HINTED: dict[DataType, Restore] = {
    DataType.binary: _restore_bytes,
    DataType.datetime: _restore_moment,
}
"""For a type hint, which tells dates from datetimes and takes Python's own numbers."""
