"""What goes in and out of the tasks ``llm/v1/*``, as MLflow writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyfunc.errors import InvalidArgumentError, shorten
from pyfunc.schema import (
    AnyType,
    Array,
    ColSpec,
    DataType,
    Map,
    ModelSignature,
    Object,
    Property,
    Schema,
)
from pyfunc.schema.types import ColumnType

__all__ = ["LLM_PREFIX", "LlmTask", "llm_task_named"]

LLM_PREFIX = "llm/v1"

Fields = Mapping[str, ColumnType]

_STRING, _LONG, _DOUBLE, _FLAG = (
    DataType.string,
    DataType.long,
    DataType.double,
    DataType.boolean,
)


def _columns(fields: Fields) -> Schema:
    """Return columns; a name that ends with ``?`` may be missing."""
    return Schema(
        [
            ColSpec(kind, name.rstrip("?"), required=not name.endswith("?"))
            for name, kind in fields.items()
        ]
    )


def _object(fields: Fields) -> Object:
    return Object(
        [
            Property(name.rstrip("?"), kind, required=not name.endswith("?"))
            for name, kind in fields.items()
        ]
    )


_CALLED = _object({"name": _STRING, "arguments": _STRING})
_MESSAGE = _object(
    {
        "role": _STRING,
        "content?": _STRING,
        "name?": _STRING,
        "refusal?": _STRING,
        "tool_calls?": Array(_object({"id": _STRING, "function": _CALLED, "type": _STRING})),
        "tool_call_id?": _STRING,
    }
)
_PROPERTY = _object(
    {
        "type": _STRING,
        "description?": _STRING,
        "enum?": Array(_STRING),
        "items?": _object({"type": _STRING}),
    }
)
_PARAMETERS = _object(
    {
        "properties": Map(_PROPERTY),
        "type?": _STRING,
        "required?": Array(_STRING),
        "additionalProperties?": _FLAG,
    }
)
_FUNCTION = _object(
    {"name": _STRING, "description?": _STRING, "parameters": _PARAMETERS, "strict?": _FLAG}
)
_SAMPLING: Fields = {
    "temperature?": _DOUBLE,
    "max_tokens?": _LONG,
    "stop?": Array(_STRING),
    "n?": _LONG,
    "stream?": _FLAG,
}
_USAGE = _object({"prompt_tokens": _LONG, "completion_tokens": _LONG, "total_tokens": _LONG})
_ANSWER: Fields = {"id": _STRING, "object": _STRING, "created": _LONG, "model": _STRING}


def _choices(name: str, kind: ColumnType) -> Array:
    return Array(_object({"index": _LONG, name: kind, "finish_reason": _STRING}))


_CHAT = (
    _columns(
        {
            "messages": Array(_MESSAGE),
            **_SAMPLING,
            "top_p?": _DOUBLE,
            "top_k?": _LONG,
            "frequency_penalty?": _DOUBLE,
            "presence_penalty?": _DOUBLE,
            "tools?": Array(_object({"type": _STRING, "function?": _FUNCTION})),
            "custom_inputs?": Map(AnyType()),
        }
    ),
    _columns(
        {
            **_ANSWER,
            "choices": _choices("message", _MESSAGE),
            "usage?": _USAGE,
            "custom_outputs?": Map(AnyType()),
        }
    ),
)
_COMPLETIONS = (
    _columns({"prompt": _STRING, **_SAMPLING}),
    _columns({**_ANSWER, "choices": _choices("text", _STRING), "usage": _USAGE}),
)
_EMBEDDING = _object({"index": _LONG, "object": _STRING, "embedding": Array(_DOUBLE)})
_EMBEDDINGS = (
    _columns({"input": _STRING}),
    _columns(
        {
            "object": _STRING,
            "data": Array(_EMBEDDING),
            "usage": _object({"prompt_tokens": _LONG, "total_tokens": _LONG}),
        }
    ),
)


@dataclass(frozen=True)
class LlmTask:
    """A task ``llm/v1/*``.

    Attributes:
        name: as it is given at save.
        pipeline_task: the task of the pipelines that can do it.
        inputs: the schema of a request.
        outputs: the schema of an answer.
    """

    name: str
    pipeline_task: str
    inputs: Schema
    outputs: Schema

    @property
    def signature(self) -> ModelSignature:
        """What every model of it has, as an object of its own."""
        return ModelSignature(self.inputs, self.outputs)


_TASKS = {
    task.name: task
    for task in (
        LlmTask(f"{LLM_PREFIX}/chat", "text-generation", *_CHAT),
        LlmTask(f"{LLM_PREFIX}/completions", "text-generation", *_COMPLETIONS),
        LlmTask(f"{LLM_PREFIX}/embeddings", "feature-extraction", *_EMBEDDINGS),
    )
}


def llm_task_named(name: object) -> LlmTask:
    """Return the task of that name.

    Raises:
        InvalidArgumentError: there is none.
    """
    found = _TASKS.get(name) if isinstance(name, str) else None
    if found is None:
        raise InvalidArgumentError(
            f"task: expected one of {', '.join(_TASKS)}, got {shorten(name)}"
        )
    return found
