"""One process that serves an application, and how it is made there from a plan."""

from __future__ import annotations

import importlib
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import uvicorn

from pyfunc.serving.http.access import AccessLog
from pyfunc.serving.http.settings import HttpSettings
from pyfunc.serving.http.startup import collection_paused, keep_what_is_loaded

__all__ = [
    "Application",
    "Plan",
    "Server",
    "import_named",
    "logged",
    "made",
    "name_of",
    "uvicorn_options",
]

A = TypeVar("A")
Application = Callable[..., Awaitable[None]]  # of ASGI
Plan = Mapping[str, Any]  # what JSON can hold, by the names of an application's own arguments


def uvicorn_options(settings: HttpSettings) -> dict[str, Any]:
    """Return the options of uvicorn under which the limits hold."""
    from pyfunc.serving.http.connections import guarded_protocol

    return {
        "http": guarded_protocol(settings),
        "ws": "none",
        "workers": 1,  # whatever WEB_CONCURRENCY says
        "proxy_headers": settings.forwarded_allow_ips is not None,
        "forwarded_allow_ips": settings.forwarded_allow_ips or "",
        "ssl_certfile": settings.certfile,
        "ssl_keyfile": settings.keyfile,
        "lifespan": "on",
        "timeout_keep_alive": settings.keep_alive,
        "access_log": False,
        "server_header": False,
        "limit_concurrency": settings.max_connections,
    }


def name_of(function: Callable[..., object]) -> str:
    """Return ``module:function``, by which :func:`import_named` finds it again."""
    return f"{function.__module__}:{function.__name__}"


def import_named(reference: str) -> Any:
    """Return the function that ``module:function`` names."""
    module, _, function = reference.partition(":")
    return getattr(importlib.import_module(module), function)


def made(make_app: Callable[[Plan], A], plan: Plan) -> A:
    """Return the application of a plan; what is loaded for it stays."""
    with collection_paused():
        app = make_app(plan)
    keep_what_is_loaded()
    return app


def logged(app: Application, access: int | None) -> Application:
    """Return an application that writes down its requests, if there is a log for them."""
    return app if access is None else AccessLog(app, access)


class Server(uvicorn.Server):
    """Says where it listens, and ends by a signal whenever that comes.

    Args:
        config: the application, and uvicorn's options.
        settings: the limits.
        ending: is set by a signal that came before uvicorn listened to signals itself, which it
            does only when all that it needs is imported.
        when_serving: is called once requests are answered.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        settings: HttpSettings,
        ending: threading.Event,
        when_serving: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(config)
        self._ending = ending
        self._when_serving = when_serving
        self._scheme = "http" if settings.certfile is None else "https"

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        if self.started:
            for sock in sockets or ():
                logging.getLogger("uvicorn.error").info(
                    "Serving on %s", _url_of(self._scheme, sock)
                )
            self._when_serving()

    async def main_loop(self) -> None:
        """Wait for the end."""
        self.should_exit = self.should_exit or self._ending.is_set()
        await super().main_loop()


def _url_of(scheme: str, sock: socket.socket) -> str:
    name = sock.getsockname()
    if not isinstance(name, tuple):
        return f"unix:{name}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"{scheme}://{host}:{name[1]}"
