"""Answers in parts, as server-sent events.

Each part is asked for on a thread when the client has taken the one before, so a slow client
holds no thread, and a client that goes away ends the stream.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from pyfunc.errors import PyfuncError
from pyfunc.serving.http.bodies import ClientGoneError
from pyfunc.serving.http.endpoint import HttpService
from pyfunc.serving.http.failures import as_pyfunc_error, error_tree
from pyfunc.serving.http.messages import HttpScope, Receive, Request, Send, send_reply

__all__ = ["StreamEndpoint"]

T = TypeVar("T")

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class StreamEndpoint:
    """An ASGI application: one event for each part of an answer, then one ``end``.

    Whatever fails before the first part is an ordinary error response; later it is an
    ``error`` event, the last of the stream.

    Args:
        service: what is served, and within what limits.
        label: how metrics call the endpoint.
        answer: yields the parts for a request, as text without line breaks; runs on threads.
    """

    def __init__(
        self, service: HttpService, label: str, answer: Callable[[Request], Iterator[str]]
    ) -> None:
        self._service = service
        self._label = label
        self._answer = answer
        self._open = 0

    async def __call__(self, scope: HttpScope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        service, start = self._service, time.perf_counter()
        self._open += 1
        status = 200
        try:
            stream = await self._begin(scope, receive)
            await self._send_parts(stream, receive, send)
        except ClientGoneError:
            return
        except Exception as error:
            reply = service.refuse(as_pyfunc_error(error, service.failure()))
            status = reply.status
            await send_reply(reply, send)
        finally:
            self._open -= 1
            service.meter.count(self._label, status, time.perf_counter() - start)

    async def _begin(self, scope: HttpScope, receive: Receive) -> _Stream:
        service = self._service
        if self._open > service.settings.max_streams:
            raise PyfuncError("too many streams are open", "TEMPORARILY_UNAVAILABLE")
        body = await service.bodies.read(scope, receive)
        request = Request(scope["headers"], body, {}, scope["query_string"])
        stream = _Stream(service, partial(self._answer, request))
        try:
            await stream.advance()  # so that a bad request gets its status
        finally:
            service.bodies.release(len(body))
        return stream

    async def _send_parts(self, stream: _Stream, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        gone = asyncio.ensure_future(_disconnect(receive))
        try:
            while stream.part is not None:
                if gone.done():
                    raise ClientGoneError
                await _send_event(send, stream.part)
                try:
                    await stream.advance()
                except Exception as error:
                    tree = stream.tree_of(error, debug=self._service.settings.debug)
                    await _send_event(send, json.dumps(tree), event="error")
                    break
            else:
                await _send_event(send, "{}", event="end")
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()
            await stream.close()


class _Stream:
    """The parts of one answer, each made on a thread of the pool."""

    def __init__(self, service: HttpService, answer: Callable[[], Iterator[str]]) -> None:
        self._service = service
        self._answer = answer
        self._parts: Iterator[str] | None = None
        self.part: str | None = None

    async def advance(self) -> None:
        """Make the next part the current one; None after the last."""
        self.part = await self._run(self._next)

    async def close(self) -> None:
        """Let the generator of the parts end."""
        close = getattr(self._parts, "close", None)
        if close is None:
            return
        try:
            await self._run(lambda _: close())
        except Exception as error:
            self.tree_of(error, debug=False)

    def tree_of(self, error: Exception, *, debug: bool) -> dict[str, object]:
        """Return what the client is told of an error, which is logged."""
        return error_tree(as_pyfunc_error(error, self._service.failure()), debug=debug)

    async def _run(self, call: Callable[[None], T]) -> T:
        timeout = self._service.settings.predict_timeout
        return await self._service.pool.run(call, None, timeout=timeout)

    def _next(self, _: None) -> str | None:
        if self._parts is None:
            self._parts = self._answer()
        return next(self._parts, None)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_event(send: Send, data: str, event: str | None = None) -> None:
    head = "" if event is None else f"event: {event}\n"
    body = f"{head}data: {data}\n\n".encode("ascii")
    await send({"type": "http.response.body", "body": body, "more_body": True})
