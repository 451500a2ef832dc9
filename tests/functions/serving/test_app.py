from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

from pyfunc.functions.app import create_function_app
from pyfunc.functions.awaiting import Awaiter
from pyfunc.functions.events import Context, Event, Response


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
@pytest.mark.parametrize("path", ["/", "/a/b", "/metrics", "/-/other", "/a%20b%3F"])
def test_every_method_and_path_reach_the_function(
    serve: Callable[..., httpx.Client], method: str, path: str
) -> None:
    client = serve(lambda event: Response(headers={"x-seen": f"{event.method} {event.url}"}))
    seen = client.request(method, path).headers["x-seen"]
    assert seen == f"{method} {path}"


def test_two_paths_are_those_of_the_server(serve: Callable[..., httpx.Client]) -> None:
    client = serve(lambda: "mine")
    assert client.get("/").text == "mine"
    assert client.get("/-/ready").text == "ready\n"
    metrics = client.get("/-/metrics").text
    assert 'pyfunc_requests_total{endpoint="function",status="200"} 1.0' in metrics
    without = serve(lambda: "mine", limits={"metrics": False})
    assert without.get("/-/metrics").text == "mine"


def test_the_function_gets_what_is_reserved(serve: Callable[..., Any]) -> None:
    def function(project: str, run: str, context: Context, event: Event) -> object:
        context.logger.info("called")
        return [project, run, context.project, context.run, context.worker_id]

    client = serve(function, project="p", run="r", worker_id=7)
    assert client.get("/").json() == ["p", "r", "p", "r", 7]
    assert client.app.context.user_function is function


def test_init_runs_once_before_the_first_request(serve: Callable[..., httpx.Client]) -> None:
    def init(context: Context, start: int) -> None:
        context.count = start

    def function(context: Context) -> str:
        context.count += 1
        return str(context.count)

    client = serve(function, init=init, init_parameters={"start": 10})
    assert [client.get("/").text for _ in range(2)] == ["11", "12"]


def test_init_may_be_a_coroutine(serve: Callable[..., httpx.Client]) -> None:
    async def init(context: Context) -> None:
        await asyncio.sleep(0)
        context.made = "made"

    assert serve(lambda context: context.made, init=init).get("/").text == "made"


def test_without_init_no_request_is_answered() -> None:
    def init(context: Context) -> None:
        raise OSError("no weights")

    app: Any = create_function_app(lambda: "ok", init=init)
    sent = asyncio.run(_start(app))
    assert sent == [
        {
            "type": "lifespan.startup.failed",
            "message": "the init function failed: OSError: no weights",
        }
    ]
    assert not app.is_ready
    transport = httpx.ASGITransport(app)

    async def ask(path: str) -> int:
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return (await client.get(path)).status_code

    assert [asyncio.run(ask(path)) for path in ("/", "/-/ready")] == [503, 503]


async def _start(app: Any) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app({"type": "lifespan"}, receive, send)
    return sent


def test_a_coroutine_is_awaited(serve: Callable[..., httpx.Client]) -> None:
    async def function(event: Event) -> object:
        left = asyncio.create_task(asyncio.sleep(600))  # does not outlive the request
        done = await asyncio.create_task(asyncio.sleep(0, "done"))
        return [done, left.done()]

    client = serve(function)
    assert [client.get("/").json() for _ in range(3)] == [["done", False]] * 3


def test_a_coroutine_that_blocks_stops_no_other_request(
    serve: Callable[..., httpx.Client],
) -> None:
    release, entered = threading.Event(), threading.Event()

    async def function(event: Event) -> str:
        if event.path == "/block":
            entered.set()
            release.wait(60)
        return "ok"

    client = serve(function, limits={"threads": 2})
    blocked = threading.Thread(target=client.get, args=("/block",))
    blocked.start()
    try:
        assert entered.wait(60)
        assert client.get("/").text == "ok"
        assert client.get("/-/ready").status_code == 200
    finally:
        release.set()
        blocked.join()


def test_tasks_that_a_coroutine_leaves_are_cancelled() -> None:
    ended: list[str] = []

    async def left() -> None:
        try:
            await asyncio.sleep(600)
        finally:
            ended.append("left")

    async def work() -> int:
        task = asyncio.create_task(left())
        await asyncio.sleep(0)
        return id(task) and 1

    awaiter = Awaiter(None)
    try:
        assert awaiter.wait(work()) == 1
        assert ended == ["left"]
    finally:
        awaiter.close()


@pytest.mark.parametrize(("compat", "status"), [(None, 504), ("digitalhub", 408)])
@pytest.mark.parametrize("kind", ["thread", "coroutine"])
def test_a_call_that_takes_too_long_is_given_up(
    serve: Callable[..., httpx.Client], compat: Any, status: int, kind: str
) -> None:
    release = threading.Event()

    def blocking() -> None:
        release.wait(60)

    async def waiting() -> None:
        await asyncio.sleep(60)

    function: Any = blocking if kind == "thread" else waiting
    client = serve(function, compat=compat, limits={"predict_timeout": 0.1, "threads": 1})
    try:
        answer = client.get("/")
        assert answer.status_code == status
        assert "no answer within 0.1 seconds" in answer.json()["message"]
    finally:
        release.set()


def test_a_coroutine_that_takes_too_long_frees_its_thread(
    serve: Callable[..., httpx.Client],
) -> None:
    async def function(event: Event) -> str:
        await asyncio.sleep(600 if event.path == "/slow" else 0)
        return "ok"

    client = serve(function, limits={"predict_timeout": 1.0, "threads": 1})
    assert client.get("/slow").status_code == 504
    while client.get("/").status_code != 200:
        time.sleep(0.01)


def test_a_function_does_not_end_the_server(serve: Callable[..., httpx.Client]) -> None:
    client = serve(lambda event: sys.exit(3) if event.path == "/end" else "ok")
    assert client.get("/end").status_code == 500
    assert client.get("/").text == "ok"


def test_limits_hold(serve: Callable[..., httpx.Client]) -> None:
    client = serve(lambda event: str(event.size), limits={"max_body_bytes": 10})
    assert client.post("/", content=b"x" * 10).text == "10"
    assert client.post("/", content=b"x" * 11).status_code == 413
    chunked = client.post("/", content=iter([b"x" * 6, b"y" * 6]))
    assert chunked.status_code == 413
    packed = client.post("/", content=b"x", headers={"content-encoding": "gzip"})
    assert packed.status_code == 415


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_parts_are_streamed(serve: Callable[..., httpx.Client], kind: str) -> None:
    going = threading.Semaphore(0)

    def plain() -> Iterator[str]:
        yield "first"
        going.acquire(timeout=60)
        yield "second"

    async def parts() -> AsyncIterator[str]:
        for part in plain():
            await asyncio.sleep(0)
            yield part

    client = serve(plain if kind == "plain" else parts)
    with client.stream("GET", "/") as answer:
        received = answer.iter_text()
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert next(received) == "first"  # while the second is still being made
        going.release()
        assert list(received) == ["second"]


@pytest.mark.parametrize(
    ("parts", "status", "content_type", "body"),
    [
        pytest.param([], 200, "text/plain; charset=utf-8", b"", id="none"),
        pytest.param([b"a", b"b"], 200, "application/octet-stream", b"ab", id="bytes"),
        pytest.param(
            [{"a": 1}, [2]], 200, "application/x-ndjson", b'{"a":1}\n[2]\n', id="json-lines"
        ),
        pytest.param(
            [Response(body="a", status_code=206, content_type="text/csv"), "b"],
            206,
            "text/csv",
            b"ab",
            id="response-first",
        ),
    ],
)
def test_the_first_part_says_what_a_stream_is(
    serve: Callable[..., httpx.Client],
    parts: list[object],
    status: int,
    content_type: str,
    body: bytes,
) -> None:
    def function() -> Iterator[object]:
        yield from parts

    answer = serve(function).get("/")
    assert (answer.status_code, answer.content) == (status, body)
    assert answer.headers["content-type"] == content_type


def test_a_stream_that_fails_at_once_is_an_error(serve: Callable[..., httpx.Client]) -> None:
    def function() -> Iterator[str]:
        yield str(1 // 0)

    assert serve(function).get("/").status_code == 500


def test_a_stream_that_fails_later_is_cut(
    serve: Callable[..., httpx.Client], caplog: pytest.LogCaptureFixture
) -> None:
    def function() -> Iterator[str]:
        yield "first"
        raise ValueError("the later cause")

    with pytest.raises(httpx.RemoteProtocolError):
        serve(function).get("/")
    assert "the later cause" in caplog.text


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_generator_ends_when_its_client_goes(
    serve: Callable[..., httpx.Client], kind: str
) -> None:
    closed = threading.Event()

    def plain() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 1000
        finally:
            closed.set()

    async def parts() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 1000
        finally:
            closed.set()

    client = serve(plain if kind == "plain" else parts)
    with client.stream("GET", "/") as answer:
        next(answer.iter_bytes())
    assert closed.wait(60)


def test_too_many_streams_are_refused(serve: Callable[..., httpx.Client]) -> None:
    going = threading.Event()

    def function() -> Iterator[str]:
        yield "first"
        going.wait(60)

    client = serve(function, limits={"max_streams": 1, "threads": 4})
    try:
        with client.stream("GET", "/") as answer:
            next(answer.iter_text())
            assert client.get("/").status_code == 503
            going.set()
    finally:
        going.set()


def test_a_variable_of_one_request_is_not_seen_by_the_next(
    serve: Callable[..., httpx.Client],
) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    async def function(event: Event) -> str:
        seen = variable.get()
        variable.set("set")
        return seen

    client = serve(function, limits={"threads": 1})
    assert [client.get("/").text for _ in range(2)] == ["unset", "unset"]
