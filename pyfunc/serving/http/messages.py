"""A request and a response as values; nothing here knows of models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["JSON", "TEXT", "Reply", "Request", "header_of", "send_reply"]

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose body has arrived.

    Attributes:
        headers: names in lower case, in the order of arrival.
        body: all of it.
        path_params: what the route took from the path.
        query: the raw query string.
    """

    headers: list[tuple[bytes, bytes]]
    body: bytes
    path_params: dict[str, Any]
    query: bytes = b""

    def header(self, name: bytes) -> bytes | None:
        """Return the value of the first header of that name, which is in lower case."""
        return header_of(self.headers, name)


@dataclass(frozen=True, slots=True)
class Reply:
    """A response whose body is complete."""

    body: bytes
    status: int = 200
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


def header_of(headers: list[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """Return the value of the first header of that name, None if there is none."""
    for key, value in headers:
        if key == name:
            return value
    return None


async def send_reply(reply: Reply, send: Any) -> None:
    """Send a response over ASGI."""
    headers = [
        (b"content-type", reply.content_type),
        (b"content-length", b"%d" % len(reply.body)),
        *reply.headers,
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
