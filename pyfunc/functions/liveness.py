"""Whether the process of a run is alive, and the end of what it leaves behind.

A process holds a lock on the file ``alive`` of its run for as long as it lives, however it ends.
Where the file system has no locks nobody can tell, and a run counts as going on until it says that
it has ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from pyfunc.files.locks import lock_now

__all__ = [
    "RUN_VARIABLE", "adopt_alive", "ask_to_end", "end_group", "hold_alive", "is_alive",
    "release_alive",
]  # fmt: skip

# In the environment of a run's process and of all that it starts.
RUN_VARIABLE = "PYFUNC_RUN"

_ALIVE = "alive"
_CLOSED = getattr(os, "O_CLOEXEC", 0)  # on Windows no child inherits a descriptor unasked
_LOOK_EVERY = 0.02
_held: set[int] = set()


def hold_alive(folder: Path) -> int:
    """Lock the file of the run in ``folder``; return the descriptor that holds the lock."""
    descriptor = os.open(folder / _ALIVE, os.O_RDWR | os.O_CREAT | _CLOSED, 0o644)
    with contextlib.suppress(OSError):
        lock_now(descriptor)
    _held.add(descriptor)
    return descriptor


def adopt_alive(descriptor: int) -> None:
    """Count as the process of a run whose lock ``descriptor``, from the parent, holds."""
    os.set_inheritable(descriptor, False)  # what user code starts does not count
    _held.add(descriptor)


def release_alive(descriptor: int) -> None:
    """Let this process no longer count as that of the run."""
    _held.discard(descriptor)
    with contextlib.suppress(OSError):
        os.close(descriptor)


def _forget() -> None:
    # A process that user code forks, and that lives on, must not stand for the run.
    for descriptor in list(_held):
        release_alive(descriptor)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def is_alive(folder: Path) -> bool:
    """Return whether a process holds the lock of the run in ``folder``, or may hold one."""
    try:
        descriptor = os.open(folder / _ALIVE, os.O_RDWR | _CLOSED)
    except FileNotFoundError:
        return False
    try:
        lock_now(descriptor)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def ask_to_end(pid: int, folder: Path, seconds: float) -> None:
    """Tell the process ``pid`` of the run in ``folder`` to end; wait so long until it has."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while is_alive(folder) and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY)


def end_group(pid: int, run: str, folder: Path) -> None:
    """End every process of the group ``pid`` that belongs to the run with id ``run``.

    The number of a group whose processes are gone may have been given to others: only those
    whose environment names the run are ended, and what they started, such as the commands of a
    build, which have an environment and a group of their own. This process comes last. Where the
    system does not show it, the group is ended as long as the process of the run in ``folder``
    lives.
    """
    if not os.path.isdir("/proc/self"):
        with contextlib.suppress(OSError):
            if is_alive(folder):
                os.killpg(pid, signal.SIGKILL)
        return
    parents = dict(_read_parents())
    found = {process for process in parents if _is_of(process, pid, run)}
    grown = True
    while grown:
        below = {process for process, parent in parents.items() if parent in found}
        grown = not below <= found
        found |= below
    for process in sorted(found, key=lambda process: process == os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _read_parents() -> Iterator[tuple[int, int]]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            # The name of the program, in brackets, may hold anything.
            text = (folder / "stat").read_bytes().rpartition(b")")[2]
            yield int(folder.name), int(text.split()[1])


def _is_of(process: int, group: int, run: str) -> bool:
    try:
        if os.getpgid(process) != group:
            return False
        variables = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return f"{RUN_VARIABLE}={run}".encode() in variables
