"""Answers in parts, as server-sent events, or whole where a request asks for that.

Each part is asked for on a thread when the client has taken the one before, so a slow client
holds no thread, and a client that goes away ends the stream.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from pyfunc.errors import PyfuncError
from pyfunc.serving.http.bodies import ClientGoneError
from pyfunc.serving.http.endpoint import HttpService, Refuse
from pyfunc.serving.http.failures import as_pyfunc_error, error_tree
from pyfunc.serving.http.messages import (
    HttpScope,
    Receive,
    Reply,
    Request,
    Send,
    send_reply,
)

__all__ = ["Answer", "Event", "Framing", "StreamEndpoint"]

T = TypeVar("T")

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


@dataclass(frozen=True)
class Event:
    """One event: its data, text without line breaks, and its name if it has one."""

    data: str
    name: str | None = None


@dataclass(frozen=True)
class Framing:
    """How a stream ends.

    Attributes:
        end: the event after the last part.
        failed: makes the events for an error after the first part, by what the client is told.
    """

    end: Event
    failed: Callable[[dict[str, object]], list[Event]]


def _named_error(tree: dict[str, object]) -> list[Event]:
    return [Event(json.dumps(tree), "error")]


NAMED_EVENTS = Framing(Event("{}", "end"), _named_error)

Answer = Callable[[Request], Iterator[str | Event] | Reply]


class StreamEndpoint:
    """An ASGI application: one event for each part of an answer, then one that says so.

    Whatever fails before the first part is an ordinary error response; later it is an event,
    the last of the stream but for its end.

    Args:
        service: what is served, and within what limits.
        label: how metrics call the endpoint.
        answer: yields the parts for a request, or returns the whole answer; runs on threads.
        framing: how the stream ends.
        refuse: makes the response for an error; that of the service if not given.
    """

    def __init__(
        self,
        service: HttpService,
        label: str,
        answer: Answer,
        *,
        framing: Framing = NAMED_EVENTS,
        refuse: Refuse | None = None,
    ) -> None:
        self._service = service
        self._label = label
        self._answer = answer
        self._framing = framing
        self._refuse = service.refuse if refuse is None else refuse
        self._open = 0

    async def __call__(self, scope: HttpScope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        service, start = self._service, time.perf_counter()
        status = 200
        try:
            stream = await self._begin(scope, receive)
            if stream.whole is None:
                await self._stream(stream, receive, send)
            else:
                status = stream.whole.status
                await send_reply(stream.whole, send)
        except ClientGoneError:
            return
        except Exception as error:
            reply = self._refuse(as_pyfunc_error(error, service.failure()))
            status = reply.status
            await send_reply(reply, send)
        finally:
            service.meter.count(self._label, status, time.perf_counter() - start)

    async def _begin(self, scope: HttpScope, receive: Receive) -> _Stream:
        service = self._service
        body = await service.bodies.read(scope, receive)
        request = Request(scope["headers"], body, {}, scope["query_string"])
        stream = _Stream(service, partial(self._answer, request))
        try:
            await stream.begin()
        finally:
            service.bodies.release(len(body))
        return stream

    async def _stream(self, stream: _Stream, receive: Receive, send: Send) -> None:
        self._open += 1
        try:
            if self._open > self._service.settings.max_streams:
                raise PyfuncError("too many streams are open", "TEMPORARILY_UNAVAILABLE")
            await stream.advance()  # so that a bad request gets its status
            await self._send_parts(stream, receive, send)
        finally:
            self._open -= 1

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
                    for event in self._framing.failed(tree):
                        await _send_event(send, event)
                    break
            else:
                await _send_event(send, self._framing.end)
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()
            await stream.close()


class _Stream:
    """The parts of one answer, each made on a thread of the pool; or all of it at once."""

    def __init__(
        self, service: HttpService, answer: Callable[[], Iterator[str | Event] | Reply]
    ) -> None:
        self._service = service
        self._answer = answer
        self._parts: Iterator[str | Event] = iter(())
        self.part: Event | None = None
        self.whole: Reply | None = None

    async def begin(self) -> None:
        """Find out whether there are parts; none is made yet."""
        answer = await self._run(lambda _: self._answer())
        if isinstance(answer, Reply):
            self.whole = answer
        else:
            self._parts = answer

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

    def _next(self, _: None) -> Event | None:
        part = next(self._parts, None)
        return Event(part) if isinstance(part, str) else part


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_event(send: Send, event: Event) -> None:
    head = "" if event.name is None else f"event: {event.name}\n"
    body = f"{head}data: {event.data}\n\n".encode("ascii")
    await send({"type": "http.response.body", "body": body, "more_body": True})
