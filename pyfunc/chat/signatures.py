"""The signatures that every chat model and agent has, as MLflow writes them.

They are written as what they say: a key with ``?`` may be missing, a list has one type of
elements, a dict is an object, ``{...: type}`` a map of any keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import EllipsisType
from typing import TypeAlias

from pyfunc.schema import AnyType, Array, ColSpec, DataType, Map, Object, Property, Schema
from pyfunc.schema.types import ColumnType

__all__ = [
    "CHAT_AGENT_INPUTS",
    "CHAT_AGENT_OUTPUTS",
    "CHAT_MODEL_INPUTS",
    "CHAT_MODEL_OUTPUTS",
    "RESPONSES_INPUTS",
    "RESPONSES_OUTPUTS",
    "loosened",
]

Form: TypeAlias = "str | list[Form] | Mapping[str | EllipsisType, Form]"
Fields: TypeAlias = Mapping["str | EllipsisType", Form]


def _type_of(form: Form) -> ColumnType:
    if isinstance(form, str):
        return AnyType() if form == "any" else DataType[form]
    if isinstance(form, list):
        return Array(_type_of(form[0]))
    if ... in form:
        return Map(_type_of(form[...]))
    return Object(
        [
            Property(name.rstrip("?"), _type_of(inner), not name.endswith("?"))
            for name, inner in form.items()
            if isinstance(name, str)
        ]
    )


def _columns(fields: Fields) -> Schema:
    return Schema(
        [
            ColSpec(_type_of(form), name.rstrip("?"), not name.endswith("?"))
            for name, form in fields.items()
            if isinstance(name, str)
        ]
    )


_ANY_MAP: Fields = {...: "any"}
_TOOL_CALLS: Form = [
    {"id": "string", "type": "string", "function": {"name": "string", "arguments": "string"}}
]
_MESSAGE: Fields = {
    "role": "string",
    "content?": "string",
    "name?": "string",
    "refusal?": "string",
    "tool_call_id?": "string",
    "tool_calls?": _TOOL_CALLS,
}
_PROPERTY: Fields = {
    "type": "string",
    "description?": "string",
    "enum?": ["string"],
    "items?": {"type": "string"},
}
_PARAMETERS: Fields = {
    "properties": {...: _PROPERTY},
    "type?": "string",
    "required?": ["string"],
    "additionalProperties?": "boolean",
}
_FUNCTION: Fields = {
    "name": "string",
    "description?": "string",
    "strict?": "boolean",
    "parameters": _PARAMETERS,
}
_USAGE: Fields = {"prompt_tokens": "long", "completion_tokens": "long", "total_tokens": "long"}

CHAT_MODEL_INPUTS = _columns(
    {
        "messages": [_MESSAGE],
        "temperature?": "double",
        "max_tokens?": "long",
        "stop?": ["string"],
        "n?": "long",
        "stream?": "boolean",
        "top_p?": "double",
        "top_k?": "long",
        "frequency_penalty?": "double",
        "presence_penalty?": "double",
        "tools?": [{"type": "string", "function?": _FUNCTION}],
        "custom_inputs?": _ANY_MAP,
    }
)
CHAT_MODEL_OUTPUTS = _columns(
    {
        "id": "string",
        "object": "string",
        "created": "long",
        "model": "string",
        "choices": [{"index": "long", "message": _MESSAGE, "finish_reason": "string"}],
        "usage?": _USAGE,
        "custom_outputs?": _ANY_MAP,
    }
)

_AGENT_MESSAGE: Fields = {
    "role": "string",
    "content?": "string",
    "name?": "string",
    "id?": "string",
    "tool_calls?": _TOOL_CALLS,
    "tool_call_id?": "string",
    "attachments?": {...: "string"},
}
_CONTEXT: Fields = {"conversation_id?": "string", "user_id?": "string"}

CHAT_AGENT_INPUTS = _columns(
    {
        "messages": [_AGENT_MESSAGE],
        "context?": _CONTEXT,
        "custom_inputs?": _ANY_MAP,
        "stream?": "boolean",
    }
)
CHAT_AGENT_OUTPUTS = _columns(
    {
        "messages": [_AGENT_MESSAGE],
        "finish_reason?": "string",
        "custom_outputs?": _ANY_MAP,
        "usage?": _USAGE,
    }
)

_REASONING: Fields = {"effort?": "string", "generate_summary?": "string"}

RESPONSES_INPUTS = _columns(
    {
        "background?": "boolean",
        "context?": _CONTEXT,
        "custom_inputs?": _ANY_MAP,
        "input": ["any"],
        "max_output_tokens?": "long",
        "metadata?": {...: "string"},
        "parallel_tool_calls?": "boolean",
        "reasoning?": _REASONING,
        "store?": "boolean",
        "stream?": "boolean",
        "temperature?": "double",
        "text?": "any",
        "tool_choice?": "any",
        "tools?": [{"type": "string"}],
        "top_p?": "double",
        "truncation?": "string",
        "user?": "string",
    }
)
_RESPONSE: Fields = {
    "created_at?": "double",
    "custom_outputs?": _ANY_MAP,
    "error?": {"code?": "string", "message": "string"},
    "id?": "string",
    "incomplete_details?": {"reason?": "string"},
    "instructions?": "string",
    "max_output_tokens?": "long",
    "metadata?": {...: "string"},
    "model?": "string",
    "object": "string",
    "output": [{"type": "string"}],
    "parallel_tool_calls?": "boolean",
    "previous_response_id?": "string",
    "reasoning?": _REASONING,
    "status?": "string",
    "temperature?": "double",
    "text?": "any",
    "tool_choice?": "any",
    "tools?": [{"type": "string"}],
    "top_p?": "double",
    "truncation?": "string",
    "usage?": {
        "input_tokens": "long",
        "input_tokens_details": {"cached_tokens": "long"},
        "output_tokens": "long",
        "output_tokens_details": {"reasoning_tokens": "long"},
        "total_tokens": "long",
    },
    "user?": "string",
}
RESPONSES_OUTPUTS = Schema([ColSpec(_type_of(_RESPONSE))])


def loosened(schema: Schema) -> Schema:
    """Return the schema that requests are held against before the types of the chat are.

    Tools and the content of messages may be whatever those types take: MLflow's signatures
    refuse the tools of a responses agent that have a name, and content in parts.
    """
    return Schema([_loosened_column(column) for column in schema.inputs])


def _loosened_column(column: ColSpec) -> ColSpec:
    kind = column.type
    if column.name == "tools":
        kind = Array(AnyType())
    elif column.name == "messages" and isinstance(kind, Array) and isinstance(kind.dtype, Object):
        properties = [
            Property(each.name, AnyType(), each.required) if each.name == "content" else each
            for each in kind.dtype.properties
        ]
        kind = Array(Object(properties))
    return ColSpec(kind, column.name, column.required)
