"""Servers in processes of their own: how they start, answer and end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyfunc.errors import InvalidArgumentError, PyfuncError
from pyfunc.functions.invoking import InvokeError, invoke
from pyfunc.functions.plans import ServerPlan
from pyfunc.functions.serving import FunctionServer, start_server

SOURCE = """
import os, time
import sibling

print("imported")

def init(context, greeting):
    context.greeting = greeting

def function(context, event):
    return {"greeting": context.greeting, "pid": os.getpid(), "worker": context.worker_id}

def slow(event):
    open(event.fields["began"], "w").close()
    time.sleep(1)
    return sibling.NAME

def failing_init(context):
    raise OSError("no weights")

def needs(a):
    return a

def die(event):
    if event.path == "/die":
        os._exit(7)
    return str(os.getpid())

def reserved(name):
    return {"project": name, "run": name + "-run"}

def with_reserved(project, run):
    return [project, run, os.environ.get("GREETING")]
"""


@pytest.fixture
def source(tmp_path: Path) -> str:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "served.py").write_text(SOURCE, encoding="utf-8")
    (folder / "sibling.py").write_text("NAME = 'a sibling'\n", encoding="utf-8")
    return str(folder)


def wait_for(condition: object, *, within: float = 60.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1]
        return state.split()[0] != "Z"
    return False


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(word) for word in text.split()]


@pytest.fixture
def started(source: str, tmp_path: Path) -> Iterator[FunctionServer]:
    plan = ServerPlan(
        function="served:function",
        init="served:init",
        init_parameters={"greeting": "hello"},
        workers=2,
    )
    with start_server(plan, tmp_path / "log.txt", source=source) as server:
        yield server


def test_a_server_answers_with_all_its_workers(started: FunctionServer) -> None:
    assert started.service == {
        "url": f"127.0.0.1:{started.port}",
        "ports": [started.port],
        "type": "Local",
    }
    workers = set(children_of(started.pid))
    assert len(workers) == 2
    seen: set[int] = set()
    while seen != workers:
        tree = invoke(started.service["url"], json={"a": 1}).json()
        assert isinstance(tree, dict)
        assert tree["greeting"] == "hello"
        seen.add(tree["pid"])
    assert "imported" in started.log.read_text(encoding="utf-8")


def test_a_worker_that_dies_is_replaced(source: str, tmp_path: Path) -> None:
    plan = ServerPlan(function="served:die", workers=2)
    with start_server(plan, tmp_path / "log.txt", source=source) as server:
        before = set(children_of(server.pid))
        with pytest.raises(InvokeError):
            invoke(f"{server.service['url']}/die")
        wait_for(lambda: len(set(children_of(server.pid)) - before) == 1)
        wait_for(lambda: int(invoke(server.service["url"]).text) not in before)
        assert "ended with status 7" in server.log.read_text(encoding="utf-8")


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_being_answered_is_answered_before_the_end(
    source: str, tmp_path: Path, workers: int
) -> None:
    answers: list[str] = []
    plan = ServerPlan(function="served:slow", workers=workers)
    began = tmp_path / "began"
    with start_server(plan, tmp_path / "log.txt", source=source) as server:
        url = server.service["url"]
        asking = threading.Thread(
            target=lambda: answers.append(invoke(url, params={"began": str(began)}).text)
        )
        asking.start()
        wait_for(began.exists)
        server.stop()
        asking.join()
        assert not server.is_running
    assert answers == ["a sibling"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_ends_with_its_starter_even_if_that_is_killed(
    source: str, tmp_path: Path, workers: int
) -> None:
    program = f"""
import sys, time
from pyfunc.functions.plans import ServerPlan
from pyfunc.functions.serving import start_server
plan = ServerPlan(function="served:die", workers={workers})
server = start_server(plan, {str(tmp_path / "log.txt")!r}, source={source!r})
print(server.pid, flush=True)
time.sleep(600)
"""
    starter = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    with starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        processes = [pid, *children_of(pid)]
        assert len(processes) == (1 if workers == 1 else 3)
        starter.kill()
    wait_for(lambda: not any(map(is_alive, processes)))


def test_workers_end_with_their_supervisor(started: FunctionServer) -> None:
    workers = children_of(started.pid)
    os.kill(started.pid, signal.SIGKILL)
    wait_for(lambda: not any(map(is_alive, workers)))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(
            {"init": "served:failing_init"}, "the init function failed: no weights", id="init"
        ),
        pytest.param({"function": "served:needs"}, "its parameters a have no default", id="bind"),
        pytest.param({"function": "served:nothing"}, "served:nothing is not a", id="no-function"),
        pytest.param({"function": "absent:f"}, "No module named 'absent'", id="no-module"),
        pytest.param({"function": "served"}, "expected package.module:function", id="form"),
        pytest.param({"settings": {"threads": -1}}, "threads must be", id="settings"),
    ],
)
def test_a_server_that_cannot_serve_says_why(
    source: str, tmp_path: Path, workers: int, options: dict[str, str], message: str
) -> None:
    plan = ServerPlan(
        **{"function": "served:function", "workers": workers, **options}  # type: ignore[arg-type]
    )
    with pytest.raises(PyfuncError, match=message):
        start_server(plan, tmp_path / "log.txt", source=source)


def test_reserved_objects_are_made_in_the_worker(source: str, tmp_path: Path) -> None:
    plan = ServerPlan(
        function="served:with_reserved",
        reserved="served:reserved",
        reserved_arguments={"name": "p"},
    )
    log = tmp_path / "log.txt"
    with start_server(plan, log, source=source, environment={"GREETING": "hi"}) as server:
        assert invoke(server.service["url"]).json() == ["p", "p-run", "hi"]


def test_a_plan_may_be_longer_than_a_variable_of_the_environment(
    source: str, tmp_path: Path
) -> None:
    plan = ServerPlan(
        function="served:function",
        init="served:init",
        init_parameters={"greeting": "x" * 300_000},
        workers=2,
    )
    with start_server(plan, tmp_path / "log.txt", source=source) as server:
        tree = invoke(server.service["url"]).json()
    assert isinstance(tree, dict)
    assert len(tree["greeting"]) == 300_000
    assert tree["worker"] in (0, 1)


def test_a_plan_holds_what_json_can() -> None:
    with pytest.raises(InvalidArgumentError, match="JSON"):
        ServerPlan(function="a:b", init_parameters={"a": object()}).to_json()
