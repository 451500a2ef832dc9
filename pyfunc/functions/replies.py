"""What a served function returned, as an HTTP response; and what it raised.

========================  =========================================================
returned                  answered
========================  =========================================================
text                      200, ``text/plain``
bytes                     200, ``application/octet-stream``
dict or list              200, JSON; frames as lists of records, arrays as lists
(status, body)            that status; text as text, a stream as one, anything else as JSON
:class:`Response`         its status, headers and content type; the body as above
a frame, series, array    200, JSON
a generator               200, streamed item by item
anything else             200, ``text/plain`` of ``str(value)``, None as ``None``
========================  =========================================================

A function that says what its outputs are called is answered with an object of them.
"""

from __future__ import annotations

import inspect
import json
import logging
import re
import secrets
import sys
import traceback
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeGuard

import orjson

from pyfunc.code.calling import text_of, told
from pyfunc.errors import shorten
from pyfunc.functions.binding import BindingError
from pyfunc.functions.events import Compat, Response
from pyfunc.functions.outputs import OutputEntry, name_items
from pyfunc.serving.http.messages import JSON, TEXT, Reply

__all__ = [
    "Replies",
    "Stream",
]

logger = logging.getLogger("pyfunc.functions")

BINARY = b"application/octet-stream"
NDJSON = b"application/x-ndjson"

_Outputs = Sequence[OutputEntry]
_Headers = tuple[tuple[bytes, bytes], ...]
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110
_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_OURS = frozenset({"connection", "content-length", "content-type", "transfer-encoding"})


class ReturnedError(ValueError):
    """What a function returned cannot be a response."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A response whose body comes in parts."""

    parts: Iterator[object] | AsyncIterator[object]
    status: int = 200
    content_type: bytes | None = None
    headers: _Headers = ()


class Replies:
    """Turns what one function returns or raises into responses.

    Args:
        outputs: the entries of its outputs, None for a function that does not say.
        nan: what NaN and infinities become: null, or texts.
        compat: ``digitalhub`` answers as nuclio's wrapper does.
        debug: send the traceback of the function's errors to the client.
    """

    def __init__(
        self,
        *,
        outputs: _Outputs | None = None,
        nan: Literal["null", "string"] = "null",
        compat: Compat | None = None,
        debug: bool = False,
    ) -> None:
        self._outputs = outputs
        self._nan = nan
        self._compat = compat
        self._debug = debug

    def reply(self, value: object) -> Reply | Stream:
        """Return the response for what the function returned.

        Raises:
            ReturnedError: it cannot be one.
            PyfuncError: a part of it has no JSON form.
        """
        if self._outputs is not None and not isinstance(value, Response):
            return Reply(self._named_json(value, self._outputs))
        return self._plain(value)

    def failure(self, error: BaseException) -> Reply:
        """Return the response for what the function raised, and log it under an id."""
        if isinstance(error, BindingError):
            return _refusal(error)
        error_id = secrets.token_hex(8)
        logger.error("the function failed, error id %s", error_id, exc_info=error)
        trace = "".join(traceback.format_exception(error))
        if self._compat == "digitalhub":
            text = f'Exception caught in handler - "{text_of(error)}": {trace}'
            return Reply(text.encode("utf-8", "replace"), 500, TEXT)
        tree = {
            "error_code": "INTERNAL_ERROR",
            "message": f"the function failed; the log of the server has it as {error_id}",
            "error_id": error_id,
        }
        if self._debug:
            tree["message"] = f"the function failed: {told(error)}"
            tree["stack_trace"] = trace
        return Reply(json.dumps(tree).encode("ascii"), 500)

    def part(self, item: object) -> tuple[bytes, bytes]:
        """Return one item of a stream as bytes, and the content type that goes with it.

        Raises:
            PyfuncError: it has no JSON form.
        """
        if isinstance(item, Response):
            item = item.body
        if isinstance(item, str):
            return item.encode("utf-8"), TEXT
        if isinstance(item, (bytes, bytearray)):
            return bytes(item), BINARY
        if self._compat == "digitalhub" and not isinstance(item, (dict, list)):
            return str(item).encode("utf-8"), TEXT
        return self._json(item) + b"\n", NDJSON

    def _plain(self, value: object) -> Reply | Stream:
        if isinstance(value, str):
            return Reply(value.encode("utf-8"), 200, TEXT)
        if isinstance(value, (dict, list)):
            return Reply(self._json(value))
        if isinstance(value, Response):
            return self._response(value)
        if isinstance(value, tuple) and len(value) == 2:
            status, body = value
            return self._with_status(_check_status(status), body)
        return self._other(value)

    def _other(self, value: object) -> Reply | Stream:
        """Return the response for what is neither text nor a container of values."""
        if isinstance(value, (bytes, bytearray)):
            return Reply(bytes(value), 200, TEXT if self._compat else BINARY)
        if _is_stream(value):
            return Stream(value)
        if _is_table_or_array(value) and not self._compat:
            return Reply(self._json(value))
        return Reply(str(value).encode("utf-8"), 200, TEXT)

    def _with_status(self, status: int, body: object) -> Reply | Stream:
        if isinstance(body, str):
            return Reply(body.encode("utf-8"), status, TEXT)
        if _is_stream(body):
            return Stream(body, status)
        if isinstance(body, (bytes, bytearray)) and not self._compat:
            return Reply(bytes(body), status, BINARY)
        return Reply(self._json(body), status)

    def _response(self, response: Response) -> Reply | Stream:
        status, headers = _check_status(response.status_code), dict(response.headers or {})
        named = next((headers[name] for name in headers if name.lower() == "content-type"), None)
        declared = response.content_type or (named if isinstance(named, str) else None)
        content_type = None if declared is None else _header_bytes("content-type", declared)
        kept = tuple(_header_pairs(headers))
        if self._outputs is not None and not isinstance(response.body, (str, bytes)):
            answered: Reply | Stream = Reply(self._named_json(response.body, self._outputs))
        else:
            is_empty = response.body is None and not self._compat
            answered = _EMPTY if is_empty else self._plain(response.body)
        if isinstance(answered, Stream):
            return Stream(answered.parts, status, content_type, kept)
        return Reply(answered.body, status, content_type or answered.content_type, kept)

    def _named_json(self, value: object, entries: _Outputs) -> bytes:
        """Return the object of the outputs; those without a name are ``output_<i>``."""
        named = name_items(value, entries, compat=self._compat, warn=False)
        return self._json({name: item for name, (_, item) in named.items()})

    def _json(self, value: object) -> bytes:
        """Return the JSON text of ``value``; frames may lie anywhere in dicts and lists."""
        if self._compat == "digitalhub":
            return _nuclio_json(value)
        if self._nan == "null":
            try:
                return orjson.dumps(value)
            except TypeError:  # what only the codec of models knows, or knows to explain
                pass
        return self._careful_json(value)

    def _careful_json(self, value: object) -> bytes:
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            pairs = (orjson.dumps(str(k)) + b":" + self._json(item) for k, item in value.items())
            return b"{" + b",".join(pairs) + b"}"
        if isinstance(value, (list, tuple)):
            return b"[" + b",".join(map(self._json, value)) + b"]"
        from pyfunc.schema import format_predictions

        return format_predictions(value, nan=self._nan, unified=True).encode("ascii")


_EMPTY = Reply(b"", 200, TEXT)


def _nuclio_json(value: object) -> bytes:
    try:
        return json.dumps(value, default=repr, allow_nan=False).encode("ascii")
    except ValueError:
        from pyfunc.schema import format_predictions

        return format_predictions(value, nan="string", unified=True).encode("ascii")


def _refusal(error: BindingError) -> Reply:
    problems = [
        {"path": item.path, "expected": item.expected, "got": item.got} for item in error.problems
    ]
    tree = {"error_code": error.error_code, "message": str(error), "problems": problems}
    return Reply(orjson.dumps(tree), 422, JSON)


def _is_stream(value: object) -> TypeGuard[Iterator[object] | AsyncIterator[object]]:
    return inspect.isgenerator(value) or inspect.isasyncgen(value)


def _is_table_or_array(value: object) -> bool:
    pandas, numpy = sys.modules.get("pandas"), sys.modules.get("numpy")
    kinds = [getattr(pandas, name, None) for name in ("DataFrame", "Series")]
    kinds += [getattr(numpy, name, None) for name in ("ndarray", "generic")]
    return isinstance(value, tuple(kind for kind in kinds if isinstance(kind, type)))


def _check_status(status: object) -> int:
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        raise ReturnedError(
            f"a status is an integer from 200 to 599, got {shorten(status)}\n"
            "hint: a tuple of two is (status, body); return a list for two values"
        )
    return int(status)


def _header_pairs(headers: Mapping[str, str | Sequence[str]]) -> Iterator[tuple[bytes, bytes]]:
    for name, values in headers.items():
        if name.lower() not in _OURS:
            if not _TOKEN.fullmatch(name):
                raise ReturnedError(f"the name of a header is a token, got {shorten(name)}")
            for value in values if isinstance(values, (list, tuple)) else [values]:
                yield name.encode("ascii"), _header_bytes(name, value)


def _header_bytes(what: str, text: object) -> bytes:
    """Return ``text`` as it stands in a header, which ends where the line does."""
    try:
        value = str(text).encode("latin-1")
    except UnicodeEncodeError:
        raise ReturnedError(f"{what}: expected Latin-1, got {shorten(text)}") from None
    if _CONTROLS.search(value):
        raise ReturnedError(
            f"{what}: a header is one line without control characters, got {shorten(text)}"
        )
    return value
