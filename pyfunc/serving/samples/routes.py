"""The routes of a server for a model with a request handler: one sample in, one answer out.

Paths, statuses and texts are those of Cortex where ``error_style`` asks for them.
"""

from __future__ import annotations

import json
import logging
from typing import Literal, get_args
from urllib.parse import parse_qs

from pyfunc.errors import (
    BAD_REQUEST,
    HandlerError,
    InvalidArgumentError,
    MissingDependencyError,
    ModelFailedError,
    PyfuncError,
    shorten,
)
from pyfunc.handlers.loading import RequestHandler
from pyfunc.schema import format_predictions
from pyfunc.schema.wire.json_text import load_json
from pyfunc.serving.http.endpoint import Endpoint
from pyfunc.serving.http.failures import error_reply, status_of
from pyfunc.serving.http.messages import TEXT, Reply, Request, json_reply
from pyfunc.serving.http.routes import fixed_route
from pyfunc.serving.samples.tracking import AnswerCounter
from pyfunc.serving.service import ModelService

try:
    from starlette.routing import BaseRoute, Route
except ImportError as error:
    raise MissingDependencyError("serving", "pip install 'pyfunc-format[serve]'") from error

__all__ = ["ErrorStyle", "cortex_routes", "handler_routes", "refuse_as_here"]

ErrorStyle = Literal["pyfunc", "cortex"]

_ANY_ORIGIN = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-headers", b"*"),
)
_HOW_TO_ASK = "POST a JSON payload to this path for a prediction"
_logger = logging.getLogger("pyfunc.handlers")


class MalformedJsonError(InvalidArgumentError):
    """The body of a request is not JSON."""


class UnencodableResultError(PyfuncError):
    """What a handler returned has no JSON form."""


def handler_routes(
    service: ModelService, *, error_style: ErrorStyle = "pyfunc"
) -> list[BaseRoute]:
    """Return the routes of the served model's request handler; none if it has no handler.

    ``POST /predict`` answers one sample, ``GET /predict`` and ``GET /predict/signature`` say
    what the model takes, ``GET /healthz`` that the server is there. Web pages of any origin may
    use them. Given to ``create_app`` as ``extra_routes``.

    Args:
        service: the model that is served.
        error_style: ``pyfunc`` answers with the JSON errors of the other routes: 400 for what is
            wrong with the request, 500 for what the handler does. ``cortex`` answers as Cortex
            did: text, 400 for what is not JSON and 406 for everything else.
    """
    if error_style not in get_args(ErrorStyle):
        raise InvalidArgumentError(
            f"error_style: expected 'pyfunc' or 'cortex', got {shorten(error_style)}"
        )
    handler = service.model.request_handler
    if not isinstance(handler, RequestHandler):
        return []
    listing = handler.inputs.listing()
    refuse = _refuse_as_cortex if error_style == "cortex" else refuse_as_here
    endpoint = Endpoint(
        service,
        "predict",
        _Samples(service, handler),
        refuse=lambda error: _open_to_all(refuse(error, service)),
    )
    service.open_paths.add("/predict")
    message = {"model_signature": listing, "message": _HOW_TO_ASK}
    return [
        Route("/predict", endpoint, methods=["POST"]),
        _fixed("/predict", message),
        _fixed("/predict/signature", {"signature": listing}),
        _fixed("/healthz", {"ok": True}),
        fixed_route("/predict", _open_to_all(Reply(b"", 200, TEXT)), "OPTIONS"),
    ]


def cortex_routes(service: ModelService) -> list[BaseRoute]:
    """Return the routes of :func:`handler_routes` with the errors of Cortex."""
    return handler_routes(service, error_style="cortex")


class _Samples:
    """Answers requests to ``POST /predict``; may be called from any number of threads."""

    def __init__(self, service: ModelService, handler: RequestHandler) -> None:
        self._settings = service.settings
        self._limits = service.settings.limits
        self._handler = handler
        self._answers = AnswerCounter(handler.tracker, service.meter)

    def __call__(self, request: Request) -> Reply:
        debug = parse_qs(request.query.decode("latin-1")).get("debug", [""])[-1]
        result = self._handler.predict_sample(self._sample(request), debug=debug.lower() == "true")
        try:
            text = format_predictions(result, nan=self._settings.nan, unified=True)
        except PyfuncError as error:
            raise UnencodableResultError(f"the answer has no JSON form: {error}") from error
        self._answers.note(result)
        return _open_to_all(Reply(text.encode("ascii")))

    def _sample(self, request: Request) -> object:
        """Return the payload; None if the request does not say that it is JSON."""
        if not _is_json(request.header(b"content-type")):
            return None
        settings = self._settings
        self._limits.check_json(request.body)
        try:
            return load_json(
                request.body, allow_nan=settings.allow_nan, max_depth=settings.max_depth
            )
        except InvalidArgumentError as error:
            raise MalformedJsonError(str(error), BAD_REQUEST) from error


def _is_json(content_type: bytes | None) -> bool:
    media = (content_type or b"").split(b";")[0].strip().lower()
    return media == b"application/json" or (
        media.startswith(b"application/") and media.endswith(b"+json")
    )


def _open_to_all(reply: Reply) -> Reply:
    return Reply(reply.body, reply.status, reply.content_type, (*reply.headers, *_ANY_ORIGIN))


def refuse_as_here(error: PyfuncError, service: ModelService) -> Reply:
    """Return the response for an error of a handler, or of what is around it."""
    if not isinstance(error, HandlerError):
        return service.refuse(error)
    # What a handler raises is meant for whoever sent the sample; its traceback is not.
    _logger.error("%s", error, exc_info=error.__cause__)
    tree = {**json.loads(error.serialize_as_json()), "message": _text_of(error)}
    return json_reply(tree, 500)


def _refuse_as_cortex(error: PyfuncError, service: ModelService) -> Reply:
    if isinstance(error, MalformedJsonError):
        return Reply(b"malformed json", 400, TEXT)
    if isinstance(error, UnencodableResultError):
        return json_reply({"error": str(error)}, 500)
    status = status_of(error)
    if status not in (400, 404, 500):  # a limit of the server, of which Cortex had none
        refused = error_reply(error)
        return Reply(str(error).encode(), status, TEXT, refused.headers)
    _logger.error("%s", error, exc_info=error.__cause__)
    return Reply(_text_of(error).encode(), 406, TEXT)


def _text_of(error: PyfuncError) -> str:
    if isinstance(error, ModelFailedError) and error.__cause__ is not None:
        return f"prediction failed: {error.__cause__}"
    return f"prediction failed: error: {error}"


def _fixed(path: str, tree: object) -> Route:
    return fixed_route(path, _open_to_all(json_reply(tree)))
