"""What a server allows, whatever it serves: the limits of requests, work and answers."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from pyfunc.errors import InvalidArgumentError, shorten

__all__ = ["HttpSettings", "check_counts"]

_MEBIBYTE = 1 << 20
_POSITIVE = (
    "max_body_bytes",
    "max_pending_bytes",
    "max_queue",
    "max_streams",
    "max_connections",
    "max_depth",
    "max_cells",
)
_SECONDS = ("body_timeout", "predict_timeout", "write_timeout", "keep_alive")
_LISTS = ("allowed_hosts", "cors_origins")


def _threads() -> int:
    return min(os.cpu_count() or 1, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """The limits of one server.

    Attributes:
        max_body_bytes: the longest request body; a longer one is answered with 413.
        max_pending_bytes: all bodies that are held at once; beyond it the answer is 503.
        body_timeout: seconds in which a body must have arrived; 408 afterwards.
        predict_timeout: seconds from the arrival of a request to its answer; 504 afterwards.
        threads: how many pieces of work run at once; 0 stands for the number of cores.
        max_queue: how many requests may wait for a thread; beyond it the answer is 503.
        write_timeout: seconds in which a client must take its next 64 KiB of an answer; its
            connection is cut afterwards.
        keep_alive: seconds until a connection without a request is closed.
        max_streams: how many streams may be open at once; beyond it the answer is 503.
        max_connections: how many connections may be open; further ones are answered with 503.
        max_depth: how deep the JSON of a request may be nested.
        max_cells: how many values a request may hold; beyond it the answer is 413. In JSON a list
            and an object count as one more.
        allow_nan: accept the tokens ``NaN`` and ``Infinity`` in requests, as MLflow does.
        nan: what NaN and infinities become in answers: null, or texts.
        debug: send the text and traceback of errors of the code that is served to the client.
        metrics: serve Prometheus metrics at ``/metrics``.
        allowed_hosts: the names that the Host of a request may have, ``*`` for any, ``*.name`` for
            all below it. None stands for any in an application that something else runs, and for
            the names of this machine in a server that this library runs.
        cors_origins: the origins of web pages that may use the server, ``*`` for all.
        auth_token_file: a file with a token on each line; without one of them as its bearer a
            request gets 401, except where it asks whether the server lives.
        root_path: the path under which a proxy shows the server.
        access_log: write a line of JSON for each request to standard output.
        certfile: the certificate, with what vouches for it, of a server that speaks TLS.
        keyfile: its key; by default it is in the same file.
        forwarded_allow_ips: the addresses of proxies, with commas, whose word for the client's
            address and scheme is taken; ``*`` for all. By default no proxy's is.
    """

    max_body_bytes: int = 16 * _MEBIBYTE
    max_pending_bytes: int = 256 * _MEBIBYTE
    body_timeout: float = 30.0
    predict_timeout: float = 60.0
    write_timeout: float = 30.0
    keep_alive: float = 5.0
    threads: int = 0
    max_queue: int = 256
    max_streams: int = 64
    max_connections: int = 1000
    max_depth: int = 32
    max_cells: int = 2 * _MEBIBYTE
    allow_nan: bool = False
    nan: Literal["null", "string"] = "null"
    debug: bool = False
    metrics: bool = True
    allowed_hosts: Sequence[str] | None = None
    cors_origins: Sequence[str] = ()
    auth_token_file: str | None = None
    root_path: str = ""
    access_log: bool = False
    certfile: str | None = None
    keyfile: str | None = None
    forwarded_allow_ips: str | None = None

    def __post_init__(self) -> None:
        check_counts(self, **dict.fromkeys(_POSITIVE, 1), threads=0)
        for name in _SECONDS:
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or value <= 0:
                raise InvalidArgumentError(
                    f"{name} must be a number of seconds above 0, got {shorten(value)}"
                )
        if self.nan not in ("null", "string"):
            raise InvalidArgumentError(f"nan must be null or string, got {shorten(self.nan)}")
        for name in _LISTS:
            object.__setattr__(self, name, _check_texts(name, getattr(self, name)))
        object.__setattr__(self, "root_path", _check_root_path(self.root_path))
        if not self.threads:
            object.__setattr__(self, "threads", _threads())

    def to_dict(self) -> dict[str, object]:
        """Return the settings by name, as plain values that the constructor takes."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def check_counts(settings: HttpSettings, **least: int) -> None:
    """Return if each of these settings is an integer of at least what is said.

    Raises:
        InvalidArgumentError: one is not.
    """
    for name, bound in least.items():
        value = getattr(settings, name)
        if type(value) is not int or value < bound:
            raise InvalidArgumentError(
                f"{name} must be an integer of at least {bound}, got {shorten(value)}"
            )


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _check_texts(name: str, value: object) -> tuple[str, ...] | None:
    if value is None and name == "allowed_hosts":
        return None
    if isinstance(value, (list, tuple)) and all(isinstance(t, str) and t for t in value):
        return tuple(value)
    raise InvalidArgumentError(f"{name} must be a list of texts, got {shorten(value)}")


def _check_root_path(value: object) -> str:
    path = value.rstrip("/") if isinstance(value, str) else None
    if path is None or (path and not path.startswith("/")):
        raise InvalidArgumentError(
            f"root_path must be a path that starts with /, got {shorten(value)}"
        )
    return path
