"""The short ways of an answer: one call of the system for it, and no search for its endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from uvicorn.server import ServerState

from pyfunc.serving.running import uvicorn_options
from pyfunc.serving.settings import ServingSettings

AppOf = Callable[..., Any]
Send = Callable[[dict[str, object]], Any]
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]}


class Noting(asyncio.Transport):
    """Notes each call that sends something."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.sent.append(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self.sent.append(b"".join(list_of_data))

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def get_write_buffer_size(self) -> int:
        return 0


async def sent_by(answer: Callable[[Send], Any], head: bytes = b"") -> list[bytes]:
    """Return what goes out in each call while ``answer`` answers a request."""
    done = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Send) -> None:
        await answer(send)
        done.set()

    config = uvicorn.Config(app, **uvicorn_options(ServingSettings()))
    config.load()
    protocol = config.http_protocol_class(  # type: ignore[call-arg]
        config=config, server_state=ServerState(), app_state={}
    )
    transport = Noting()
    protocol.connection_made(transport)
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: h\r\n" + head + b"\r\n")
    await asyncio.wait_for(done.wait(), 60)
    await asyncio.sleep(0)
    protocol.connection_lost(None)
    return transport.sent


def test_an_answer_goes_out_in_one_call() -> None:
    async def answer(send: Send) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"abc"})

    for head in (b"", b"Connection: close\r\n"):
        (sent,) = asyncio.run(sent_by(answer, head))
        assert sent.startswith(b"HTTP/1.1 200")
        assert sent.endswith(b"\r\n\r\nabc")


def test_a_head_goes_out_before_a_body_that_comes_later() -> None:
    async def scenario() -> list[bytes]:
        async def answer(send: Send) -> None:
            await send(START)
            for _ in range(3):
                await asyncio.sleep(0)
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
            await send({"type": "http.response.body", "body": b"bc"})

        return await sent_by(answer)

    sent = asyncio.run(scenario())
    assert sent[0].endswith(b"\r\n\r\n")
    assert sent[1:] == [b"a", b"bc"]


def test_requests_beyond_the_paths_that_are_kept_are_answered(app_of: AppOf, ask: Any) -> None:
    app = app_of(lambda data, params: [1])
    for name in [*map(str, range(200)), "toy"]:
        answer = ask(app, f"/v2/models/{name}/infer", {"inputs": []})
        assert answer.status_code == (400 if name == "toy" else 404)
    for _ in range(2):
        assert ask(app, "/invocations", {"inputs": [1]}).json() == {"predictions": [1]}
        assert ask(app, "/invocations", method="GET").status_code == 405
        assert ask(app, "/nothing", {}).status_code == 404


def test_routes_before_ours_are_asked_first(app_of: AppOf, ask: Any) -> None:
    app = app_of(lambda data, params: [1])

    async def other(request: Any) -> PlainTextResponse:
        return PlainTextResponse("other")

    app.router.routes.insert(0, Route("/invocations", other, methods=["POST"]))
    for _ in range(2):
        assert ask(app, "/invocations", {"inputs": [1]}).text == "other"


@pytest.mark.parametrize("path", ["/{tenant}", "/models"])
def test_an_application_below_another_finds_its_endpoints(
    app_of: AppOf, ask: Any, path: str
) -> None:
    outer = Starlette(routes=[Mount(path, app_of(lambda data, params: [1]))])
    for name in ("models", "models", "others"):
        found = ask(outer, f"/{name}/invocations", {"inputs": [1]})
        assert found.status_code == (404 if name == "others" and path == "/models" else 200)
        found = ask(outer, f"/{name}/v2/models/none/infer", {"inputs": [1]})
        assert found.status_code == 404
