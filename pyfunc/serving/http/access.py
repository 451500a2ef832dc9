"""A line of JSON for each request, on what was standard output when the server started."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone

from pyfunc.serving.http.messages import HttpScope, Receive, Send

__all__ = ["AccessLog"]

logger = logging.getLogger("pyfunc.serving")

App = Callable[[HttpScope, Receive, Send], Awaitable[None]]


class AccessLog:
    """An ASGI application that writes down what another answers.

    A line has no query and no header, which may hold secrets, and comes in one piece, so that
    those of several workers do not mix.

    Args:
        app: what answers.
        descriptor: of the file that the lines go to.
    """

    def __init__(self, app: App, descriptor: int = 1) -> None:
        self._app = app
        self._descriptor = descriptor
        self._has_ended = False

    async def __call__(self, scope: HttpScope, receive: Receive, send: Send) -> None:
        """Answer a request, and write it down."""
        if self._has_ended or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status, length = time.perf_counter(), 0, 0

        async def noting(message: dict[str, object]) -> None:
            nonlocal status, length
            if message["type"] == "http.response.start":
                status = int(str(message["status"]))
            elif isinstance(body := message.get("body"), bytes):
                length += len(body)
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            self._write(scope, status or None, length, time.perf_counter() - start)

    def _write(self, scope: HttpScope, status: int | None, length: int, seconds: float) -> None:
        """Write a line; status is null where the client went away before its answer."""
        client = scope.get("client")
        line = {
            "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "client": client[0] if client else None,
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "bytes": length,
            "seconds": round(seconds, 6),
        }
        try:
            os.write(self._descriptor, json.dumps(line).encode("ascii") + b"\n")
        except OSError as error:
            logger.warning("the access log cannot be written and ends: %s", error.strerror)
            self._has_ended = True
