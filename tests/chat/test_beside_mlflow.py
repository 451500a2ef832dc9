"""What a loaded chat makes of its input, beside real MLflow 3.17.2 with the same files."""

from __future__ import annotations

import copy
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pyfunc

pytestmark = [pytest.mark.interop, pytest.mark.filterwarnings("ignore")]

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow.pyfunc

HI = [{"role": "user", "content": "hi"}]
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {
    "type": "function",
    "function": {
        "name": "f",
        "parameters": {"type": "object", "properties": {"a": {"type": "string"}}},
    },
}


def said(**message: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", **message}]}


def asked(**fields: Any) -> dict[str, Any]:
    return {"messages": HI, **fields}


def put(*items: Any, **fields: Any) -> dict[str, Any]:
    return {"input": list(items) or HI, **fields}


ROWS: dict[str, list[Any]] = {
    "model": [
        asked(),
        asked(temperature=1),
        asked(temperature="1"),
        asked(max_tokens=5),
        asked(max_tokens=5.0),
        asked(max_tokens=5.5),
        asked(stop=None),
        asked(stop=[]),
        asked(stop=["a", "b"]),
        asked(stop="x"),
        asked(stream=True),
        asked(unknown=1),
        asked(top_p=0.5, top_k=3, frequency_penalty=0.1, presence_penalty=-0.1, n=2),
        asked(tools=[TOOL]),
        asked(tools=[{"type": "other"}]),
        asked(custom_inputs={"a": {"b": [1, None]}}),
        asked(custom_inputs={}),
        asked(custom_inputs=None),
        asked(custom_inputs={1: 2}),
        said(content="a", unknown=1),
        said(content="a", name=None),
        said(content="a", name="n"),
        said(content=None),
        said(content=""),
        said(content=5),
        said(),
        said(content="a", refusal="b"),
        said(refusal="b"),
        said(tool_calls=[CALL]),
        said(tool_calls=[]),
        said(content="a", tool_calls=[]),
        said(tool_calls=[{"type": "function", "function": {"name": "f", "arguments": "{}"}}]),
        said(content="a", tool_call_id="c"),
        {"messages": [{"content": "a"}]},
        {"messages": [{"role": "robot", "content": "a"}]},
        {"messages": []},
        {"messages": None},
        {"messages": tuple(HI)},
        {"messages": np.array(HI, dtype=object)},
        {},
        HI,
        [asked()],
        [asked(), asked()],
        "hi",
        5,
        pd.DataFrame({"messages": [HI], "n": [2]}),
        pd.DataFrame({"messages": [HI, HI]}, index=[5, 6]),
        pd.DataFrame({"messages": []}),
        pd.DataFrame({"messages": [HI], "unknown": [1]}),
    ],
    "agent": [
        asked(),
        asked(context={"user_id": "u"}),
        asked(context={}),
        asked(context={"other": 1}),
        asked(context={"user_id": 5}),
        asked(custom_inputs={"a": [1]}),
        asked(custom_inputs=None),
        asked(stream=True),
        asked(unknown=1),
        said(content=""),
        said(content=None),
        said(content=["a"]),
        said(content="a", id="1"),
        said(content="a", attachments={"a": "b"}),
        said(content="a", attachments={"a": 1}),
        said(content="a", unknown=1),
        said(tool_calls=[CALL]),
        said(tool_calls=[]),
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [{"role": "tool", "content": "x", "name": "f", "tool_call_id": "1"}]},
        {"messages": []},
        {},
        HI,
        [asked()],
        pd.DataFrame({"messages": [HI, []]}),
        pd.DataFrame({"messages": [HI], "stream": [True]}),
    ],
    "responses": [
        put(),
        put(unknown=1),
        put({"role": "user", "content": "hi", "unknown": 1}),
        put({"role": "tool", "content": "x"}),
        put({"role": "developer", "content": "x"}),
        put({"role": "user", "content": ""}),
        put({"role": "user", "content": []}),
        put({"role": "user", "content": [{"text": "t"}]}),
        put({"role": "user", "content": [{"type": "input_text", "text": "t"}]}),
        put({"role": "user", "content": [{"type": "input_text"}]}),
        put({"role": "user", "content": [{"type": "input_image", "image_url": "data:"}]}),
        put({"role": "user", "content": [{"type": "other"}]}),
        put({"role": "assistant", "content": [{"type": "output_text", "text": "t"}], "id": "1"}),
        put({"role": "user", "content": "x", "status": "odd"}),
        put({"role": "user", "content": "x", "status": "completed"}),
        put({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}),
        put({"type": "function_call", "name": "f"}),
        put({"type": "function_call_output", "call_id": "c", "output": "x"}),
        put({"type": "function_call_output", "call_id": "c", "output": [{"type": "x"}]}),
        put({"type": "reasoning", "id": "1", "summary": [{"text": "why"}]}),
        put({"type": "reasoning", "id": "1"}),
        put(
            {
                "type": "mcp_approval_request",
                "id": "1",
                "arguments": "",
                "name": "n",
                "server_label": "s",
            }
        ),
        put({"type": "mcp_approval_response", "approval_request_id": "1", "approve": True}),
        put({"type": "web_search_call", "x": {"y": None}}),
        put({"type": "other"}),
        put("hi"),
        put(5),
        {"input": "hi"},
        {"input": []},
        {"input": None},
        {},
        asked(),
        HI,
        [put()],
        put(tools=[{"type": "web_search"}]),
        put(tools=[{"type": "odd"}]),
        put(tool_choice={"type": "function", "name": "a"}),
        put(tool_choice="odd"),
        put(tool_choice="auto", truncation="odd"),
        put(metadata={"a": "b"}),
        put(metadata={"a": 1}),
        put(temperature=1),
        put(text={"format": {"type": "text"}}),
        put(reasoning={"effort": "low"}),
        put(reasoning={"effort": "low", "x": 1}),
        put(context={"user_id": "u"}),
        put(custom_inputs={"a": {"b": None}}),
        put(stream=True, store=False, background=True, parallel_tool_calls=True, user="u"),
        pd.DataFrame({"input": [HI], "temperature": [0.5]}),
    ],
}
# Taken here and refused by MLflow, or other than there; each is told in docs/differences.md.
BETTER: dict[str, list[Any]] = {
    "model": [
        asked(max_tokens=None),
        asked(temperature=None),
        said(content=[{"type": "text", "text": "a"}]),
        asked(tools=[{"type": "function", "function": {"name": "f"}}]),
        asked(tools=[{**TOOL, "x": 1}]),
        asked(
            tools=[
                {
                    "type": "function",
                    "function": {
                        "name": "f",
                        "parameters": {
                            "properties": {
                                "a": {
                                    "type": "array",
                                    "items": {"type": "array", "items": {"type": "string"}},
                                }
                            }
                        },
                    },
                }
            ]
        ),
    ],
    "agent": [asked(context=None), pd.DataFrame({"messages": [HI], "context": [None]})],
    "responses": [
        put(max_output_tokens=None, temperature=None, context=None),
        put(tools=[{"type": "function", "name": "f", "parameters": {}}]),
    ],
}


def cases(table: dict[str, list[Any]]) -> list[Any]:
    return [
        pytest.param(kind, data, id=f"{kind}-{at}")
        for kind, rows in table.items()
        for at, data in enumerate(rows)
    ]


@pytest.fixture(scope="module")
def pairs(echoes: dict[str, Path]) -> dict[str, tuple[Any, Any]]:
    return {
        kind: (pyfunc.load_model(path), mlflow.pyfunc.load_model(str(path)))
        for kind, path in echoes.items()
    }


def copied(data: Any) -> Any:
    """Return a copy down to the last dict: MLflow writes into those of the caller."""
    if isinstance(data, pd.DataFrame):
        return pd.DataFrame(copy.deepcopy(data.to_dict("list")), index=data.index)
    return copy.deepcopy(data)


def outcome(model: Any, data: Any, method: str = "predict") -> tuple[str, Any]:
    try:
        found = getattr(model, method)(data)
        return "ok", list(found) if method == "predict_stream" else found
    except Exception as error:
        code = getattr(error, "error_code", None)
        return "refused", code if isinstance(code, str) and code != "INTERNAL_ERROR" else None


@pytest.mark.parametrize(("kind", "data"), cases(ROWS))
def test_input_has_the_outcome_that_it_has_there(
    pairs: dict[str, tuple[Any, Any]], kind: str, data: Any
) -> None:
    ours, theirs = (outcome(model, copied(data)) for model in pairs[kind])
    assert ours[0] == theirs[0]
    if ours[0] == "ok":
        assert ours[1] == theirs[1]
    elif theirs[1] is not None:
        assert ours[1] in (theirs[1], "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize(("kind", "data"), cases(BETTER))
def test_input_is_taken_that_is_not_taken_there(
    pairs: dict[str, tuple[Any, Any]], kind: str, data: Any
) -> None:
    ours, theirs = (outcome(model, copied(data)) for model in pairs[kind])
    assert ours[0] == "ok"
    assert ours != theirs


@pytest.mark.parametrize("kind", ["model", "agent", "responses"])
def test_the_same_stream(pairs: dict[str, tuple[Any, Any]], kind: str) -> None:
    data = put() if kind == "responses" else said(content="a b c")
    ours, theirs = (outcome(model, copied(data), "predict_stream") for model in pairs[kind])
    assert ours == theirs
    assert ours[0] == "ok"
    assert len(ours[1]) > 1
    assert all(type(part) is dict for part in ours[1])


@pytest.mark.parametrize("kind", ["model", "agent", "responses"])
def test_the_users_object_is_given_out(echoes: dict[str, Path], kind: str) -> None:
    model = pyfunc.load_model(echoes[kind])
    assert type(model.unwrap_python_model()).__name__.startswith("Echo")
    assert model.get_raw_model() is model.unwrap_python_model()


def test_the_callers_data_is_not_changed(echoes: dict[str, Path]) -> None:
    data = asked(tools=[TOOL], temperature=1)
    before = copy.deepcopy(data)
    pyfunc.load_model(echoes["model"]).predict(data)
    assert data == before
    assert json.dumps(data) == json.dumps(before)


def test_a_tool_of_an_answer_reaches_the_agent_whole(echoes: dict[str, Path]) -> None:
    tool = {"type": "function", "name": "f", "parameters": {"a": {"b": None}}}
    answer = pyfunc.load_model(echoes["responses"]).predict(put(tools=[tool]))
    assert json.loads(answer["output"][0]["content"][0]["text"])["tools"] == [tool]


def test_null_is_not_given(echoes: dict[str, Path]) -> None:
    model = pyfunc.load_model(echoes["model"])
    nulls = dict.fromkeys(["temperature", "max_tokens", "n", "stream", "stop", "tools"])
    assert model.predict(asked(**nulls)) == model.predict(asked())


def test_every_problem_is_told_at_once(echoes: dict[str, Path]) -> None:
    model = pyfunc.load_model(echoes["agent"])
    bad = [{"role": "tool", "content": "x"}, {"role": "user"}]
    with pytest.raises(pyfunc.SchemaError) as caught:
        model.predict({"messages": bad})
    assert [problem.path for problem in caught.value.problems] == ["messages[0]", "messages[1]"]
