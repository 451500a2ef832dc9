"""What goes in and out of a model: types, signatures, inference, enforcement."""

from __future__ import annotations

from pyfunc._lazy import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        ".casting.findings": ("as_predict_error",),
        ".data_types": ("DataType",),
        ".dataclass_schemas": ("convert_dataclass_to_schema",),
        ".enforce.params": ("enforce_params",),
        ".enforce.plan": ("Plan", "compile_plan", "enforce_schema", "validate_schema"),
        ".examples.reading": ("read_example_params", "read_input_example", "read_serving_input"),
        ".examples.writing": ("InputExample",),
        ".hints.data": ("convert_to_hint", "validate_against_hint"),
        ".hints.schemas": ("TypeFromExample", "schema_from_hint", "schema_from_list_hint"),
        ".infer.inference": ("infer_schema", "infer_signature"),
        ".infer.param_inference": ("infer_param_schema",),
        ".schemas": ("ParamSchema", "Schema"),
        ".signature": ("ModelSignature",),
        ".signature_file": ("set_signature",),
        ".specs": ("ColSpec", "ParamSpec", "TensorInfo", "TensorSpec"),
        ".types": ("AnyType", "Array", "Map", "Object", "Property", "SparkMLVector"),
        ".wire.limits": ("RequestLimits",),
        ".wire.requests": ("ParsedRequest", "RequestReader", "parse_request"),
        ".wire.responses": ("format_predictions", "format_request", "parse_predictions"),
        ".wire.tables": ("parse_csv", "parse_parquet"),
    },
)
