"""The ASGI application that serves one model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pyfunc.errors import MissingDependencyError
from pyfunc.loading.entry import load_model
from pyfunc.serving.settings import ServingSettings
from pyfunc.version import VERSION

try:
    from starlette.applications import Starlette
    from starlette.routing import BaseRoute, Route
except ImportError as error:
    raise MissingDependencyError("serving", "pip install 'pyfunc-format[serve]'") from error

from pyfunc.serving.batching import ScoringBatcher
from pyfunc.serving.chats.routes import chat_invocations, openai_routes
from pyfunc.serving.http.endpoint import Endpoint
from pyfunc.serving.http.messages import TEXT, Reply, json_reply
from pyfunc.serving.http.metrics import NO_METRICS, PrometheusMeter
from pyfunc.serving.http.routes import get_route, make_app
from pyfunc.serving.http.streaming import StreamEndpoint
from pyfunc.serving.open_inference.protocol import inference_routes
from pyfunc.serving.pages.description import describe_model
from pyfunc.serving.pages.openapi import openapi_document
from pyfunc.serving.pages.page import page_reply
from pyfunc.serving.scoring import Scoring, row_scoring
from pyfunc.serving.service import ModelService
from pyfunc.serving.streaming import stream_endpoint

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
    if service.chat is not None:
        routes += openai_routes(service, service.chat)
    if meter is not None:
        routes.append(get_route("/metrics", meter.reply))
    routes += extra_routes(service) if callable(extra_routes) else extra_routes
    return make_app(service, routes)


def _about(service: ModelService) -> list[BaseRoute]:
    routes = [get_route("/openapi.json", lambda: json_reply(openapi_document(service)))]
    if service.settings.page:
        routes += [
            get_route("/", partial(page_reply, _page_of(service))),
            get_route("/model.json", lambda: json_reply(describe_model(service))),
        ]
    return list(routes)


def _page_of(service: ModelService) -> Literal["page.html", "conversation.html"]:
    is_chat = service.chat is not None and not service.settings.handler_on_invocations
    return "conversation.html" if is_chat else "page.html"


def _scoring_routes(service: ModelService) -> list[BaseRoute]:
    alive = Reply(b"\n", 200, TEXT)
    version = Reply(VERSION.encode("ascii"), 200, TEXT)
    routes: list[BaseRoute] = [
        Route("/invocations", _invocations(service), methods=["POST"]),
        get_route("/ping", lambda: alive),
        get_route("/health", lambda: alive),
        get_route("/version", lambda: version),
    ]
    if service.streams:
        routes.append(Route("/invocations/stream", stream_endpoint(service), methods=["POST"]))
    return routes


def _invocations(service: ModelService) -> Endpoint | StreamEndpoint:
    settings = service.settings
    if settings.handler_on_invocations:
        from pyfunc.serving.samples.invocations import handled_invocations

        return handled_invocations(service)
    if service.chat is not None:
        return chat_invocations(service)
    scoring = Scoring(service)
    group = None
    if settings.batching:
        group = ScoringBatcher(scoring, service.model.predict, settings.max_batch_rows)
    rows = service.rows
    work = scoring if rows is None else row_scoring(scoring, rows, service)
    return Endpoint(service, "invocations", work, group=group)


def _name_of(model: PyFuncModel | str | Path) -> str:
    if isinstance(model, (str, Path)):
        return Path(str(model).rstrip("/")).name or "model"
    return Path(str(model.metadata.artifact_path or "model")).name or "model"
