"""The ASGI application of the page, and the server that only this machine reaches.

Whatever is answered is read: there is no route that changes anything. Requests that call the
server by another name than one of the loopback are refused, so that a page from elsewhere whose
name is made to lead here (DNS rebinding) reads nothing.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl

from pyfunc.errors import MissingDependencyError, PyfuncError
from pyfunc.functions.ui.views import Asked, Tree, Views

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import Route
    from starlette.types import ASGIApp, Receive, Scope, Send

    from pyfunc.serving.http.running import uvicorn_options
except ImportError as error:
    raise MissingDependencyError("the page", "pip install 'pyfunc-format[serve]'") from error

from pyfunc.serving.http.endpoint import Endpoint, HttpService
from pyfunc.serving.http.failures import error_reply
from pyfunc.serving.http.html import html_reply, read_page
from pyfunc.serving.http.messages import Reply, Request, json_reply
from pyfunc.serving.http.routes import as_response, get_route, make_app
from pyfunc.serving.http.settings import HttpSettings

__all__ = ["create_page_app", "serve_page"]

_HOST = "127.0.0.1"
_LOOPBACK = re.compile(rb"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?", re.IGNORECASE)
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
)
_SETTINGS = HttpSettings(metrics=False, max_body_bytes=1, max_connections=200)
_REFUSED = PyfuncError(
    "the page is only shown under a name of this machine, such as localhost", "PERMISSION_DENIED"
)


def create_page_app(root: Path) -> Starlette:
    """Return the ASGI application that shows the store below ``root``."""
    service = HttpService(_SETTINGS)
    views = Views(root)

    def route(path: str, view: Callable[[Asked], Tree]) -> Route:
        def work(request: Request) -> Reply:
            return json_reply(view(_asked(request)), headers=_HEADERS)

        return Route(f"/api/projects{path}", Endpoint(service, "page", work), methods=["GET"])

    app = make_app(
        service,
        [
            get_route("/", _page),
            route("", views.projects),
            route("/{project}", views.project),
            route("/{project}/runs/{version}/log", views.log),
            route("/{project}/runs/{version}/lineage", views.lineage),
            route("/{project}/{types}", views.entities),
            route("/{project}/{types}/{version}", views.entity),
            route("/{project}/{types}/{name}/{version}", views.entity),
            route("/{project}/{types}/{name}/{version}/preview", views.preview),
        ],
    )
    app.add_middleware(_LoopbackOnly)
    return app


def _asked(request: Request) -> Asked:
    query = dict(parse_qsl(request.query.decode("latin-1"), keep_blank_values=True))
    return Asked(**{name: str(part) for name, part in request.path_params.items()}, query=query)


@cache
def _page() -> Reply:
    return html_reply(read_page("functions/ui/page.html"))


class _LoopbackOnly:
    """Lets only those through who call the server by a name of this machine."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            hosts = [value for name, value in scope["headers"] if name == b"host"]
            if len(hosts) != 1 or not _LOOPBACK.fullmatch(hosts[0]):
                await as_response(error_reply(_REFUSED))(scope, receive, send)
                return
        await self._app(scope, receive, send)


def serve_page(root: Path, port: int, when_listening: Callable[[str], object]) -> None:
    """Serve the page until a signal ends it.

    Args:
        root: the directory of the store.
        port: 0 for any that is free.
        when_listening: is given the URL.

    Raises:
        PyfuncError: the port is taken.
    """
    try:
        listener = socket.create_server((_HOST, port))
    except OSError as error:
        raise PyfuncError(f"port {port} of {_HOST}: {error.strerror}") from error
    with listener:
        config = uvicorn.Config(
            create_page_app(root), **uvicorn_options(_SETTINGS), log_level="warning"
        )
        when_listening(f"http://{_HOST}:{listener.getsockname()[1]}/")
        uvicorn.Server(config).run(sockets=[listener])
