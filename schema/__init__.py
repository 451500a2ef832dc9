"""What goes in and out of a model: types, signatures, inference, enforcement."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyfunc.schema.casting.findings import as_predict_error
    from pyfunc.schema.dataclass_schemas import convert_dataclass_to_schema
    from pyfunc.schema.enforce.params import enforce_params
    from pyfunc.schema.enforce.plan import Plan, compile_plan, enforce_schema, validate_schema
    from pyfunc.schema.examples.reading import (
        read_example_params,
        read_input_example,
        read_serving_input,
    )
    from pyfunc.schema.examples.writing import InputExample
    from pyfunc.schema.hints.data import convert_to_hint, validate_against_hint
    from pyfunc.schema.hints.schemas import (
        TypeFromExample,
        schema_from_hint,
        schema_from_list_hint,
    )
    from pyfunc.schema.infer.inference import infer_schema, infer_signature
    from pyfunc.schema.infer.param_inference import infer_param_schema
    from pyfunc.schema.schemas import ParamSchema, Schema
    from pyfunc.schema.signature import ModelSignature
    from pyfunc.schema.signature_file import set_signature
    from pyfunc.schema.specs import ColSpec, ParamSpec, TensorInfo, TensorSpec
    from pyfunc.schema.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector
    from pyfunc.schema.wire.requests import ParsedRequest, RequestReader, parse_request
    from pyfunc.schema.wire.responses import (
        format_predictions,
        format_request,
        parse_predictions,
    )
    from pyfunc.schema.wire.tables import parse_csv, parse_parquet

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
    "InputExample": "pyfunc.schema.examples.writing",
    "Map": "pyfunc.schema.types",
    "ModelSignature": "pyfunc.schema.signature",
    "Object": "pyfunc.schema.types",
    "ParamSchema": "pyfunc.schema.schemas",
    "ParamSpec": "pyfunc.schema.specs",
    "ParsedRequest": "pyfunc.schema.wire.requests",
    "Plan": "pyfunc.schema.enforce.plan",
    "Property": "pyfunc.schema.types",
    "RequestReader": "pyfunc.schema.wire.requests",
    "Schema": "pyfunc.schema.schemas",
    "SparkMLVector": "pyfunc.schema.types",
    "TensorInfo": "pyfunc.schema.specs",
    "TensorSpec": "pyfunc.schema.specs",
    "TypeFromExample": "pyfunc.schema.hints.schemas",
    "as_predict_error": "pyfunc.schema.casting.findings",
    "compile_plan": "pyfunc.schema.enforce.plan",
    "convert_dataclass_to_schema": "pyfunc.schema.dataclass_schemas",
    "convert_to_hint": "pyfunc.schema.hints.data",
    "enforce_params": "pyfunc.schema.enforce.params",
    "enforce_schema": "pyfunc.schema.enforce.plan",
    "format_predictions": "pyfunc.schema.wire.responses",
    "format_request": "pyfunc.schema.wire.responses",
    "infer_param_schema": "pyfunc.schema.infer.param_inference",
    "infer_schema": "pyfunc.schema.infer.inference",
    "infer_signature": "pyfunc.schema.infer.inference",
    "parse_csv": "pyfunc.schema.wire.tables",
    "parse_parquet": "pyfunc.schema.wire.tables",
    "parse_predictions": "pyfunc.schema.wire.responses",
    "parse_request": "pyfunc.schema.wire.requests",
    "read_example_params": "pyfunc.schema.examples.reading",
    "read_input_example": "pyfunc.schema.examples.reading",
    "read_serving_input": "pyfunc.schema.examples.reading",
    "schema_from_hint": "pyfunc.schema.hints.schemas",
    "schema_from_list_hint": "pyfunc.schema.hints.schemas",
    "set_signature": "pyfunc.schema.signature_file",
    "validate_against_hint": "pyfunc.schema.hints.data",
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
