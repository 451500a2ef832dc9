"""The ASGI application that serves one model."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyfunc.errors import MissingDependencyError, PyfuncError
from pyfunc.loading.entry import load_model
from pyfunc.serving.http.settings import ServingSettings
from pyfunc.version import VERSION

try:
    from starlette.applications import Starlette
    from starlette.requests import Request as StarletteRequest
    from starlette.responses import Response
    from starlette.routing import BaseRoute, Route
except ImportError as error:
    raise MissingDependencyError("serving", "pip install 'pyfunc-format[serve]'") from error

from pyfunc.serving.batching import ScoringBatcher
from pyfunc.serving.http.failures import error_reply
from pyfunc.serving.http.messages import TEXT, Reply
from pyfunc.serving.http.metrics import NO_METRICS, PrometheusMeter
from pyfunc.serving.open_inference.protocol import inference_routes
from pyfunc.serving.pages.description import describe_model
from pyfunc.serving.pages.openapi import openapi_document
from pyfunc.serving.pages.page import page_reply
from pyfunc.serving.scoring import Scoring
from pyfunc.serving.service import Endpoint, ModelService
from pyfunc.serving.streaming import StreamEndpoint

if TYPE_CHECKING:
    from pyfunc.model.loaded import PyFuncModel

__all__ = ["create_app"]

ExtraRoutes = Sequence[BaseRoute] | Callable[[ModelService], Sequence[BaseRoute]]


def create_app(
    model: PyFuncModel | str | Path,
    *,
    name: str | None = None,
    settings: ServingSettings | None = None,
    extra_routes: ExtraRoutes = (),
) -> Starlette:
    """Return an ASGI application that serves a model.

    Args:
        model: a loaded model, or a directory to load with the default policy of trust.
        name: what the Open Inference Protocol calls the model; by default the last part of
            its artifact path or directory.
        settings: limits and options.
        extra_routes: further routes, or a function of the :class:`ModelService` that gives
            them; they come after the others.
    """
    settings = ServingSettings() if settings is None else settings
    name = _name_of(model) if name is None else name
    loaded = load_model(str(model)) if isinstance(model, (str, Path)) else model
    meter = PrometheusMeter() if settings.metrics else None
    service = ModelService(loaded, name, settings, NO_METRICS if meter is None else meter)
    if meter is not None:
        meter.watch(service.pool)
    routes = [*_scoring_routes(service), *inference_routes(service), *_about(service)]
    if meter is not None:
        routes.append(_get("/metrics", meter.reply))
    routes += extra_routes(service) if callable(extra_routes) else extra_routes
    app = Starlette(
        routes=routes,
        lifespan=_closing(service),
        exception_handlers={
            404: _refused(PyfuncError("there is nothing at this path", "ENDPOINT_NOT_FOUND")),
            405: _refused(PyfuncError("the path does not take this method", "METHOD_NOT_ALLOWED")),
        },
    )
    app.router.redirect_slashes = False
    app.state.service = service
    return app


def _about(service: ModelService) -> list[BaseRoute]:
    routes = [_get("/openapi.json", lambda: _json(openapi_document(service)))]
    if service.settings.page:
        routes += [
            _get("/", page_reply),
            _get("/model.json", lambda: _json(describe_model(service))),
        ]
    return list(routes)


def _json(tree: Any) -> Reply:
    return Reply(json.dumps(tree, allow_nan=False).encode("ascii"))


def _scoring_routes(service: ModelService) -> list[BaseRoute]:
    alive = Reply(b"\n", 200, TEXT)
    version = Reply(VERSION.encode("ascii"), 200, TEXT)
    routes: list[BaseRoute] = [
        Route("/invocations", _invocations(service), methods=["POST"]),
        _get("/ping", lambda: alive),
        _get("/health", lambda: alive),
        _get("/version", lambda: version),
    ]
    if service.streams:
        routes.append(Route("/invocations/stream", StreamEndpoint(service), methods=["POST"]))
    return routes


def _invocations(service: ModelService) -> Endpoint:
    settings = service.settings
    if settings.handler_on_invocations:
        from pyfunc.serving.samples.invocations import handled_invocations

        return handled_invocations(service)
    scoring = Scoring(service)
    group = None
    if settings.batching:
        group = ScoringBatcher(scoring, service.model.predict, settings.max_batch_rows)
    return Endpoint(service, "invocations", scoring, group=group)


def _get(path: str, answer: Callable[[], Reply]) -> Route:
    async def endpoint(request: StarletteRequest) -> Response:
        return as_response(answer())

    return Route(path, endpoint, methods=["GET"])


def as_response(reply: Reply) -> Response:
    """Return a reply as Starlette's routes give it."""
    headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in reply.headers}
    headers["content-type"] = reply.content_type.decode("latin-1")
    return Response(reply.body, reply.status, headers)


def _refused(error: PyfuncError) -> Callable[[StarletteRequest, Any], Response]:
    def handle(request: StarletteRequest, cause: Any) -> Response:
        response = as_response(error_reply(error))
        response.headers.update(getattr(cause, "headers", None) or {})
        return response

    return handle


def _closing(service: ModelService) -> Callable[[Any], Any]:
    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        yield
        service.pool.close()

    return lifespan


def _name_of(model: PyFuncModel | str | Path) -> str:
    if isinstance(model, (str, Path)):
        return Path(str(model).rstrip("/")).name or "model"
    return Path(str(model.metadata.artifact_path or "model")).name or "model"
