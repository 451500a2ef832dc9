"""MLflow's scoring protocol: ``/invocations`` and the small routes beside it."""

from __future__ import annotations

from typing import Any, Literal

from pyfunc.errors import MissingDependencyError, PyfuncError
from pyfunc.schema import ParsedRequest, RequestReader, format_predictions
from pyfunc.serving.http.content_types import parse_content_type
from pyfunc.serving.http.failures import ModelFailedError
from pyfunc.serving.http.messages import Reply, Request
from pyfunc.serving.service import ModelService, predict

__all__ = ["Scoring", "format_reply", "parse_scoring_request"]


def parse_scoring_request(reader: RequestReader, request: Request) -> ParsedRequest:
    """Return what a request to ``/invocations`` asks for.

    Raises:
        PyfuncError: the media type is none of those read, or the body cannot be.
    """
    media = parse_content_type(request.header(b"content-type"))
    if media == "application/json":
        return reader.parse_json(request.body)
    if media == "text/csv":
        return reader.parse_csv(request.body)
    try:
        return reader.parse_parquet(request.body)
    except MissingDependencyError as error:
        raise PyfuncError(
            "this server cannot read parquet; send JSON or CSV", "UNSUPPORTED_MEDIA_TYPE"
        ) from error


def format_reply(
    value: Any, *, nan: Literal["null", "string"] = "null", unified: bool = False
) -> Reply:
    """Return a prediction as a response.

    Raises:
        ModelFailedError: it has no JSON form.
    """
    try:
        text = format_predictions(value, nan=nan, unified=unified)
    except PyfuncError as error:
        raise ModelFailedError("the prediction has no JSON form") from error
    return Reply(text.encode("ascii"))


class Scoring:
    """Answers requests to ``/invocations``; may be called from any number of threads."""

    def __init__(self, service: ModelService) -> None:
        self._service = service

    def __call__(self, request: Request) -> Reply:
        """Return the answer to one request.

        Raises:
            PyfuncError: the request cannot be answered.
        """
        return self.answer(self.parse(request))

    def parse(self, request: Request) -> ParsedRequest:
        """Return what the request asks for."""
        return parse_scoring_request(self._service.reader, request)

    def answer(self, parsed: ParsedRequest) -> Reply:
        """Return the answer to what one request asks for."""
        value = predict(self._service.model, parsed.data, parsed.params)
        return self.format(value, unified=parsed.unified)

    def format(self, value: Any, *, unified: bool = False) -> Reply:
        """Return a prediction as a response.

        Raises:
            ModelFailedError: it has no JSON form.
        """
        return format_reply(value, nan=self._service.settings.nan, unified=unified)
