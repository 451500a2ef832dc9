"""Schemas from dataclasses: one column for each field."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing

from pyfunc.errors import INTERNAL_ERROR, InvalidArgumentError, shorten
from pyfunc.schema.data_types import TYPE_OF_CLASS, DataType
from pyfunc.schema.hints.schemas import split_optional
from pyfunc.schema.schemas import Schema
from pyfunc.schema.specs import ColSpec
from pyfunc.schema.types import Array, ColumnType, Object, Property

__all__ = ["convert_dataclass_to_schema"]

_SCALARS: dict[object, DataType] = {
    **{cls: TYPE_OF_CLASS[cls] for cls in (bool, int, str, bytes, dt.date)},
    float: DataType.float,  # MLflow's choice, though hints on predict map float to double
}


def convert_dataclass_to_schema(dataclass: object) -> Schema:
    """Return named columns in the order of the fields, those of parents first.

    ``Optional`` fields are not required; lists become arrays, dataclasses objects.

    Raises:
        InvalidArgumentError: a field has a type that no column can have; it is named.
    """
    return Schema(
        [
            ColSpec(dtype, name=name, required=required)
            for name, dtype, required in _fields(dataclass, frozenset())
        ]
    )


def _fields(dataclass: object, outer: frozenset[type]) -> list[tuple[str, ColumnType, bool]]:
    cls = dataclass if isinstance(dataclass, type) else type(dataclass)
    if cls in outer:
        raise InvalidArgumentError(
            f"dataclass {cls.__name__} contains itself, no schema can say that", INTERNAL_ERROR
        )
    try:
        hints = typing.get_type_hints(cls)
    except (NameError, TypeError) as error:
        raise InvalidArgumentError(
            f"the field types of dataclass {cls.__name__} cannot be resolved: {error}",
            INTERNAL_ERROR,
        ) from error
    found = []
    for field in dataclasses.fields(cls):
        inner, optional = split_optional(hints[field.name])
        path = f"{cls.__name__}.{field.name}"
        found.append((field.name, _field_type(inner, path, outer | {cls}), not optional))
    return found


def _field_type(hint: object, path: str, outer: frozenset[type]) -> ColumnType:
    if hint in _SCALARS:
        return _SCALARS[hint]
    if typing.get_origin(hint) is list and typing.get_args(hint):
        [element] = typing.get_args(hint)
        if typing.get_origin(element) is not list:  # MLflow has no lists of lists here
            return Array(_field_type(element, path, outer))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return Object(
            [
                Property(name, dtype, required=required)
                for name, dtype, required in _fields(hint, outer)
            ]
        )
    raise InvalidArgumentError(
        f"field {path} has an unsupported type {shorten(hint)}", INTERNAL_ERROR
    )
