"""The process of a run, in three forms.

:mod:`pyfunc.functions.children` starts one that ends with whoever started it. In a container
``python -m pyfunc.functions.worker ROOT PROJECT RUN TREE`` executes a run of a store for a process
outside that watches over it. In a pod ``python -m pyfunc.functions.worker DOCUMENT`` executes the
run of a document.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pyfunc.errors import PyfuncError, RunError, SaveConflictError
from pyfunc.functions.documents import (
    Document,
    action_of,
    add_state,
    from_document,
)
from pyfunc.functions.executing import execute, write_log
from pyfunc.functions.liveness import adopt_alive, end_group, is_alive
from pyfunc.functions.names import SOURCE_FOLDER, Key, new_id, parse_key
from pyfunc.functions.project import Project, get_or_create_project
from pyfunc.functions.run import Run, end_processes, set_state
from pyfunc.functions.store import Store
from pyfunc.variables import FUNCTIONS_ROOT

__all__ = ["main", "open_in_pod", "open_reserved"]

_LOOK_EVERY = 1.0
_GRACE = 2
_PR_SET_PDEATHSIG = 1
_KILLED = 137


def main(arguments: Sequence[str]) -> int:
    """Execute the run that the arguments name; return the exit status."""
    try:
        if len(arguments) == 1:
            return _execute_in_pod(*arguments)
        if len(arguments) == 4:
            return _execute_contained(*arguments)
        return _execute_as_child(*arguments)
    except RunError:
        return 1  # the log has the traceback
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()


def open_reserved(root: str, project: str, run: str) -> dict[str, object]:
    """Return what a served function gets as ``project`` and ``run``."""
    store = Store(Path(root))
    opened = Project.open(store, project)
    return {"project": opened, "run": opened.get_run(run)}


def open_in_pod(document: str) -> dict[str, object]:
    """Return what a function that a pod serves gets as ``project`` and ``run``.

    Args:
        document: the file with the document of the run.
    """
    run, _, project = _adopt(document)
    return {"project": project, "run": run}


def _execute_as_child(*arguments: str) -> int:
    root, project, run_id = arguments[:3]
    lifeline, alive, parent, stays = map(int, arguments[3:])
    os.set_inheritable(lifeline, False)
    adopt_alive(alive)
    store = Store(Path(root))
    key = _run_key(project, run_id)
    watched = (lifeline, parent, run_id, store.folder(key))
    threading.Thread(target=_watch, args=watched, daemon=True).start()
    run = Run(store, set_state(store, key, "RUNNING", process=os.getpid()))
    is_plain = run.spec.image is None and action_of(run.to_dict()) == "job"
    if stays and is_plain and sys.platform == "linux":
        # Code of the user may let no thread run that could end this process. An engine does,
        # and only a process that lives can end what the engine started.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    timeout = run.spec.timeout
    if timeout is not None:
        _end_after(float(timeout), store, key, run)
    if is_plain:
        execute(run, store, Project.open(store, project))
        return 0
    return _use_engine(run, store)


def _use_engine(run: Run, store: Store) -> int:
    if action_of(run.to_dict()) == "build":
        from pyfunc.functions.image import build  # what serves is not installed everywhere

        build(run, store)
        return 0
    from pyfunc.functions.containers import run_in_container

    try:
        return run_in_container(run, store)
    except PyfuncError as error:
        write_log(run.path, f"failed\n{error}")
        message = f"{type(error).__name__}: {error}"
        set_state(store, parse_key(run.key), "ERROR", message=message)
        return 1


def _run_key(project: str, run_id: str) -> Key:
    return Key(project, "run", "python+run", "", run_id)


def _execute_contained(root: str, project: str, run_id: str, tree: str) -> int:
    store = Store(Path(root))
    run = Run(store, store.read(_run_key(project, run_id)))
    threading.Thread(target=_end_with_watcher, args=(run.path,), daemon=True).start()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    execute(run, store, Project.open(store, project), Path(tree))
    return 0


def _end_with_watcher(folder: Path) -> NoReturn:
    """End this container once the process outside is gone that holds the lock of the run."""
    while is_alive(folder):
        time.sleep(_LOOK_EVERY)
    os._exit(_KILLED)  # the first process of a container takes all others along


def _execute_in_pod(document: str) -> int:
    run, store, project = _adopt(document)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        done = Run(store, execute(run, store, project, Path(SOURCE_FOLDER)))
    except RunError as error:
        print(error, file=sys.stderr)
        raise
    found = {"run": done.key, "outputs": done.outputs(True), "results": done.status.results}
    print(json.dumps(found))
    return 0


def _adopt(path: str) -> tuple[Run, Store, Project]:
    """Put the run of the document into the store of this pod, if it is not there; begin it.

    Another attempt begins the same run again. Each time that a schedule starts a pod is a run.
    """
    document = from_document(json.loads(Path(path).read_bytes()))
    root = FUNCTIONS_ROOT.read() or Path(tempfile.gettempdir(), "pyfunc-functions")
    project = get_or_create_project(document["project"], root=root)
    store = Store(Path(root).absolute())
    if "schedule" in document["spec"]:
        run_id = new_id()
        key = str(_run_key(document["project"], run_id))
        document = {**document, "name": run_id, "id": run_id, "key": key}
    with contextlib.suppress(SaveConflictError):
        store.create(parse_key(document["key"]), document, lambda directory: None)
    return Run(store, store.change(parse_key(document["key"]), _begin)), store, project


def _begin(document: Document) -> None:
    state = document["status"]["state"]
    if state in ("COMPLETED", "STOPPED"):
        raise RunError(f"{document['key']} is {state}", run=document["key"])
    if state != "RUNNING":
        add_state(document, "RUNNING", message=None, error=None)


def _watch(lifeline: int, parent: int, run_id: str, folder: Path) -> None:
    """End this process and all that it started once the parent is gone.

    The parent holds the other end of ``lifeline``. Should a process that it forked hold it
    too, the change of the parent's id tells.
    """
    while os.getppid() == parent:
        ready, _, _ = select.select([lifeline], [], [], _LOOK_EVERY)
        if ready:
            break
    end_group(os.getpid(), run_id, folder)
    os.killpg(0, signal.SIGKILL)  # where nothing lists the processes


def _end_after(seconds: float, store: Store, key: Key, run: Run) -> None:
    def end() -> None:
        message = f"the run was ended after its timeout of {seconds:g} s"
        write_log(run.path, message)
        end_processes(set_state(store, key, "ERROR", message=message), run.path)
        os.killpg(0, signal.SIGKILL)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    # Where C code never lets that thread run, the system ends the process.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(int(seconds) + _GRACE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
