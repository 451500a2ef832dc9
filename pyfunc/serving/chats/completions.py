"""``POST /v1/chat/completions``: requests and answers of OpenAI, and those of each kind of chat.

Requests become what the chat takes; what it answers becomes a chat completion.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pyfunc.chat.loaded import Family
from pyfunc.errors import BAD_REQUEST, PyfuncError, shorten

__all__ = ["Completion", "completion_request", "parts_of_whole"]

Tree = dict[str, Any]

_MESSAGE_KEYS = ("role", "content", "refusal", "name", "tool_calls", "tool_call_id")
_PARAM_KEYS = (
    "temperature",
    "max_tokens",
    "stop",
    "n",
    "stream",
    "top_p",
    "top_k",
    "frequency_penalty",
    "presence_penalty",
    "tools",
    "custom_inputs",
)
_RESPONSES_KEYS = (
    "temperature",
    "top_p",
    "parallel_tool_calls",
    "metadata",
    "store",
    "user",
    "context",
    "custom_inputs",
    "stream",
)


def completion_request(body: Mapping[str, Any], family: Family) -> Tree:
    """Return the request of OpenAI as one of a chat of this kind; unknown keys are left out.

    Raises:
        PyfuncError: it has no list of messages.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(isinstance(m, dict) for m in messages):
        raise PyfuncError(
            f"messages: expected a list of objects, got {shorten(messages)}", BAD_REQUEST
        )
    messages = [_message(message) for message in messages]
    if family == "responses":
        return _responses_request(body, messages)
    if family == "agent":
        keys = ("context", "custom_inputs", "stream")
        return {"messages": [_agent_message(m) for m in messages], **_taken(body, keys)}
    taken = _taken(body, _PARAM_KEYS)
    if body.get("max_completion_tokens") is not None:
        taken.setdefault("max_tokens", body["max_completion_tokens"])
    if isinstance(taken.get("stop"), str):
        taken["stop"] = [taken["stop"]]
    return {"messages": messages, **taken}


def _taken(body: Mapping[str, Any], keys: Iterable[str]) -> Tree:
    return {key: body[key] for key in keys if body.get(key) is not None}


def _message(message: Tree) -> Tree:
    return _taken(message, _MESSAGE_KEYS)


def _agent_message(message: Tree) -> Tree:
    """Return a message whose content is text, as an agent takes it."""
    kept = {key: value for key, value in message.items() if key != "refusal"}
    if isinstance(kept.get("content"), list):
        kept["content"] = _text_of(kept["content"])
    if kept.get("role") == "tool":
        kept.setdefault("name", kept.get("tool_call_id", ""))  # which OpenAI does not send
    return kept


def _text_of(parts: list[Any]) -> str:
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))


def _responses_request(body: Mapping[str, Any], messages: list[Tree]) -> Tree:
    items = [list(_items_of(message)) for message in messages]
    if [] in items:
        raise PyfuncError(
            f"messages[{items.index([])}]: expected content or tool_calls, got neither",
            BAD_REQUEST,
        )
    request: Tree = {"input": [item for some in items for item in some]}
    request.update(_taken(body, _RESPONSES_KEYS))
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if limit is not None:
        request["max_output_tokens"] = limit
    if isinstance(body.get("tools"), list):
        request["tools"] = [_flat_tool(tool) for tool in body["tools"]]
    choice = body.get("tool_choice")
    if choice is not None:
        request["tool_choice"] = _flat_tool(choice) if isinstance(choice, dict) else choice
    return request


def _flat_tool(tool: Any) -> Any:
    """Return a tool of a completion as the Responses API has it: its function's keys beside."""
    if not isinstance(tool, dict) or not isinstance(tool.get("function"), dict):
        return tool
    return {"type": tool.get("type", "function"), **tool["function"]}


def _items_of(message: Tree) -> Iterator[Tree]:
    role, content = message.get("role"), message.get("content")
    if role == "tool":
        output = _text_of(content) if isinstance(content, list) else content
        call_id = message.get("tool_call_id")
        yield {"type": "function_call_output", "call_id": call_id, "output": output}
        return
    if isinstance(content, list):
        content = [_input_part(part) for part in content]
    if content is not None:
        yield {"type": "message", "role": role, "content": content}
    for call in message.get("tool_calls") or ():
        yield {"type": "function_call", "call_id": call.get("id"), **call.get("function", {})}


def _input_part(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    if part.get("type") == "text":
        return {"type": "input_text", "text": part.get("text")}
    if part.get("type") == "image_url":
        return {"type": "input_image", "image_url": (part.get("image_url") or {}).get("url")}
    return part


class Completion:
    """One chat completion of OpenAI, made of what a chat answers.

    Args:
        name: what the model is called.
        family: the kind of chat.
    """

    def __init__(self, name: str, family: Family) -> None:
        self._head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": name,
        }
        self._family = family

    def whole(self, answer: Tree) -> Tree:
        """Return the completion that ``answer`` is."""
        if self._family == "llm":
            return {**self._head, "object": "chat.completion", **answer}
        read = _read_agent if self._family == "agent" else _read_response
        message, reason, usage = read(answer)
        made = {
            **self._head,
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        }
        return {**made, **_taken({**answer, "usage": usage}, ("usage", "custom_outputs"))}

    def parts(self, parts: Iterable[Tree]) -> Iterator[Tree]:
        """Yield the chunks that the parts of an answer are."""
        reader: Callable[[Iterable[Tree]], Iterator[Tree]] = {
            "llm": _read_chunks,
            "agent": _read_agent_chunks,
            "responses": _read_events,
        }[self._family]
        for part in reader(parts):
            yield {**self._head, "object": "chat.completion.chunk", **part}


def _read_chunks(parts: Iterable[Tree]) -> Iterator[Tree]:
    """Yield the chunks as they are, and the end of each choice whose end they do not tell."""
    unended: dict[int, bool] = {}
    for part in parts:
        for choice in part["choices"]:
            unended[choice["index"]] = not choice.get("finish_reason")
        yield part
    ends = [
        {"index": index, "delta": {}, "finish_reason": "stop"}
        for index, is_open in sorted(unended.items())
        if is_open
    ]
    if ends:
        yield {"choices": ends}


def _choice(delta: Tree, reason: str | None = None) -> Tree:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def _read_agent(answer: Tree) -> tuple[Tree, str, object]:
    spoken = [m for m in answer["messages"] if m.get("role") != "tool"]
    message = {"content": None, **_message(spoken[-1])} if spoken else _said("")
    reason = answer.get("finish_reason") or _reason(bool(message.get("tool_calls")))
    return message, reason, answer.get("usage")


def _said(text: str | None, calls: list[Tree] | None = None) -> Tree:
    message: Tree = {"role": "assistant", "content": text}
    return {**message, "tool_calls": calls} if calls else message


def _reason(calls: bool) -> str:
    return "tool_calls" if calls else "stop"


def _read_response(answer: Tree) -> tuple[Tree, str, object]:
    texts: list[str] = []
    calls: list[Tree] = []
    for item in answer.get("output") or ():
        if item.get("type") == "message":
            texts.append(_text_of(item.get("content") or []))
        elif item.get("type") == "function_call":
            calls.append(_call_of(item))
    text = "".join(texts) if texts or not calls else None
    return _said(text, calls), _reason(bool(calls)), _usage_of(answer.get("usage"))


def _call_of(item: Tree) -> Tree:
    function = {"name": item.get("name"), "arguments": item.get("arguments")}
    return {"id": item.get("call_id"), "type": "function", "function": function}


def _usage_of(usage: Any) -> Tree | None:
    if not isinstance(usage, dict):
        return None
    return {
        "prompt_tokens": usage.get("input_tokens"),
        "completion_tokens": usage.get("output_tokens"),
        "total_tokens": usage.get("total_tokens"),
    }


def _read_agent_chunks(parts: Iterable[Tree]) -> Iterator[Tree]:
    calls, reason, started = 0, None, False
    for part in parts:
        delta = part["delta"]
        beside = _taken(part, ("usage", "custom_outputs"))
        reason = part.get("finish_reason") or reason
        said = _taken(delta, ("content", "tool_calls")) if delta.get("role") != "tool" else {}
        if said.get("tool_calls"):
            said["tool_calls"] = [
                {"index": calls + at, **call} for at, call in enumerate(said["tool_calls"])
            ]
            calls += len(said["tool_calls"])
        if said or beside:
            role = {} if started else {"role": "assistant"}
            yield {**_choice({**role, **said}), **beside}
            started = True
    yield _choice({}, reason or _reason(bool(calls)))


def _read_events(events: Iterable[Tree]) -> Iterator[Tree]:
    calls, usage, streamed = 0, None, set()
    yield _choice({"role": "assistant", "content": ""})
    for event in events:
        kind, item = event["type"], event.get("item") or {}
        if kind == "response.output_text.delta":
            streamed.add(event.get("item_id"))
            yield _choice({"content": event["delta"]})
        elif kind == "response.output_item.done" and item.get("type") == "function_call":
            yield _choice({"tool_calls": [{"index": calls, **_call_of(item)}]})
            calls += 1
        elif kind == "response.output_item.done" and item.get("type") == "message":
            if item.get("id") not in streamed:
                yield _choice({"content": _text_of(item.get("content") or [])})
        elif kind == "response.completed":
            usage = _usage_of(event["response"].get("usage"))
        elif kind == "error":
            raise PyfuncError(f"the agent ended with an error: {event.get('message')}")
    yield {**_choice({}, _reason(bool(calls))), **({"usage": usage} if usage else {})}


def parts_of_whole(answer: Tree, family: Family) -> Iterator[Tree]:
    """Yield the parts that a chat which does not stream would yield of ``answer``."""
    if family == "llm":
        choices = [
            {"index": at, **choice, "delta": choice["message"]}
            for at, choice in enumerate(answer["choices"])
        ]
        for choice in choices:
            del choice["message"]
        yield {**answer, "object": "chat.completion.chunk", "choices": choices}
    elif family == "agent":
        beside = _taken(answer, ("finish_reason", "usage", "custom_outputs"))
        messages = answer["messages"]
        for at, message in enumerate(messages):
            yield {"delta": message, **(beside if at == len(messages) - 1 else {})}
    else:
        for item in answer["output"]:
            yield {"type": "response.output_item.done", "item": item}
        yield {"type": "response.completed", "response": answer}
