"""What goes in and out of a model: types, signatures, inference, enforcement."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyfunc.schema.bodies.requests import ParsedRequest, RequestReader, parse_request
    from pyfunc.schema.bodies.responses import (
        format_predictions,
        format_request,
        parse_predictions,
    )
    from pyfunc.schema.bodies.tables import parse_csv, parse_parquet
    from pyfunc.schema.enforce.findings import as_predict_error
    from pyfunc.schema.enforce.hint_data import convert_to_hint, validate_against_hint
    from pyfunc.schema.enforce.params import enforce_params
    from pyfunc.schema.enforce.plan import Plan, compile_plan, enforce_schema, validate_schema
    from pyfunc.schema.examples import InputExample
    from pyfunc.schema.infer.dataclass_schemas import convert_dataclass_to_schema
    from pyfunc.schema.infer.inference import infer_schema, infer_signature
    from pyfunc.schema.infer.param_inference import infer_param_schema
    from pyfunc.schema.infer.type_hints import (
        TypeFromExample,
        schema_from_hint,
        schema_from_list_hint,
    )
    from pyfunc.schema.saved_examples import (
        read_example_params,
        read_input_example,
        read_serving_input,
    )
    from pyfunc.schema.schemas import ParamSchema, Schema
    from pyfunc.schema.signature import ModelSignature
    from pyfunc.schema.signature_file import set_signature
    from pyfunc.schema.specs import ColSpec, ParamSpec, TensorInfo, TensorSpec
    from pyfunc.schema.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector

__all__ = [
    "AnyType",
    "Array",
    "ColSpec",
    "DataType",
    "InputExample",
    "Map",
    "ModelSignature",
    "Object",
    "ParamSchema",
    "ParamSpec",
    "ParsedRequest",
    "Plan",
    "Property",
    "RequestReader",
    "Schema",
    "SparkMLVector",
    "TensorInfo",
    "TensorSpec",
    "TypeFromExample",
    "as_predict_error",
    "compile_plan",
    "convert_dataclass_to_schema",
    "convert_to_hint",
    "enforce_params",
    "enforce_schema",
    "format_predictions",
    "format_request",
    "infer_param_schema",
    "infer_schema",
    "infer_signature",
    "parse_csv",
    "parse_parquet",
    "parse_predictions",
    "parse_request",
    "read_example_params",
    "read_input_example",
    "read_serving_input",
    "schema_from_hint",
    "schema_from_list_hint",
    "set_signature",
    "validate_against_hint",
    "validate_schema",
]

_HOME = {
    "AnyType": "pyfunc.schema.types",
    "Array": "pyfunc.schema.types",
    "ColSpec": "pyfunc.schema.specs",
    "DataType": "pyfunc.schema.types",
    "InputExample": "pyfunc.schema.examples",
    "Map": "pyfunc.schema.types",
    "ModelSignature": "pyfunc.schema.signature",
    "Object": "pyfunc.schema.types",
    "ParamSchema": "pyfunc.schema.schemas",
    "ParamSpec": "pyfunc.schema.specs",
    "ParsedRequest": "pyfunc.schema.bodies.requests",
    "Plan": "pyfunc.schema.enforce.plan",
    "Property": "pyfunc.schema.types",
    "RequestReader": "pyfunc.schema.bodies.requests",
    "Schema": "pyfunc.schema.schemas",
    "SparkMLVector": "pyfunc.schema.types",
    "TensorInfo": "pyfunc.schema.specs",
    "TensorSpec": "pyfunc.schema.specs",
    "TypeFromExample": "pyfunc.schema.infer.type_hints",
    "as_predict_error": "pyfunc.schema.enforce.findings",
    "compile_plan": "pyfunc.schema.enforce.plan",
    "convert_dataclass_to_schema": "pyfunc.schema.infer.dataclass_schemas",
    "convert_to_hint": "pyfunc.schema.enforce.hint_data",
    "enforce_params": "pyfunc.schema.enforce.params",
    "enforce_schema": "pyfunc.schema.enforce.plan",
    "format_predictions": "pyfunc.schema.bodies.responses",
    "format_request": "pyfunc.schema.bodies.responses",
    "infer_param_schema": "pyfunc.schema.infer.param_inference",
    "infer_schema": "pyfunc.schema.infer.inference",
    "infer_signature": "pyfunc.schema.infer.inference",
    "parse_csv": "pyfunc.schema.bodies.tables",
    "parse_parquet": "pyfunc.schema.bodies.tables",
    "parse_predictions": "pyfunc.schema.bodies.responses",
    "parse_request": "pyfunc.schema.bodies.requests",
    "read_example_params": "pyfunc.schema.saved_examples",
    "read_input_example": "pyfunc.schema.saved_examples",
    "read_serving_input": "pyfunc.schema.saved_examples",
    "schema_from_hint": "pyfunc.schema.infer.type_hints",
    "schema_from_list_hint": "pyfunc.schema.infer.type_hints",
    "set_signature": "pyfunc.schema.signature_file",
    "validate_against_hint": "pyfunc.schema.enforce.hint_data",
    "validate_schema": "pyfunc.schema.enforce.plan",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # next access skips this function
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
