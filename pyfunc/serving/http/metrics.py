"""Counters of a server for Prometheus; one registry for each application."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from pyfunc.serving.http.messages import Reply
from pyfunc.variables import METRICS_FOLDER

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Summary

    from pyfunc.serving.http.pool import WorkPool

__all__ = ["NO_METRICS", "Meter", "PrometheusMeter"]

_MOST_CLASSES = 100  # each is a series for ever
_OTHER = "other"
_LONGEST_CLASS = 100  # characters
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Meter(Protocol):
    """Takes note of what a server did."""

    def count(self, endpoint: str, status: int, seconds: float) -> None:
        """Take note of a request that was answered."""

    def count_class(self, value: str) -> None:
        """Take note of a class that was answered; may be called by any thread."""

    def add_value(self, value: float) -> None:
        """Take note of a number that was answered; may be called by any thread."""


class _NoMeter:
    def count(self, endpoint: str, status: int, seconds: float) -> None:
        return

    def count_class(self, value: str) -> None:
        return

    def add_value(self, value: float) -> None:
        return


NO_METRICS: Meter = _NoMeter()


class _TrackedFigures:
    """Figures of what was answered; they come into being with the first answer."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._lock = Lock()
        self._classes: Counter | None = None
        self._seen: set[str] = set()
        self._values: Summary | None = None

    def count_class(self, value: str) -> None:
        from prometheus_client import Counter

        value = value[:_LONGEST_CLASS].encode("utf-8", "backslashreplace").decode("utf-8")
        with self._lock:
            if self._classes is None:
                text = "Predictions of each class that is tracked."
                self._classes = Counter(
                    "pyfunc_predicted_class", text, ["value"], registry=self._registry
                )
            if value not in self._seen and len(self._seen) >= _MOST_CLASSES:
                value = _OTHER
            self._seen.add(value)
            self._classes.labels(value).inc()

    def add_value(self, value: float) -> None:
        from prometheus_client import Summary

        with self._lock:
            if self._values is None:
                text = "Predicted numbers that are tracked."
                self._values = Summary("pyfunc_predicted_value", text, registry=self._registry)
            self._values.observe(value)


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
        self._tracked = _TrackedFigures(self.registry)
        self._known: dict[tuple[str, int], tuple[Callable[[], None], Callable[[float], None]]] = {}

    def watch(self, pool: WorkPool) -> None:
        """Show the state of the threads at each scrape; not where several workers report."""
        from prometheus_client import Gauge

        if METRICS_FOLDER.read():
            return

        for name, text, read in (
            ("waiting", "Requests that wait for a thread.", lambda: pool.waiting),
            ("busy_threads", "Threads that work.", lambda: pool.busy),
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

    def count_class(self, value: str) -> None:
        """Take note of a class that was answered."""
        self._tracked.count_class(value)

    def add_value(self, value: float) -> None:
        """Take note of a number that was answered."""
        self._tracked.add_value(value)

    def reply(self) -> Reply:
        """Return all figures in Prometheus' text form, over all workers of the server."""
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

        registry = self.registry
        if METRICS_FOLDER.read():
            from prometheus_client.multiprocess import MultiProcessCollector

            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return Reply(generate_latest(registry), 200, CONTENT_TYPE_PLAIN_0_0_4.encode("ascii"))
