"""Predictions in parts: the events, and what ends a stream."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from pyfunc.schema import ColSpec, ParamSchema, ParamSpec, Schema

AppOf = Callable[..., Any]
Live = Callable[..., Any]
PATH = "/invocations/stream"


def no_predict(data: Any, params: Any) -> Any:
    raise AssertionError("a stream does not call predict")


def count(data: Any, params: Any) -> Iterator[Any]:
    for number in range(3):
        yield {"part": number, "of": data}


def events_of(text: str) -> list[tuple[str, Any]]:
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append((fields.get("event", "message"), json.loads(fields["data"])))
    return found


def test_each_part_is_an_event(ask: Callable[..., Any], app_of: AppOf) -> None:
    app = app_of(no_predict, stream=count)
    response = ask(app, PATH, {"prompt": "x\ny"})
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    parts = [("message", {"part": n, "of": {"prompt": "x\ny"}}) for n in range(3)]
    assert events_of(response.text) == [*parts, ("end", {})]
    assert "pyfunc_requests_total" in ask(app, "/metrics").text


def test_params_and_the_signature_hold_for_streams(ask: Callable[..., Any], app_of: AppOf) -> None:
    def stream(data: Any, params: Any) -> Iterator[Any]:
        yield from range(params["n"])

    app = app_of(
        no_predict,
        Schema([ColSpec("string", "prompt")]),
        stream=stream,
        params=ParamSchema([ParamSpec("n", "long", 2)]),
    )
    response = ask(app, PATH, {"prompt": "x", "n": 1})
    assert events_of(response.text) == [("message", 0), ("end", {})]
    assert ask(app, PATH, {"prompt": "x", "n": "y"}).status_code == 400
    assert ask(app, PATH, "{").status_code == 400
    assert ask(app, PATH, {"other": 1, "input": 2}).status_code == 400


@pytest.mark.parametrize("after", [0, 1], ids=["at-once", "later"])
def test_an_error_is_a_status_before_the_first_part_and_an_event_later(
    ask: Callable[..., Any], app_of: AppOf, after: int
) -> None:
    def stream(data: Any, params: Any) -> Iterator[Any]:
        yield from range(after)
        raise ValueError("secret")

    response = ask(app_of(no_predict, stream=stream), PATH, {"prompt": "x"})
    assert "secret" not in response.text
    if not after:
        assert response.status_code == 500
        assert response.json()["error_id"]
        return
    (_, part), (event, error) = events_of(response.text)
    assert (part, event, error["error_code"]) == (0, "error", "INTERNAL_ERROR")


def test_a_part_without_json_form_ends_the_stream(ask: Callable[..., Any], app_of: AppOf) -> None:
    app = app_of(no_predict, stream=lambda data, params: iter([1, object()]))
    assert [event for event, _ in events_of(ask(app, PATH, {"prompt": "x"}).text)] == [
        "message",
        "error",
    ]


def test_an_empty_stream_only_ends(ask: Callable[..., Any], app_of: AppOf) -> None:
    app = app_of(no_predict, stream=lambda data, params: iter(()))
    assert events_of(ask(app, PATH, {"prompt": "x"}).text) == [("end", {})]


def test_parts_arrive_while_the_model_works_on_the_next(app_of: AppOf, live: Live) -> None:
    opened = threading.Event()

    def stream(data: Any, params: Any) -> Iterator[Any]:
        yield "first"
        assert opened.wait(60)
        yield "second"

    app = app_of(no_predict, stream=stream)
    with live(app) as port:
        url = f"http://127.0.0.1:{port}{PATH}"
        with requests.post(url, json={"prompt": "x"}, stream=True, timeout=60) as response:
            lines = response.iter_lines()
            assert next(lines) == b'data: "first"'
            opened.set()
            assert [line for line in lines if line] == [
                b'data: "second"',
                b"event: end",
                b"data: {}",
            ]


def test_a_client_that_goes_away_ends_the_generator(app_of: AppOf, live: Live) -> None:
    ended = threading.Event()

    def stream(data: Any, params: Any) -> Iterator[Any]:
        try:
            while True:
                time.sleep(0.01)
                yield "x" * 1000
        finally:
            ended.set()

    app = app_of(no_predict, stream=stream)
    with live(app) as port:
        url = f"http://127.0.0.1:{port}{PATH}"
        with requests.post(url, json={"prompt": "x"}, stream=True, timeout=60) as response:
            next(response.iter_lines())
        assert ended.wait(60)


def test_a_part_that_takes_too_long_ends_the_stream(
    ask: Callable[..., Any], app_of: AppOf
) -> None:
    opened = threading.Event()

    def stream(data: Any, params: Any) -> Iterator[Any]:
        yield 1
        opened.wait(60)

    app = app_of(no_predict, stream=stream, settings={"predict_timeout": 1.5, "threads": 2})
    (_, part), (event, error) = events_of(ask(app, PATH, {"prompt": "x"}).text)
    opened.set()
    assert (part, event, error["error_code"]) == (1, "error", "DEADLINE_EXCEEDED")


def test_too_many_streams_are_refused(app_of: AppOf, live: Live) -> None:
    opened = threading.Event()

    def stream(data: Any, params: Any) -> Iterator[Any]:
        yield 1
        assert opened.wait(60)

    app = app_of(no_predict, stream=stream, settings={"max_streams": 1})
    with live(app) as port:
        url = f"http://127.0.0.1:{port}{PATH}"
        with requests.post(url, json={"prompt": "x"}, stream=True, timeout=60) as first:
            lines = first.iter_lines()
            next(lines)
            assert requests.post(url, json={"prompt": "x"}, timeout=60).status_code == 503
            opened.set()
            assert b"event: end" in list(lines)
        while requests.post(url, json={"prompt": "x"}, timeout=60).status_code != 200:
            time.sleep(0.01)
