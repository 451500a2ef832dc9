"""The routes of a chat: MLflow's ``/invocations`` that streams, and those of OpenAI."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

from pyfunc.chat.loaded import Family
from pyfunc.errors import BAD_REQUEST, ModelFailedError, PyfuncError
from pyfunc.schema import format_predictions
from pyfunc.schema.wire.json_text import load_json
from pyfunc.serving.chats.completions import Completion, completion_request, parts_of_whole
from pyfunc.serving.chats.responses import (
    ResponseStream,
    items_of_completion,
    messages_request,
    response_request,
)
from pyfunc.serving.http.failures import EXTRA_HEADERS, error_tree, status_of
from pyfunc.serving.http.messages import Reply, Request, json_reply
from pyfunc.serving.http.routes import get_route
from pyfunc.serving.http.streaming import Event, Framing, StreamEndpoint
from pyfunc.serving.scoring import Scoring, parse_content_type, parse_scoring_request
from pyfunc.serving.service import ModelService, predict
from pyfunc.types.response_items import stream_items

from starlette.routing import BaseRoute, Route  # isort: skip - known to be there by now

__all__ = ["chat_invocations", "openai_routes"]

Tree = dict[str, Any]
_DONE = Event("[DONE]")


def _invocation_failed(tree: dict[str, object]) -> list[Event]:
    return [Event(json.dumps({"error": tree["message"]})), _DONE]


def _openai_failed(tree: dict[str, object]) -> list[Event]:
    return [Event(json.dumps(_openai_error(tree, 500)))]


def _openai_error(tree: Mapping[str, object], status: int) -> dict[str, object]:
    kind = "invalid_request_error" if status < 500 else "server_error"
    error = {"message": tree["message"], "type": kind, "param": None, "code": tree["error_code"]}
    return {"error": error}


def chat_invocations(service: ModelService) -> StreamEndpoint:
    """Return MLflow's ``/invocations``, which streams where a request asks for it."""
    scoring = Scoring(service)

    def answer(request: Request) -> Iterator[str | Event] | Reply:
        parsed = parse_scoring_request(service.reader, request)
        asked = parsed.unified and parsed.data.get("stream") is True
        if not (asked and service.streams):
            return scoring.answer(parsed)
        return _texts(service, service.model.predict_stream(parsed.data))

    framing = Framing(_DONE, _invocation_failed)
    return StreamEndpoint(service, "invocations", answer, framing=framing)


def _texts(service: ModelService, parts: Iterator[Any]) -> Iterator[str | Event]:
    """Yield each part as JSON; the parts end with this."""
    try:
        for part in parts:
            yield _text_of(service, part)
    finally:
        close = getattr(parts, "close", None)
        if close is not None:
            close()


def _text_of(service: ModelService, tree: object) -> str:
    try:
        return format_predictions(tree, nan=service.settings.nan, unified=True)
    except PyfuncError as error:
        raise ModelFailedError("a part of the answer has no JSON form") from error


def openai_routes(service: ModelService, family: Family) -> list[BaseRoute]:
    """Return the routes of OpenAI's API for a chat of this kind."""
    chat = _Chat(service, family)
    about = {
        "id": service.name,
        "object": "model",
        "created": int(time.time()),
        "owned_by": "pyfunc",
    }
    return [
        get_route("/v1/models", lambda: json_reply({"object": "list", "data": [about]})),
        get_route(f"/v1/models/{service.name}", lambda: json_reply(about)),
        chat.route("/v1/chat/completions", chat.completion, Framing(_DONE, _openai_failed)),
        chat.route("/v1/responses", chat.response, Framing(_DONE, _openai_failed)),
    ]


class _Chat:
    """A chat behind the routes of OpenAI."""

    def __init__(self, service: ModelService, family: Family) -> None:
        self._service = service
        self._family: Family = family
        schema = service.model.input_schema
        self._columns = () if schema is None else tuple(schema.input_names())

    def route(
        self, path: str, answer: Callable[[Tree], Iterator[Event] | Tree], framing: Framing
    ) -> Route:
        """Return the route that answers what ``answer`` makes of a body."""

        def respond(request: Request) -> Iterator[str | Event] | Reply:
            found = answer(self._body(request))
            if isinstance(found, dict):
                return Reply(_text_of(self._service, found).encode("ascii"))
            return found

        endpoint = StreamEndpoint(
            self._service, path.lstrip("/"), respond, framing=framing, refuse=self._refuse
        )
        return Route(path, endpoint, methods=["POST"])

    def completion(self, body: Tree) -> Iterator[Event] | Tree:
        """Return a chat completion: whole, or the events of its chunks."""
        request = completion_request(body, self._family)
        made = Completion(self._service.name, self._family)
        if body.get("stream") is not True:
            return made.whole(self._whole(request))
        return self._events(request, made.parts)

    def response(self, body: Tree) -> Iterator[Event] | Tree:
        """Return a response: whole, or its events."""
        made = ResponseStream(self._service.name, body)
        if self._family == "responses":
            request = response_request(body, self._columns)
            if body.get("stream") is not True:
                return made.whole(self._whole(request))
            return self._events(request, made.parts, named=True)
        request = completion_request(messages_request(body), self._family)
        chat = Completion(self._service.name, self._family)
        if body.get("stream") is not True:
            return made.whole(items_of_completion(chat.whole(self._whole(request))))
        return self._events(
            request, lambda parts: made.parts(stream_items(chat.parts(parts))), named=True
        )

    def _whole(self, request: Tree) -> Tree:
        answer: Tree = predict(self._service.model, request, None)
        return answer

    def _events(
        self,
        request: Tree,
        convert: Callable[[Iterator[Tree]], Iterator[Tree]],
        *,
        named: bool = False,
    ) -> Iterator[Event]:
        parts = self._parts(request)
        try:
            for tree in convert(parts):
                yield Event(_text_of(self._service, tree), tree["type"] if named else None)
        finally:
            parts.close()

    def _parts(self, request: Tree) -> Generator[Tree, None, None]:
        """Yield the parts of the answer; all of it at once if there is no stream."""
        if not self._service.streams:
            yield from parts_of_whole(self._whole(request), self._family)
            return
        yield from self._service.model.predict_stream(request)

    def _body(self, request: Request) -> Tree:
        if parse_content_type(request.header(b"content-type")) != "application/json":
            raise PyfuncError("expected a body of application/json", BAD_REQUEST)
        settings = self._service.settings
        body = load_json(request.body, allow_nan=False, max_depth=settings.max_depth)
        if not isinstance(body, dict):
            raise PyfuncError("expected a JSON object", BAD_REQUEST)
        return body

    def _refuse(self, error: PyfuncError) -> Reply:
        status = status_of(error)
        tree = error_tree(error, debug=self._service.settings.debug)
        return json_reply(_openai_error(tree, status), status, EXTRA_HEADERS.get(status, ()))
