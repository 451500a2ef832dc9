"""Work that is done where the request arrives, on the event loop, as long as it is brief.

Handing a request to a thread and its answer back costs as much as a brief prediction. But what
runs on the loop holds up everyone else, and nothing ends it. So it runs there only if it is
known that it computes and does nothing else, if it was brief each of the last times on a thread
with as much to do, and as long as it is brief on the loop, too; and of each turn of the loop only
a share is given to it, so that the loop goes on to look who else asks.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sized
from typing import Generic, TypeVar

from pyfunc.serving.http.messages import Reply, Request
from pyfunc.serving.http.pool import WorkPool

__all__ = ["BriefWork", "Turn"]

TRIALS = 8
"""How often in a row it must have been brief on a thread."""

BRIEF = 0.001
"""Seconds that it may take: of the processor on a thread, of the clock on the loop as a rule."""

LONG = 0.02
"""Seconds of the clock that it may never take."""

PAUSE = 1.0
"""Seconds without it on the loop, once it took so long there; twice as many if it does again."""

LONGEST_PAUSE = 60.0
"""Seconds that a pause grows to; after as many without another one it starts anew."""

SHARE = 0.01
"""Seconds of one turn of the loop that all such work may take together."""

MOST_BYTES = 64 * 1024
"""How long the body of a request may be that is read on the loop."""

_MEMORY = 16  # over about how many runs the rule is taken

T = TypeVar("T", bound=Sized)


class Turn:
    """How long work has kept the event loop since it last looked who else asks."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._spent = 0.0

    @property
    def has_time(self) -> bool:
        """Whether there may be more work before the loop looks."""
        return self._spent < SHARE or self._loop is not asyncio.get_running_loop()

    def spend(self, seconds: float) -> None:
        """Take note of work."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._spent = loop, 0.0
            loop.call_soon(self._end)
        self._spent += seconds

    def _end(self) -> None:
        self._loop, self._spent = None, 0.0


class BriefWork(Generic[T]):
    """Answers requests of a kind that is brief to answer, on the event loop where that is proven.

    Called, it answers any request on the thread that it is called on.

    Args:
        read: returns what the answer is made from, as long as there is to do; None for a request
            of another kind. Must be brief whatever is sent.
        answer: makes the answer from that; waits for nothing, and runs no code of a user.
        otherwise: answers requests of other kinds.
        pool: whose threads it runs on else.
        turn: that of the event loop.
    """

    def __init__(
        self,
        read: Callable[[Request], T | None],
        answer: Callable[[T], Reply],
        otherwise: Callable[[Request], Reply],
        *,
        pool: WorkPool,
        turn: Turn,
    ) -> None:
        self._read = read
        self._answer = answer
        self._otherwise = otherwise
        self._pool = pool
        self._turn = turn
        self._trials = Counter[int]()  # those in a row that were brief, by powers of two in length
        self._usual = 0.0  # seconds on the loop
        self._closed_until = -LONGEST_PAUSE
        self._pause = PAUSE

    def __call__(self, request: Request) -> Reply:
        """Return the answer to a request; for threads."""
        item = self._read(request)
        return self._otherwise(request) if item is None else self._try(item)

    def _try(self, item: T) -> Reply:
        begin, worked = time.perf_counter(), time.thread_time()
        reply = self._answer(item)
        # The clock also counts what other threads of the interpreter do meanwhile.
        is_brief = time.thread_time() - worked < BRIEF and time.perf_counter() - begin < LONG
        length = len(item).bit_length()
        self._trials[length] = self._trials[length] + 1 if is_brief else 0
        return reply

    def begin(self, request: Request) -> Reply | Callable[[Request], Reply]:
        """Return the answer, made on the event loop; or else what makes it on a thread.

        Raises:
            PyfuncError: the request cannot be answered.
        """
        is_proven = len(request.body) <= MOST_BYTES and max(self._trials.values(), default=0)
        if is_proven < TRIALS or not self._pool.has_room or not self._turn.has_time:
            return self
        begin = time.perf_counter()
        if begin < self._closed_until:
            return self
        try:
            item = self._read(request)
            if item is None:
                return self._otherwise
            if self._trials[len(item).bit_length()] < TRIALS:
                return lambda _: self._try(item)
            return self._answer(item)
        finally:
            self._note(time.perf_counter() - begin)

    def _note(self, seconds: float) -> None:
        self._turn.spend(seconds)
        self._usual += (seconds - self._usual) / _MEMORY
        if seconds >= LONG:
            self._close()
        if seconds >= LONG or self._usual >= BRIEF:
            self._trials.clear()
            self._usual = 0.0

    def _close(self) -> None:
        # The clock says as well how long the machine did something else, which comes and goes.
        now = time.perf_counter()
        is_again = now < self._closed_until + LONGEST_PAUSE
        self._pause = min(self._pause * 2, LONGEST_PAUSE) if is_again else PAUSE
        self._closed_until = now + self._pause
