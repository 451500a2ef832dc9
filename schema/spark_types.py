"""The Spark form of a schema; the only place of this folder that touches pyspark."""

from __future__ import annotations

from typing import Any

from pyfunc.errors import INTERNAL_ERROR, InvalidArgumentError
from pyfunc.schema.schemas import Schema
from pyfunc.schema.types import Array, DataType, Map, Object, SparkMLVector, import_spark_types

__all__ = ["spark_schema", "spark_type"]


def spark_schema(schema: Schema) -> Any:
    """Return the Spark type of one unnamed column, else a ``StructType``.

    Raises:
        InvalidArgumentError: the schema holds tensors, or a type that Spark lacks.
        MissingDependencyError: pyspark is not installed.
    """
    if schema.is_tensor_spec():
        raise InvalidArgumentError("tensors have no Spark schema", INTERNAL_ERROR)
    types = import_spark_types()
    if len(schema) == 1 and not schema.has_input_names():
        return spark_type(schema.inputs[0].type)
    return types.StructType(
        [
            types.StructField(
                name=str(i) if spec.name is None else spec.name,
                dataType=spark_type(spec.type),
                nullable=not spec.required,
            )
            for i, spec in enumerate(schema)
        ]
    )


def spark_type(dtype: Any) -> Any:
    """Return the Spark type of a column, element or property."""
    types = import_spark_types()
    if isinstance(dtype, DataType):
        return dtype.to_spark()
    if isinstance(dtype, SparkMLVector):
        from pyspark.ml.linalg import VectorUDT  # type: ignore[import-not-found, unused-ignore]

        return VectorUDT()
    if isinstance(dtype, Array):
        return types.ArrayType(spark_type(dtype.dtype))
    if isinstance(dtype, Map):
        return types.MapType(types.StringType(), spark_type(dtype.value_type))
    if isinstance(dtype, Object):
        return types.StructType(
            [
                types.StructField(prop.name, spark_type(prop.dtype), nullable=not prop.required)
                for prop in dtype.properties
            ]
        )
    raise InvalidArgumentError(f"the type {dtype!r} has no Spark form", INTERNAL_ERROR)
