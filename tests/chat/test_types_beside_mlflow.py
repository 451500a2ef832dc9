"""The types of chats, beside those of real MLflow 3.17.2: fields, values, dumps and refusals."""

from __future__ import annotations

import dataclasses
import inspect
import warnings
from types import ModuleType
from typing import Any

import pydantic
import pydantic_core
import pytest

import pyfunc
from pyfunc.types import agent, chat, llm, responses, responses_parts

pytestmark = [pytest.mark.interop, pytest.mark.filterwarnings("ignore")]

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow.types.agent
    import mlflow.types.chat
    import mlflow.types.llm
    import mlflow.types.responses
    import mlflow.types.responses_helpers

FAMILIES: dict[str, tuple[ModuleType, ModuleType]] = {
    "llm": (llm, mlflow.types.llm),
    "agent": (agent, mlflow.types.agent),
    "chat": (chat, mlflow.types.chat),
    "responses": (responses, mlflow.types.responses),
    "parts": (responses_parts, mlflow.types.responses_helpers),
}
CLASSES = [
    pytest.param(family, name, id=f"{family}-{name}")
    for family, (_, theirs) in FAMILIES.items()
    for name, value in vars(theirs).items()
    if inspect.isclass(value) and value.__module__ == theirs.__name__ and name[0] != "_"
]
FUNCTIONS = [
    name
    for name, value in vars(mlflow.types.responses).items()
    if inspect.isfunction(value)
    and value.__module__ == "mlflow.types.responses"
    and name[0] != "_"
]


def fields_of(cls: Any) -> list[tuple[str, object]]:
    if dataclasses.is_dataclass(cls):
        return [(field.name, _default(field.default)) for field in dataclasses.fields(cls)]
    return [(name, _default(field.default)) for name, field in cls.model_fields.items()]


def _default(value: object) -> object:
    missing = (dataclasses.MISSING, pydantic_core.PydanticUndefined)
    return "none" if any(value is each for each in missing) else value


@pytest.mark.parametrize(("family", "name"), CLASSES)
def test_a_type_has_the_fields_that_it_has_there(family: str, name: str) -> None:
    ours, theirs = FAMILIES[family]
    assert fields_of(getattr(ours, name)) == fields_of(getattr(theirs, name))
    assert name in ours.__all__


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_called_as_it_is_there(name: str) -> None:
    ours, theirs = (getattr(module, name) for module in FAMILIES["responses"])
    names = [list(inspect.signature(function).parameters) for function in (ours, theirs)]
    assert names[0] == names[1]


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
MESSAGE = {"role": "user", "content": "hi"}
PART = {"type": "output_text", "text": "t"}
ITEM = {"type": "message", "id": "1", "role": "assistant", "content": [PART]}
NESTED = {"type": "array", "items": {"type": "array", "items": {"type": "string"}}}
USAGE = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}


def cited(**annotation: Any) -> dict[str, Any]:
    return {"output": [{**ITEM, "content": [{**PART, "annotations": [annotation]}]}]}


ROWS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "llm": [
        ("ChatMessage", {"role": "user"}),
        ("ChatMessage", {}),
        ("ChatMessage", {"role": None, "content": "a"}),
        ("ChatMessage", {"role": 1, "content": "a"}),
        ("ChatMessage", {"role": "user", "content": "a", "zzz": 1}),
        ("ChatMessage", {"role": "user", "content": [{"type": "text", "text": "a"}]}),
        ("ChatMessage", {"role": "user", "content": ["a"]}),
        ("ChatMessage", {"role": "user", "content": []}),
        ("ChatMessage", {"role": "user", "content": 5}),
        ("ChatMessage", {"role": "user", "content": ""}),
        ("ChatMessage", {"role": "user", "content": "a", "refusal": "b"}),
        ("ChatMessage", {"role": "user", "content": "", "refusal": "b"}),
        ("ChatMessage", {"role": "user", "refusal": "b"}),
        ("ChatMessage", {"role": "user", "content": "a", "tool_calls": [CALL]}),
        ("ChatMessage", {"role": "user", "tool_calls": [CALL]}),
        ("ChatMessage", {"role": "user", "tool_calls": []}),
        ("ChatMessage", {"role": "user", "content": "a", "tool_calls": CALL}),
        ("ChatMessage", {"role": "user", "content": "a", "name": 1}),
        ("ToolCall", {"id": "c", "function": {"arguments": "{}"}}),
        ("ToolCall", {"id": "c", "type": "odd", "function": {"name": "f", "arguments": "{}"}}),
        ("ChatParams", {}),
        ("ChatParams", {"temperature": 1}),
        ("ChatParams", {"temperature": None}),
        ("ChatParams", {"n": True}),
        ("ChatParams", {"n": None}),
        ("ChatParams", {"n": -5, "temperature": 99.0}),
        ("ChatParams", {"stream": None}),
        ("ChatParams", {"stop": "a"}),
        ("ChatParams", {"stop": [1]}),
        ("ChatParams", {"stop": [], "custom_inputs": {}}),
        ("ChatParams", {"custom_inputs": [1]}),
        ("ChatParams", {"custom_inputs": {1: 2}}),
        ("ChatParams", {"custom_inputs": {"a": {"b": None}}}),
        ("ChatParams", {"tools": [{"function": {"name": "f"}}]}),
        ("ChatParams", {"tools": [{"type": "x", "function": {"name": "f"}}]}),
        ("ChatCompletionRequest", {}),
        ("ChatCompletionRequest", {"messages": [MESSAGE], "top_k": 5}),
        ("ChatCompletionRequest", {"messages": None}),
        ("ChatCompletionResponse", {}),
        ("ChatCompletionResponse", {"choices": [], "created": 1}),
        ("ChatCompletionResponse", {"choices": [{"message": MESSAGE}], "created": 1}),
        ("ChatCompletionResponse", {"choices": [{}], "created": 1}),
        ("ChatCompletionResponse", {"choices": [], "created": 1.5}),
        ("ChatCompletionResponse", {"choices": [], "created": 1, "usage": {"prompt_tokens": 1}}),
        ("ChatCompletionResponse", {"choices": [], "created": 1, "usage": {"prompt_tokens": "1"}}),
        ("ChatCompletionResponse", {"choices": [], "created": 1, "custom_outputs": [None]}),
        ("ChatCompletionChunk", {"choices": [{"delta": {"content": "a"}}], "created": 1}),
        ("ChatCompletionChunk", {"choices": [{"delta": {"role": None}}], "created": 1}),
        ("ChatChoice", {"message": MESSAGE, "finish_reason": None}),
        ("ChatChoice", {"message": MESSAGE}),
        ("ChatChoiceDelta", {}),
        ("ChatChoiceDelta", {"content": "a", "refusal": "b"}),
        ("ToolDefinition", {"type": "x", "function": {"name": "f"}}),
        ("FunctionToolDefinition", {"name": "f"}),
        ("ParamProperty", {"type": "date"}),
        ("ParamProperty", NESTED),
        ("ParamProperty", {"type": "string", "enum": [1]}),
        ("ToolParamsSchema", {}),
        ("ToolParamsSchema", {"properties": {"a": NESTED}, "required": ["a"]}),
        ("ToolParamsSchema", {"properties": {"a": "string"}}),
        ("TokenLogProb", {"token": "a", "logprob": 0.5, "top_logprobs": []}),
        ("TokenLogProb", {"token": "a", "logprob": 1, "top_logprobs": []}),
        ("TopTokenLogProb", {"token": "a", "logprob": 0.5, "bytes": [1, 2]}),
    ],
    "agent": [
        ("ChatAgentMessage", {"role": "user"}),
        ("ChatAgentMessage", {"role": "user", "content": "a", "zzz": 1}),
        ("ChatAgentMessage", {"role": "user", "content": 5}),
        ("ChatAgentMessage", {"role": "tool", "content": "a", "name": "f"}),
        ("ChatAgentMessage", {"role": "tool", "content": "a", "name": "f", "tool_call_id": "1"}),
        ("ChatAgentMessage", {"role": "assistant", "tool_calls": [CALL]}),
        ("ChatAgentMessage", {"role": "assistant", "tool_calls": []}),
        ("ChatAgentMessage", {"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}),
        ("ChatAgentMessage", {"role": "assistant", "tool_calls": [{"id": "1", "function": {}}]}),
        ("ChatAgentMessage", {"role": "user", "content": "a", "attachments": {"a": 1}}),
        ("ChatAgentRequest", {}),
        ("ChatAgentRequest", {"messages": []}),
        ("ChatAgentRequest", {"messages": [MESSAGE], "stream": None}),
        ("ChatAgentResponse", {"messages": [MESSAGE]}),
        ("ChatAgentResponse", {"messages": [{**MESSAGE, "id": "1"}, {**MESSAGE, "id": "1"}]}),
        ("ChatAgentResponse", {"messages": [], "usage": {"prompt_tokens": 1, "zzz": 2}}),
        ("ChatAgentChunk", {"delta": MESSAGE}),
        ("ChatAgentChunk", {"delta": {**MESSAGE, "id": "1"}, "custom_outputs": {"a": None}}),
        ("ChatContext", {"user_id": 5}),
    ],
    "chat": [
        ("ToolCall", {"id": "1", "function": {"name": "f"}}),
        ("ToolCall", {"id": "1", "function": {"name": "f"}, "thought_signature": "t"}),
        ("ToolCallDelta", {"index": 0, "function": {}}),
        ("ChatUsage", {}),
        ("ChatUsage", {"prompt_tokens_details": {"cached_tokens": 1, "x": 2}}),
        ("ChatMessage", {"role": "user", "content": [{"type": "text", "text": "a"}]}),
        ("ChatMessage", {"role": "user", "content": [{"type": "odd"}]}),
        ("ChatMessage", {"role": "a", "content": [{"type": "reasoning", "summary": [], "id": 1}]}),
        ("ChatCompletionRequest", {"messages": [MESSAGE], "temperature": 3}),
        ("ChatCompletionRequest", {"messages": [MESSAGE], "tool_choice": "auto", "n": 2}),
        ("ChatCompletionRequest", {"messages": []}),
        ("ResponseFormat", {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}),
        ("ParamProperty", {**NESTED, "enum": ["a", 1, 2.5, True]}),
    ],
    "responses": [
        ("ResponsesAgentRequest", {"input": "hi"}),
        ("ResponsesAgentRequest", {"input": [], "zzz": 1}),
        ("ResponsesAgentRequest", {"input": [MESSAGE, {"type": "web_search_call", "x": 1}]}),
        ("ResponsesAgentRequest", {"input": [{**MESSAGE, "status": "odd"}]}),
        (
            "ResponsesAgentRequest",
            {"input": [{**MESSAGE, "content": [{"type": "x", "text": "t"}]}]},
        ),
        ("ResponsesAgentRequest", {"input": [{**MESSAGE, "content": [{"type": "input_text"}]}]}),
        ("ResponsesAgentRequest", {"input": [{**MESSAGE, "content": [{"text": 5}]}]}),
        ("ResponsesAgentRequest", {"input": [ITEM]}),
        ("ResponsesAgentRequest", {"input": [], "truncation": "odd", "tool_choice": "odd"}),
        ("ResponsesAgentRequest", {"input": [], "tools": [{"type": "function", "name": "f"}]}),
        ("ResponsesAgentRequest", {"input": [], "tools": [{"type": "odd", "x": None}]}),
        ("ResponsesAgentRequest", {"input": [], "reasoning": {"effort": "odd"}}),
        ("ResponsesAgentResponse", {}),
        ("ResponsesAgentResponse", {"output": [], "object": "other", "zzz": 1, "status": "odd"}),
        ("ResponsesAgentResponse", {"output": [], "usage": USAGE}),
        ("ResponsesAgentResponse", {"output": [{**ITEM, "content": []}]}),
        ("ResponsesAgentResponse", {"output": [{**ITEM, "role": "user"}]}),
        ("ResponsesAgentResponse", {"output": [{**ITEM, "status": "odd"}]}),
        ("ResponsesAgentResponse", {"output": [{**ITEM, "content": [{"type": "odd"}]}]}),
        ("ResponsesAgentResponse", {"output": [{"type": "reasoning", "id": "1"}]}),
        ("ResponsesAgentResponse", {"output": [{"type": "web_search_call", "x": {"a": None}}]}),
        ("ResponsesAgentResponse", {"output": [{"type": "odd"}, {"type": "odd"}]}),
        ("ResponsesAgentResponse", {"output": [], "incomplete_details": {"reason": "odd"}}),
        ("ResponsesAgentResponse", cited(type="odd")),
        ("ResponsesAgentResponse", cited(type="url_citation", url="u")),
        ("ResponsesAgentResponse", cited(type="url_citation", url="u", title="t")),
        ("ResponsesAgentStreamEvent", {}),
        ("ResponsesAgentStreamEvent", {"type": "response.created", "zzz": 1}),
        ("ResponsesAgentStreamEvent", {"type": "response.output_item.done"}),
        ("ResponsesAgentStreamEvent", {"type": "response.output_item.done", "item": ITEM}),
        ("ResponsesAgentStreamEvent", {"type": "response.output_text.delta", "delta": "a"}),
        ("ResponsesAgentStreamEvent", {"type": "error", "message": "m"}),
        ("ResponsesAgentStreamEvent", {"type": "error"}),
        ("ResponsesAgentStreamEvent", {"type": "response.completed", "response": {"output": []}}),
        ("ResponsesAgentStreamEvent", {"type": "response.completed", "response": {}}),
    ],
}
MADE = [
    pytest.param(family, name, values, id=f"{family}-{name}-{at}")
    for family, rows in ROWS.items()
    for at, (name, values) in enumerate(rows)
]


def made(cls: Any, values: dict[str, Any], *, strict: bool) -> Any:
    try:
        if not hasattr(cls, "model_validate"):
            return (cls(**values) if strict else cls.from_dict(values)).to_dict()
        found = cls.model_validate(values, strict=strict)
        return found.model_dump(), found.model_dump(exclude_none=True), found.model_dump_json()
    except pydantic.ValidationError as error:
        return [(found["loc"], found["type"]) for found in error.errors()]
    except (TypeError, ValueError) as error:
        return TypeError if isinstance(error, TypeError) else ValueError


@pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])
@pytest.mark.parametrize(("family", "name", "values"), MADE)
def test_values_make_what_they_make_there(
    family: str, name: str, values: dict[str, Any], strict: bool
) -> None:
    ours, theirs = (
        made(getattr(module, name), values, strict=strict) for module in FAMILIES[family]
    )
    assert _plain_locations(ours) == _plain_locations(theirs)


def _plain_locations(found: Any) -> Any:
    """Return what was found, without the names of functions that pydantic puts in locations."""
    if not isinstance(found, list):
        return found
    return [
        (tuple("check" if "function-after" in str(part) else part for part in place), kind)
        for place, kind in found
    ]


CHUNKS = [
    {"id": "x", "choices": [{"delta": {"content": "Hel"}}]},
    {"id": "x", "choices": []},
    {
        "id": "x",
        "choices": [{"delta": {"content": [{"type": "reasoning", "summary": [{"text": "why"}]}]}}],
    },
    {"id": "x", "choices": [{"delta": {"content": [{"type": "text", "text": "lo"}]}}]},
    {"id": "x", "choices": [{"delta": {"content": "!"}}]},
    {
        "id": "x",
        "choices": [
            {
                "delta": {
                    "tool_calls": [
                        {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}
                    ]
                }
            }
        ],
    },
    {
        "id": "x",
        "choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}}],
    },
]
ITEMS = [
    MESSAGE,
    ITEM,
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": ""},
    {"type": "function_call_output", "call_id": "c", "output": [1]},
    {"type": "reasoning", "id": "1", "summary": [{"text": "t"}]},
    {
        "type": "mcp_approval_request",
        "id": "1",
        "arguments": "{}",
        "name": "n",
        "server_label": "s",
    },
    {"type": "mcp_approval_response", "approval_request_id": "1", "approve": True},
    {"other": 1},
]


@pytest.mark.parametrize("length", range(len(CHUNKS) + 1))
def test_chunks_become_the_items_that_they_become_there(length: int) -> None:
    results = []
    for module in FAMILIES["responses"]:
        kept: list[Any] = []
        events = list(module.output_to_responses_items_stream(iter(CHUNKS[:length]), kept))
        reduced = module.responses_agent_output_reducer(events)
        results.append(([event.model_dump() for event in events], kept, reduced))
    assert results[0] == results[1]


@pytest.mark.parametrize("item", ITEMS, ids=range(len(ITEMS)))
def test_items_become_the_messages_that_they_become_there(item: dict[str, Any]) -> None:
    ours, theirs = (module.to_chat_completions_input([item]) for module in FAMILIES["responses"])
    assert ours == theirs


def test_the_functions_make_what_they_make_there() -> None:
    for name, arguments in {
        "create_text_delta": ("d", "i"),
        "create_annotation_added": ("i", {"a": 1}),
        "create_text_output_item": ("d", "i", [{"a": 1}]),
        "create_reasoning_item": ("i", "why"),
        "create_function_call_item": ("i", "c", "f", "{}"),
        "create_function_call_output_item": ("c", "o"),
        "create_mcp_approval_request_item": ("i", "{}", "n", "s"),
        "create_mcp_approval_response_item": ("i", "a", True),
    }.items():
        ours, theirs = (getattr(module, name)(*arguments) for module in FAMILIES["responses"])
        assert ours == theirs, name


def test_text_of_an_answer_is_joined() -> None:  # MLflow raises AttributeError
    answer = responses.ResponsesAgentResponse.model_validate({"output": [ITEM, ITEM]})
    assert answer.output_text == "tt"


def test_a_dataclass_tells_every_problem() -> None:
    with pytest.raises(pyfunc.SchemaError) as caught:
        llm.ChatMessage(1, 5, tool_calls=[{"function": {}}])  # type: ignore[arg-type, list-item]
    paths = [problem.path for problem in caught.value.problems]
    assert paths == [
        "content",
        "role",
        "tool_calls[0].function.arguments",
        "tool_calls[0].function.name",
    ]


def test_methods_of_mlflow_2_are_there() -> None:
    message = agent.ChatAgentMessage(role="user", content="a")
    assert message.model_dump_compat(exclude_none=True) == {"role": "user", "content": "a"}
    assert agent.ChatAgentMessage.validate_compat({"role": "user", "content": "a"}) == message
