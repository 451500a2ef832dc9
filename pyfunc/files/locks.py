"""Locks on open files, which the system gives back when their process ends, however it ends.

POSIX has ``flock``, Windows locks a range of bytes. A file system without locks says so by an
``OSError``; what the caller does then is its own matter.
"""

from __future__ import annotations

import errno
import importlib
import os
import time
from types import ModuleType

__all__ = ["lock_now", "wait_for_lock"]

_LOOK_EVERY = 0.2


def _module(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


_posix = _module("fcntl")
_windows = _module("msvcrt")


def lock_now(descriptor: int) -> None:
    """Lock an open file for this process until ``descriptor`` is closed.

    Raises:
        BlockingIOError: another has locked it.
        OSError: there are no locks on this system or for this file.
    """
    if _posix is not None:
        _posix.flock(descriptor, _posix.LOCK_EX | _posix.LOCK_NB)
    elif _windows is not None:
        _lock_first_byte(_windows, descriptor)
    else:
        raise OSError(errno.ENOSYS, "this system has no locks for files")


def _lock_first_byte(windows: ModuleType, descriptor: int) -> None:
    at = os.lseek(descriptor, 0, os.SEEK_CUR)
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        windows.locking(descriptor, windows.LK_NBLCK, 1)
    except PermissionError as error:
        raise BlockingIOError(errno.EAGAIN, "another process has locked the file") from error
    finally:
        os.lseek(descriptor, at, os.SEEK_SET)


def wait_for_lock(descriptor: int) -> None:
    """Lock an open file as :func:`lock_now` does, as soon as no other has locked it.

    Raises:
        OSError: there are no locks on this system or for this file.
    """
    if _posix is not None:
        _posix.flock(descriptor, _posix.LOCK_EX)
        return
    while not _is_locked_now(descriptor):
        time.sleep(_LOOK_EVERY)


def _is_locked_now(descriptor: int) -> bool:
    try:
        lock_now(descriptor)
    except BlockingIOError:
        return False
    return True
