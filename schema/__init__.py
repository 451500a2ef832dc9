"""What goes in and out of a model: types, signatures, inference, enforcement."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyfunc.schema.dataclass_schemas import convert_dataclass_to_schema
    from pyfunc.schema.inference import infer_schema, infer_signature
    from pyfunc.schema.param_inference import infer_param_schema
    from pyfunc.schema.schemas import ParamSchema, Schema
    from pyfunc.schema.signature import ModelSignature
    from pyfunc.schema.specs import ColSpec, ParamSpec, TensorSpec
    from pyfunc.schema.types import (
        AnyType,
        Array,
        DataType,
        Map,
        Object,
        Property,
        SparkMLVector,
    )

__all__ = [
    "AnyType",
    "Array",
    "ColSpec",
    "DataType",
    "Map",
    "ModelSignature",
    "Object",
    "ParamSchema",
    "ParamSpec",
    "Property",
    "Schema",
    "SparkMLVector",
    "TensorSpec",
    "convert_dataclass_to_schema",
    "infer_param_schema",
    "infer_schema",
    "infer_signature",
]

_HOME = {
    "AnyType": "pyfunc.schema.types",
    "Array": "pyfunc.schema.types",
    "ColSpec": "pyfunc.schema.specs",
    "DataType": "pyfunc.schema.types",
    "Map": "pyfunc.schema.types",
    "ModelSignature": "pyfunc.schema.signature",
    "Object": "pyfunc.schema.types",
    "ParamSchema": "pyfunc.schema.schemas",
    "ParamSpec": "pyfunc.schema.specs",
    "Property": "pyfunc.schema.types",
    "Schema": "pyfunc.schema.schemas",
    "SparkMLVector": "pyfunc.schema.types",
    "TensorSpec": "pyfunc.schema.specs",
    "convert_dataclass_to_schema": "pyfunc.schema.dataclass_schemas",
    "infer_param_schema": "pyfunc.schema.param_inference",
    "infer_schema": "pyfunc.schema.inference",
    "infer_signature": "pyfunc.schema.inference",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # next access skips this function
    return value
