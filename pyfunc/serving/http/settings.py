"""What a server allows: the limits of requests and work, and the forms of its answers."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields
from typing import Literal

from pyfunc.errors import InvalidArgumentError, shorten

__all__ = ["ServingSettings"]

_MEBIBYTE = 1 << 20
_POSITIVE = ("max_body_bytes", "max_pending_bytes", "max_queue", "max_streams")
_SECONDS = ("body_timeout", "predict_timeout")


def _threads() -> int:
    return min(os.cpu_count() or 1, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingSettings:
    """The limits and options of one server.

    Attributes:
        max_body_bytes: the longest request body; a longer one is answered with 413.
        max_pending_bytes: all bodies that are held at once; beyond it the answer is 503.
        body_timeout: seconds in which a body must have arrived; 408 afterwards.
        predict_timeout: seconds from the arrival of a request to its answer; 504 afterwards.
        threads: how many predictions run at once; 0 stands for the number of cores, and for 1
            with ``batching``.
        max_queue: how many requests may wait for a thread; beyond it the answer is 503.
        max_streams: how many streams may be open at once; beyond it the answer is 503.
        max_connections: how many connections may be open; further ones are answered with 503.
        max_depth: how deep the JSON of a request may be nested.
        allow_nan: accept the tokens ``NaN`` and ``Infinity`` in requests, as MLflow does.
        nan: what NaN and infinities become in answers: null, or texts.
        debug: send the text and traceback of the model's own errors to the client.
        handler_on_invocations: answer ``/invocations``, too, with the model's request handler.
        batching: let requests of one row that wait at the same time share one ``predict``.
        max_batch_rows: how many may share one.
        page: serve the page at ``/``.
        metrics: serve Prometheus metrics at ``/metrics``.
    """

    max_body_bytes: int = 16 * _MEBIBYTE
    max_pending_bytes: int = 256 * _MEBIBYTE
    body_timeout: float = 30.0
    predict_timeout: float = 60.0
    threads: int = 0
    max_queue: int = 256
    max_streams: int = 64
    max_connections: int = 1000
    max_depth: int = 32
    allow_nan: bool = False
    nan: Literal["null", "string"] = "null"
    debug: bool = False
    handler_on_invocations: bool = False
    batching: bool = False
    max_batch_rows: int = 32
    page: bool = True
    metrics: bool = True

    def __post_init__(self) -> None:
        for name in (*_POSITIVE, "max_connections", "max_depth", "threads", "max_batch_rows"):
            least = {"threads": 0, "max_batch_rows": 2}.get(name, 1)
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise InvalidArgumentError(
                    f"{name} must be an integer of at least {least}, got {shorten(value)}"
                )
        for name in _SECONDS:
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or value <= 0:
                raise InvalidArgumentError(
                    f"{name} must be a number of seconds above 0, got {shorten(value)}"
                )
        if self.nan not in ("null", "string"):
            raise InvalidArgumentError(f"nan must be null or string, got {shorten(self.nan)}")
        if not self.threads:
            # One thread gathers larger batches than several do.
            object.__setattr__(self, "threads", 1 if self.batching else _threads())

    def to_dict(self) -> dict[str, object]:
        """Return the settings by name, as plain values that the constructor takes."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
