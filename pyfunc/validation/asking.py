"""Asks the application of a server in this process, without a port."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, MutableMapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = ["Answer", "Question", "ask"]


class Question(NamedTuple):
    """A request."""

    path: str
    body: bytes
    content_type: str = "application/json"


class Answer(NamedTuple):
    """What the server said."""

    status: int
    body: bytes


def ask(app: Starlette, questions: Iterable[Question]) -> list[Answer]:
    """Return the answers of ``app``, which starts before and ends afterwards as in a server."""

    async def run() -> list[Answer]:
        async with app.router.lifespan_context(app):
            return [await _ask(app, question) for question in questions]

    return asyncio.run(run())


async def _ask(app: Starlette, question: Question) -> Answer:
    headers = [
        (b"content-type", question.content_type.encode()),
        (b"content-length", str(len(question.body)).encode()),
    ]
    scope: MutableMapping[str, object] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": question.path,
        "raw_path": question.path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 80),
    }
    gone = asyncio.Event()
    sent: list[MutableMapping[str, object]] = []
    waiting = [{"type": "http.request", "body": question.body, "more_body": False}]

    async def receive() -> MutableMapping[str, object]:
        if waiting:
            return dict(waiting.pop())
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, object]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    gone.set()
    status = next(m["status"] for m in sent if m["type"] == "http.response.start")
    body = b"".join(bytes(m.get("body", b"")) for m in sent)  # type: ignore[call-overload]
    return Answer(int(str(status)), body)
