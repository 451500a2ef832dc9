"""The types of a signature as JSON Schema: exactly the JSON values that a request may hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pyfunc.schema import ColSpec, ParamSchema, Schema, TensorSpec
from pyfunc.schema.types import Array, DataType, Map, Object

__all__ = ["input_forms", "params_form"]

Form = dict[str, object]
Spec = ColSpec | TensorSpec

_FLOAT_MAX = 3.4028234e38
_DOUBLE_MAX = 1.7976931348623157e308


def _whole(bits: int, digits: int) -> Form:
    bound = 2 ** (bits - 1)
    return {
        "anyOf": [
            {"type": "integer", "minimum": -bound, "maximum": bound - 1},
            {"type": "string", "pattern": f"^-?[0-9]{{1,{digits}}}$"},
            {"type": "boolean"},
        ]
    }


def _floating(most: float) -> Form:
    return {
        "anyOf": [
            {"type": "number", "minimum": -most, "maximum": most},
            {"type": "string", "pattern": "^-?[0-9]{1,9}(\\.[0-9]{1,9})?$|^-?Infinity$|^NaN$"},
            {"type": "boolean"},
            {"type": "null"},
        ]
    }


_BASE64 = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
_DAY = "(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
_MOMENT = f"^{_DAY}(T([01][0-9]|2[0-3])(:[0-5][0-9]){{2}})?$"
_CELLS: dict[DataType, Form] = {
    DataType.boolean: {"enum": [True, False, 0, 1]},
    DataType.integer: _whole(32, 9),
    DataType.long: _whole(64, 18),
    DataType.float: _floating(_FLOAT_MAX),
    DataType.double: _floating(_DOUBLE_MAX),
    DataType.string: {"description": "Text; other values reach the model as they are."},
    DataType.binary: {"type": "string", "contentEncoding": "base64", "pattern": _BASE64},
    DataType.datetime: {
        "anyOf": [{"type": "string", "pattern": _MOMENT}, {"type": "null"}],
        "description": "An ISO 8601 date or date and time.",
    },
}
_NESTED: dict[DataType, Form] = {
    DataType.boolean: {"type": "boolean"},
    DataType.integer: {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    DataType.long: {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    DataType.float: {"type": "number", "minimum": -_FLOAT_MAX, "maximum": _FLOAT_MAX},
    DataType.double: {"type": "number", "minimum": -_DOUBLE_MAX, "maximum": _DOUBLE_MAX},
    DataType.string: {"type": "string"},
    DataType.binary: _CELLS[DataType.binary],
    DataType.datetime: {"type": "string", "pattern": _MOMENT},
}


def input_forms(schema: Schema | None, *, hinted: bool) -> dict[str, Form]:
    """Return the JSON Schema of the value of each form that a request may have."""
    if hinted:
        return {"inputs": {}}
    if schema is None:
        return {
            "inputs": {},
            "dataframe_split": _any_split(),
            "dataframe_records": {"type": "array", "items": {"type": "object"}},
        }
    if schema.is_tensor_spec():
        return {"inputs": _tensor_inputs(schema)}
    if not schema.has_input_names():
        cells = [_cell(spec) for spec in schema]
        return {"dataframe_split": _split(None, cells)}
    names = [spec.name for spec in schema]
    forms: dict[str, Form] = {"dataframe_split": _split(names, [_cell(s) for s in schema])}
    if all(isinstance(name, str) for name in names):
        forms["dataframe_records"] = _rows(_record(schema, _cell))
        forms["inputs"] = _rows(_record(schema, _input_cell))
    return forms


def _cell(spec: Spec) -> Form:
    form = column_form(spec.type)
    return (
        form if spec.required or not form.keys() & {"anyOf", "enum", "type"} else _nullable(form)
    )


def column_form(dtype: object) -> Form:
    """Return the JSON Schema of one cell of a column."""
    return _CELLS[dtype] if isinstance(dtype, DataType) else _nested_form(dtype)


def _nullable(form: Form) -> Form:
    return {"anyOf": [form, {"type": "null"}]}


def _nested_form(dtype: object) -> Form:
    if isinstance(dtype, DataType):
        return _NESTED[dtype]
    if isinstance(dtype, Array):
        return {"type": "array", "items": _nested_form(dtype.dtype)}
    if isinstance(dtype, Map):
        return {"type": "object", "additionalProperties": _nested_form(dtype.value_type)}
    if isinstance(dtype, Object):
        return {
            "type": "object",
            "properties": {prop.name: _nested_form(prop.dtype) for prop in dtype.properties},
            "required": [prop.name for prop in dtype.properties if prop.required],
            "additionalProperties": False,
        }
    return {}  # AnyType


def _input_cell(spec: Spec) -> Form:
    """Return the form of one cell of ``inputs``, where text is checked."""
    if spec.type is DataType.string:
        return {"type": ["string", "number", "boolean", "null"]}
    return _cell(spec)


def _rows(record: Form) -> Form:
    return {"type": "array", "items": record, "minItems": 1}


def _record(schema: Schema, cell: Callable[[Spec], Form]) -> Form:
    return {
        "type": "object",
        "properties": {spec.name: cell(spec) for spec in schema},
        "required": [spec.name for spec in schema if spec.required],
        "additionalProperties": {
            "type": ["string", "number", "boolean", "null"],
            "description": "Columns that the signature lacks are dropped.",
        },
    }


def _split(names: Sequence[object] | None, cells: list[Form]) -> Form:
    row: Form = {"type": "array", "minItems": len(cells), "maxItems": len(cells)}
    if all(cell == cells[0] for cell in cells):
        row["items"] = cells[0]
    else:
        row["prefixItems"] = cells
    properties: dict[str, Form] = {"data": {"type": "array", "items": row, "minItems": 1}}
    if names is not None:
        properties["columns"] = {"enum": [list(names)]}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _any_split() -> Form:
    return {
        "type": "object",
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"}},
            "data": {"type": "array", "items": {"type": "array"}},
        },
        "required": ["data"],
        "additionalProperties": False,
    }


def _tensor_inputs(schema: Schema) -> Form:
    forms = {spec.name: _tensor_form(spec.type, spec.shape) for spec in schema}
    if not schema.has_input_names():
        return next(iter(forms.values()))
    return {"type": "object", "properties": forms, "required": list(forms)}


def _tensor_form(dtype: np.dtype[np.generic], shape: Sequence[int]) -> Form:
    member = DataType.from_numpy_type(dtype)
    form: Form = {} if member is None else dict(_NESTED[member])
    for size in reversed(shape):
        form = {"type": "array", "items": form}
        if size >= 0:
            form |= {"minItems": size, "maxItems": size}
    return form


def params_form(schema: ParamSchema | None) -> Form:
    """Return the JSON Schema of the parameters of a request."""
    properties: dict[str, Form] = {}
    for spec in schema or ():
        form = _nullable(_nested_form(spec.dtype))
        if spec.shape is not None:
            form = {"type": "array", "items": form}
        properties[spec.name] = form
    return {"type": ["object", "null"], "properties": properties}
