"""Receiving the body of a request within limits of size, time and memory."""

from __future__ import annotations

import asyncio
from types import TracebackType

from pyfunc.errors import PyfuncError
from pyfunc.serving.http.deadlines import Deadlines
from pyfunc.serving.http.messages import HttpScope, Receive, Received, header_of
from pyfunc.serving.http.settings import HttpSettings

__all__ = ["BodyReader", "ClientGoneError"]

_DRAINED = 4  # times the limit; a client that sends more finds its connection closed


class ClientGoneError(Exception):
    """The client went away; nobody waits for an answer."""


class BodyReader:
    """Receives bodies; the bytes of all that are held at once are counted.

    Belongs to one event loop.
    """

    def __init__(self, settings: HttpSettings) -> None:
        self._most = settings.max_body_bytes
        self._most_pending = settings.max_pending_bytes
        self._timeout = settings.body_timeout
        self._deadlines = Deadlines(settings.body_timeout)
        self._pending = 0

    @property
    def pending_bytes(self) -> int:
        """The bytes that are held at this moment."""
        return self._pending

    async def read(self, scope: HttpScope, receive: Receive) -> bytes:
        """Return the body; whoever got it gives its length to :meth:`release` when done.

        Raises:
            PyfuncError: it is too long, too slow, compressed, or the server holds too many.
            ClientGoneError: the client went away.
        """
        headers = scope["headers"]
        encoding = header_of(headers, b"content-encoding")
        if encoding is not None and encoding.strip().lower() != b"identity":
            raise PyfuncError(
                "the body must not be compressed: no Content-Encoding is accepted",
                "UNSUPPORTED_MEDIA_TYPE",
            )
        length = header_of(headers, b"content-length")
        if length is not None and int(length) > self._most * _DRAINED:
            raise self._too_long()
        with _Deadline(self._deadlines) as deadline:
            return await self._receive(receive)
        assert deadline.is_over
        raise PyfuncError(
            f"the body did not arrive within {self._timeout:g} seconds", "REQUEST_TIMEOUT"
        )

    def release(self, length: int) -> None:
        """Take note that a body of that length is no longer held."""
        self._pending -= length

    async def _receive(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        length = 0
        try:
            while True:
                message = await receive()
                _check_presence(message)
                part = message.get("body", b"")
                length += len(part)
                self._pending += len(part)
                if length > self._most:
                    await self._drain(receive, message)
                self._check(length)
                if not message.get("more_body", False):
                    return b"".join([*parts, part]) if parts else part
                parts.append(part)
        except BaseException:
            self._pending -= length
            raise

    async def _drain(self, receive: Receive, message: Received) -> None:
        """Drop the rest of a body that is too long, so that its sender reads the answer."""
        left = self._most * _DRAINED
        while left > 0 and message.get("more_body", False):
            message = await receive()
            _check_presence(message)
            left -= len(message.get("body", b""))

    def _check(self, length: int) -> None:
        if length > self._most:
            raise self._too_long()
        if self._pending > self._most_pending:
            raise PyfuncError(
                "the server holds too many request bodies; try again later",
                "TEMPORARILY_UNAVAILABLE",
            )

    def _too_long(self) -> PyfuncError:
        return PyfuncError(
            f"the body is longer than {self._most} bytes\nhint: send it in several requests",
            "PAYLOAD_TOO_LARGE",
        )


class _Deadline:
    """Ends its block when a deadline is over; as anyio's scopes do, at a fraction of their cost.

    A body is there already for most requests, and then the clock is all that one costs.
    """

    __slots__ = ("_deadlines", "_task", "is_over")

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self.is_over = False

    def __enter__(self) -> _Deadline:
        self._task = asyncio.current_task()
        self._deadlines.add(self, self._end)
        return self

    def _end(self) -> None:
        self.is_over = True
        if self._task is not None:
            self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self._deadlines.remove(self)
        if not self.is_over or kind is not asyncio.CancelledError:
            return False
        # Where tasks count how often they were cancelled, no more than this may be taken back.
        uncancel = getattr(self._task, "uncancel", None)
        return uncancel is None or uncancel() == 0


def _check_presence(message: Received) -> None:
    if message["type"] == "http.disconnect":
        raise ClientGoneError
