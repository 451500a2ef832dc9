"""Making the items and events of a :class:`~pyfunc.ResponsesAgent`, and turning them into chats.

The functions have MLflow's names and results; they need no pydantic.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

__all__ = [
    "create_annotation_added",
    "create_function_call_item",
    "create_function_call_output_item",
    "create_mcp_approval_request_item",
    "create_mcp_approval_response_item",
    "create_reasoning_item",
    "create_text_delta",
    "create_text_output_item",
    "responses_to_cc",
    "stream_items",
    "to_chat_completions_input",
]

Item = dict[str, Any]
_CHAT_KEYS = ("role", "content", "name", "tool_calls", "tool_call_id")


def create_text_delta(delta: str, item_id: str) -> Item:
    """Return the event that brings a piece of the text of an item."""
    return {"type": "response.output_text.delta", "item_id": item_id, "delta": delta}


def create_annotation_added(
    item_id: str, annotation: Mapping[str, object], annotation_index: int | None = 0
) -> Item:
    """Return the event that brings a note on the text of an item."""
    return {
        "type": "response.output_text.annotation.added",
        "item_id": item_id,
        "annotation_index": annotation_index,
        "annotation": annotation,
    }


def create_text_output_item(
    text: str, id: str, annotations: Sequence[Mapping[str, object]] | None = None
) -> Item:
    """Return a message with one text."""
    part = {"text": text, "type": "output_text", "annotations": annotations or []}
    return {"id": id, "content": [part], "role": "assistant", "type": "message"}


def create_reasoning_item(id: str, reasoning_text: str) -> Item:
    """Return what the model thought."""
    summary = [{"type": "summary_text", "text": reasoning_text}]
    return {"type": "reasoning", "summary": summary, "id": id}


def create_function_call_item(id: str, call_id: str, name: str, arguments: str) -> Item:
    """Return the call of a function; ``arguments`` is JSON text."""
    return {
        "type": "function_call",
        "id": id,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def create_function_call_output_item(call_id: str, output: str) -> Item:
    """Return what a function that was called returned."""
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def create_mcp_approval_request_item(
    id: str, arguments: str, name: str, server_label: str
) -> Item:
    """Return the question whether a tool of a server may be called."""
    return {
        "type": "mcp_approval_request",
        "id": id,
        "arguments": arguments,
        "name": name,
        "server_label": server_label,
    }


def create_mcp_approval_response_item(
    id: str, approval_request_id: str, approve: bool, reason: str | None = None
) -> Item:
    """Return the answer to that question."""
    return {
        "type": "mcp_approval_response",
        "id": id,
        "approval_request_id": approval_request_id,
        "approve": approve,
        "reason": reason,
    }


def responses_to_cc(message: Mapping[str, Any]) -> list[Item]:
    """Return an item of a request or an answer as messages of a chat completion."""
    kind = message.get("type")
    if kind in ("function_call", "mcp_approval_request"):
        return [_call_message(message, is_function=kind == "function_call")]
    if kind == "message" and isinstance(message.get("content"), list):
        return [{"role": message["role"], "content": part["text"]} for part in message["content"]]
    if kind == "reasoning":
        return [{"role": "assistant", "content": json.dumps(message["summary"])}]
    if kind == "function_call_output":
        return [_tool_message(_text_of(message["output"]), message["call_id"])]
    if kind == "mcp_approval_response":
        return [_tool_message(str(message["approve"]), message["approval_request_id"])]
    kept = {key: value for key, value in message.items() if key in _CHAT_KEYS}
    return [kept] if kept else []


def _call_message(item: Mapping[str, Any], *, is_function: bool) -> Item:
    function = {"arguments": item.get("arguments") or "{}", "name": item["name"]}
    id = item["call_id" if is_function else "id"]
    return {
        "role": "assistant",
        # Some models refuse a message without content.
        "content": "tool call" if is_function else "mcp approval request",
        "tool_calls": [{"id": id, "type": "function", "function": function}],
    }


def _tool_message(content: str, call_id: str) -> Item:
    return {"role": "tool", "content": content, "tool_call_id": call_id}


def _text_of(value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return str(value)


def to_chat_completions_input(responses_input: Iterable[Any]) -> list[Item]:
    """Return items, dicts or objects, as the messages of a chat completion."""
    messages: list[Item] = []
    for item in responses_input:
        data = item if isinstance(item, Mapping) else item.model_dump()
        messages += responses_to_cc(data)
    return messages


def stream_items(chunks: Iterable[Any]) -> Iterator[Item]:
    """Yield the events that a stream of a model stands for, each item complete at its end.

    Args:
        chunks: chunks of a chat completion as dicts, or messages of LangChain.
    """
    assembled = _Assembled()
    for chunk in chunks:
        if isinstance(chunk, Mapping):
            yield from assembled.add(chunk)
        else:
            yield from _langchain_events(chunk.model_dump())
    yield from assembled.finish()


def _done(item: Item) -> Item:
    return {"type": "response.output_item.done", "item": item}


class _Assembled:
    """What chunks of a chat completion have brought so far."""

    def __init__(self) -> None:
        self.id: Any = None
        self.text = ""
        self.thought = ""
        self.calls: dict[int, Item] = {}

    def add(self, chunk: Mapping[str, Any]) -> Iterator[Item]:
        """Take a chunk in; yield the events of what it brings."""
        if not chunk.get("choices"):
            return
        delta = chunk["choices"][0]["delta"]
        self.id = chunk.get("id")
        calls, content = delta.get("tool_calls"), delta.get("content")
        if calls:
            for call in calls:
                self._add_call(call)
        elif isinstance(content, list):
            for part in content:
                yield from self._add_part(part)
        elif content is not None:
            yield from self._end_thought()
            yield self._add_text(content)

    def _add_call(self, delta: Mapping[str, Any]) -> None:
        function = delta.get("function") or {}
        index = delta.get("index", 0)
        if index not in self.calls:
            self.calls[index] = {
                "call_id": delta.get("id"),
                "name": function.get("name", ""),
                "arguments": "",
            }
        self.calls[index]["arguments"] += function.get("arguments") or ""

    def _add_part(self, part: object) -> Iterator[Item]:
        if not isinstance(part, Mapping):
            return
        if part.get("type") == "reasoning":
            summary = part.get("summary") or [{}]
            self.thought += summary[0].get("text", "")
        elif part.get("type") == "text" and part.get("text"):
            yield self._add_text(part["text"])

    def _add_text(self, text: str) -> Item:
        self.text += text
        return create_text_delta(text, self.id)

    def _end_thought(self) -> Iterator[Item]:
        if self.thought:
            yield _done(create_reasoning_item(self.id, self.thought))
            self.thought = ""

    def finish(self) -> Iterator[Item]:
        """Yield the items that are complete now."""
        if self.text:
            yield _done(create_text_output_item(self.text, self.id))
        for _, call in sorted(self.calls.items()):
            yield _done(create_function_call_item(self.id, **call))


def _langchain_events(message: Mapping[str, Any]) -> Iterator[Item]:
    if message["type"] == "ai":
        if message.get("content"):
            id = message.get("id") or str(uuid.uuid4())
            yield _done(create_text_output_item(message["content"], id))
        for call in message.get("tool_calls") or ():
            id = call.get("id") or message.get("id") or str(uuid.uuid4())
            arguments = json.dumps(call["args"])
            yield _done(create_function_call_item(id, call["id"], call["name"], arguments))
    elif message["type"] == "tool":
        output = _text_of(message["content"])
        yield _done(create_function_call_output_item(message["tool_call_id"], output))
