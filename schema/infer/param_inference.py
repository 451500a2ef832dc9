"""The schema of parameters, from an example of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pyfunc.errors import InvalidArgumentError, PyfuncError, shorten
from pyfunc.schema.data_types import FACTS, DataType
from pyfunc.schema.infer.value_types import infer_value_type
from pyfunc.schema.schemas import ParamSchema
from pyfunc.schema.specs import ParamSpec
from pyfunc.schema.types import Object

__all__ = ["infer_param_schema"]

_DATETIMES = FACTS[DataType.datetime].classes
_KINDS = {"b": DataType.boolean, "U": DataType.string, "M": DataType.datetime}
_NUMBERS = {
    np.dtype(name): DataType[word]
    for names, word in (
        (("int8", "int16", "int32", "uint8", "uint16"), "integer"),
        (("int64", "uint32"), "long"),
        (("float16", "float32"), "float"),
        (("float64",), "double"),
    )
    for name in names
}


def infer_param_schema(params: Mapping[str, object]) -> ParamSchema:
    """Return one spec for each parameter, its value as the default.

    Raises:
        InvalidArgumentError: ``params`` is no dict, or values have no type; the error lists
            every such parameter.
    """
    if not isinstance(params, dict):
        raise InvalidArgumentError(f"params must be a dict, got {type(params).__name__}")
    specs, problems = [], []
    for name, value in params.items():
        try:
            specs.append(_infer_spec(name, value))
        except PyfuncError as error:  # noqa: PERF203 - every problem is listed
            problems.append(f"  - {name!r}: {error}")
    if problems:
        raise InvalidArgumentError(
            "\n".join(["no schema can be inferred for these parameters", *problems])
        )
    return ParamSchema(specs)


def _infer_spec(name: object, value: object) -> ParamSpec:
    if isinstance(value, dict):
        dtype = infer_value_type(value)
        if not isinstance(dtype, Object):
            raise InvalidArgumentError("an empty dict has no type")
        return ParamSpec(name, dtype, value)
    if isinstance(value, list) or (isinstance(value, np.ndarray) and value.ndim == 1):
        return ParamSpec(name, _list_type(value), value, (-1,))
    if not np.isscalar(value) and type(value) not in _DATETIMES:
        raise InvalidArgumentError(
            f"expected a scalar, a list or a dict, got {type(value).__name__} {shorten(value)}"
        )
    if type(value) in _DATETIMES:
        return ParamSpec(name, DataType.datetime, value)
    return ParamSpec(name, _array_type(np.asarray(value)), value)


def _list_type(values: Any) -> DataType:
    # An empty list counts as one of datetimes, as in MLflow: no element says otherwise.
    if all(type(value) in _DATETIMES for value in values):
        return DataType.datetime
    try:
        array = np.array(values)
    except (ValueError, OverflowError) as error:
        raise InvalidArgumentError(f"the elements have no common type: {error}") from error
    if array.ndim != 1:
        raise InvalidArgumentError(f"expected a flat list, got {array.ndim} dimensions")
    return _array_type(array)


def _array_type(array: npt.NDArray[np.generic]) -> DataType:
    found = _KINDS.get(array.dtype.kind) or _NUMBERS.get(array.dtype)
    if found is None:
        raise InvalidArgumentError(f"values of dtype {array.dtype} are not supported")
    return found
