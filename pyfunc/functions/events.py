"""What a served function is given and may give back: an event, the context, a response.

The names are those of nuclio's Python SDK, for which such functions are written.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import SimpleNamespace
from typing import Any, Literal
from urllib.parse import parse_qsl, quote

from pyfunc.errors import InvalidArgumentError, shorten

__all__ = ["Compat", "Context", "Event", "Headers", "Logger", "Response", "Trigger"]

Compat = Literal["digitalhub"]

_logger = logging.getLogger("pyfunc.functions")
_FORM = "application/x-www-form-urlencoded"
_UNESCAPED = "/:@!$&'()*+,;=~"
_DEEPEST = 200  # levels of a JSON body


@dataclass(frozen=True, slots=True)
class Trigger:
    """What made an event.

    Attributes:
        kind: ``http`` for a request.
        name: what the trigger is called.
    """

    kind: str = "http"
    name: str = "http"


class Headers(Mapping[str, str]):
    """Header values by name, whatever the case of the letters; iterates as ``Content-Type``.

    Of several headers of one name the last counts.
    """

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self._values = {
            key.lower(): value.decode("latin-1") for key, value in _decoded_names(pairs)
        }

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return map(_canonical, self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Headers({dict(self)!r})"


def _decoded_names(pairs: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[str, bytes]]:
    return ((name.decode("latin-1"), value) for name, value in pairs)


@lru_cache(maxsize=256)
def _canonical(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))


class Event:
    """One request to a function, or the start of one job.

    The body is what its bytes say when it is first asked for: the value of a JSON text if the
    media type is ``application/json``, else the bytes. A text that is no JSON stays bytes, and
    the log says so.

    Args:
        raw: the bytes of the body.
        headers: names and values, as they arrived.
        method: such as ``POST``.
        path: without the query.
        query: the raw query.
        trigger: what made the event.
        compat: ``digitalhub`` reads JSON only where the header is nothing but
            ``application/json``, and takes texts that are not exact JSON.

    Attributes:
        method, path, trigger: as given.
        size: the number of bytes of the body.
    """

    def __init__(
        self,
        raw: bytes = b"",
        *,
        headers: Collection[tuple[bytes, bytes]] = (),
        method: str = "POST",
        path: str = "/",
        query: bytes = b"",
        trigger: Trigger = Trigger(),
        compat: Compat | None = None,
    ) -> None:
        self._raw = raw
        self._pairs = headers
        self._query = query
        self._compat = compat
        self.method = method
        self.path = path
        self.trigger = trigger
        self.size = len(raw)
        self._arrived = time.time()
        self._fault: Exception | None = None

    @cached_property
    def timestamp(self) -> dt.datetime:
        """The moment of arrival, in UTC."""
        return dt.datetime.fromtimestamp(self._arrived, dt.timezone.utc)

    @cached_property
    def id(self) -> str:
        """A text that no other event has."""
        return str(uuid.uuid4())

    @cached_property
    def headers(self) -> Headers:
        """The headers by name."""
        return Headers(self._pairs)

    @cached_property
    def content_type(self) -> str | None:
        """The header Content-Type, or None."""
        found = None
        for name, value in self._pairs:  # of all headers, the only one that most events are asked
            if name.lower() == b"content-type":
                found = value
        return None if found is None else found.decode("latin-1")

    @cached_property
    def url(self) -> str:
        """The path and the query, escaped as in a request."""
        path, query = quote(self.path, safe=_UNESCAPED), self._query.decode("latin-1")
        return f"{path}?{query}" if query else path

    @cached_property
    def fields(self) -> dict[str, str]:
        """The fields of the query and of a form in the body; of equal names the last counts."""
        pairs = parse_qsl(self._query.decode("latin-1"), keep_blank_values=True)
        if self._media_type == _FORM:
            pairs += parse_qsl(self._raw.decode("utf-8", "replace"), keep_blank_values=True)
        return dict(pairs)

    @cached_property
    def body(self) -> object:
        """The value of a JSON body, else the bytes."""
        if not self._is_json or not self._raw:
            return self._raw
        try:
            if self._compat == "digitalhub":
                value: object = json.loads(self._raw.decode("utf-8"))
            else:
                from pyfunc.schema.wire.json_text import load_json  # which loads numpy

                value = load_json(self._raw, max_depth=_DEEPEST)
        except (ValueError, RecursionError) as error:
            _logger.warning("the body of event %s stays bytes: %s", self.id, error)
            self._fault = error
            return self._raw
        return value

    @property
    def body_fault(self) -> str:
        """Why the body stays bytes, empty if it does not."""
        if not isinstance(self.body, bytes):
            return ""
        if self._fault is not None:
            return str(self._fault)
        declared = "missing" if self.content_type is None else shorten(self.content_type)
        return f"its Content-Type is {declared}, not application/json"

    def check_size(self, max_cells: int) -> None:
        """Return if the body, where it is JSON, holds no more values than that.

        Raises:
            InvalidArgumentError: with ``PAYLOAD_TOO_LARGE``.
        """
        if self.size > max_cells and self._is_json:
            from pyfunc.schema.wire.limits import check_values  # which loads numpy

            check_values(self._raw, max_cells)

    def get_header(self, name: str, default: str | None = None) -> str | None:
        """Return the header of that name, whatever the case of its letters."""
        return self.headers.get(name, default)

    @property
    def _media_type(self) -> str:
        return (self.content_type or "").partition(";")[0].strip().lower()

    @property
    def _is_json(self) -> bool:
        if self._compat == "digitalhub":
            return self.content_type == "application/json"
        return self._media_type == "application/json"

    def __repr__(self) -> str:
        return f"Event({self.method} {self.url}, {self.size} bytes)"


@dataclass(slots=True)
class Response:
    """What a function returns to say more than a body.

    Attributes:
        headers: names and values; a list of values gives the header several times.
        body: as if it had been returned by itself; a generator is streamed.
        content_type: instead of the one that goes with the body.
        status_code: of the response.
    """

    headers: Mapping[str, str | Sequence[str]] | None = None
    body: object = None
    content_type: str | None = None
    status_code: int = 200

    def __post_init__(self) -> None:
        self.headers = {} if self.headers is None else self.headers


class Logger:
    """Writes lines with fields, by the methods that nuclio's logger has.

    Args:
        logger: where the lines go.
        bound: fields of every line.
    """

    def __init__(self, logger: logging.Logger = _logger, **bound: object) -> None:
        self._logger = logger
        self._bound = bound

    def bind(self, **fields: object) -> Logger:
        """Return a logger whose every line has these fields too."""
        return Logger(self._logger, **{**self._bound, **fields})

    def debug(self, message: object, *args: object) -> None:
        """Write a line for whoever looks for a fault."""
        self._write(logging.DEBUG, message, args, {})

    def info(self, message: object, *args: object) -> None:
        """Write a line about what goes as it should."""
        self._write(logging.INFO, message, args, {})

    def warn(self, message: object, *args: object) -> None:
        """Write a line about what may be wrong."""
        self._write(logging.WARNING, message, args, {})

    def error(self, message: object, *args: object) -> None:
        """Write a line about what is wrong."""
        self._write(logging.ERROR, message, args, {})

    warning = warn

    def debug_with(self, message: object, *args: object, **fields: object) -> None:
        """Write a line with fields for whoever looks for a fault."""
        self._write(logging.DEBUG, message, args, fields)

    def info_with(self, message: object, *args: object, **fields: object) -> None:
        """Write a line with fields about what goes as it should."""
        self._write(logging.INFO, message, args, fields)

    def warn_with(self, message: object, *args: object, **fields: object) -> None:
        """Write a line with fields about what may be wrong."""
        self._write(logging.WARNING, message, args, fields)

    def error_with(self, message: object, *args: object, **fields: object) -> None:
        """Write a line with fields about what is wrong."""
        self._write(logging.ERROR, message, args, fields)

    def exception(self, message: object, *args: object, **fields: object) -> None:
        """Write a line about what is wrong, with the traceback of what is being handled."""
        self._write(logging.ERROR, message, args, fields, with_traceback=True)

    def _write(
        self,
        level: int,
        message: object,
        args: tuple[object, ...],
        fields: Mapping[str, object],
        *,
        with_traceback: bool = False,
    ) -> None:
        shown = {**self._bound, **fields}
        text = str(message) % args if args else str(message)
        tail = "".join(f" {name}={value!r}" for name, value in shown.items())
        self._logger.log(
            level, "%s%s", text, tail, exc_info=sys.exc_info() if with_traceback else None
        )


@dataclass
class Context:
    """What lives as long as the worker; a function sets attributes on it as it likes.

    The threads of one worker share it.

    Attributes:
        worker_id: the number of the worker, from 0.
        logger: writes to the log of the server.
        user_data: a place for whatever the init function makes.
        trigger: what makes the events.
    """

    worker_id: int = 0
    logger: Logger = field(default_factory=Logger)
    user_data: SimpleNamespace = field(default_factory=SimpleNamespace)
    trigger: Trigger = field(default_factory=Trigger)

    Response = Response

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:  # whatever a user has set there
        raise AttributeError(
            f"the context has no attribute {name!r}\nhint: an init function can set it"
        )


def check_compat(compat: str | None) -> None:
    """Return if ``compat`` is one of those known.

    Raises:
        InvalidArgumentError: it is not.
    """
    if compat not in (None, "digitalhub"):
        raise InvalidArgumentError(f"compat: expected None or 'digitalhub', got {compat!r}")
