"""A request and a response as values, and the types of the ASGI that carries them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

__all__ = [
    "BODILESS",
    "JSON",
    "TEXT",
    "Headers",
    "HttpScope",
    "Receive",
    "Received",
    "Reply",
    "Request",
    "Send",
    "header_of",
    "json_reply",
    "send_reply",
]

Headers = list[tuple[bytes, bytes]]


class _Head(TypedDict):
    headers: Headers
    query_string: bytes


class HttpScope(_Head, total=False):
    """What ASGI says of a request, as far as it is looked at here."""

    type: str
    method: str
    path: str
    path_params: dict[str, object]
    root_path: str
    http_version: str
    client: tuple[str, int] | None


class _Event(TypedDict):
    type: str


class Received(_Event, total=False):
    """What ASGI gives of a request's body, or that the client went away."""

    body: bytes
    more_body: bool


Receive = Callable[[], Awaitable[Received]]
Send = Callable[[dict[str, object]], Awaitable[None]]

BODILESS = frozenset({204, 304})
"""Statuses after which a client reads no body, and takes one for the next answer."""

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

    headers: Headers
    body: bytes
    path_params: Mapping[str, object]
    query: bytes = b""

    def header(self, name: bytes) -> bytes | None:
        """Return the value of the first header of that name, which is in lower case."""
        return header_of(self.headers, name)


class Reply(NamedTuple):
    """A response whose body is complete."""

    body: bytes
    status: int = 200
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


def header_of(headers: Headers, name: bytes) -> bytes | None:
    """Return the value of the first header of that name, None if there is none."""
    for key, value in headers:
        if key == name:
            return value
    return None


def json_reply(
    tree: object, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> Reply:
    """Return a response that is strict JSON, in ASCII."""
    return Reply(json.dumps(tree, allow_nan=False).encode("ascii"), status, JSON, headers)


async def send_reply(reply: Reply, send: Send) -> None:
    """Send a response over ASGI; one whose status has no body is sent without."""
    body = reply.body
    headers = [
        (b"content-type", reply.content_type),
        (b"content-length", b"%d" % len(body)),
        *reply.headers,
    ]
    if reply.status in BODILESS:
        body, headers = b"", [*reply.headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
