from .casting.findings import as_predict_error as as_predict_error
from .data_types import DataType as DataType
from .dataclass_schemas import convert_dataclass_to_schema as convert_dataclass_to_schema
from .enforce.params import enforce_params as enforce_params
from .enforce.plan import (
    Plan as Plan,
    compile_plan as compile_plan,
    enforce_schema as enforce_schema,
    validate_schema as validate_schema,
)
from .examples.reading import (
    read_example_params as read_example_params,
    read_input_example as read_input_example,
    read_serving_input as read_serving_input,
)
from .examples.writing import InputExample as InputExample
from .hints.data import (
    convert_to_hint as convert_to_hint,
    validate_against_hint as validate_against_hint,
)
from .hints.schemas import (
    TypeFromExample as TypeFromExample,
    schema_from_hint as schema_from_hint,
    schema_from_list_hint as schema_from_list_hint,
)
from .infer.inference import infer_schema as infer_schema, infer_signature as infer_signature
from .infer.param_inference import infer_param_schema as infer_param_schema
from .schemas import ParamSchema as ParamSchema, Schema as Schema
from .signature import ModelSignature as ModelSignature
from .signature_file import set_signature as set_signature
from .specs import (
    ColSpec as ColSpec,
    ParamSpec as ParamSpec,
    TensorInfo as TensorInfo,
    TensorSpec as TensorSpec,
)
from .types import (
    AnyType as AnyType,
    Array as Array,
    Map as Map,
    Object as Object,
    Property as Property,
    SparkMLVector as SparkMLVector,
)
from .wire.limits import RequestLimits as RequestLimits
from .wire.requests import (
    ParsedRequest as ParsedRequest,
    RequestReader as RequestReader,
    parse_request as parse_request,
)
from .wire.responses import (
    format_predictions as format_predictions,
    format_request as format_request,
    parse_predictions as parse_predictions,
)
from .wire.tables import parse_csv as parse_csv, parse_parquet as parse_parquet

__all__: list[str]
