"""The names that ONNX gives to types of tensors, and the numpy dtypes that they mean."""

from __future__ import annotations

import numpy as np

from pyfunc.schema import AnyType, Array, ColSpec, DataType, TensorSpec

__all__ = ["dtype_of", "name_of_dtype", "tensorflow_name", "type_of_column"]

_SAME = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool")
_DTYPES: dict[str, np.dtype[np.generic]] = {
    **{f"tensor({name})": np.dtype(name) for name in (*_SAME, "float16")},
    "tensor(float)": np.dtype("float32"),
    "tensor(double)": np.dtype("float64"),
    "tensor(string)": np.dtype(object),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_TENSORFLOW = {
    "float16": "DT_HALF",
    "float32": "DT_FLOAT",
    "float64": "DT_DOUBLE",
    "object": "DT_STRING",
    **{name: f"DT_{name.upper()}" for name in _SAME},
}


def dtype_of(type_name: str) -> np.dtype[np.generic] | None:
    """Return the dtype of the ONNX type ``type_name``, None for what is no plain tensor."""
    return _DTYPES.get(type_name)


def name_of_dtype(dtype: np.dtype[np.generic]) -> str:
    """Return the ONNX name of ``dtype``; what ONNX does not have is named as numpy names it."""
    if dtype.kind in "US":
        return "tensor(string)"
    return _NAMES.get(dtype.newbyteorder("="), f"tensor({dtype.name})")


def type_of_column(spec: ColSpec | TensorSpec) -> tuple[str, list[int]]:
    """Return the ONNX name of a column's or tensor's type, and its shape with -1 for any length.

    Columns of types that no tensor can hold have the name that the signature gives the type.
    """
    if isinstance(spec, TensorSpec):
        return name_of_dtype(spec.type), [int(length) for length in spec.shape]
    shape, column = [-1], spec.type
    while isinstance(column, Array):
        shape.append(-1)
        column = column.dtype
    if isinstance(column, DataType):
        has_tensor = column not in (DataType.binary, DataType.datetime)
        return name_of_dtype(column.to_numpy()) if has_tensor else column.name, shape
    return ("any" if isinstance(column, AnyType) else type(column).__name__.lower()), shape


def tensorflow_name(type_name: str) -> str:
    """Return the name that TensorFlow has for the ONNX type ``type_name``."""
    dtype = dtype_of(type_name)
    return "DT_INVALID" if dtype is None else _TENSORFLOW[dtype.name]
