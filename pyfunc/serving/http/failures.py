"""What a client is told when something went wrong: the one table from error code to HTTP status.

The text and traceback of an error of the code that is served stay on the server, under an id that
the client gets, unless the server runs in debug mode.
"""

from __future__ import annotations

import json
import logging
import secrets
import traceback

from pyfunc.errors import (
    BAD_REQUEST,
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_DOES_NOT_EXIST,
    CodeFailedError,
    PyfuncError,
)
from pyfunc.serving.http.messages import Reply, json_reply

__all__ = [
    "EXTRA_HEADERS",
    "STATUSES",
    "as_pyfunc_error",
    "error_reply",
    "error_tree",
    "status_of",
]

logger = logging.getLogger("pyfunc.serving")

STATUSES: dict[str, int] = {
    BAD_REQUEST: 400,
    INVALID_PARAMETER_VALUE: 400,
    RESOURCE_ALREADY_EXISTS: 400,
    "UNAUTHENTICATED": 401,
    "CUSTOMER_UNAUTHORIZED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    RESOURCE_DOES_NOT_EXIST: 404,
    "ENDPOINT_NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "REQUEST_TIMEOUT": 408,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_CONFLICT": 409,
    "PAYLOAD_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "REQUEST_LIMIT_EXCEEDED": 429,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    INTERNAL_ERROR: 500,
    "INVALID_STATE": 500,
    "DATA_LOSS": 500,
    "NOT_IMPLEMENTED": 501,
    "TEMPORARILY_UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""HTTP status of each error code: MLflow's, and those of the limits that it does not have."""

EXTRA_HEADERS: dict[int, tuple[tuple[bytes, bytes], ...]] = {
    401: ((b"www-authenticate", b"Bearer"),),
    408: ((b"connection", b"close"),),
    413: ((b"connection", b"close"),),
    503: ((b"retry-after", b"1"),),
}
"""Headers that go with a status."""


def status_of(error: PyfuncError) -> int:
    """Return the HTTP status for an error; 500 for a code that the table lacks."""
    return STATUSES.get(error.error_code, 500)


def as_pyfunc_error(error: BaseException, failure: CodeFailedError) -> PyfuncError:
    """Return what the client is told of an exception that left the code that is served.

    Errors of this library and of MLflow speak to the caller and are kept; any other becomes the
    cause of ``failure``.
    """
    if isinstance(error, PyfuncError):
        return error
    code, text = getattr(error, "error_code", None), getattr(error, "message", None)
    if isinstance(code, str) and isinstance(text, str) and code in STATUSES:
        spoken = PyfuncError(text, code)
        spoken.__cause__ = error
        return spoken
    failure.__cause__ = error
    return failure


def error_tree(error: PyfuncError, *, debug: bool) -> dict[str, object]:
    """Return the JSON object for an error, and log it under an id if the server is to blame."""
    tree: dict[str, object] = json.loads(error.serialize_as_json())
    if status_of(error) != 500:
        return tree
    tree["error_id"] = secrets.token_hex(8)
    cause = error.__cause__ or error
    logger.error("a request failed, error id %s", tree["error_id"], exc_info=cause)
    if debug:
        tree["message"] = f"{tree['message']}: {type(cause).__name__}: {cause}"
        tree["stack_trace"] = "".join(traceback.format_exception(cause))
    else:
        hidden = tree["message"] if isinstance(error, CodeFailedError) else "the server failed"
        tree["message"] = f"{hidden}; the log of the server has it as {tree['error_id']}"
    return tree


def error_reply(error: PyfuncError, *, debug: bool = False) -> Reply:
    """Return the response for an error, in the form of MLflow's server."""
    status = status_of(error)
    return json_reply(error_tree(error, debug=debug), status, EXTRA_HEADERS.get(status, ()))
