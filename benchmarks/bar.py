"""The floors of a server: Starlette and orjson with the model inline, or without; a bare socket.

``python -m benchmarks.bar model|bare|socket PORT [FILE]``; the file is joblib's, of a model that
takes arrays. What these have in common with ours is uvicorn, and what uvicorn uses.
"""

from __future__ import annotations

import asyncio
import sys
import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

__all__ = ["main"]

ANSWER = b'{"predictions": [1.0]}'
HEADERS = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 22\r\n\r\n"


def _application(model: Any) -> Starlette:
    async def invocations(request: Request) -> Response:
        body = orjson.loads(await request.body())
        found = model.predict(np.array(body["dataframe_split"]["data"]))
        return _reply({"predictions": found})

    async def infer(request: Request) -> Response:
        form = orjson.loads(await request.body())["inputs"][0]
        found = model.predict(np.array(form["data"]).reshape(form["shape"]))
        output = {"name": "predictions", "datatype": "FP64", "shape": found.shape, "data": found}
        return _reply({"model_name": "model", "outputs": [output]})

    return Starlette(
        routes=[
            Route("/invocations", invocations, methods=["POST"]),
            Route("/v2/models/model/infer", infer, methods=["POST"]),
        ]
    )


def _reply(content: object) -> Response:
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, media_type="application/json")


def _bare_application() -> Starlette:
    async def answer(request: Request) -> Response:
        await request.body()
        return Response(ANSWER, media_type="application/json")

    return Starlette(routes=[Route("/{path:path}", answer, methods=["POST"])])


class _Socket(asyncio.Protocol):
    """Answers whatever comes in one piece, unread."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(HEADERS + ANSWER)


async def _serve_socket(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Socket, "127.0.0.1", port)
    await server.serve_forever()


def main(kind: str, port: int, file: Path | None = None) -> None:
    """Serve at ``port`` until the process is ended."""
    if kind == "socket":
        return _run_socket(port)
    if file is None:
        app = _bare_application()
    else:
        import joblib

        app = _application(joblib.load(file))
    return uvicorn.run(app, port=port, log_level="critical", access_log=False, lifespan="off")


def _run_socket(port: int) -> None:
    from uvloop import run

    run(_serve_socket(port))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1], int(sys.argv[2]), *map(Path, sys.argv[3:]))
