"""The schema of a Spark DataFrame, from its own schema."""

from __future__ import annotations

from typing import Any

from pyfunc.errors import INTERNAL_ERROR, InvalidArgumentError
from pyfunc.schema.schemas import Schema
from pyfunc.schema.specs import ColSpec
from pyfunc.schema.types import (
    Array,
    ColumnType,
    DataType,
    Map,
    Object,
    Property,
    SparkMLVector,
)

__all__ = ["infer_spark_schema", "infer_spark_type"]

_SCALARS = {
    "boolean": DataType.boolean,
    "byte": DataType.integer,
    "short": DataType.integer,
    "integer": DataType.integer,
    "long": DataType.long,
    "float": DataType.float,
    "double": DataType.double,
    "string": DataType.string,
    "char": DataType.string,
    "varchar": DataType.string,
    "binary": DataType.binary,
    "date": DataType.datetime,
    "timestamp": DataType.datetime,
    "timestamp_ntz": DataType.datetime,
}


def infer_spark_schema(frame: Any) -> Schema:
    """Return one required column for each field; no row is read.

    Raises:
        InvalidArgumentError: a field has no type in a schema; it is named.
    """
    return Schema([ColSpec(infer_spark_type(field), field.name) for field in frame.schema])


def infer_spark_type(field: Any) -> ColumnType:
    """Return the type of one field.

    Raises:
        InvalidArgumentError: it has none in a schema.
    """
    return _type(field.dataType, field.name)


def _type(dtype: Any, path: str) -> ColumnType:
    word = dtype.typeName()
    if word in _SCALARS:
        return _SCALARS[word]
    if word == "array":
        return Array(_type(dtype.elementType, path))
    if word == "map" and dtype.keyType.typeName() == "string":
        return Map(_type(dtype.valueType, path))
    if word == "struct":
        return Object(
            [
                Property(
                    field.name,
                    _type(field.dataType, f"{path}.{field.name}"),
                    required=not field.nullable,
                )
                for field in dtype.fields
            ]
        )
    if word == "vectorudt":
        return SparkMLVector()
    raise InvalidArgumentError(
        f"column {path!r} of Spark type {dtype.simpleString()} has no type in a schema",
        INTERNAL_ERROR,
    )
