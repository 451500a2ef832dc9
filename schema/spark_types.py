"""The Spark form of a type; the only place of this folder that touches pyspark."""

from __future__ import annotations

from pyfunc.errors import INTERNAL_ERROR, InvalidArgumentError
from pyfunc.schema.data_types import DataType, import_spark_types
from pyfunc.schema.types import Array, Map, Object, SparkMLVector

__all__ = ["spark_type"]


def spark_type(dtype: object) -> object:
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
