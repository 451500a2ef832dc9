from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from pyfunc.errors import InvalidArgumentError
from pyfunc.functions.app import create_function_app
from pyfunc.functions.events import Context, Event, Logger, Response

JSON = [(b"content-type", b"application/json")]


@pytest.mark.parametrize(
    ("header", "compat", "body"),
    [
        pytest.param(b"application/json", None, {"a": 1}, id="json"),
        pytest.param(b"application/json; charset=utf-8", None, {"a": 1}, id="parameters"),
        pytest.param(b"Application/JSON", None, {"a": 1}, id="letters"),
        pytest.param(b"text/plain", None, b'{"a": 1}', id="text"),
        pytest.param(b"application/json", "digitalhub", {"a": 1}, id="upstream-json"),
        pytest.param(
            b"application/json; charset=utf-8",
            "digitalhub",
            b'{"a": 1}',
            id="upstream-parameters",
        ),
    ],
)
def test_a_body_is_read_by_its_media_type(header: bytes, compat: Any, body: object) -> None:
    event = Event(b'{"a": 1}', headers=[(b"content-type", header)], compat=compat)
    assert event.body == body


@pytest.mark.parametrize("raw", [b"{", b"\xff", b"[" * 100_000, b'{"a": NaN}'])
def test_what_is_no_json_stays_bytes_and_is_logged(
    raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert Event(raw, headers=JSON).body == raw
    assert "stays bytes" in caplog.text


def test_upstream_takes_nan() -> None:
    body = Event(b'{"a": NaN}', headers=JSON, compat="digitalhub").body
    assert isinstance(body, dict)
    assert body["a"] != body["a"]


def test_an_event_tells_of_its_request(serve: Callable[..., httpx.Client]) -> None:
    seen: list[Event] = []

    def function(event: Event) -> str:
        seen.append(event)
        return "ok"

    client = serve(function)
    client.request("PATCH", "/a/b?x=1&x=2&y=", headers={"X-Mixed-Case": "v"}, content=b"body")
    (event,) = seen
    assert (event.method, event.path, event.url) == ("PATCH", "/a/b", "/a/b?x=1&x=2&y=")
    assert event.fields == {"x": "2", "y": ""}
    assert event.get_header("x-mIXed-case") == "v"
    assert event.headers["X-Mixed-Case"] == event.headers["x-mixed-case"] == "v"
    assert "X-Mixed-Case" in list(event.headers)
    assert event.get_header("absent") is None
    assert (event.body, event.size, event.content_type) == (b"body", 4, None)
    assert (event.trigger.kind, event.trigger.name) == ("http", "http")
    assert event.timestamp.tzinfo is dt.timezone.utc
    assert event.id == event.id != Event().id


def test_the_fields_of_a_form_are_fields() -> None:
    header = [(b"content-type", b"application/x-www-form-urlencoded")]
    assert Event(b"b=2", headers=header, query=b"a=1").fields == {"a": "1", "b": "2"}


def test_a_logger_writes_fields(caplog: pytest.LogCaptureFixture) -> None:
    logger = Logger(logging.getLogger("pyfunc.functions"), a=1)
    with caplog.at_level(logging.DEBUG, "pyfunc.functions"):
        logger.info_with("made", rows=3)
        logger.bind(b="x").warn("part %d of %d", 1, 2)
        logger.debug("100%")
        try:
            int("the cause")
        except ValueError:
            logger.exception("failed")
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["made a=1 rows=3", "part 1 of 2 a=1 b='x'", "100% a=1", "failed a=1"]
    assert "the cause" in caplog.text


def test_a_context_keeps_what_is_set_on_it() -> None:
    context = Context(worker_id=3)
    context.model = "m"
    context.user_data.count = 1
    assert (context.model, context.user_data.count, context.worker_id) == ("m", 1, 3)
    assert context.Response is Response
    with pytest.raises(AttributeError, match="init function"):
        _ = context.nothing


def test_an_unknown_compat_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="digitalhub"):
        create_function_app(lambda: None, compat="nuclio")  # type: ignore[arg-type]
