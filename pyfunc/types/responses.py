"""What a :class:`~pyfunc.ResponsesAgent` is given and returns, as pydantic models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from pyfunc.types.agent import ChatContext
from pyfunc.types.response_items import (
    create_annotation_added,
    create_function_call_item,
    create_function_call_output_item,
    create_mcp_approval_request_item,
    create_mcp_approval_response_item,
    create_reasoning_item,
    create_text_delta,
    create_text_output_item,
    responses_to_cc,
    stream_items,
    to_chat_completions_input,
)
from pyfunc.types.responses_parts import (
    BaseRequestPayload,
    Kinds,
    Message,
    OutputItem,
    Response,
    ResponseCompletedEvent,
    ResponseErrorEvent,
    ResponseOutputItemDoneEvent,
    ResponseTextAnnotationDeltaEvent,
    ResponseTextDeltaEvent,
    TypedRecord,
)

__all__ = [
    "Message",
    "OutputItem",
    "Response",
    "ResponseCompletedEvent",
    "ResponseErrorEvent",
    "ResponseOutputItemDoneEvent",
    "ResponseTextAnnotationDeltaEvent",
    "ResponseTextDeltaEvent",
    "ResponsesAgentRequest",
    "ResponsesAgentResponse",
    "ResponsesAgentStreamEvent",
    "ResponsesRequest",
    "ResponsesResponse",
    "ResponsesStreamEvent",
    "create_annotation_added",
    "create_function_call_item",
    "create_function_call_output_item",
    "create_mcp_approval_request_item",
    "create_mcp_approval_response_item",
    "create_reasoning_item",
    "create_text_delta",
    "create_text_output_item",
    "output_to_responses_items_stream",
    "responses_agent_output_reducer",
    "responses_to_cc",
    "to_chat_completions_input",
]


class ResponsesAgentRequest(BaseRequestPayload):
    """A whole request."""

    input: list[Message | OutputItem]
    custom_inputs: dict[str, object] | None = None
    context: ChatContext | None = None


class ResponsesAgentResponse(Response):
    """What a responses agent answers."""

    custom_outputs: dict[str, Any] | None = None


class ResponsesAgentStreamEvent(TypedRecord):
    """One event of a streamed answer; types that are not known here pass as they are."""

    kinds: ClassVar[Kinds] = {
        "response.output_item.done": ResponseOutputItemDoneEvent,
        "response.output_text.delta": ResponseTextDeltaEvent,
        "response.output_text.annotation.added": ResponseTextAnnotationDeltaEvent,
        "error": ResponseErrorEvent,
        "response.completed": ResponseCompletedEvent,
    }

    custom_outputs: dict[str, object] | None = None

    def check_unknown_type(self) -> None:
        """Let every type pass."""


# What MLflow 2 called them.
ResponsesRequest = ResponsesAgentRequest
ResponsesResponse = ResponsesAgentResponse
ResponsesStreamEvent = ResponsesAgentStreamEvent


def output_to_responses_items_stream(
    chunks: Iterable[Any], aggregator: list[dict[str, Any]] | None = None
) -> Iterator[ResponsesAgentStreamEvent]:
    """Yield the events that a stream of a model stands for, each item complete at its end.

    Args:
        chunks: chunks of a chat completion as dicts, or messages of LangChain.
        aggregator: takes the complete items, too.
    """
    for event in stream_items(chunks):
        if aggregator is not None and "item" in event:
            aggregator.append(event["item"])
        yield ResponsesAgentStreamEvent(**event)


def responses_agent_output_reducer(chunks: Iterable[Any]) -> dict[str, Any]:
    """Return the answer that the complete items of a stream are, as a dict."""
    events = [chunk if isinstance(chunk, dict) else chunk.model_dump() for chunk in chunks]
    items = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    return ResponsesAgentResponse(output=items).model_dump(exclude_none=True)
