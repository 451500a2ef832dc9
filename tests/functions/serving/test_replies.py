from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from pyfunc.errors import InvalidArgumentError
from pyfunc.functions.events import Response
from pyfunc.functions.outputs import handler, parse_entries
from pyfunc.functions.replies import Replies, Stream
from pyfunc.serving.http.messages import Reply

TEXT = "text/plain; charset=utf-8"
BINARY = "application/octet-stream"
JSON = "application/json"
FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [0.5, float("nan")]})
RECORDS = '[{"a": 1, "b": "x", "c": 0.5}, {"a": 2, "b": null, "c": null}]'


def reply(value: object, **options: Any) -> Reply:
    answered = Replies(**options).reply(value)
    assert isinstance(answered, Reply)
    return answered


@pytest.mark.parametrize(
    ("value", "status", "content_type", "body"),
    [
        pytest.param("text é", 200, TEXT, "text é", id="text"),
        pytest.param(b"raw", 200, BINARY, "raw", id="bytes"),
        pytest.param({"a": 1}, 200, JSON, '{"a":1}', id="dict"),
        pytest.param([1, None], 200, JSON, "[1,null]", id="list"),
        pytest.param((201, "x"), 201, TEXT, "x", id="status-text"),
        pytest.param((404, {"a": 1}), 404, JSON, '{"a":1}', id="status-json"),
        pytest.param((202, b"x"), 202, BINARY, "x", id="status-bytes"),
        pytest.param((200, 5), 200, JSON, "5", id="status-number"),
        pytest.param(None, 200, TEXT, "None", id="none"),
        pytest.param(5, 200, TEXT, "5", id="int"),
        pytest.param(True, 200, TEXT, "True", id="bool"),
        pytest.param((1, 2, 3), 200, TEXT, "(1, 2, 3)", id="tuple"),
        pytest.param(Response(body="b"), 200, TEXT, "b", id="response"),
        pytest.param(Response(), 200, TEXT, "", id="empty-response"),
        pytest.param(Response(body={"a": 1}, status_code=202), 202, JSON, '{"a":1}', id="json"),
        pytest.param(
            Response(body=b"q", content_type="image/png"), 200, "image/png", "q", id="png"
        ),
        pytest.param(
            Response(body="<p>", headers={"Content-Type": "text/html"}),
            200,
            "text/html",
            "<p>",
            id="type-in-headers",
        ),
        pytest.param(FRAME, 200, JSON, RECORDS, id="frame"),
        pytest.param(pd.Series([1, 2], name="s"), 200, JSON, '[{"s": 1}, {"s": 2}]', id="series"),
        pytest.param(np.array([[1, 2]]), 200, JSON, "[[1, 2]]", id="array"),
        pytest.param(np.float64("nan"), 200, JSON, "null", id="numpy-scalar"),
        pytest.param({"n": float("nan")}, 200, JSON, '{"n":null}', id="nan"),
        pytest.param(
            {"rows": FRAME, "n": np.int64(3), "deep": [np.array([1])]},
            200,
            JSON,
            f'{{"rows":{RECORDS},"n":3,"deep":[[1]]}}',
            id="deep",
        ),
        pytest.param({"t": dt.date(2026, 1, 2)}, 200, JSON, '{"t":"2026-01-02"}', id="date"),
        pytest.param([2**70], 200, JSON, "[1180591620717411303424]", id="long-integer"),
    ],
)
def test_a_value_is_answered(value: object, status: int, content_type: str, body: str) -> None:
    answered = reply(value)
    assert answered.status == status
    assert answered.content_type.decode() == content_type
    assert answered.body.decode() == body


@pytest.mark.parametrize(
    ("value", "content_type", "body"),
    [
        pytest.param({"a": 1}, JSON, '{"a": 1}', id="spaces"),
        pytest.param({"a": float("nan")}, JSON, '{"a": "NaN"}', id="nan"),
        pytest.param((200, b"x"), JSON, "\"b'x'\"", id="status-bytes"),
        pytest.param(b"raw", TEXT, "raw", id="bytes"),
        pytest.param(Response(), TEXT, "None", id="empty-response"),
        pytest.param(np.array([1, 2]), TEXT, "[1 2]", id="array"),
        pytest.param(
            {"d": dt.date(2020, 1, 1)}, JSON, '{"d": "datetime.date(2020, 1, 1)"}', id="repr"
        ),
    ],
)
def test_compat_answers_as_upstream(value: object, content_type: str, body: str) -> None:
    answered = reply(value, compat="digitalhub")
    assert (answered.content_type.decode(), answered.body.decode()) == (content_type, body)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
def test_whatever_is_raised_is_a_failure(
    serve: Callable[..., httpx.Client], kind: type[BaseException]
) -> None:
    def function() -> None:
        raise kind

    answer = serve(function).get("/")
    assert answer.status_code == 500
    assert "the function failed" in answer.json()["message"]


def test_a_generator_has_a_status(serve: Callable[..., httpx.Client]) -> None:
    answer = serve(lambda: (203, (part for part in ("a", "b")))).get("/")
    assert (answer.status_code, answer.text) == (203, "ab")


def test_numbers_are_values_of_headers(serve: Callable[..., httpx.Client]) -> None:
    headers: Any = {"x-one": 1, "x-two": (2, 3)}
    answer = serve(lambda: Response(headers=headers)).get("/")
    assert answer.headers.get_list("x-one") == ["1"]
    assert answer.headers.get_list("x-two") == ["2", "3"]


def test_nan_may_be_a_text() -> None:
    assert reply({"n": float("nan")}, nan="string").body == b'{"n":"NaN"}'


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(("a", "b"), "a status is an integer", id="no-status"),
        pytest.param((True, "b"), "a status is an integer", id="bool"),
        pytest.param((100, "b"), "a status is an integer", id="informational"),
        pytest.param(Response(headers={"x": "a\r\nb: c"}), "a header is one line", id="header"),
        pytest.param(Response(headers={"x": "a\x01"}), "control characters", id="control"),
        pytest.param(Response(headers={"x\r\n": "a"}), "is a token", id="name"),
        pytest.param(Response(headers={"a b": "a"}), "is a token", id="name-with-space"),
        pytest.param(Response(headers={"": "a"}), "is a token", id="no-name"),
        pytest.param(Response(headers={"é": "a"}), "is a token", id="name-of-another-script"),
        pytest.param(Response(headers={"x": "€"}), "expected Latin-1", id="latin"),
        pytest.param(Response(content_type="a\nb"), "a header is one line", id="type"),
        pytest.param({"a": object()}, "has no JSON form", id="object"),
    ],
)
def test_what_cannot_be_answered_is_the_functions_fault(value: object, message: str) -> None:
    with pytest.raises(ValueError if "JSON" not in message else TypeError, match=message):
        reply(value)


def test_headers_of_a_response_are_sent(serve: Callable[..., httpx.Client]) -> None:
    headers = {"X-One": "1", "Set-Cookie": ["a=1", "b=2"], "Content-Length": "999"}
    answer = serve(lambda: Response(headers=headers, body="ok")).get("/")
    assert answer.headers["x-one"] == "1"
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert answer.headers.get_list("content-length") == ["2"]


@pytest.mark.parametrize(
    ("outputs", "value", "body"),
    [
        pytest.param(["result"], "text", {"result": "text"}, id="one"),
        pytest.param(["data", "n"], (FRAME, np.int64(1)), {"data": json.loads(RECORDS), "n": 1}),
        pytest.param([], 5, {"output_0": 5}, id="unnamed"),
        pytest.param(["a"], (1, 2), {"a": 1, "output_1": 2}, id="rest"),
        pytest.param([{"name": "m", "kind": "table"}], FRAME, {"m": json.loads(RECORDS)}),
        pytest.param(["a"], [1, 2], {"a": [1, 2]}, id="list-is-one"),
        pytest.param(["a"], None, {}, id="none"),
    ],
)
def test_a_decorated_function_answers_with_its_outputs(
    serve: Callable[..., httpx.Client], outputs: Any, value: object, body: object
) -> None:
    def function() -> object:
        return value

    answer = serve(handler(outputs)(function)).get("/")
    assert (answer.status_code, answer.json()) == (200, body)


def test_a_decorated_function_may_say_more(serve: Callable[..., httpx.Client]) -> None:
    def function() -> object:
        return Response(body=(1, 2), status_code=202)

    answer = serve(handler(["a", "b"])(function)).get("/")
    assert (answer.status_code, answer.json()) == (202, {"a": 1, "b": 2})


def test_two_outputs_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="called 'output_1'"):
        reply((1, 2), outputs=parse_entries(["output_1"]))


def test_a_generator_is_a_stream() -> None:
    def parts() -> Iterator[str]:
        yield "a"

    answered = Replies().reply(Response(body=parts(), content_type="text/csv", status_code=203))
    assert isinstance(answered, Stream)
    assert (answered.status, answered.content_type) == (203, b"text/csv")


@dataclasses.dataclass
class Unspeakable:
    """Its text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_a_failure_is_told_by_an_id(
    serve: Callable[..., httpx.Client], caplog: pytest.LogCaptureFixture
) -> None:
    def function() -> None:
        raise KeyError("a secret")

    answer = serve(function).get("/")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["error_id"] in caplog.text
    assert "KeyError: 'a secret'" in caplog.text
    assert serve(Unspeakable).get("/").status_code == 500


def test_debug_shows_a_failure(serve: Callable[..., httpx.Client]) -> None:
    def function() -> None:
        raise KeyError("shown")

    tree = serve(function, debug=True).get("/").json()
    assert tree["message"] == "the function failed: KeyError: 'shown'"
    assert "in function" in tree["stack_trace"]


def test_compat_shows_a_failure_as_upstream(serve: Callable[..., httpx.Client]) -> None:
    def function() -> None:
        raise ValueError("shown")

    answer = serve(function, compat="digitalhub").get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (500, TEXT)
    assert answer.text.startswith('Exception caught in handler - "shown": Traceback')
