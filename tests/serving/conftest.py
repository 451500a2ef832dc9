"""Models made in memory, requests to an application, and live servers on the loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn

from pyfunc.model.description import Model
from pyfunc.model.loaded import PyFuncModel
from pyfunc.schema import ColSpec, ModelSignature, ParamSchema, Schema
from pyfunc.serving import create_app
from pyfunc.serving.running import uvicorn_options
from pyfunc.serving.settings import ServingSettings

sys.path.insert(0, str(Path(__file__).parent))  # for the bodies that tests and sessions share

NUMBERS = Schema([ColSpec("double", "a"), ColSpec("double", "b")])


class Implementation:
    """A model of functions."""

    def __init__(self, predict: Callable[..., Any], stream: Callable[..., Any] | None) -> None:
        self._predict = predict
        self._stream = stream

    def predict(self, data: Any, params: Any = None) -> Any:
        return self._predict(data, params)

    def predict_stream(self, data: Any, params: Any = None) -> Iterator[Any]:
        assert self._stream is not None
        yield from self._stream(data, params)


def make_model(
    predict: Callable[..., Any],
    inputs: Schema | None = None,
    *,
    outputs: Schema | None = None,
    params: ParamSchema | None = None,
    stream: Callable[..., Any] | None = None,
    example: Any = None,
    artifact_path: str = "toy",
) -> PyFuncModel:
    has_signature = inputs or outputs or params
    flavor = {"loader_module": "toy", **({"streamable": True} if stream else {})}
    meta = Model(
        artifact_path=artifact_path,
        flavors={"python_function": flavor},
        signature=ModelSignature(inputs, outputs, params) if has_signature else None,
    )
    return PyFuncModel(
        meta,
        Implementation(predict, stream),
        predict_stream_fn="predict_stream" if stream else None,
        read_example=lambda: example,
    )


def row_sums(frame: Any, params: Any) -> Any:
    return np.asarray(frame, dtype=float).sum(axis=1)


@pytest.fixture(scope="session")
def model_of() -> Callable[..., PyFuncModel]:
    """Return a function that makes a model out of a predict function and schemas."""
    return make_model


@pytest.fixture(scope="session")
def adder() -> PyFuncModel:
    """Return a model that adds two columns."""
    return make_model(row_sums, NUMBERS)


@pytest.fixture(scope="session")
def app_of() -> Callable[..., Any]:
    """Return a function that makes the application of a predict function."""

    def make(
        predict: Callable[..., Any],
        inputs: Schema | None = None,
        settings: Mapping[str, Any] | None = None,
        **model: Any,
    ) -> Any:
        loaded = make_model(predict, inputs, **model)
        return create_app(loaded, settings=ServingSettings(**(settings or {})))

    return make


@pytest.fixture(scope="session")
def adder_app(adder: PyFuncModel) -> Any:
    """Return the application of the adder."""
    return create_app(adder)


def ask_app(
    app: Any,
    path: str = "/invocations",
    body: Any = None,
    *,
    method: str | None = None,
    content_type: str | None = "application/json",
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """Return the response to one request; a body that is no bytes or text is sent as JSON."""
    sent = dict(headers or {})
    if body is not None and content_type is not None:
        sent.setdefault("content-type", content_type)
    content = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            verb = method or ("GET" if body is None else "POST")
            return await client.request(verb, path, content=content, headers=sent)

    return asyncio.run(send())


@pytest.fixture(scope="session")
def ask() -> Callable[..., httpx.Response]:
    """Return a function that sends one request to an application, without a socket."""
    return ask_app


@contextlib.contextmanager
def live_server(
    app: Any, settings: ServingSettings | None = None, **options: Any
) -> Iterator[int]:
    """Serve an application on a free port of the loopback; yield the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    found = {**uvicorn_options(settings or ServingSettings()), "log_level": "critical"}
    found |= {"timeout_graceful_shutdown": 2, **options}
    server = uvicorn.Server(uvicorn.Config(app, **found))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def live() -> Callable[..., contextlib.AbstractContextManager[int]]:
    """Return a context manager that serves an application on a free port."""
    return live_server
