"""Waiting for coroutines of the user on a thread, each on an event loop that is its own meanwhile.

A coroutine on the loop of the server would stop every request when it blocks. Here it holds one
thread; at most as many run at once as there are threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

__all__ = ["Awaiter", "as_coroutine"]

_T = TypeVar("_T")


class Awaiter:
    """Event loops that are taken and given back; may be used by any number of threads.

    Args:
        timeout: seconds after which what is waited for is cancelled; None for never.
    """

    def __init__(self, timeout: float | None) -> None:
        self.timeout = timeout
        self._idle: list[_Loop] = []
        self._is_closed = False

    def wait(self, awaitable: Awaitable[_T]) -> _T:
        """Return what ``awaitable`` gives; tasks that it leaves behind are cancelled.

        Raises:
            TimeoutError: it was cancelled, after the time or by itself.
            Exception: whatever it raises.
        """
        loop = self.take()
        try:
            return loop.run(awaitable, self.timeout)
        finally:
            self.give_back(loop)

    def take(self) -> _Loop:
        """Return a loop that nobody else uses until it is given back."""
        try:
            return self._idle.pop()
        except IndexError:
            return _Loop()

    def give_back(self, loop: _Loop) -> None:
        """Let others have a loop; what still runs on it is cancelled."""
        loop.cancel_rest()
        if self._is_closed:
            loop.loop.close()
        else:
            self._idle.append(loop)

    def close(self) -> None:
        """Close the loops that nobody uses, and the others when they are given back."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().loop.close()


class _Loop:
    """An event loop and the tasks that run on it beside the one that is waited for.

    ``asyncio.all_tasks`` would look at the tasks of every loop of the process.
    """

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._running: set[asyncio.Task[Any]] = set()
        self.loop.set_task_factory(self._make_task)

    def _make_task(self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> Any:
        task = asyncio.Task(work, loop=loop, **options)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def run(self, awaitable: Awaitable[_T], timeout: float | None) -> _T:
        """Return what ``awaitable`` gives.

        Raises:
            TimeoutError: it was cancelled, after the time or by itself.
            Exception: whatever it raises.
        """
        task = asyncio.Task(as_coroutine(awaitable), loop=self.loop)
        timer = None if timeout is None else self.loop.call_later(timeout, task.cancel)
        try:
            return self.loop.run_until_complete(task)
        except asyncio.CancelledError:
            raise TimeoutError("the coroutine was cancelled") from None
        finally:
            if timer is not None:
                timer.cancel()

    def cancel_rest(self) -> None:
        """Cancel the tasks that still run, and wait until they have ended."""
        left = list(self._running)
        for task in left:
            task.cancel()
        if left:
            self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))


def as_coroutine(awaitable: Awaitable[_T]) -> Coroutine[object, object, _T]:
    """Return a coroutine that waits for ``awaitable``: itself, if it is one."""

    async def wait() -> _T:
        return await awaitable

    return awaitable if isinstance(awaitable, Coroutine) else wait()
