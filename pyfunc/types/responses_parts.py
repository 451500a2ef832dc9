"""The parts of requests and answers of a :class:`~pyfunc.ResponsesAgent`.

They follow the Responses API of OpenAI, and MLflow has them in ``mlflow.types.responses_helpers``.
What a value of ``type`` asks for is checked; words that the API may learn tomorrow only warn.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from typing import ClassVar, TypeAlias, TypeVar

from pyfunc.types.records import Record

from pydantic import ConfigDict, Field, model_validator  # isort: skip - as in pyfunc.types.chat

__all__ = [
    "Annotation",
    "AnnotationFileCitation",
    "AnnotationFilePath",
    "AnnotationURLCitation",
    "BaseRequestPayload",
    "Content",
    "FunctionCallOutput",
    "FunctionTool",
    "IncompleteDetails",
    "InputTokensDetails",
    "Kinds",
    "McpApprovalRequest",
    "McpApprovalResponse",
    "Message",
    "OutputItem",
    "OutputTokensDetails",
    "ReasoningParams",
    "Response",
    "ResponseCompletedEvent",
    "ResponseError",
    "ResponseErrorEvent",
    "ResponseFunctionToolCall",
    "ResponseInputTextParam",
    "ResponseOutputItemDoneEvent",
    "ResponseOutputMessage",
    "ResponseOutputRefusal",
    "ResponseOutputText",
    "ResponseReasoningItem",
    "ResponseTextAnnotationDeltaEvent",
    "ResponseTextDeltaEvent",
    "ResponseUsage",
    "Status",
    "Summary",
    "Tool",
    "ToolChoice",
    "ToolChoiceFunction",
    "Truncation",
    "TypedRecord",
]

R = TypeVar("R", bound="TypedRecord")
Kinds: TypeAlias = Mapping[str, type[Record] | None]
Anything = object | None  # where a field is called object
_STATUSES = frozenset({"in_progress", "completed", "incomplete"})
_ROLES = frozenset({"user", "assistant", "system", "developer"})
_INPUT_PARTS = frozenset({"input_text", "input_image", "input_file"})


def _check_word(name: str, value: object, known: Collection[str]) -> None:
    if value not in known:
        raise ValueError(f"{name}: expected one of {', '.join(sorted(known))}, got {value!r}")


def _warn_of_word(name: str, value: object, known: Collection[str]) -> None:
    if value and value not in known:
        warnings.warn(
            f"{name}: {value!r} is none of {', '.join(sorted(known))}", UserWarning, stacklevel=3
        )


class TypedRecord(Record):
    """A record whose ``type`` says what else it must have; other keys are kept.

    Attributes:
        kinds: type -> the record that it must be, too; None for one that is not looked into.
    """

    model_config = ConfigDict(extra="allow")
    kinds: ClassVar[Kinds] = {}

    type: str

    @model_validator(mode="after")
    def _check_kind(self: R) -> R:
        if self.type in self.kinds:
            kind = self.kinds[self.type]
            if kind is not None:
                kind(**self.model_dump())
        else:
            self.check_unknown_type()
        return self

    def check_unknown_type(self) -> None:
        """Refuse a type that is none of :attr:`kinds`."""
        _check_word("type", self.type, self.kinds)


class Status(Record):
    """How far something is."""

    status: str | None = None

    @model_validator(mode="after")
    def _check_status(self) -> Status:
        if self.status is not None:
            _check_word("status", self.status, _STATUSES)
        return self


class ResponseError(Record):
    """Why there is no answer."""

    code: str | None = None
    message: str


class AnnotationFileCitation(Record):
    """A file that a text cites."""

    file_id: str
    index: int
    type: str = "file_citation"


class AnnotationURLCitation(Record):
    """A page that a text cites."""

    end_index: int | None = None
    start_index: int | None = None
    title: str
    type: str = "url_citation"
    url: str


class AnnotationFilePath(Record):
    """A file that a text names."""

    file_id: str
    index: int
    type: str = "file_path"


class Annotation(TypedRecord):
    """A note on a text."""

    kinds: ClassVar[Kinds] = {
        "file_citation": AnnotationFileCitation,
        "url_citation": AnnotationURLCitation,
        "file_path": AnnotationFilePath,
    }


class ResponseOutputText(Record):
    """A text of an answer."""

    annotations: list[Annotation] = Field(default_factory=list)
    text: str
    type: str = "output_text"


class ResponseOutputRefusal(Record):
    """Why the model will not answer."""

    refusal: str
    type: str = "refusal"


class Content(TypedRecord):
    """A part of a message of an answer."""

    kinds: ClassVar[Kinds] = {"output_text": ResponseOutputText, "refusal": ResponseOutputRefusal}


class ResponseOutputMessage(Status):
    """A message of an answer."""

    id: str
    content: list[Content] = Field(...)
    role: str = "assistant"
    type: str = "message"

    @model_validator(mode="after")
    def _check_message(self) -> ResponseOutputMessage:
        if self.role != "assistant":
            raise ValueError(f"role: expected 'assistant', got {self.role!r}")
        if not self.content:
            raise ValueError("content: expected at least one part, got []")
        return self


class ResponseFunctionToolCall(Status):
    """The call of a function that the model asks for; ``arguments`` is JSON text."""

    arguments: str
    call_id: str
    name: str
    type: str = "function_call"
    id: str | None = None


class Summary(Record):
    """A text about what a model thought."""

    text: str
    type: str = "summary_text"


class ResponseReasoningItem(Status):
    """What a model thought."""

    id: str
    summary: list[Summary]
    type: str = "reasoning"


class McpApprovalRequest(Status):
    """The question whether a tool of a server may be called."""

    id: str
    arguments: str
    name: str
    server_label: str
    type: str = "mcp_approval_request"


class McpApprovalResponse(Status):
    """The answer to that question."""

    approval_request_id: str
    approve: bool
    type: str = "mcp_approval_response"
    id: str | None = None
    reason: str | None = None


class FunctionCallOutput(Status):
    """What a function that was called returned."""

    call_id: str
    output: str | list[dict[str, object]]
    type: str = "function_call_output"


class OutputItem(TypedRecord):
    """One item of an answer."""

    kinds: ClassVar[Kinds] = {
        "message": ResponseOutputMessage,
        "function_call": ResponseFunctionToolCall,
        "reasoning": ResponseReasoningItem,
        "function_call_output": FunctionCallOutput,
        "mcp_approval_request": McpApprovalRequest,
        "mcp_approval_response": McpApprovalResponse,
        "file_search_call": None,
        "computer_call": None,
        "web_search_call": None,
    }


class IncompleteDetails(Record):
    """Why an answer is not complete."""

    reason: str | None = None

    @model_validator(mode="after")
    def _look_at_reason(self) -> IncompleteDetails:
        _warn_of_word("reason", self.reason, ("max_output_tokens", "content_filter"))
        return self


class ToolChoiceFunction(Record):
    """The function that must be called."""

    name: str
    type: str = "function"


class FunctionTool(Record):
    """A function that the model may ask to be called; ``parameters`` is a JSON Schema."""

    name: str
    parameters: dict[str, object]
    strict: bool | None = None
    type: str = "function"
    description: str | None = None


class Tool(TypedRecord):
    """A tool that the model may use."""

    kinds: ClassVar[Kinds] = {
        "function": FunctionTool,
        "file_search": None,
        "computer_use": None,
        "web_search": None,
    }

    def check_unknown_type(self) -> None:
        """Warn of a type that is none of :attr:`kinds`."""
        _warn_of_word("type of a tool", self.type, self.kinds)


class ToolChoice(Record):
    """Which tool must be used, if any."""

    tool_choice: str | ToolChoiceFunction | None = None

    @model_validator(mode="after")
    def _look_at_tool_choice(self) -> ToolChoice:
        if isinstance(self.tool_choice, str):
            _warn_of_word("tool_choice", self.tool_choice, ("none", "auto", "required"))
        return self


class ReasoningParams(Record):
    """How hard the model is to think."""

    effort: str | None = None
    generate_summary: str | None = None

    @model_validator(mode="after")
    def _look_at_words(self) -> ReasoningParams:
        _warn_of_word("generate_summary", self.generate_summary, ("concise", "detailed"))
        _warn_of_word("effort", self.effort, ("low", "medium", "high"))
        return self


class InputTokensDetails(Record):
    """How many tokens of a prompt were known before."""

    cached_tokens: int


class OutputTokensDetails(Record):
    """How many tokens of an answer were thought only."""

    reasoning_tokens: int


class ResponseUsage(Record):
    """How many tokens went in and out."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class Truncation(Record):
    """Whether a long conversation may be cut."""

    truncation: str | None = None

    @model_validator(mode="after")
    def _look_at_truncation(self) -> Truncation:
        _warn_of_word("truncation", self.truncation, ("auto", "disabled"))
        return self


class Response(Truncation, ToolChoice):
    """A whole answer."""

    id: str | None = None
    created_at: float | None = None
    error: ResponseError | None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: str | None = None
    metadata: dict[str, str] | None = None
    model: str | None = None
    object: str = "response"
    output: list[OutputItem]
    parallel_tool_calls: bool | None = None
    temperature: float | None = None
    tools: list[Tool] | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    previous_response_id: str | None = None
    reasoning: ReasoningParams | None = None
    status: str | None = None
    text: Anything = None
    usage: ResponseUsage | None = None
    user: str | None = None

    @property
    def output_text(self) -> str:
        """All text of the messages of the answer, joined."""
        texts = []
        for item in self.output:
            data = item.model_dump()
            if item.type == "message":
                texts += [str(part["text"]) for part in data["content"] if "text" in part]
        return "".join(texts)

    @model_validator(mode="after")
    def _look_at_status(self) -> Response:
        known = ("completed", "failed", "in_progress", "incomplete")
        _warn_of_word("status", self.status, known)
        return self


class ResponseInputTextParam(Record):
    """A text of a request."""

    text: str
    type: str = "input_text"


class Message(Status):
    """A message of a request."""

    content: str | list[ResponseInputTextParam | dict[str, object]]
    role: str
    status: str | None = None
    type: str = "message"

    @model_validator(mode="after")
    def _check_message(self) -> Message:
        parts = self.content if isinstance(self.content, list) else []
        for part in parts:
            if isinstance(part, dict):
                _check_word("type of a part", part.get("type"), _INPUT_PARTS)
                if part["type"] == "input_text":
                    ResponseInputTextParam.model_validate(part)
        _check_word("role", self.role, _ROLES)
        return self


class BaseRequestPayload(Truncation, ToolChoice):
    """What a request says beside its input."""

    max_output_tokens: int | None = None
    metadata: dict[str, str] | None = None
    parallel_tool_calls: bool | None = None
    tools: list[Tool] | None = None
    reasoning: ReasoningParams | None = None
    store: bool | None = None
    stream: bool | None = None
    temperature: float | None = None
    text: Anything = None
    top_p: float | None = None
    user: str | None = None
    background: bool | None = None


class ResponseTextDeltaEvent(Record):
    """A piece of text."""

    content_index: int | None = None
    delta: str
    item_id: str
    output_index: int | None = None
    type: str = "response.output_text.delta"


class ResponseTextAnnotationDeltaEvent(Record):
    """A note on a text."""

    annotation: Annotation
    annotation_index: int
    content_index: int | None = None
    item_id: str
    output_index: int | None = None
    type: str = "response.output_text.annotation.added"


class ResponseOutputItemDoneEvent(Record):
    """An item that is complete."""

    item: OutputItem
    output_index: int | None = None
    type: str = "response.output_item.done"


class ResponseErrorEvent(Record):
    """The end of a stream that failed."""

    code: str | None = None
    message: str
    param: str | None = None
    type: str = "error"


class ResponseCompletedEvent(Record):
    """The end of a stream that is complete."""

    response: Response
    type: str = "response.completed"
