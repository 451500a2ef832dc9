"""The threads that predictions run on: bounded, with answers in time whatever a model does.

A prediction cannot be stopped. One that is overdue keeps its thread until it ends, and its
result is dropped; the event loop stays free for everyone else.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from pyfunc.errors import PyfuncError

__all__ = ["Group", "PredictPool"]


class Group(Protocol):
    """Work that may be done together, if it waits at the same time."""

    max_size: int

    def run_together(self, items: Sequence[Any]) -> list[Any]:
        """Return a result for each item, or the exception that is its outcome."""


class _Job:
    """One piece of work and the future of whoever waits for it."""

    __slots__ = ("call", "dropped", "future", "group", "item", "loop")

    def __init__(
        self, call: Callable[[Any], Any], item: Any, group: Group | None, loop: Any
    ) -> None:
        self.call = call
        self.item = item
        self.group = group
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.dropped = False

    def expire(self, seconds: float) -> None:
        """Tell whoever waits that there will be no answer in time."""
        self.dropped = True
        if not self.future.done():
            self.future.set_exception(
                PyfuncError(f"no prediction within {seconds:g} seconds", "DEADLINE_EXCEEDED")
            )

    def finish(self, result: Any) -> None:
        """Hand the outcome over; runs on the event loop."""
        if self.future.done():
            return
        if isinstance(result, BaseException):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)


class PredictPool:
    """A fixed number of daemon threads that take work in the order of its arrival.

    Args:
        threads: how many pieces of work run at once.
        max_queue: how many may wait beyond those.
    """

    def __init__(self, threads: int, max_queue: int) -> None:
        self._max_queue = max_queue
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._running: list[_Job | None] = [None] * threads
        self._threads: list[threading.Thread] = []
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many pieces of work have not begun."""
        return self._queue.qsize()

    @property
    def busy(self) -> int:
        """How many threads work."""
        return sum(job is not None for job in self._running)

    @property
    def overdue(self) -> int:
        """How many threads work for nobody, since their time is up."""
        return sum(job is not None and job.dropped for job in self._running)

    @property
    def is_stuck(self) -> bool:
        """Whether every thread is overdue, so that no work can begin."""
        return self.overdue == len(self._running)

    async def run(
        self,
        call: Callable[[Any], Any],
        item: Any,
        *,
        timeout: float,
        group: Group | None = None,
    ) -> Any:
        """Return ``call(item)``, made on one of the threads.

        Args:
            call: must not touch the event loop.
            item: its argument.
            timeout: seconds until the caller gets an error instead.
            group: lets the item join others of the group that wait at the same time.

        Raises:
            PyfuncError: too much work waits, or the time is up.
            Exception: whatever ``call`` raises.
        """
        if self._closed:
            raise PyfuncError("the server is shutting down", "TEMPORARILY_UNAVAILABLE")
        if self._queue.qsize() >= self._max_queue:
            raise PyfuncError(
                "too many requests wait already; try again later", "TEMPORARILY_UNAVAILABLE"
            )
        if not self._threads:
            self._start()
        loop = asyncio.get_running_loop()
        job = _Job(call, item, group, loop)
        timer = loop.call_later(timeout, job.expire, timeout)
        self._queue.put(job)
        try:
            return await job.future
        finally:
            timer.cancel()
            if job.future.cancelled():
                job.dropped = True

    def close(self) -> None:
        """Let the threads end once they have done what waits; does not wait for them."""
        self._closed = True
        for _ in self._threads:
            self._queue.put(None)

    def _start(self) -> None:
        for number in range(len(self._running)):
            thread = threading.Thread(
                target=self._work, args=(number,), name=f"predict-{number}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _work(self, number: int) -> None:
        while True:
            job = self._queue.get()
            if job is None:
                return
            together, odd = self._join(job)
            if together:
                self._running[number] = together[0]
                _deliver(together, _outcomes(together))
            if odd is not None:
                self._running[number] = odd
                _deliver([odd], _outcomes([odd]))
            self._running[number] = None

    def _join(self, first: _Job) -> tuple[list[_Job], _Job | None]:
        """Return the jobs to do together, and one that was taken with them but stands alone."""
        together = [] if first.dropped else [first]
        group = first.group
        if group is None:
            return together, None
        while len(together) < group.max_size:
            try:
                job = self._queue.get_nowait()
            except Empty:
                return together, None
            if job is None:
                self._queue.put(None)  # closing: the next thread, or this one later, takes it
                return together, None
            if job.dropped:
                continue
            if job.group is not group:
                return together, job
            together.append(job)
        return together, None


def _outcomes(jobs: list[_Job]) -> list[Any]:
    group = jobs[0].group
    try:
        if group is not None and len(jobs) > 1:
            return group.run_together([job.item for job in jobs])
        return [jobs[0].call(jobs[0].item)]
    except Exception as error:
        outcome: Exception = error
        if isinstance(error, StopIteration):  # a future cannot hold it
            outcome = RuntimeError("the model raised StopIteration")
            outcome.__cause__ = error
        return [outcome] * len(jobs)
    except BaseException as error:
        ended = RuntimeError(f"the model raised {type(error).__name__}")
        ended.__cause__ = error
        return [ended] * len(jobs)


def _deliver(jobs: list[_Job], results: list[Any]) -> None:
    pairs = list(zip(jobs, results, strict=True))
    try:
        jobs[0].loop.call_soon_threadsafe(_finish_all, pairs)
    except RuntimeError:  # the loop is closed: the server ended meanwhile
        return


def _finish_all(pairs: list[tuple[_Job, Any]]) -> None:
    for job, result in pairs:
        job.finish(result)
