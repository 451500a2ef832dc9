"""``POST /v1/responses``: requests, answers and events of OpenAI, around a responses agent.

An agent may leave out events and keys that clients of OpenAI wait for; they are filled in.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pyfunc.errors import BAD_REQUEST, PyfuncError, shorten
from pyfunc.types.response_items import (
    create_function_call_item,
    create_text_output_item,
    to_chat_completions_input,
)

__all__ = ["ResponseStream", "items_of_completion", "messages_request", "response_request"]

Tree = dict[str, Any]


def response_request(body: Mapping[str, Any], columns: Iterable[object]) -> Tree:
    """Return the request of OpenAI as one of a responses agent.

    Text as the input becomes a message of the user, and instructions one of the system.

    Args:
        body: the request.
        columns: the keys that the agent takes; the others are left out.

    Raises:
        PyfuncError: it has no input.
    """
    taken = {str(key): body[str(key)] for key in columns if body.get(str(key)) is not None}
    return {**taken, "input": _items(body)}


def _items(body: Mapping[str, Any]) -> list[Any]:
    given = body.get("input")
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    if not isinstance(given, list):
        raise PyfuncError(
            f"input: expected text or a list of items, got {shorten(given)}", BAD_REQUEST
        )
    if isinstance(body.get("instructions"), str):
        return [{"role": "system", "content": body["instructions"]}, *given]
    return given


def messages_request(body: Mapping[str, Any]) -> Tree:
    """Return the request as one for a chat completion, for chats that take messages.

    Raises:
        PyfuncError: it has no input, or an item of it lacks what its type asks for.
    """
    try:
        messages = to_chat_completions_input(_items(body))
    except (AttributeError, KeyError, TypeError) as error:
        raise PyfuncError(f"input: an item is malformed: {error}", BAD_REQUEST) from error
    request = {**body, "messages": messages}
    if body.get("max_output_tokens") is not None:
        request["max_tokens"] = body["max_output_tokens"]
    if isinstance(body.get("tools"), list):
        request["tools"] = [_nested_tool(tool) for tool in body["tools"]]
    return request


def _nested_tool(tool: Any) -> Any:
    """Return a tool as a completion has it: the keys of its function inside."""
    if not isinstance(tool, dict) or tool.get("type") != "function" or "function" in tool:
        return tool
    function = {key: value for key, value in tool.items() if key != "type"}
    return {"type": "function", "function": function}


def items_of_completion(completion: Tree) -> Tree:
    """Return a chat completion as the answer of a responses agent."""
    message, id = completion["choices"][0]["message"], str(completion["id"])
    output = []
    if message.get("content"):
        output.append(create_text_output_item(message["content"], id))
    for call in message.get("tool_calls") or ():
        item = create_function_call_item(id, call["id"], **call["function"])
        output.append(item)
    usage = completion.get("usage")
    return {"output": output, **({"usage": _usage_of(usage)} if usage else {})}


def _usage_of(usage: Mapping[str, Any]) -> Tree:
    return {
        "input_tokens": usage.get("prompt_tokens"),
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": usage.get("completion_tokens"),
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.get("total_tokens"),
    }


class ResponseStream:
    """One response of OpenAI, made of what a responses agent answers.

    Args:
        name: what the model is called.
        body: the request.
    """

    def __init__(self, name: str, body: Mapping[str, Any]) -> None:
        self._head: Tree = {
            "id": f"resp_{uuid.uuid4().hex}",
            "object": "response",
            "created_at": int(time.time()),
            "model": name,
            "parallel_tool_calls": True,
            "tool_choice": body.get("tool_choice") or "auto",
            "tools": body.get("tools") or [],
        }
        self._items: list[Tree] = []
        self._open: dict[str, int] = {}
        self._text: dict[str, str] = {}

    def whole(self, answer: Tree) -> Tree:
        """Return the response that ``answer`` is."""
        return {**self._head, "status": "completed", **answer}

    def parts(self, events: Iterable[Tree]) -> Iterator[Tree]:
        """Yield the events of the response, numbered."""
        for number, event in enumerate(self._events(events)):
            yield {**event, "sequence_number": number}

    def _events(self, events: Iterable[Tree]) -> Iterator[Tree]:
        said = ended = False
        for event in events:
            if not said and event["type"] != "response.created":
                yield self._about("response.created", "in_progress")
            said = True
            ended = ended or event["type"] in ("response.completed", "response.failed", "error")
            yield from self._filled(event)
        if not said:
            yield self._about("response.created", "in_progress")
        if not ended:
            yield self._about("response.completed", "completed")

    def _about(self, kind: str, status: str) -> Tree:
        return {
            "type": kind,
            "response": {**self._head, "status": status, "output": list(self._items)},
        }

    def _filled(self, event: Tree) -> Iterator[Tree]:
        kind = event["type"]
        if kind == "response.output_text.delta":
            yield from self._text_delta(event)
        elif kind == "response.output_item.done":
            yield from self._item_done(event)
        elif kind == "response.output_item.added":
            self._open[str(event.get("item", {}).get("id"))] = len(self._open)
            yield event
        elif kind == "response.completed":
            yield {**event, "response": self.whole(event["response"])}
        else:
            yield event

    def _text_delta(self, event: Tree) -> Iterator[Tree]:
        id = event["item_id"]
        if id not in self._open:
            item = {
                "id": id,
                "type": "message",
                "role": "assistant",
                "status": "in_progress",
                "content": [],
            }
            yield self._added(item)
            part = {"type": "output_text", "text": "", "annotations": []}
            yield {"type": "response.content_part.added", **self._place(id), "part": part}
        self._text[id] = self._text.get(id, "") + event["delta"]
        yield {"logprobs": [], **self._place(id), **event}

    def _added(self, item: Tree) -> Tree:
        place = self._open.setdefault(str(item.get("id")), len(self._open))
        return {"type": "response.output_item.added", "output_index": place, "item": item}

    def _place(self, id: str) -> Tree:
        return {"item_id": id, "output_index": self._open[id], "content_index": 0}

    def _item_done(self, event: Tree) -> Iterator[Tree]:
        item = {"status": "completed", **event["item"]}
        item.setdefault("id", f"item_{uuid.uuid4().hex}")
        id = str(item["id"])
        if id not in self._open:
            yield self._added(item)
        if id in self._text:
            text = self._text.pop(id)
            yield {"type": "response.output_text.done", **self._place(id), "text": text}
            part = {"type": "output_text", "text": text, "annotations": []}
            yield {"type": "response.content_part.done", **self._place(id), "part": part}
        self._items.append(item)
        yield {**event, "output_index": self._open[id], "item": item}
