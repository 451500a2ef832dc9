"""What a generator yields, sent part by part.

Each part is asked for on a thread when the client has taken the one before, so a slow client
holds no thread, and a client that goes away ends the generator.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

from pyfunc.errors import PyfuncError
from pyfunc.functions.awaiting import Awaiter
from pyfunc.functions.events import Response
from pyfunc.functions.replies import Replies, Stream
from pyfunc.serving.http.failures import error_reply
from pyfunc.serving.http.messages import BODILESS, TEXT, Receive, Reply, Send, send_reply
from pyfunc.serving.http.pool import WorkPool
from pyfunc.serving.http.settings import HttpSettings

__all__ = ["StreamSender"]

_END = object()


class StreamSender:
    """Sends streams; belongs to one event loop.

    Whatever fails before the first part is an ordinary error response. Later the connection is
    cut, so that the client sees that the body is not complete.
    """

    def __init__(
        self, pool: WorkPool, replies: Replies, awaiter: Awaiter, settings: HttpSettings
    ) -> None:
        self._pool = pool
        self._replies = replies
        self._awaiter = awaiter
        self._timeout = settings.predict_timeout
        self._most = settings.max_streams
        self._open = 0

    async def send(self, stream: Stream, receive: Receive, send: Send) -> int:
        """Send all parts and return the status; 499 if the client did not wait for them."""
        if self._open >= self._most:
            error = PyfuncError("too many streams are open", "TEMPORARILY_UNAVAILABLE")
            return await _send_whole(error_reply(error), send)
        parts = _Parts(stream, self._awaiter)
        self._open += 1
        try:
            return await self._send_parts(parts, stream, receive, send)
        finally:
            self._open -= 1
            with contextlib.suppress(PyfuncError):
                await self._pool.run(_close, parts, timeout=self._timeout)

    async def _send_parts(
        self,
        parts: _Parts,
        stream: Stream,
        receive: Receive,
        send: Send,
    ) -> int:
        try:
            item = await self._next(parts)
            head = self._head(stream, item)
        except PyfuncError as error:
            return await _send_whole(error_reply(error), send)
        except Exception as error:
            return await _send_whole(self._replies.failure(error), send)
        if head.status in BODILESS:
            return await _send_whole(head, send)
        headers = [(b"content-type", head.content_type), *head.headers]
        await send({"type": "http.response.start", "status": head.status, "headers": headers})
        gone = asyncio.ensure_future(_disconnect(receive))
        try:
            body = head.body
            while item is not _END:
                if gone.done():
                    return 499
                await send({"type": "http.response.body", "body": body, "more_body": True})
                item = await self._next(parts)
                body = b"" if item is _END else self._replies.part(item)[0]
        except Exception as error:
            self._replies.failure(error)
            return 500  # the body is never completed, so the server cuts the connection
        finally:
            gone.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return head.status

    async def _next(self, parts: _Parts) -> object:
        found: object = await self._pool.run(_advance, parts, timeout=self._timeout)
        if isinstance(found, _Raised):
            raise found.error
        return found

    def _head(self, stream: Stream, first: object) -> Reply:
        """Return status, headers and the first part."""
        if isinstance(first, Response):
            answered = self._replies.reply(first)
            if isinstance(answered, Reply):
                return answered
        body, content_type = (b"", TEXT) if first is _END else self._replies.part(first)
        return Reply(body, stream.status, stream.content_type or content_type, stream.headers)


class _Raised:
    """What a generator raised; apart from the errors of the pool itself."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class _Parts:
    """A generator that is asked on threads, one part at a time."""

    def __init__(self, stream: Stream, awaiter: Awaiter) -> None:
        self._parts = stream.parts
        self._awaiter = awaiter
        self._loop = awaiter.take() if isinstance(stream.parts, AsyncIterator) else None

    def advance(self) -> object:
        """Return the next part, ``_END`` after the last."""
        if isinstance(self._parts, Iterator):
            return next(self._parts, _END)
        assert self._loop is not None
        try:
            return self._loop.run(self._parts.__anext__(), self._awaiter.timeout)
        except StopAsyncIteration:
            return _END

    def close(self) -> None:
        """Let the generator end."""
        if self._loop is None:
            close = getattr(self._parts, "close", None)
            if close is not None:
                close()
            return
        try:
            close = getattr(self._parts, "aclose", None)
            if close is not None:
                self._loop.run(close(), self._awaiter.timeout)
        finally:
            self._awaiter.give_back(self._loop)


def _advance(parts: _Parts) -> object:
    try:
        return parts.advance()
    except Exception as error:
        return _Raised(error)


def _close(parts: _Parts) -> None:
    # A generator that is still at a part which came too late cannot be closed now.
    with contextlib.suppress(Exception):
        parts.close()


async def _send_whole(reply: Reply, send: Send) -> int:
    await send_reply(reply, send)
    return reply.status


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
