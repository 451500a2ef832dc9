"""The threads that work runs on: bounded, with answers in time whatever the work does.

A piece of work cannot be stopped. One that is overdue keeps its thread until it ends, and its
result is dropped; the event loop stays free for everyone else.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from pyfunc.errors import PyfuncError
from pyfunc.serving.http.deadlines import Deadlines

__all__ = ["Group", "WorkPool"]

_BRIEF = 0.002
"""Seconds of work from which on the next piece shall not wait for it."""

_MEMORY = 16
"""Over about how many pieces of work the usual length is taken."""


T = TypeVar("T")
R = TypeVar("R")
T_contra = TypeVar("T_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Group(Protocol[T_contra, R_co]):
    """Work that may be done together, if it waits at the same time."""

    @property
    def max_size(self) -> int:
        """How many items at most are worked on together."""

    def run_together(self, items: Sequence[T_contra]) -> Sequence[R_co | BaseException]:
        """Return a result for each item, or the exception that is its outcome."""


class _Job:
    """One piece of work and the future of whoever waits for it."""

    __slots__ = ("call", "dropped", "future", "group", "item", "outbox", "outcome", "seconds")

    # Which item goes with which call only the signature of WorkPool.run says.
    def __init__(
        self,
        call: Callable[[Any], object],
        item: object,
        group: Group[Any, object] | None,
        outbox: _Outbox,
        seconds: float,
    ) -> None:
        self.call = call
        self.item = item
        self.group = group
        self.outbox = outbox
        self.future: asyncio.Future[Any] = outbox.loop.create_future()
        self.seconds = seconds
        self.dropped = False
        self.outcome: object = None

    def work(self) -> None:
        """Make the outcome; runs on a thread."""
        try:
            self.outcome = self.call(self.item)
        except BaseException as error:
            self.outcome = _as_outcome(error)

    def expire(self) -> None:
        """Tell whoever waits that there will be no answer in time."""
        self.dropped = True
        if not self.future.done():
            self.future.set_exception(
                PyfuncError(f"no answer within {self.seconds:g} seconds", "DEADLINE_EXCEEDED")
            )

    def finish(self) -> None:
        """Hand the outcome over; runs on the event loop."""
        if self.future.done():
            return
        if isinstance(self.outcome, BaseException):
            self.future.set_exception(self.outcome)
        else:
            self.future.set_result(self.outcome)


class _Outbox:
    """Outcomes on their way to one event loop, which is woken once for all that are there.

    Waking costs more than a brief piece of work does.
    """

    __slots__ = ("_done", "_is_waking", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._done: deque[_Job] = deque()
        self._is_waking = False

    def put(self, jobs: Sequence[_Job]) -> None:
        """Send outcomes off; may be called by any thread."""
        self._done.extend(jobs)
        if self._is_waking:
            return
        self._is_waking = True
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server ended meanwhile
            self.loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        self._is_waking = False  # first: what comes from now on wakes the loop again
        while self._done:
            self._done.popleft().finish()


class _Worker:
    """One thread and what it works on; it ends once it is handed None."""

    __slots__ = ("began", "inbox", "job")

    def __init__(self) -> None:
        self.inbox: SimpleQueue[_Job | None] = SimpleQueue()
        self.job: _Job | None = None
        self.began = 0.0

    def begin(self, job: _Job) -> None:
        """Note what it works on from now on."""
        self.began = time.perf_counter()
        self.job = job


class WorkPool:
    """A fixed number of daemon threads that take work in the order of its arrival.

    One interpreter runs one thread at a time, so that brief pieces of work are done soonest by
    as few threads as can be: of those that have nothing to do, the one that worked last gets
    the next piece, and where pieces are usually brief another one is woken only when all that
    work are at theirs for longer.

    Args:
        threads: how many pieces of work run at once.
        max_queue: how many may wait beyond those.
    """

    def __init__(self, threads: int, max_queue: int) -> None:
        self._max_queue = max_queue
        self._lock = threading.Lock()  # over the backlog, the idle workers and what they begin
        self._backlog: deque[_Job] = deque()
        self._workers = [_Worker() for _ in range(threads)]
        self._idle: list[_Worker] = []
        self._usual = 0.0  # seconds of a piece of work
        self._watched: asyncio.AbstractEventLoop | None = None
        self._outbox: _Outbox | None = None
        self._deadlines: dict[float, Deadlines] = {}
        self._started = False
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many pieces of work have not begun."""
        return len(self._backlog)

    @property
    def busy(self) -> int:
        """How many threads work."""
        return sum(worker.job is not None for worker in self._workers)

    @property
    def overdue(self) -> int:
        """How many threads work for nobody, since their time is up."""
        jobs = [worker.job for worker in self._workers]
        return sum(job is not None and job.dropped for job in jobs)

    @property
    def is_stuck(self) -> bool:
        """Whether every thread is overdue, so that no work can begin."""
        return self.overdue == len(self._workers)

    @property
    def has_room(self) -> bool:
        """Whether a piece of work would begin at once, were it handed over now."""
        is_free = bool(self._idle) or not self._started
        return is_free and not self._backlog and not self._closed

    async def run(
        self,
        call: Callable[[T], R],
        item: T,
        *,
        timeout: float,
        group: Group[T, R] | None = None,
    ) -> R:
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
        if not self._started:
            self._start()
        loop = asyncio.get_running_loop()
        if self._outbox is None or self._outbox.loop is not loop:
            self._outbox = _Outbox(loop)
        job = _Job(call, item, group, self._outbox, timeout)
        self._hand_over(job)
        deadlines = self._deadlines_of(timeout)
        deadlines.add(job, job.expire)
        try:
            result: R = await job.future
            return result
        finally:
            deadlines.remove(job)
            if job.future.cancelled():
                job.dropped = True

    def _deadlines_of(self, seconds: float) -> Deadlines:
        found = self._deadlines.get(seconds)
        if found is None:  # there are as many as there are settings of time
            found = self._deadlines[seconds] = Deadlines(seconds)
        return found

    def close(self) -> None:
        """Let the threads end once they have done what waits; does not wait for them."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.inbox.put(None)

    def _start(self) -> None:
        self._started = True
        self._idle = self._workers[::-1]
        for number, worker in enumerate(self._workers):
            threading.Thread(
                target=self._work, args=(worker,), name=f"work-{number}", daemon=True
            ).start()

    def _hand_over(self, job: _Job) -> None:
        with self._lock:
            full = len(self._backlog) >= self._max_queue
            worker = self._idle.pop() if full and self._idle else self._take_idle()
            if worker is None and full:
                raise PyfuncError(
                    "too many requests wait already; try again later", "TEMPORARILY_UNAVAILABLE"
                )
            self._backlog.append(job)
            if worker is None:
                self._watch(job.outbox.loop)
                return
            job = self._backlog.popleft()
            worker.begin(job)
        worker.inbox.put(job)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look again soon whether what waits needs another thread."""
        if self._idle and self._watched is not loop:
            self._watched = loop
            loop.call_later(_BRIEF, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            self._watched = None
            worker = self._take_idle() if self._backlog else None
            job = None if worker is None else self._backlog.popleft()
            if worker is not None and job is not None:
                worker.begin(job)
            if self._backlog:
                self._watch(loop)
        if worker is not None:
            worker.inbox.put(job)

    def _take_idle(self) -> _Worker | None:
        """Return a thread that has nothing to do, None if those that work will do."""
        if not self._idle:
            return None
        if self._usual < _BRIEF:
            latest = time.perf_counter() - _BRIEF
            for worker in self._workers:
                if worker.began > latest and worker.job is not None:
                    return None
        return self._idle.pop()

    def _work(self, worker: _Worker) -> None:
        job = worker.inbox.get()
        while job is not None:
            if together := self._join(job):
                worker.job = together[0]
                _work_on(together)
            following = self._next(worker)
            if together:
                # Only now, so that whoever asks again at once finds this thread free.
                together[0].outbox.put(together)
            job = following or worker.inbox.get()

    def _next(self, worker: _Worker) -> _Job | None:
        """Return what waits longest; with nothing there, the worker is idle, or told to end."""
        with self._lock:
            self._usual += (time.perf_counter() - worker.began - self._usual) / _MEMORY
            worker.job = None
            if self._backlog:
                job = self._backlog.popleft()
                worker.begin(job)
                return job
            if self._closed:
                worker.inbox.put(None)
            else:
                self._idle.append(worker)
            return None

    def _join(self, first: _Job) -> list[_Job]:
        """Return the jobs to do together with the first; none if nobody waits for them."""
        together = [] if first.dropped else [first]
        group = first.group
        if group is None or not self._backlog:
            return together
        with self._lock:
            while self._backlog and len(together) < group.max_size:
                if self._backlog[0].group is not group:
                    break
                job = self._backlog.popleft()
                if not job.dropped:
                    together.append(job)
        return together


def _work_on(jobs: list[_Job]) -> None:
    """Make the outcomes of jobs, of several together."""
    group = jobs[0].group
    if group is None or len(jobs) == 1:
        jobs[0].work()
        return
    try:
        outcomes = group.run_together([job.item for job in jobs])
    except BaseException as error:
        outcomes = [_as_outcome(error)] * len(jobs)
    for job, outcome in zip(jobs, outcomes, strict=True):
        job.outcome = outcome


def _as_outcome(error: BaseException) -> Exception:
    """Return what a future can hold in place of what was raised."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    outcome = RuntimeError(f"the code raised {type(error).__name__}")
    outcome.__cause__ = error
    return outcome
