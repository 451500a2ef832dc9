"""What type of column a function of Spark gives: as asked for, or as the model's outputs say."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pyfunc.errors import INVALID_PARAMETER_VALUE, InvalidArgumentError, InvalidTypeError, shorten
from pyfunc.schema.data_types import DataType as ScalarType
from pyfunc.schema.data_types import import_spark_types
from pyfunc.schema.spark_types import spark_type
from pyfunc.schema.specs import ColSpec, TensorSpec

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession
    from pyspark.sql.types import DataType

    from pyfunc.schema import Schema

__all__ = ["arrow_type", "check_result_type", "find_result_type"]

_logger = logging.getLogger("pyfunc.spark")

# Spark's words for types without parts, and Arrow's.
_SCALARS = {
    "boolean": "bool_",
    "byte": "int8",
    "short": "int16",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "string": "string",
    "binary": "binary",
    "date": "date32",
}
_MOST_AXES = 2


def find_result_type(spark: SparkSession, result_type: object, outputs: Schema | None) -> DataType:
    """Return the Spark type of the column.

    Args:
        spark: its parser reads a type that is text.
        result_type: a Spark type or its DDL text; None for what ``outputs`` say, else double.
        outputs: the schema of what the model answers.

    Raises:
        InvalidArgumentError: no model can answer with it, or a tensor of more than two axes is
            declared.
        InvalidTypeError: it is no type.
    """
    types = import_spark_types()
    if result_type is None:
        if outputs is not None:
            return check_result_type(_type_of_outputs(outputs))
        _logger.warning("the model has no output schema, and no result_type is given: double")
        return types.DoubleType()
    if isinstance(result_type, str):
        result_type = _parse_ddl(spark, result_type)
    if not isinstance(result_type, types.DataType):
        raise InvalidTypeError(f"result_type: expected a Spark type, got {shorten(result_type)}")
    return check_result_type(result_type)


def _parse_ddl(spark: SparkSession, text: str) -> DataType:
    types = import_spark_types()
    text = "boolean" if text.strip().lower() == "bool" else text
    if hasattr(types.DataType, "fromDDL"):
        return types.DataType.fromDDL(text)
    from pyspark.sql import functions

    # Before Spark 4 only a function that is analysed tells what its text means.
    probe = functions.udf(lambda value: value, returnType=text)
    return spark.range(0).select(probe("id")).schema[0].dataType


def check_result_type(result: DataType) -> DataType:
    """Return ``result`` if a model can answer with it.

    Raises:
        InvalidArgumentError: it cannot; the types inside that are no good are named.
    """
    refused = sorted(set(_refused(result)))
    if refused:
        raise InvalidArgumentError(
            f"result_type {result.simpleString()}: no model can answer with {', '.join(refused)}\n"
            f"hint: {', '.join(_SCALARS)}, decimal, timestamp, timestamp_ntz, and array, struct "
            "and map<string, ...> of these"
        )
    return result


def _refused(kind: DataType) -> Iterator[str]:
    word = kind.typeName()
    if word == "array":
        yield from _refused(kind.elementType)
    elif word == "struct" and kind.fields:
        for field in kind.fields:
            yield from _refused(field.dataType)
    elif word == "map" and kind.keyType.typeName() == "string":
        yield from _refused(kind.valueType)
    elif word not in (*_SCALARS, "decimal", "timestamp", "timestamp_ntz"):
        yield kind.simpleString()


def _type_of_outputs(outputs: Schema) -> DataType:
    types = import_spark_types()
    specs = list(outputs)
    if len(specs) == 1:
        return _type_of_spec(specs[0])
    return types.StructType(
        [
            types.StructField(str(spec.name or i), _type_of_spec(spec))
            for i, spec in enumerate(specs)
        ]
    )


def _type_of_spec(spec: ColSpec | TensorSpec) -> DataType:
    if isinstance(spec, ColSpec):
        return _nullable(spark_type(spec.type))
    element = ScalarType.from_numpy_type(spec.type)
    if element is None or not 1 <= len(spec.shape) <= _MOST_AXES:
        raise InvalidArgumentError(
            f"the output {spec.name!r} is a tensor of {spec.type} and shape {spec.shape}; only "
            "those of one or two axes, of types that columns have, are columns of Spark\n"
            "hint: give result_type",
            INVALID_PARAMETER_VALUE,
        )
    types = import_spark_types()
    result: object = spark_type(element)
    for _ in spec.shape:
        result = types.ArrayType(result)
    return result


def _nullable(kind: DataType) -> DataType:
    """Return a type whose fields may all be null, since what a model leaves out is null."""
    types = import_spark_types()
    if isinstance(kind, types.StructType):
        fields = [types.StructField(f.name, _nullable(f.dataType)) for f in kind.fields]
        return types.StructType(fields)
    if isinstance(kind, types.ArrayType):
        return types.ArrayType(_nullable(kind.elementType))
    if isinstance(kind, types.MapType):
        return types.MapType(kind.keyType, _nullable(kind.valueType))
    return kind


def arrow_type(kind: DataType) -> pa.DataType:
    """Return the Arrow form of a type that :func:`check_result_type` lets pass."""
    import pyarrow as pa

    word = kind.typeName()
    if word in _SCALARS:
        return getattr(pa, _SCALARS[word])()
    if word == "decimal":
        return pa.decimal128(kind.precision, kind.scale)
    if word == "array":
        return pa.list_(pa.field("element", arrow_type(kind.elementType)))
    if word == "map":
        return pa.map_(pa.string(), arrow_type(kind.valueType))
    if word == "struct":
        return pa.struct([pa.field(f.name, arrow_type(f.dataType)) for f in kind.fields])
    return pa.timestamp("us", "UTC" if word == "timestamp" else None)
