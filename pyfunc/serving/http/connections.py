"""uvicorn's HTTP protocol with limits on all that is no body, and on clients that do not read.

Without them a client is waited for for ever that sends its head byte by byte or without end, that
goes on sending after its answer, or that does not take it; and trailers are kept without end.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pyfunc.serving.http.settings import HttpSettings

__all__ = ["GuardedProtocol", "guarded_protocol"]

HEAD_SECONDS = 10.0
HEAD_BYTES = 64 * 1024
TAKEN_BYTES = 64 * 1024
"""What a client must have taken of an answer each time that is looked at, unless it has it all."""

_DROPPED = 4  # bodies of the longest length; a client that sends more after its answer is cut off


def _empty(status: bytes) -> bytes:
    return b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


_TOO_LONG = _empty(b"431 Request Header Fields Too Large")
_NO_TUNNEL = _empty(b"405 Method Not Allowed")
_TOO_SLOW = _empty(b"408 Request Timeout")


def guarded_protocol(settings: HttpSettings) -> partial[GuardedProtocol]:
    """Return what makes the protocol of a connection within these limits."""
    return partial(
        GuardedProtocol,
        rest_seconds=settings.body_timeout,
        rest_bytes=settings.max_body_bytes * _DROPPED,
        write_seconds=settings.write_timeout,
    )


class _Joining:
    """A transport that sends the head of an answer together with what follows it at once.

    That spares both ends a call of the system and a packet.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send data, or keep the head of an answer until the loop turns."""
        if self._head and data:  # of nothing in writelines asyncio of 3.12 makes no end
            head, self._head = self._head, b""
            self._transport.writelines([head, data])
        elif not self._head and data.startswith(b"HTTP/"):
            self._head = data
            self._loop.call_soon(self._flush)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Send what is kept, and close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)


class GuardedProtocol(HttpToolsProtocol):
    """One connection; it is closed if its client exceeds a limit.

    Args:
        rest_seconds: until a request must have ended that was answered before its end.
        rest_bytes: how long the rest of such a request may be.
        write_seconds: how often it is looked at whether the client takes its answer.
    """

    def __init__(
        self,
        *args: Any,
        rest_seconds: float = 30.0,
        rest_bytes: int = 64 << 20,
        write_seconds: float = 30.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._rest_seconds = rest_seconds
        self._rest_bytes = rest_bytes
        self._write_seconds = write_seconds
        self._in_head = False
        self._in_message = False
        self._fed = 0  # bytes of the part that is being parsed
        self._begun = 0  # heads that began in it
        self._head_bytes = 0  # of the head that is open, in the parts before
        self._bare_bytes = 0  # of a message after its head, since the last of its body
        self._rest = 0  # of a message that was answered
        self._refusal: bytes | None = None
        self._part = b""
        self._is_offer = False
        self._reading_timer: asyncio.TimerHandle | None = None
        self._writing_timer: asyncio.TimerHandle | None = None
        self._unsent = 0

    def connection_made(self, transport: Any) -> None:
        """Wait for the first head no longer than the limit."""
        super().connection_made(transport)
        self.transport = cast(asyncio.Transport, _Joining(transport, self.loop))
        self._wait_for_reading(HEAD_SECONDS, _TOO_SLOW)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._stop_waiting()
        self._stop_watching()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    # What comes in.

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and count what it holds or drops."""
        was_in_message = self._in_message
        self._part, self._fed, self._begun = data, len(data), 0
        self._bare_bytes += self._fed
        super().data_received(data)
        self._part = b""
        if self._in_head:
            # Of a part in which a message ended, too, it is not known how much is of the head.
            if was_in_message == (self._begun == 0) and self._begun < 2:
                self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse(_TOO_LONG)
            elif self._reading_timer is None:
                self._wait_for_reading(HEAD_SECONDS, _TOO_SLOW)
        elif self._in_message:
            self._count_rest(len(data))

    def _count_rest(self, length: int) -> None:
        """Cut off who sends trailers or sizes of chunks without end, or goes on when answered."""
        is_bare = self._bare_bytes > HEAD_BYTES
        if not self.cycle.response_complete:
            if is_bare:
                self._refuse(_TOO_LONG)
            return
        self._rest += length
        if is_bare or self._rest > self._rest_bytes:
            self._refuse(b"")

    def on_message_begin(self) -> None:
        """Note that a head has begun."""
        self._in_head = self._in_message = True
        self._begun += 1
        self._head_bytes = self._rest = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers are dropped, since ASGI has no place for them."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Note that the head is complete."""
        if self._head_bytes + self._fed > HEAD_BYTES and self._head_length() > HEAD_BYTES:
            self._end_parser(_TOO_LONG)
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                self._end_parser(_NO_TUNNEL)
            self._is_offer = True
            return
        self._in_head = False
        self._bare_bytes = 0
        self._stop_waiting()
        super().on_headers_complete()

    def _end_parser(self, refusal: bytes) -> None:
        self._refusal = refusal
        raise ValueError("refused")

    def _head_length(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._bare_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that a request has ended, whether it was answered or not."""
        if self._is_offer:
            return
        self._in_message = False
        self._bare_bytes = 0
        super().on_message_complete()
        if self.cycle.response_complete:
            self._stop_waiting()
            self._close_when_idle()

    def _close_when_idle(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _unsupported_upgrade_warning(self) -> None:
        """Read a request that offers another protocol as one that does not.

        The parser ended with its head, and says where.
        """
        upgrade = sys.exc_info()[1]
        assert isinstance(upgrade, httptools.HttpParserUpgrade)
        line = self.parser.get_method() + b" " + self.url + b" HTTP/1.1\r\n"
        fields = [b"%s: %s\r\n" % pair for pair in self.headers if pair[0] != b"upgrade"]
        rest = self._part[upgrade.args[0] :]
        self.parser = httptools.HttpRequestParser(self)
        self._is_offer = self._in_head = self._in_message = False
        self.data_received(b"".join([line, *fields, b"\r\n", rest]))

    # What goes out.

    def on_response_complete(self) -> None:
        """Wait for the rest of the request, or for the client to take the last answer."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._watch_writing()
        elif self._in_message and not self._in_head and not self.pipeline:
            self._wait_for_reading(self._rest_seconds, b"")

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection once the client has taken its answer."""
        super().timeout_keep_alive_handler()
        self._watch_writing()

    def pause_writing(self) -> None:
        """Look from now on whether the client takes what it is sent."""
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        """Note that the client took nearly all."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_watching()

    def _watch_writing(self) -> None:
        self._stop_watching()
        self._unsent = self.transport.get_write_buffer_size()
        if self._unsent:
            self._writing_timer = self.loop.call_later(self._write_seconds, self._look_at_writing)

    def _stop_watching(self) -> None:
        if self._writing_timer is not None:
            self._writing_timer.cancel()
            self._writing_timer = None

    def _look_at_writing(self) -> None:
        self._writing_timer = None
        if self.transport.get_write_buffer_size() > max(0, self._unsent - TAKEN_BYTES):
            self.transport.abort()
        else:
            self._watch_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser cannot read, or was told not to."""
        if self._refusal is not None:
            self._refuse(self._refusal)
        else:
            super().send_400_response(msg)
            self._watch_writing()

    def _wait_for_reading(self, seconds: float, refusal: bytes) -> None:
        self._stop_waiting()
        self._reading_timer = self.loop.call_later(seconds, self._refuse, refusal)

    def _stop_waiting(self) -> None:
        if self._reading_timer is not None:
            self._reading_timer.cancel()
            self._reading_timer = None

    def _refuse(self, response: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(response)
            self.transport.close()
            self._watch_writing()
