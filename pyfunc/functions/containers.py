"""A run in a container of its function's image, watched over by a process of this machine.

The container sees the folder of the project at its place, and executes the run there as a process
would. It ends with the process that watches over it: that process holds the lock of the run, which
the container looks at.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from pyfunc.deploy.containers import Container, start_command
from pyfunc.deploy.engine import RUNNING_ENGINES, find_engine
from pyfunc.functions.documents import Document
from pyfunc.functions.executing import write_log
from pyfunc.functions.liveness import RUN_VARIABLE
from pyfunc.functions.names import WORKER_MODULE, Key, parse_key
from pyfunc.functions.run import ENDS, Run, set_state
from pyfunc.functions.sources import SOURCES, fetch_source
from pyfunc.functions.store import Store

__all__ = ["container_name", "run_in_container"]


def container_name(run: Run) -> str:
    """Return the name of the container of ``run``."""
    return f"pyfunc-{run.id}"


def run_in_container(run: Run, store: Store) -> int:
    """Execute ``run`` in a container; return its status once it is gone.

    A run that the container left before its end is in state ERROR afterwards.

    Args:
        run: in state RUNNING; what the container writes is written by this process, which has
            the values of the run's secrets in its environment.
        store: its store.

    Raises:
        PyfuncError: no engine works, or the source cannot be fetched.
    """
    engine, key = find_engine(among=RUNNING_ENGINES), parse_key(run.key)
    tree = fetch_source(run.spec.source, store.folder(Key(run.project)) / SOURCES)
    variables = {item["name"]: item["value"] for item in run.spec.envs or ()}
    own = {"PROJECT_NAME": run.project, "RUN_ID": run.id, RUN_VARIABLE: run.id}
    container = Container(
        name=container_name(run),
        image=run.spec.image,
        command=("python", "-m", WORKER_MODULE, str(store.root), run.project, run.id, str(tree)),
        folder=store.folder(Key(run.project)),
        variables=run.spec.secrets or (),
        settings={**variables, **own},
    )
    _note(store, key, engine, container.name)
    write_log(run.path, f"a container of {container.image} starts")
    status = subprocess.run(
        start_command(engine, container), stdin=subprocess.DEVNULL, check=False
    ).returncode
    run.refresh()
    if run.status["state"] not in ENDS:
        name = Path(engine).name
        message = f"the container ended before the run: {name} run has status {status}"
        write_log(run.path, message)
        set_state(store, key, "ERROR", message=message)
    return status


def _note(store: Store, key: Key, engine: str, name: str) -> None:
    def change(document: Document) -> None:
        document["status"]["container"] = {"engine": engine, "name": name}

    store.change(key, change)
