"""The folder that an actor unpacks its model into; what killed ones leave, the next one removes.

An actor holds a lock on its folder, which the system gives back however the actor ends.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path

from pyfunc.files.locks import lock_now
from pyfunc.files.opening import open_directory
from pyfunc.files.temporaries import remove_tree

__all__ = ["ActorFolder"]

_PREFIX = "pyfunc-ray-"


class ActorFolder:
    """A new private folder that goes with this object."""

    def __init__(self) -> None:
        _remove_left_over(tempfile.gettempdir())
        path, lock = _make_locked()
        self.path = Path(path)
        self._removal = weakref.finalize(self, _remove, path, lock, os.getpid())


def _make_locked() -> tuple[str, int | None]:
    while True:
        path = tempfile.mkdtemp(prefix=_PREFIX)
        lock = None
        # One that looked between the two steps may have taken it for left behind.
        with contextlib.suppress(BlockingIOError, FileNotFoundError):
            lock = open_directory(path)
            if lock is not None:
                with _where_there_are_locks():
                    lock_now(lock)
            if os.path.isdir(path):
                return path, lock
        if lock is not None:
            os.close(lock)


@contextlib.contextmanager
def _where_there_are_locks() -> Iterator[None]:
    """Go on where the file system has no locks; what is left behind there stays."""
    try:
        yield
    except BlockingIOError:
        raise
    except OSError:
        pass


def _remove_left_over(folder: str) -> None:
    """Remove the folders of actors that are no more."""
    with os.scandir(folder) as entries:
        found = [
            entry.path
            for entry in entries
            if entry.name.startswith(_PREFIX) and entry.is_dir(follow_symlinks=False)
        ]
    for path in found:
        with contextlib.suppress(OSError):  # somebody else's, alive, or gone meanwhile
            _remove_if_dead(path)


def _remove_if_dead(path: str) -> None:
    lock = open_directory(path)
    if lock is None:
        return
    try:
        lock_now(lock)
        remove_tree(path)
    finally:
        os.close(lock)


def _remove(path: str, lock: int | None, process: int) -> None:
    if os.getpid() != process:  # a forked child ends like its parent, whose folder this is
        return
    remove_tree(path)
    if lock is not None:
        os.close(lock)
