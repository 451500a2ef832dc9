"""Predictions in parts, as server-sent events.

Each part is asked for on a thread when the client has taken the one before, so a slow client
holds no thread, and a client that goes away ends the stream.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from pyfunc.errors import PyfuncError
from pyfunc.schema import format_predictions
from pyfunc.serving.http.bodies import ClientGoneError
from pyfunc.serving.http.failures import ModelFailedError, as_pyfunc_error, error_tree
from pyfunc.serving.http.messages import Request, send_reply
from pyfunc.serving.scoring import parse_scoring_request
from pyfunc.serving.service import ModelService

__all__ = ["StreamEndpoint"]

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_LABEL = "invocations/stream"


class StreamEndpoint:
    """An ASGI application: one event for each part of ``predict_stream``, then one ``end``.

    Whatever fails before the first part is an ordinary error response; later it is an
    ``error`` event, the last of the stream.
    """

    def __init__(self, service: ModelService) -> None:
        self._service = service
        self._open = 0

    @property
    def open_streams(self) -> int:
        """How many streams are open."""
        return self._open

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
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
            reply = service.refuse(as_pyfunc_error(error))
            status = reply.status
            await send_reply(reply, send)
        finally:
            self._open -= 1
            service.meter.count(_LABEL, status, time.perf_counter() - start)

    async def _begin(self, scope: Any, receive: Any) -> _Stream:
        service = self._service
        if self._open > service.settings.max_streams:
            raise PyfuncError("too many streams are open", "TEMPORARILY_UNAVAILABLE")
        body = await service.bodies.read(scope, receive)
        request = Request(scope["headers"], body, {}, scope["query_string"])
        stream = _Stream(service, request)
        try:
            await stream.advance()  # so that a bad request gets its status
        finally:
            service.bodies.release(len(body))
        return stream

    async def _send_parts(self, stream: _Stream, receive: Any, send: Any) -> None:
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
                    debug = self._service.settings.debug
                    tree = error_tree(as_pyfunc_error(error), debug=debug)
                    await _send_event(send, json.dumps(tree), event="error")
                    break
            else:
                await _send_event(send, "{}", event="end")
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()
            await stream.close()


class _Stream:
    """The parts of one prediction, each made on a thread of the pool."""

    def __init__(self, service: ModelService, request: Request) -> None:
        self._service = service
        self._request: Request | None = request
        self._parts: Iterator[Any] = iter(())
        self.part: str | None = None

    async def advance(self) -> None:
        """Make the next part the current one; None after the last."""
        self.part = await self._run(self._next)

    async def close(self) -> None:
        """Let the model's generator end."""
        close = getattr(self._parts, "close", None)
        if close is None:
            return
        try:
            await self._run(lambda _: close())
        except Exception as error:
            error_tree(as_pyfunc_error(error), debug=False)

    async def _run(self, call: Callable[[Any], Any]) -> Any:
        timeout = self._service.settings.predict_timeout
        return await self._service.pool.run(call, None, timeout=timeout)

    def _next(self, _: Any) -> str | None:
        if self._request is not None:
            request, self._request = self._request, None
            parsed = parse_scoring_request(self._service.reader, request)
            self._parts = self._service.model.predict_stream(parsed.data, parsed.params)
        try:
            value = next(self._parts)
        except StopIteration:
            return None
        try:
            return format_predictions(value, nan=self._service.settings.nan, unified=True)
        except PyfuncError as error:
            raise ModelFailedError("a part of the prediction has no JSON form") from error


async def _disconnect(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_event(send: Any, data: str, event: str | None = None) -> None:
    head = "" if event is None else f"event: {event}\n"
    body = f"{head}data: {data}\n\n".encode("ascii")
    await send({"type": "http.response.body", "body": body, "more_body": True})
