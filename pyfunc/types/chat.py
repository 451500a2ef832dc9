"""Chat completions of OpenAI as pydantic models: what MLflow has in ``mlflow.types.chat``."""

from __future__ import annotations

import uuid
import warnings
from typing import Annotated, Literal

from pyfunc.types.records import BaseModel, Record

from pydantic import (  # isort: skip - only where it is known to be there
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

__all__ = [
    "AudioContentPart",
    "BaseModel",
    "BaseRequestPayload",
    "ChatChoice",
    "ChatChoiceDelta",
    "ChatChunkChoice",
    "ChatCompletionChunk",
    "ChatCompletionRequest",
    "ChatCompletionResponse",
    "ChatMessage",
    "ChatTool",
    "ChatUsage",
    "Function",
    "FunctionParams",
    "FunctionToolDefinition",
    "ImageContentPart",
    "ImageUrl",
    "InputAudio",
    "JsonSchemaSpec",
    "ParamProperty",
    "ParamType",
    "PromptTokensDetails",
    "ReasoningContentPart",
    "ReasoningSummaryPart",
    "ResponseFormat",
    "TextContentPart",
    "ToolCall",
    "ToolCallDelta",
    "ToolChoice",
    "ToolChoiceFunction",
]


class TextContentPart(Record):
    """A part of a message that is text."""

    type: Literal["text"]
    text: str


class ImageUrl(Record):
    """Where an image is, or the image itself as a data URL."""

    url: str
    detail: Literal["auto", "low", "high"] | None = None


class ImageContentPart(Record):
    """A part of a message that is an image."""

    type: Literal["image_url"]
    image_url: ImageUrl


class InputAudio(Record):
    """Sound, in base64."""

    data: str
    format: Literal["wav", "mp3"]


class AudioContentPart(Record):
    """A part of a message that is sound."""

    type: Literal["input_audio"]
    input_audio: InputAudio


class ReasoningSummaryPart(Record):
    """A text about what a model thought."""

    type: Literal["summary_text"]
    text: str


class ReasoningContentPart(Record):
    """A part of a message that tells what the model thought; providers add keys of their own."""

    model_config = ConfigDict(extra="allow")

    type: Literal["reasoning"]
    summary: list[ReasoningSummaryPart] = Field(default_factory=list)


ContentPart = Annotated[
    TextContentPart | ImageContentPart | AudioContentPart | ReasoningContentPart,
    Field(discriminator="type"),
]
Content = Annotated[str | list[ContentPart], Field(union_mode="left_to_right")]


class Function(Record):
    """The function that a model wants called; ``arguments`` is JSON text."""

    name: str | None = None
    arguments: str | None = None

    def to_tool_call(self, id: str | None = None) -> ToolCall:
        """Return the call of this function, with a new id if none is given."""
        return ToolCall(id=str(uuid.uuid4()) if id is None else id, function=self)


class _WithThought(Record):
    # What models of Gemini want back with a call; written only where there is one.
    @model_serializer(mode="wrap")
    def _without_missing_thought(
        self, handler: SerializerFunctionWrapHandler
    ) -> dict[str, object]:
        return _without_missing(handler(self), "thought_signature")


def _without_missing(data: dict[str, object], key: str) -> dict[str, object]:
    if data.get(key) is None:
        data.pop(key, None)
    return data


class ToolCall(_WithThought):
    """A call of a tool that the model asks for."""

    id: str
    type: str = "function"
    function: Function
    thought_signature: str | None = None


class ToolCallDelta(_WithThought):
    """The part of such a call that a chunk of a stream brings."""

    index: int
    id: str | None = None
    type: str | None = None
    function: Function
    thought_signature: str | None = None


class ChatMessage(Record):
    """One message."""

    role: str
    content: Content | None = None
    tool_calls: list[ToolCall] | None = None
    refusal: str | None = None
    tool_call_id: str | None = None


JsonType = Literal["string", "number", "integer", "object", "array", "boolean", "null"]


class ParamType(Record):
    """A type of JSON Schema, or several."""

    type: JsonType | list[JsonType] | None = None


class ParamProperty(ParamType):
    """One parameter of a function; ``items`` is what an array has."""

    description: str | None = None
    enum: list[str | int | float | bool] | None = None
    items: ParamProperty | None = None


class FunctionParams(Record):
    """The parameters of a function by name."""

    properties: dict[str, ParamProperty]
    type: Literal["object"] = "object"
    required: list[str] | None = None
    additionalProperties: bool | None = None  # noqa: N815 - the key of JSON Schema


class FunctionToolDefinition(Record):
    """A function that the model may ask to be called."""

    name: str
    description: str | None = None
    parameters: FunctionParams | None = None
    strict: bool | None = None


class ChatTool(Record):
    """A tool that the model may use."""

    type: Literal["function"]
    function: FunctionToolDefinition | None = None


with warnings.catch_warnings():
    # The key is called so, and pydantic has an old method of that name.
    warnings.filterwarnings("ignore", message='.*"schema".*', category=UserWarning)

    class JsonSchemaSpec(Record):
        """The schema that an answer in JSON must fit."""

        model_config = ConfigDict(extra="allow")

        name: str
        schema: dict[str, object] = Field(...)  # type: ignore[assignment]
        strict: bool = True


class ResponseFormat(Record):
    """What form an answer must have."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaSpec | None = None


class ToolChoiceFunction(Record):
    """The function that must be called."""

    name: str


class ToolChoice(Record):
    """The tool that must be used."""

    type: Literal["function"]
    function: ToolChoiceFunction


class BaseRequestPayload(Record):
    """What requests of chats and of completions have in common."""

    n: int = Field(1, ge=1)
    stop: list[str] | None = Field(None, min_length=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    stream: bool | None = None
    stream_options: dict[str, object] | None = None
    model: str | None = None
    response_format: ResponseFormat | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    top_k: int | None = Field(None, ge=1)


class ChatChoice(Record):
    """One answer."""

    index: int
    message: ChatMessage
    finish_reason: str | None = None


class PromptTokensDetails(Record):
    """How many tokens of a prompt were known before."""

    model_config = ConfigDict(extra="allow")

    cached_tokens: int | None = None


class ChatUsage(Record):
    """How many tokens went in and out; what else a provider counts is kept."""

    model_config = ConfigDict(extra="allow")

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptTokensDetails | None = None

    @model_serializer(mode="wrap")
    def _without_missing_details(
        self, handler: SerializerFunctionWrapHandler
    ) -> dict[str, object]:
        return _without_missing(handler(self), "prompt_tokens_details")


class ChatChoiceDelta(Record):
    """The part of a message that a chunk of a stream brings."""

    role: str | None = None
    content: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class ChatChunkChoice(Record):
    """What a chunk adds to one answer."""

    index: int
    finish_reason: str | None = None
    delta: ChatChoiceDelta


class ChatCompletionChunk(Record):
    """One part of a streamed answer."""

    id: str | None = None
    object: str = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChatChunkChoice]
    usage: ChatUsage | None = None


class ChatCompletionRequest(BaseRequestPayload):
    """A whole request."""

    messages: list[ChatMessage] = Field(..., min_length=1)
    tools: list[ChatTool] | None = Field(None, min_length=1)
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None


class ChatCompletionResponse(Record):
    """A whole answer."""

    id: str | None = None
    object: str = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: ChatUsage
