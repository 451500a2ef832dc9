"""What a :class:`~pyfunc.ChatAgent` is given and returns, as pydantic models."""

from __future__ import annotations

from pyfunc.types.chat import ChatUsage, ToolCall
from pyfunc.types.records import Record

from pydantic import ConfigDict, model_validator  # isort: skip - as in pyfunc.types.chat

__all__ = [
    "ChatAgentChunk",
    "ChatAgentMessage",
    "ChatAgentRequest",
    "ChatAgentResponse",
    "ChatContext",
]

_MAKE_ID = "make one with str(uuid.uuid4())"


class ChatAgentMessage(Record):
    """One message; it has content or calls of tools, and one of a tool says which and for what."""

    role: str
    content: str | None = None
    name: str | None = None
    id: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    attachments: dict[str, str] | None = None

    @model_validator(mode="after")
    def _check_whole(self) -> ChatAgentMessage:
        problems = []
        if self.content is None and self.tool_calls is None:
            problems.append("expected content or tool_calls, got neither")
        if self.role == "tool" and not (self.name and self.tool_call_id):
            problems.append("a message of the role tool needs name and tool_call_id")
        if problems:
            raise ValueError("; ".join(problems))
        return self


class ChatContext(Record):
    """Whose conversation a request belongs to."""

    conversation_id: str | None = None
    user_id: str | None = None


class ChatAgentRequest(Record):
    """A whole request."""

    messages: list[ChatAgentMessage]
    context: ChatContext | None = None
    custom_inputs: dict[str, object] | None = None
    stream: bool | None = False


class ChatAgentResponse(Record):
    """What a chat agent answers; every message has an id of its own."""

    model_config = ConfigDict(validate_assignment=True)

    messages: list[ChatAgentMessage]
    finish_reason: str | None = None
    custom_outputs: dict[str, object] | None = None
    usage: ChatUsage | None = None

    @model_validator(mode="after")
    def _check_ids(self) -> ChatAgentResponse:
        ids = [message.id for message in self.messages]
        if None in ids:
            raise ValueError(f"message {ids.index(None)} has no id; {_MAKE_ID}")
        twice = sorted({str(id) for id in ids if ids.count(id) > 1})
        if twice:
            raise ValueError(f"several messages have the id {', '.join(twice)}; {_MAKE_ID}")
        return self


class ChatAgentChunk(Record):
    """One part of a streamed answer; parts of one message have the same id."""

    model_config = ConfigDict(validate_assignment=True)

    delta: ChatAgentMessage
    finish_reason: str | None = None
    custom_outputs: dict[str, object] | None = None
    usage: ChatUsage | None = None

    @model_validator(mode="after")
    def _check_id(self) -> ChatAgentChunk:
        if self.delta.id is None:
            raise ValueError(f"the delta has no id; {_MAKE_ID}, one for all parts of a message")
        return self
