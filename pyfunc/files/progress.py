"""Telling a caller how far the work on many bytes has come."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["Meter", "Progress"]

Progress = Callable[[int, int], None]


class Meter:
    """Counts bytes that several threads are done with, and tells a caller each time.

    Args:
        progress: called with the bytes done so far and ``total``, from any thread; or None.
        total: the bytes of all the work, 0 if unknown.
    """

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """Count ``count`` bytes as done."""
        if count and self._progress is not None:
            with self._lock:
                self._done += count
                self._progress(self._done, self._total)
