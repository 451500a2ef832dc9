"""What a :class:`~pyfunc.ChatModel` is given and returns: chat completions as dataclasses.

Every class raises :class:`~pyfunc.SchemaError`, a ``ValueError``, with all problems of its values.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from pyfunc.errors import Problem
from pyfunc.types.checked import Checked

__all__ = [
    "ChatChoice",
    "ChatChoiceDelta",
    "ChatChoiceLogProbs",
    "ChatChunkChoice",
    "ChatCompletionChunk",
    "ChatCompletionRequest",
    "ChatCompletionResponse",
    "ChatMessage",
    "ChatParams",
    "ChatRequest",
    "ChatResponse",
    "FunctionToolCallArguments",
    "FunctionToolDefinition",
    "ParamProperty",
    "ParamType",
    "TokenLogProb",
    "TokenUsageStats",
    "ToolCall",
    "ToolDefinition",
    "ToolParamsSchema",
    "TopTokenLogProb",
]

JsonType = Literal["string", "number", "integer", "object", "array", "boolean", "null"]


def _now() -> int:
    return int(time.time())


@dataclass
class FunctionToolCallArguments(Checked):
    """The function that a model wants called; ``arguments`` is JSON text."""

    name: str
    arguments: str

    def to_tool_call(self, id: str | None = None) -> ToolCall:
        """Return the call of this function, with a new id if none is given."""
        return ToolCall(self) if id is None else ToolCall(self, id)


@dataclass
class ToolCall(Checked):
    """A call of a tool that the model asks for."""

    function: FunctionToolCallArguments
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    type: str = "function"


@dataclass
class ChatMessage(Checked):
    """One message; it has content, a refusal or calls of tools.

    ``content`` is text, or a list of parts such as ``{"type": "text", "text": "..."}``.
    """

    role: str
    content: str | list[dict[str, Any]] | None = None
    refusal: str | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None

    def find_more_problems(self) -> Iterator[Problem]:
        """Yield what is wrong with content and refusal beside each other."""
        yield from _find_refusal_problems(self.content, self.refusal)
        if self.content is None and not self.refusal and not self.tool_calls:
            yield Problem("content", "content, a refusal or tool_calls", "none of them")


def _find_refusal_problems(content: object, refusal: str | None) -> Iterator[Problem]:
    if refusal and content:
        yield Problem("content", "content or a refusal", "both")


@dataclass
class ChatChoiceDelta(Checked):
    """The part of a message that a chunk of a stream brings."""

    role: str | None = "assistant"
    content: str | None = None
    refusal: str | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None

    def find_more_problems(self) -> Iterator[Problem]:
        """Yield what is wrong with content and refusal beside each other."""
        yield from _find_refusal_problems(self.content, self.refusal)


@dataclass
class ParamType(Checked):
    """A type of JSON Schema."""

    type: JsonType


@dataclass
class ParamProperty(ParamType):
    """One parameter of a function; ``items`` is what an array has."""

    description: str | None = None
    enum: list[str] | None = None
    items: ParamProperty | None = None


@dataclass
class ToolParamsSchema(Checked):
    """The parameters of a function by name."""

    properties: dict[str, ParamProperty]
    type: Literal["object"] = "object"
    required: list[str] | None = None
    additionalProperties: bool | None = None  # noqa: N815 - the key of JSON Schema


@dataclass
class FunctionToolDefinition(Checked):
    """A function that the model may ask to be called."""

    name: str
    description: str | None = None
    parameters: ToolParamsSchema | None = None
    strict: bool = False

    def to_tool_definition(self) -> ToolDefinition:
        """Return the tool of this function."""
        return ToolDefinition(self)


@dataclass
class ToolDefinition(Checked):
    """A tool that the model may use."""

    function: FunctionToolDefinition
    type: Literal["function"] = "function"


@dataclass
class ChatParams(Checked):
    """What a request says beside its messages."""

    temperature: float = 1.0
    max_tokens: int | None = None
    stop: list[str] | None = None
    n: int = 1
    stream: bool = False
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    custom_inputs: dict[str, Any] | None = None
    tools: list[ToolDefinition] | None = None

    @classmethod
    def keys(cls) -> set[str]:
        """Return the names of the fields."""
        return {each.name for each in fields(cls)}


@dataclass
class ChatCompletionRequest(ChatParams):
    """A whole request."""

    messages: list[ChatMessage] = field(default_factory=list)


@dataclass
class TopTokenLogProb(Checked):
    """A token that was likely at a position."""

    token: str
    logprob: float
    bytes: list[int] | None = None


@dataclass
class TokenLogProb(Checked):
    """A token of the answer, and what was likely in its place."""

    token: str
    logprob: float
    top_logprobs: list[TopTokenLogProb]
    bytes: list[int] | None = None


@dataclass
class ChatChoiceLogProbs(Checked):
    """How likely the tokens of an answer were."""

    content: list[TokenLogProb] | None = None


@dataclass
class ChatChoice(Checked):
    """One answer."""

    message: ChatMessage
    index: int = 0
    finish_reason: str = "stop"
    logprobs: ChatChoiceLogProbs | None = None

    def __post_init__(self) -> None:
        # MLflow before 2.18 had the index first, and models saved with it pass it so.
        if isinstance(self.message, int) and isinstance(self.index, (ChatMessage, dict)):
            self.message, self.index = self.index, self.message
        super().__post_init__()


@dataclass
class ChatChunkChoice(Checked):
    """What a chunk adds to one answer."""

    delta: ChatChoiceDelta
    index: int = 0
    finish_reason: str | None = None
    logprobs: ChatChoiceLogProbs | None = None


@dataclass
class TokenUsageStats(Checked):
    """How many tokens went in and out."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None


@dataclass
class ChatCompletionResponse(Checked):
    """What a chat model answers."""

    choices: list[ChatChoice]
    usage: TokenUsageStats | None = None
    id: str | None = None
    model: str | None = None
    object: str = "chat.completion"
    created: int = field(default_factory=_now)
    custom_outputs: Any = None


@dataclass
class ChatCompletionChunk(Checked):
    """One part of a streamed answer."""

    choices: list[ChatChunkChoice]
    usage: TokenUsageStats | None = None
    id: str | None = None
    model: str | None = None
    object: str = "chat.completion.chunk"
    created: int = field(default_factory=_now)
    custom_outputs: Any = None


class ChatResponse(ChatCompletionResponse):
    """What MLflow before 2.17 called a response, with the arguments in its order."""

    def __init__(  # noqa: PLR0917 - as MLflow had them
        self,
        id: str,
        model: str,
        choices: list[ChatChoice],
        usage: TokenUsageStats,
        object: str = "chat.completion",
        created: int | None = None,
    ) -> None:
        made = _now() if created is None else created
        super().__init__(choices, usage, id, model, object, made)


ChatRequest = ChatCompletionRequest
"""What MLflow before 2.17 called a request."""
