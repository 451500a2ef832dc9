"""The store: complete or absent after any kill, and quick to list."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyfunc.errors import EntityNotFoundError, ModelFormatError
from pyfunc.functions import Dataitem, Function, Project
from pyfunc.functions.documents import new_document
from pyfunc.functions.names import Key, new_id, parse_key
from pyfunc.functions.run import ENDS
from pyfunc.functions.store import Store
from pyfunc.functions.writing import Target, write_artifact

Make = Callable[..., Function]


@pytest.fixture
def store(root: Path) -> Store:
    return Store(root)


def test_what_is_half_written_is_not_there(project: Project, store: Store) -> None:
    folder = store.folder(Key("demo", "dataitem", "table", "d", new_id()))
    folder.mkdir(parents=True)
    folder.joinpath("data").mkdir()
    project.path.joinpath("dataitems", ".d.0123456789abcdef.tmp").mkdir()
    assert project.list_dataitems() == []
    with pytest.raises(EntityNotFoundError):
        project.get_dataitem("d")


def test_a_file_that_holds_something_else_is_named(project: Project) -> None:
    path = project.new_secret("s", "v").path / "entity.json"
    path.write_text("{")
    with pytest.raises(ModelFormatError, match=str(path)):
        project.list_secrets()


def test_an_output_is_seen_when_its_run_says_so(project: Project, store: Store) -> None:
    key = Key("demo", "run", "python+run", "", new_id())
    document = new_document(key, {})
    document["status"] |= {"state": "RUNNING", "outputs": {}, "results": {}}
    store.create_light(key, document)
    artifact = write_artifact(Target(store, "demo", "a", "artifact", run=str(key)), value=1)
    assert project.list_artifacts() == []
    document["status"] |= {"state": "COMPLETED", "outputs": {"a": artifact.key}}
    store.replace(key, document)
    assert project.list_artifacts() == [artifact]
    assert project.collect_garbage() == []
    store.publish(parse_key(artifact.key))
    store.delete(key)
    assert project.get_artifact("a") == artifact


def test_garbage_is_what_no_run_shows(project: Project, store: Store) -> None:
    gone = write_artifact(
        Target(store, "demo", "a", "artifact", run=f"store://demo/run/python+run/{new_id()}"),
        value=1,
    )
    kept = write_artifact(Target(store, "demo", "a", "artifact"), value=1)
    assert project.collect_garbage() == [gone.path]
    assert not gone.path.exists()
    assert project.list_artifacts() == [kept]


def test_a_change_is_made_by_one_at_a_time(project: Project, root: Path) -> None:
    code = """
import sys
from pathlib import Path
from pyfunc.functions.names import Key
from pyfunc.functions.store import Store
def add(document):
    document["metadata"]["n"] = document["metadata"].get("n", 0) + 1
for _ in range(100):
    Store(Path(sys.argv[1])).change(Key("demo"), add)
"""
    processes = [subprocess.Popen([sys.executable, "-c", code, str(root)]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0] * 3
    project.refresh()
    assert project.metadata["n"] == 300


def test_ten_thousand_runs_are_listed(project: Project, store: Store) -> None:
    for number in range(10_000):
        key = Key("demo", "run", "python+run", "", new_id())
        document = new_document(key, {"parameters": {"x": number}, "task": "python+job://demo/1"})
        document["status"] |= {
            "state": "COMPLETED",
            "outputs": {},
            "results": {"output_0": number},
        }
        folder = store.folder(key)
        folder.mkdir(parents=True)
        folder.joinpath("entity.json").write_bytes(json.dumps(document).encode())
    runs = project.list_runs()
    assert [run.result("output_0") for run in runs] == [*range(10_000)]


VICTIM = """
import sys
from pyfunc.functions import get_project
function = get_project("demo", root=sys.argv[1]).get_function("f")
while True:
    run = function.run(parameters={"x": 1})
    print(run.id, flush=True)
"""
CODE = """
import pandas as pd
def f(x):
    return pd.DataFrame({"a": range(1000)}), {"x": x}, x
"""


def start_victim(root: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", VICTIM, str(root)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def others(make: Make, root: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Yield two processes that go on running the function."""
    make(CODE)
    processes = [start_victim(root) for _ in range(2)]
    yield processes
    for process in processes:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_a_kill_at_any_moment_loses_nothing_that_was_finished(
    project: Project,
    root: Path,
    others: list[subprocess.Popen[str]],
    pytestconfig: pytest.Config,
) -> None:
    moment = random.Random(7)
    finished: set[str] = set()
    for _ in range(pytestconfig.getoption("--kills")):
        victim = start_victim(root)
        assert victim.stdout is not None
        finished.add(victim.stdout.readline().strip())
        time.sleep(moment.uniform(0, 0.2))
        victim.send_signal(signal.SIGKILL)
        finished |= set(victim.communicate()[0].split("\n")[:-1])
        project.list_runs()  # is readable while the others go on
    assert [process.poll() for process in others] == [None, None]
    for process in others:
        process.kill()
        finished |= set(process.communicate()[0].split("\n")[:-1])
    runs = {run.id: run for run in project.list_runs()}
    assert {run.status.state for run in runs.values()} <= {"COMPLETED", "ERROR"}
    assert {run.id for run in runs.values() if run.status.state == "COMPLETED"} >= finished
    for run in runs.values():
        complete = run.status.state == "COMPLETED"
        assert len(run.outputs()) == (2 if complete else 0)
        if not complete:
            assert run.status.message == "the process of the run is gone"
    seen = [*project.list_dataitems(), *project.list_artifacts()]
    named = {key for run in runs.values() for key in run.outputs(as_key=True).values()}
    assert {entity.key for entity in seen} == named
    item = seen[0]
    assert isinstance(item, Dataitem)
    assert len(item.as_df()) == 1000


PARENT = """
import sys
from pyfunc.functions import get_project
function = get_project("demo", root=sys.argv[1]).get_function("f")
run = function.run(parameters={"path": sys.argv[2]}, wait=False)
print(run.id, flush=True)
sys.stdin.read()
"""
SLEEPING = """
import subprocess, sys, time
from pathlib import Path
def f(path):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(path).write_text(str(child.pid))
    time.sleep(600)
"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], object]) -> None:
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it does not come to that")


@pytest.mark.parametrize("killed", ["parent", "run"])
def test_what_a_killed_process_started_is_gone_too(
    make: Make, project: Project, root: Path, tmp_path: Path, killed: str
) -> None:
    make(SLEEPING)
    path = tmp_path / "pid"
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(root), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        run_id = parent.stdout.readline().strip()
        wait_until(lambda: path.exists() and path.read_text())
        process = project.get_run(run_id).status.process
        os.kill(parent.pid if killed == "parent" else process, signal.SIGKILL)
        wait_until(lambda: not is_running(process))
        # Its last thread may give the lock back a moment after the first one has ended.
        wait_until(lambda: project.get_run(run_id).status.state != "RUNNING")
        run = project.get_run(run_id)
        assert (run.status.state, run.status.message) == (
            "ERROR",
            "the process of the run is gone",
        )
        wait_until(lambda: not is_running(int(path.read_text())))
        parent.kill()


def test_every_state_that_is_an_end_stays(make: Make, project: Project) -> None:
    run = make("def f(): pass").run()
    run.stop()
    assert run.status.state == "COMPLETED"
    assert set(ENDS) == {"COMPLETED", "ERROR", "STOPPED"}
