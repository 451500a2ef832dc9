"""``POST /invocations/stream``: the parts of a prediction as they come."""

from __future__ import annotations

from collections.abc import Iterator

from pyfunc.errors import ModelFailedError, PyfuncError
from pyfunc.schema import format_predictions
from pyfunc.serving.http.messages import Request
from pyfunc.serving.http.streaming import StreamEndpoint
from pyfunc.serving.scoring import parse_scoring_request
from pyfunc.serving.service import ModelService

__all__ = ["stream_endpoint"]


def stream_endpoint(service: ModelService) -> StreamEndpoint:
    """Return the endpoint that answers with one event for each part of ``predict_stream``."""

    def answer(request: Request) -> Iterator[str]:
        parsed = parse_scoring_request(service.reader, request)
        parts = service.model.predict_stream(parsed.data, parsed.params)
        try:
            for part in parts:
                yield _text_of(part, service)
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()

    return StreamEndpoint(service, "invocations/stream", answer)


def _text_of(part: object, service: ModelService) -> str:
    try:
        return format_predictions(part, nan=service.settings.nan, unified=True)
    except PyfuncError as error:
        raise ModelFailedError("a part of the prediction has no JSON form") from error
