"""What the server of a model allows beyond the limits that every server has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyfunc.serving.http.settings import HttpSettings, check_counts
from pyfunc.variables import REQUEST_TIMEOUT

if TYPE_CHECKING:
    from pyfunc.schema import RequestLimits

__all__ = ["ServingSettings"]

_POSITIVE = ("max_names", "max_rows", "max_expanded_bytes")


def _predict_timeout() -> float:
    return REQUEST_TIMEOUT.read(default=60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingSettings(HttpSettings):
    """The limits and options of the server of one model.

    Attributes:
        max_body_bytes: the longest request body; a longer one is answered with 413.
        max_pending_bytes: all bodies that are held at once; beyond it the answer is 503.
        body_timeout: seconds in which a body must have arrived; 408 afterwards.
        predict_timeout: seconds from the arrival of a request to its answer; 504 afterwards. By
            default what ``MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT`` says, else 60.
        threads: how many predictions run at once; 0 stands for the number of cores, and for 1
            with ``batching``.
        max_queue: how many requests may wait for a thread; beyond it the answer is 503.
        write_timeout: seconds in which a client must take its next 64 KiB of an answer; its
            connection is cut afterwards.
        keep_alive: seconds until a connection without a request is closed.
        max_streams: how many streams may be open at once; beyond it the answer is 503.
        max_connections: how many connections may be open; further ones are answered with 503.
        max_depth: how deep the JSON of a request may be nested.
        max_cells: how many values a request may hold; beyond it the answer is 413. In JSON a list
            and an object count as one more, in a table the cells that its rows do not have.
        max_names: how many different names the columns of a request may have; 413 beyond.
        max_rows: how many rows, or how long the first axis of an array; 413 beyond.
        max_expanded_bytes: what compressed and repeated values of a request may take once they
            are written out; 413 beyond.
        allow_nan: accept the tokens ``NaN`` and ``Infinity`` in requests, as MLflow does.
        nan: what NaN and infinities become in answers: null, or texts.
        debug: send the text and traceback of the model's own errors to the client.
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
        handler_on_invocations: answer ``/invocations``, too, with the model's request handler.
        batching: let requests of one row that wait at the same time share one ``predict``.
        max_batch_rows: how many may share one.
        page: serve the page at ``/``.
    """

    max_names: int = 1 << 16
    max_rows: int = 1 << 20
    max_expanded_bytes: int = 256 << 20
    predict_timeout: float = field(default_factory=_predict_timeout)
    handler_on_invocations: bool = False
    batching: bool = False
    max_batch_rows: int = 32
    page: bool = True

    def __post_init__(self) -> None:
        check_counts(self, max_batch_rows=2, threads=0, **dict.fromkeys(_POSITIVE, 1))
        if self.batching and not self.threads:
            # One thread gathers larger batches than several do.
            object.__setattr__(self, "threads", 1)
        HttpSettings.__post_init__(self)  # super() does not work in classes with slots

    @property
    def limits(self) -> RequestLimits:
        """What one request may become."""
        from pyfunc.schema import RequestLimits

        return RequestLimits(
            max_cells=self.max_cells,
            max_names=self.max_names,
            max_rows=self.max_rows,
            max_expanded_bytes=self.max_expanded_bytes,
        )
