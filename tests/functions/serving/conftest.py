"""Functions behind a live server on the loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import uvicorn

from pyfunc.functions.app import FunctionApp, create_function_app
from pyfunc.serving.http.settings import HttpSettings
from pyfunc.serving.running import uvicorn_options

Serve = Callable[..., httpx.Client]


class Served(httpx.Client):
    """A client of one server, which knows the application."""

    app: FunctionApp


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """Return a function that serves a function until the test ends."""
    with contextlib.ExitStack() as stack:

        def start(function: Callable[..., Any], **options: Any) -> Served:
            settings = HttpSettings(**options.pop("limits", {}))
            app = create_function_app(function, settings=settings, **options)
            port = stack.enter_context(_running(app, settings))
            client = Served(base_url=f"http://127.0.0.1:{port}", timeout=30)
            client.app = app
            return stack.enter_context(client)

        yield start


@contextlib.contextmanager
def _running(app: FunctionApp, settings: HttpSettings) -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        config = uvicorn.Config(app, **uvicorn_options(settings), log_config=None)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()
