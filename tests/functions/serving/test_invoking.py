from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from pyfunc.errors import InvalidArgumentError
from pyfunc.functions.events import Event, Response
from pyfunc.functions.invoking import InvokeError, invoke


def echo(event: Event) -> object:
    if event.path == "/wrong":
        return Response(body="no such thing é", status_code=404)
    body = event.body
    return {
        "method": event.method,
        "url": event.url,
        "body": body.decode() if isinstance(body, bytes) else body,
        "type": event.content_type,
        "x": event.get_header("x"),
    }


@pytest.fixture
def url(serve: Callable[..., httpx.Client]) -> str:
    base = serve(echo).base_url
    return f"{base.host}:{base.port}"


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        pytest.param({}, {"method": "POST", "body": "", "type": None}, id="nothing"),
        pytest.param({"method": "get"}, {"method": "GET"}, id="method"),
        pytest.param({"json": {"a": [1]}}, {"body": {"a": [1]}, "type": "application/json"}),
        pytest.param({"data": b"raw"}, {"body": "raw", "type": None}, id="bytes"),
        pytest.param({"data": "é"}, {"body": "é"}, id="text"),
        pytest.param(
            {"data": {"a": "1"}},
            {"body": "a=1", "type": "application/x-www-form-urlencoded"},
            id="form",
        ),
        pytest.param({"params": {"a": [1, 2], "b": "x y"}}, {"url": "/?a=1&a=2&b=x+y"}),
        pytest.param({"headers": {"X": "1"}}, {"x": "1"}, id="header"),
        pytest.param(
            {"json": 1, "headers": {"Content-Type": "application/json; charset=utf-8"}},
            {"body": 1, "type": "application/json; charset=utf-8"},
            id="own-type",
        ),
    ],
)
def test_the_arguments_of_requests_reach_the_function(
    url: str, options: Any, seen: dict[str, object]
) -> None:
    answer = invoke(url, **options)
    tree = answer.json()
    assert isinstance(tree, dict)
    assert {name: tree[name] for name in seen} == seen
    assert answer.ok
    assert answer.headers["CONTENT-TYPE"] == "application/json"
    answer.raise_for_status()


def test_a_path_and_query_in_the_url_are_kept(url: str) -> None:
    tree = invoke(f"http://{url}/a/b?c=1", params={"d": 2}).json()
    assert isinstance(tree, dict)
    assert tree["url"] == "/a/b?c=1&d=2"


def test_an_answer_that_is_an_error_can_be_raised(url: str) -> None:
    answer = invoke(f"{url}/wrong")
    assert (answer.status_code, answer.ok, answer.text) == (404, False, "no such thing é")
    assert repr(answer) == "<Answer [404]>"
    with pytest.raises(InvokeError, match="404 Not Found: no such thing"):
        answer.raise_for_status()


def test_nobody_answers() -> None:
    with pytest.raises(InvokeError, match="no answer from http://127"):
        invoke("127.0.0.1:9")


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        pytest.param("ftp://x", {}, "http or https", id="scheme"),
        pytest.param("http://", {}, "http or https", id="host"),
        pytest.param("x", {"json": 1, "data": b""}, "not both", id="bodies"),
    ],
)
def test_a_call_that_makes_no_sense_is_refused(url: str, options: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        invoke(url, **options)
