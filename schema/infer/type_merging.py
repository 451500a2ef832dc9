"""The narrowest type that covers two types, as inference over several values needs it."""

from __future__ import annotations

from typing import Any

from pyfunc.errors import INTERNAL_ERROR, InvalidArgumentError, shorten
from pyfunc.schema.types import (
    AnyType,
    Array,
    DataType,
    Map,
    Object,
    Property,
    SparkMLVector,
)

__all__ = ["merge_types"]


def merge_types(left: Any, right: Any) -> Any:  # noqa: PLR0911 - one return per kind
    """Return the type of a list that holds values of both types; neither is changed.

    ``AnyType`` gives way to the other type, whose properties become optional; of two objects
    the keys that one of them lacks become optional.

    Raises:
        InvalidArgumentError: no type covers both.
    """
    if isinstance(left, SparkMLVector):
        if not isinstance(right, SparkMLVector):
            raise _conflict(left, right)
        return left
    if isinstance(left, AnyType):
        return _loosened(right)
    if isinstance(right, AnyType):
        return _loosened(left)
    if isinstance(left, Object) and isinstance(right, Object):
        return _merge_objects(left, right)
    if isinstance(left, Array) and isinstance(right, Array):
        return left if left.dtype == right.dtype else Array(merge_types(left.dtype, right.dtype))
    if isinstance(left, Map) and isinstance(right, Map):
        return Map(merge_types(left.value_type, right.value_type))
    if isinstance(left, Property) and isinstance(right, Property):
        return _merge_properties(left, right)
    if isinstance(left, DataType) and left == right:
        return left
    raise _conflict(left, right)


def _loosened(other: Any) -> Any:
    """Return ``other`` as it reads when some of the values are missing."""
    if isinstance(other, Property):
        return Property(other.name, other.dtype, required=False)
    if isinstance(other, Object):
        return Object([_loosened(prop) for prop in other.properties])
    if isinstance(other, (DataType, Array, Map, AnyType)):
        return other
    raise _conflict(AnyType(), other)


def _merge_objects(left: Object, right: Object) -> Object:
    if left == right:
        return left
    ours = {prop.name: prop for prop in left.properties}
    theirs = {prop.name: prop for prop in right.properties}
    merged = [
        _merge_properties(prop, theirs[name]) if name in theirs else _loosened(prop)
        for name, prop in ours.items()
    ]
    merged += [_loosened(prop) for name, prop in theirs.items() if name not in ours]
    return Object(merged)


def _merge_properties(left: Property, right: Property) -> Property:
    if left.name != right.name:
        raise _conflict(left, right)
    required = left.required and right.required
    return Property(left.name, merge_types(left.dtype, right.dtype), required=required)


def _conflict(left: object, right: object) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"values of the types {shorten(left)} and {shorten(right)} cannot share one type",
        INTERNAL_ERROR,
    )
