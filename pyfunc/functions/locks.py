"""Locks on open files, which the system gives back when their process ends, however it ends.

The functions are those of ``pyfunc.files.locks`` and give way to them.
"""

from __future__ import annotations

import fcntl

__all__ = ["lock_now", "wait_for_lock"]


def lock_now(descriptor: int) -> None:
    """Lock an open file for this process until ``descriptor`` is closed.

    Raises:
        BlockingIOError: another has locked it.
    """
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def wait_for_lock(descriptor: int) -> None:
    """Lock an open file as :func:`lock_now` does, as soon as no other has locked it."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)
