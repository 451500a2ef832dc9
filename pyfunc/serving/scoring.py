"""MLflow's scoring protocol: ``/invocations`` and the small routes beside it."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from pyfunc.errors import MissingDependencyError, ModelFailedError, PyfuncError, shorten
from pyfunc.schema import ParsedRequest, RequestReader
from pyfunc.schema.wire.responses import encode_predictions
from pyfunc.serving.http.brief import BriefWork
from pyfunc.serving.http.messages import JSON, Reply, Request
from pyfunc.serving.service import ModelService, Rows, predict

__all__ = [
    "MediaType",
    "Scoring",
    "format_reply",
    "parse_content_type",
    "parse_scoring_request",
    "row_scoring",
]

Cells = npt.NDArray[np.generic]
MediaType = Literal["application/json", "text/csv", "application/vnd.apache.parquet"]

_KNOWN: dict[str, MediaType] = {
    "application/json": "application/json",
    "text/csv": "text/csv",
    "application/vnd.apache.parquet": "application/vnd.apache.parquet",
}


@lru_cache(maxsize=64)
def parse_content_type(value: bytes | None) -> MediaType:
    """Return the media type of a Content-Type header.

    Raises:
        PyfuncError: with ``UNSUPPORTED_MEDIA_TYPE``: there is no header, the type is none of
            the three, the charset is not UTF-8, or there is another parameter.
    """
    text = "" if value is None else value.decode("latin-1")
    word, *parameters = text.split(";")
    found = _KNOWN.get(word.strip())
    if found is None:
        got = "no Content-Type" if value is None else shorten(text)
        raise _unsupported(f"expected a body of {', '.join(_KNOWN)}, got {got}")
    for parameter in parameters:
        name, _, charset = parameter.partition("=")
        if name.strip().lower() != "charset":
            raise _unsupported(
                f"{found} takes no parameter but charset, got {shorten(parameter.strip())}"
            )
        if charset.strip().strip('"').lower() != "utf-8":
            raise _unsupported(f"the charset must be utf-8, got {shorten(charset.strip())}")
    return found


def _unsupported(message: str) -> PyfuncError:
    return PyfuncError(message, "UNSUPPORTED_MEDIA_TYPE")


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
    value: object, *, nan: Literal["null", "string"] = "null", unified: bool = False
) -> Reply:
    """Return a prediction as a response.

    Raises:
        ModelFailedError: it has no JSON form.
    """
    try:
        return Reply(encode_predictions(value, nan=nan, unified=unified))
    except PyfuncError as error:
        raise ModelFailedError("the prediction has no JSON form") from error


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

    def format(self, value: object, *, unified: bool = False) -> Reply:
        """Return a prediction as a response.

        Raises:
            ModelFailedError: it has no JSON form.
        """
        return format_reply(value, nan=self._service.settings.nan, unified=unified)


class _RowScoring:
    """Answers requests of rows of numbers without a frame."""

    def __init__(self, scoring: Scoring, rows: Rows) -> None:
        self._scoring = scoring
        self._rows = rows

    def read(self, request: Request) -> Cells | None:
        """Return the rows of a request, None for any other request."""
        is_json = request.header(b"content-type") == JSON
        return self._rows.reader.read(request.body) if is_json else None

    def answer(self, cells: Cells) -> Reply:
        """Return the answer to rows."""
        return self._scoring.format(self._rows.predict(cells))


def row_scoring(scoring: Scoring, rows: Rows, service: ModelService) -> BriefWork[Cells]:
    """Return what answers requests of rows of numbers without a frame, and others as usual."""
    work = _RowScoring(scoring, rows)
    return BriefWork(work.read, work.answer, scoring, pool=service.pool, turn=service.turn)
