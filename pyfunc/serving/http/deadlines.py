"""Deadlines of many who all may take equally long: one timer of the event loop for all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable

__all__ = ["Deadlines"]


class Deadlines:
    """Calls what was to be called if something takes longer than so many seconds.

    Most never take that long, and then a deadline costs less than a timer of its own. Belongs to
    one event loop at a time.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._open: dict[Hashable, tuple[float, Callable[[], object]]] = {}  # the oldest first
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, key: Hashable, expire: Callable[[], object]) -> None:
        """Call ``expire`` in so many seconds, unless ``key`` is removed before."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            self._open.clear()  # those of a loop that has ended
            loop.call_later(self._seconds, self._look, loop)
        self._open[key] = loop.time() + self._seconds, expire

    def remove(self, key: Hashable) -> None:
        """Forget a deadline, if it is not over."""
        self._open.pop(key, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """End what is overdue, and look again when the next one may be."""
        if self._loop is not loop:
            return
        while self._open:
            key, (end, expire) = next(iter(self._open.items()))
            if end > loop.time():
                loop.call_at(end, self._look, loop)
                return
            self.remove(key)
            expire()
        self._loop = None
