"""Column specs of Arrow tables and columns, whichever library made them.

Types come from the Arrow schema, whether a column is required from its null count. Inside
lists and structs numbers get the type of a Python number, for so they arrive in a model.
"""

from __future__ import annotations

from pyfunc.errors import (
    INTERNAL_ERROR,
    InvalidArgumentError,
    InvalidTypeError,
    find_repeated,
    shorten,
)
from pyfunc.schema.infer.arrow_format import ArrowField, read_arrow
from pyfunc.schema.specs import ColSpec
from pyfunc.schema.types import AnyType, Array, ColumnType, DataType, Map, Object, Property

__all__ = ["infer_arrow_specs"]

_SCALARS = {
    "b": DataType.boolean,
    "c": DataType.integer,
    "s": DataType.integer,
    "i": DataType.integer,
    "C": DataType.integer,
    "S": DataType.integer,
    "I": DataType.long,
    "l": DataType.long,
    "e": DataType.float,
    "f": DataType.float,
    "g": DataType.double,
    "u": DataType.string,
    "U": DataType.string,
    "vu": DataType.string,
    "z": DataType.binary,
    "Z": DataType.binary,
    "vz": DataType.binary,
}
_INSIDE = {DataType.integer: DataType.long, DataType.float: DataType.double}


def infer_arrow_specs(value: object) -> list[ColSpec]:
    """Return one spec for each column of a table, or that of a single column.

    Raises:
        InvalidTypeError: two columns have the same name.
        InvalidArgumentError: a column has no type in a schema; it is named.
    """
    table = read_arrow(value)
    if table.field.format != "+s":
        spec = _spec(table.field, table.nulls[0] > 0)
        return [ColSpec(spec.type, spec.name or None, required=spec.required)]
    names = [child.name for child in table.field.children]
    if len(set(names)) < len(names):
        twice = sorted(find_repeated(names))
        raise InvalidTypeError(f"the table has several columns of one name: {shorten(twice)}")
    return [
        _spec(child, nulls > 0)
        for child, nulls in zip(table.field.children, table.nulls, strict=True)
    ]


def _spec(field: ArrowField, has_nulls: bool) -> ColSpec:
    return ColSpec(_type(field, field.name), field.name, required=not has_nulls)


def _type(  # noqa: PLR0911 - one return per kind of format
    field: ArrowField, path: str, *, inside: bool = False
) -> ColumnType:
    word = field.format
    if field.dictionary is not None:
        # As from a categorical column, whose values arrive as Python numbers.
        return _type(field.dictionary, path, inside=True)
    if word == "n":
        return AnyType()
    if word in _SCALARS:
        found = _SCALARS[word]
        return _INSIDE.get(found, found) if inside else found
    if word.startswith(("td", "ts")):
        return DataType.datetime
    if word.startswith("w:"):
        return DataType.binary
    if word.startswith(("+l", "+L", "+vl", "+vL", "+w")):
        return Array(_type(field.children[0], f"{path}[]", inside=True))
    if word == "+s":
        return Object([_property(child, path) for child in field.children])
    if word == "+m":
        return _map_type(field, path)
    raise InvalidArgumentError(
        f"column {path!r} of the Arrow format {word!r} has no type in a schema", INTERNAL_ERROR
    )


def _property(field: ArrowField, path: str) -> Property:
    dtype = _type(field, f"{path}.{field.name}", inside=True)
    return Property(field.name, dtype, required=not field.nullable)


def _map_type(field: ArrowField, path: str) -> Map:
    key, value = field.children[0].children
    if _type(key, f"{path} keys") is not DataType.string:
        raise InvalidArgumentError(
            f"column {path!r} maps from {key.format!r}, only maps from strings have a type",
            INTERNAL_ERROR,
        )
    return Map(_type(value, f"{path} values", inside=True))
