"""Counters of a server for Prometheus; one registry for each application."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from pyfunc.serving.messages import Reply

if TYPE_CHECKING:
    from pyfunc.serving.pool import PredictPool

__all__ = ["NO_METRICS", "Meter", "PrometheusMeter"]

_SHARED = "PROMETHEUS_MULTIPROC_DIR"  # the folder in which several workers keep their figures
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Meter(Protocol):
    """Takes note of what a server did."""

    def count(self, endpoint: str, status: int, seconds: float) -> None:
        """Take note of a request that was answered."""


class _NoMeter:
    def count(self, endpoint: str, status: int, seconds: float) -> None:
        return


NO_METRICS: Meter = _NoMeter()


class PrometheusMeter:
    """Counts requests by endpoint and status, and their seconds by endpoint."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram

        self.registry = CollectorRegistry()
        self._requests = Counter(
            "pyfunc_requests",
            "Requests that were answered.",
            ["endpoint", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "pyfunc_request_seconds",
            "Seconds from the arrival of a request to its answer.",
            ["endpoint"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._known: dict[tuple[str, int], tuple[Callable[[], None], Callable[[float], None]]] = {}

    def watch(self, pool: PredictPool) -> None:
        """Show the state of the threads at each scrape; not where several workers report."""
        from prometheus_client import Gauge

        if os.environ.get(_SHARED):
            return

        for name, text, read in (
            ("waiting", "Requests that wait for a thread.", lambda: pool.waiting),
            ("busy_threads", "Threads that predict.", lambda: pool.busy),
            ("overdue_threads", "Threads whose answer is too late.", lambda: pool.overdue),
        ):
            Gauge(f"pyfunc_{name}", text, registry=self.registry).set_function(read)

    def count(self, endpoint: str, status: int, seconds: float) -> None:
        """Take note of a request that was answered."""
        found = self._known.get((endpoint, status))
        if found is None:
            found = (
                self._requests.labels(endpoint, str(status)).inc,
                self._seconds.labels(endpoint).observe,
            )
            self._known[endpoint, status] = found
        found[0]()
        found[1](seconds)

    def reply(self) -> Reply:
        """Return all figures in Prometheus' text form, over all workers of the server."""
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

        registry = self.registry
        if os.environ.get(_SHARED):
            from prometheus_client.multiprocess import MultiProcessCollector

            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return Reply(generate_latest(registry), 200, CONTENT_TYPE_PLAIN_0_0_4.encode("ascii"))
