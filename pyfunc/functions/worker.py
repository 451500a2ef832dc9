"""The process of a run: what :mod:`pyfunc.functions.children` starts."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from pyfunc.errors import RunError
from pyfunc.functions.executing import execute, write_log
from pyfunc.functions.liveness import adopt_alive
from pyfunc.functions.names import Key
from pyfunc.functions.project import Project
from pyfunc.functions.run import Run, set_state
from pyfunc.functions.store import Store

__all__ = ["main", "open_reserved"]

_LOOK_EVERY = 1.0
_GRACE = 2
_PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str]) -> int:
    """Execute the run that the arguments name; return the exit status."""
    root, project, run_id = arguments[:3]
    lifeline, alive, parent, stays = map(int, arguments[3:])
    os.set_inheritable(lifeline, False)
    adopt_alive(alive)
    _end_with_parent(lifeline, parent, by_kernel=bool(stays))
    store = Store(Path(root))
    key = Key(project, "run", "python+run", "", run_id)
    run = Run(store, set_state(store, key, "RUNNING", process=os.getpid()))
    timeout = run.spec.timeout
    if timeout is not None:
        _end_after(float(timeout), store, key, run)
    try:
        execute(run, store, Project.open(store, project))
    except RunError:
        return 1  # the log has the traceback
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
    return 0


def open_reserved(root: str, project: str, run: str) -> dict[str, object]:
    """Return what a served function gets as ``project`` and ``run``."""
    store = Store(Path(root))
    opened = Project.open(store, project)
    return {"project": opened, "run": opened.get_run(run)}


def _end_with_parent(lifeline: int, parent: int, *, by_kernel: bool) -> None:
    if by_kernel and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch, args=(lifeline, parent), daemon=True).start()


def _watch(lifeline: int, parent: int) -> None:
    """End this process and all that it started once the parent is gone.

    The parent holds the other end of ``lifeline``. Should a process that it forked hold it
    too, the change of the parent's id tells.
    """
    while os.getppid() == parent:
        ready, _, _ = select.select([lifeline], [], [], _LOOK_EVERY)
        if ready:
            break
    os.killpg(0, signal.SIGKILL)


def _end_after(seconds: float, store: Store, key: Key, run: Run) -> None:
    def end() -> None:
        message = f"the run was ended after its timeout of {seconds:g} s"
        write_log(run.path, message)
        set_state(store, key, "ERROR", message=message)
        os.killpg(0, signal.SIGKILL)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    # Where C code never lets that thread run, the system ends the process.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(int(seconds) + _GRACE)
