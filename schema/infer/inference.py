"""Schemas and signatures from examples of the data."""

from __future__ import annotations

import dataclasses
import logging
import sys
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from pyfunc.errors import (
    INTERNAL_ERROR,
    InvalidArgumentError,
    PyfuncError,
    PyfuncWarning,
    shorten,
)
from pyfunc.schema.data_types import is_arrow
from pyfunc.schema.dataclass_schemas import convert_dataclass_to_schema
from pyfunc.schema.infer.param_inference import infer_param_schema
from pyfunc.schema.infer.value_types import (
    PydanticDataError,
    has_no_type,
    infer_elements_type,
    infer_value_type,
    is_pydantic,
)
from pyfunc.schema.schemas import Schema
from pyfunc.schema.signature import ModelSignature
from pyfunc.schema.specs import ColSpec, TensorSpec
from pyfunc.schema.types import AnyType, DataType

__all__ = ["infer_param_schema", "infer_schema", "infer_signature", "is_sparse_matrix"]

_logger = logging.getLogger("pyfunc.schema")

_INTEGER_HINT = (
    "the schema has integer columns. Integers cannot be missing in Python: a column that lacks "
    "values when predicting arrives as floats and is then refused. If that can happen, make the "
    "column a float before inferring the schema."
)


def infer_signature(
    model_input: object = None, model_output: object = None, params: Any = None
) -> ModelSignature:
    """Return the signature of a model from examples; dataclasses stand for themselves.

    Data whose schema cannot be inferred counts as one column of any type, and a warning is
    logged. The examples are not changed.

    Raises:
        InvalidArgumentError: nothing was given, the data holds pydantic objects, or a
            parameter has no type.
    """
    inputs = None if model_input is None else _infer_or_any(model_input, "input")
    outputs = None if model_output is None else _infer_or_any(model_output, "output")
    no_params = params is None or (isinstance(params, (dict, list, tuple)) and not params)
    param_schema = None if no_params else infer_param_schema(params)
    signature = ModelSignature(inputs, outputs, param_schema)
    for value, schema in ((model_input, inputs), (model_output, outputs)):
        if not dataclasses.is_dataclass(value):  # whose author chose the types
            _warn_about_integers(schema, stacklevel=3)
    return signature


def infer_schema(value: object) -> Schema:
    """Return the schema of a value, as ``predict`` would be given it.

    Takes frames and Series of pandas, tables with the Arrow PyCapsule interface, arrays and
    dicts of them, sparse matrices, lists, dicts and scalars. Columns with missing values are
    optional. The value is not changed.

    Raises:
        InvalidArgumentError: the value, or one inside it, has no type in a schema.
        InvalidTypeError: a frame has several columns of one name.
    """
    schema = _infer(value)
    _warn_about_integers(schema, stacklevel=3)
    return schema


def _infer_or_any(value: object, subject: str) -> Schema:
    try:
        if dataclasses.is_dataclass(value) and not is_pydantic(value):
            return convert_dataclass_to_schema(value)
        return _infer(value)
    except PydanticDataError:
        raise
    except (PyfuncError, TypeError, ValueError, OverflowError, AttributeError) as error:
        _logger.warning(
            "no schema can be inferred from the %s, it will not be checked: %s", subject, error
        )
        return Schema([ColSpec(AnyType())])


def _warn_about_integers(schema: Schema | None, *, stacklevel: int) -> None:
    if schema is None or schema.is_tensor_spec():
        return
    if any(dtype in (DataType.integer, DataType.long) for dtype in schema.input_types()):
        warnings.warn(_INTEGER_HINT, PyfuncWarning, stacklevel=stacklevel)


def _infer(value: Any) -> Schema:  # noqa: PLR0911 - one return per kind
    """Return the schema; the first matching kind of value decides."""
    if isinstance(value, list):
        return _infer_list(value)
    if isinstance(value, dict):
        return _infer_dict(value)
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, (pandas.Series, pandas.DataFrame)):
        return _infer_pandas(value)
    if isinstance(value, np.ndarray):
        return Schema([_tensor_spec(value)])
    if is_sparse_matrix(value):
        return Schema([TensorSpec(value.data.dtype, (-1, value.shape[1]))])
    if type(value).__module__.startswith("pyspark.sql"):
        from pyfunc.schema.infer.spark_inference import infer_spark_schema

        return infer_spark_schema(value)
    if is_arrow(value):
        from pyfunc.schema.infer.arrow_inference import infer_arrow_specs

        return Schema(infer_arrow_specs(value))
    return _infer_scalar(value)


def _infer_pandas(value: Any) -> Schema:
    import pandas as pd

    from pyfunc.schema.infer.column_types import infer_column_spec, infer_frame_specs

    if isinstance(value, pd.Series):
        return Schema([infer_column_spec(value)])
    return Schema(infer_frame_specs(value))


def _infer_scalar(value: object) -> Schema:
    try:
        return Schema([ColSpec(infer_value_type(value))])
    except InvalidArgumentError as error:
        raise InvalidArgumentError(
            f"no schema can be inferred from a {type(value).__name__}, expected a DataFrame, "
            "Series, Arrow table, array, dict, list, csr_matrix, csc_matrix or scalar; got "
            f"{shorten(value)}"
        ) from error


def _infer_list(values: list[Any]) -> Schema:
    if not values:
        return Schema([ColSpec(DataType.string)])
    if all(isinstance(value, dict) for value in values):
        return Schema(_record_specs(values))
    return Schema([ColSpec(infer_elements_type(values))])


def _record_specs(records: list[dict[object, object]]) -> list[ColSpec]:
    """Return one column for each key, in order of first appearance."""
    names = dict.fromkeys(name for record in records for name in record)
    specs = []
    for name in names:
        values = [record[name] for record in records if name in record]
        required = len(values) == len(records) and not any(v is None for v in values)
        specs.append(ColSpec(infer_elements_type(values), name, required=required))
    return specs


def _infer_dict(values: dict[Any, Any]) -> Schema:
    if values and all(isinstance(value, np.ndarray) for value in values.values()):
        return Schema([_tensor_spec(value, name) for name, value in values.items()])
    if not all(isinstance(name, str) for name in values):
        raise InvalidArgumentError(
            f"the keys of a dict must be strings, got {shorten(list(values))}", INTERNAL_ERROR
        )
    return Schema(
        [
            ColSpec(infer_value_type(value), name, required=_is_complete(value))
            for name, value in values.items()
        ]
    )


def _is_complete(value: object) -> bool:
    if isinstance(value, list):
        return not any(map(has_no_type, value))
    return not has_no_type(value)


def _tensor_spec(array: npt.NDArray[np.generic], name: object = None) -> TensorSpec:
    if not array.ndim:
        raise InvalidArgumentError(
            f"an array without dimensions cannot be an input, got {shorten(array)}", INTERNAL_ERROR
        )
    dtype = array.dtype
    if dtype.kind in "US":
        dtype = np.dtype("str" if dtype.kind == "U" else "bytes")
    return TensorSpec(dtype, (-1, *array.shape[1:]), name)


def is_sparse_matrix(value: object) -> bool:
    """Return whether ``value`` is a csr or csc matrix; scipy's newer arrays are none."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and isinstance(value, (sparse.csr_matrix, sparse.csc_matrix))
