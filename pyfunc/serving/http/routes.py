"""Starlette's routes for answers that need no work, and what an application does around them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple, cast

from pyfunc.errors import MissingDependencyError, PyfuncError
from pyfunc.serving.http.endpoint import Endpoint, HttpService
from pyfunc.serving.http.failures import error_reply
from pyfunc.serving.http.guard import App, Guard
from pyfunc.serving.http.messages import HttpScope, Receive, Reply, Send, send_reply

try:
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import Request as StarletteRequest
    from starlette.responses import Response
    from starlette.routing import BaseRoute, Match, Route
except ImportError as error:
    raise MissingDependencyError("serving", "pip install 'pyfunc-format[serve]'") from error

__all__ = ["as_response", "fixed_route", "get_route", "make_app"]

_MOST_FOUND = 64  # paths, which a client may make up


def make_app(service: HttpService, routes: list[BaseRoute]) -> Starlette:
    """Return an application of these routes; other paths and methods get errors as JSON."""
    app = Starlette(
        routes=routes,
        lifespan=_closing(service),
        exception_handlers={
            404: _refused(PyfuncError("there is nothing at this path", "ENDPOINT_NOT_FOUND")),
            405: _refused(PyfuncError("the path does not take this method", "METHOD_NOT_ALLOWED")),
        },
    )
    app.router.redirect_slashes = False
    app.add_middleware(_Shortcuts, routes=app.router.routes)
    app.add_middleware(Guard, settings=service.settings, open_paths=service.open_paths)
    app.state.service = service
    return app


class _Shortcuts:
    """Leads the requests of paths that were asked before to their endpoints.

    Those answer whatever happens, so that nothing that Starlette does on the way is missed.
    """

    def __init__(self, app: App, routes: list[BaseRoute]) -> None:
        self._app = app
        self._routes = routes
        self._found: dict[tuple[str, str], _Place] = {}

    def __call__(self, scope: HttpScope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http" or scope["method"] != "POST":
            return self._app(scope, receive, send)
        key = scope.get("root_path", ""), scope["path"]
        found = self._found.get(key) or self._find(key, scope)
        if found is None:
            return self._app(scope, receive, send)
        scope["path_params"] = found.path_params
        return found.endpoint(scope, receive, send)

    def _find(self, key: tuple[str, str], scope: HttpScope) -> _Place | None:
        matches = (route.matches(cast("dict[str, Any]", scope)) for route in self._routes)
        child = next((child for match, child in matches if match is Match.FULL), {})
        endpoint = child.get("endpoint")
        if not isinstance(endpoint, Endpoint) or scope.get("path_params"):
            return None
        found = _Place(endpoint, child["path_params"])
        if len(self._found) < _MOST_FOUND:
            self._found[key] = found
        return found


class _Place(NamedTuple):
    endpoint: Endpoint
    path_params: dict[str, object]


def get_route(path: str, answer: Callable[[], Reply]) -> Route:
    """Return a route for GET that gives whatever ``answer`` returns at that time."""

    async def endpoint(request: StarletteRequest) -> Response:
        return as_response(answer())

    return Route(path, endpoint, methods=["GET"])


def fixed_route(path: str, reply: Reply, method: str = "GET") -> Route:
    """Return a route that gives every request the same answer."""
    return Route(path, _Fixed(reply), methods=[method])


class _Fixed:
    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    async def __call__(self, scope: HttpScope, receive: Receive, send: Send) -> None:
        await send_reply(self._reply, send)


def as_response(reply: Reply) -> Response:
    """Return a reply as Starlette's routes give it."""
    headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in reply.headers}
    headers["content-type"] = reply.content_type.decode("latin-1")
    return Response(reply.body, reply.status, headers)


def _refused(error: PyfuncError) -> Callable[[StarletteRequest, Exception], Response]:
    def handle(request: StarletteRequest, cause: Exception) -> Response:
        response = as_response(error_reply(error))
        if isinstance(cause, HTTPException) and cause.headers:
            response.headers.update(cause.headers)
        return response

    return handle


def _closing(
    service: HttpService,
) -> Callable[[Starlette], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        service.pool.close()

    return lifespan
