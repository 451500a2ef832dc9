"""How builds and containers end: by themselves, by whoever stops them, by whoever kills them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import pyfunc.functions as dh
from pyfunc.errors import RunError
from pyfunc.functions.containers import container_name
from tests.images.conftest import define, is_gone, podman, wait_until

# Who built the image makes no difference here.
pytestmark = pytest.mark.parametrize("project", ["podman"], indirect=True)


def test_a_failure_in_a_container_is_told(project: dh.Project, image: str) -> None:
    with pytest.raises(RunError, match="KeyError: 'no such thing'"):
        define(project, "fail", image).run(env="container")
    [run] = project.get_function("python-function").runs()
    assert run.status.state == "ERROR"
    assert run.status.error["file"].endswith("main.py")
    assert len(run.status.attempts) == 1


def test_a_container_that_ends_before_its_run_is_an_error(project: dh.Project, image: str) -> None:
    with pytest.raises(RunError, match="ended before the run: podman run has status 7"):
        define(project, "leave", image).run(env="container")


def test_an_image_that_is_not_there_is_an_error(project: dh.Project) -> None:
    with pytest.raises(RunError, match="podman run has status 125"):
        define(project, "fail", "localhost/not-there:1").run(env="container")


def test_a_timeout_ends_the_container(project: dh.Project, image: str) -> None:
    function = define(project, "sleep", image)
    path = project.path / "touched"
    with pytest.raises(RunError, match="ended after its timeout of 8 s"):
        function.run(env="container", parameters={"path": str(path)}, timeout=8)
    wait_until(lambda: is_gone(function.runs()[0]))
    path.unlink(missing_ok=True)


@pytest.mark.parametrize("how", ["stopped", "watcher killed", "container killed"])
def test_a_container_ends_with_its_run(project: dh.Project, image: str, how: str) -> None:
    function = define(project, "sleep", image)
    path = project.path / f"touched {how}"
    run = function.run(env="container", parameters={"path": str(path)}, wait=False)
    wait_until(path.exists)
    path.unlink()
    run.refresh()
    assert run.status.state == "RUNNING"
    if how == "stopped":
        project.get_run(run.id).stop()
    elif how == "watcher killed":
        os.kill(run.status.process, signal.SIGKILL)
        # Nobody looks at the run yet: the container sees by itself that it is alone.
        wait_until(lambda: is_gone(run))
    else:
        podman("kill", container_name(run))
    run.wait(timeout=60)
    assert run.status.state == ("STOPPED" if how == "stopped" else "ERROR")
    wait_until(lambda: is_gone(run))
    assert run.outputs() == {}


def test_a_container_ends_with_the_process_that_started_it(
    project: dh.Project, image: str
) -> None:
    path = project.path / "touched"
    define(project, "sleep", image)
    script = f"""
        import os, pathlib, time
        from pyfunc.functions import get_project
        project = get_project("my-project", root={str(project.path.parent)!r})
        function = project.get_function("python-function")
        function.run(env="container", parameters={{"path": {str(path)!r}}}, wait=False)
        while not pathlib.Path({str(path)!r}).exists():
            time.sleep(0.1)
        os.kill(os.getpid(), 9)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False, timeout=120)
    path.unlink()
    [run] = project.get_function("python-function").runs()
    wait_until(lambda: is_gone(run))
    run.refresh()
    assert run.status.state == "ERROR"
    assert "gone" in run.status.message


@pytest.mark.parametrize("how", ["stopped", "killed", "timeout"])
def test_a_build_that_is_ended_leaves_nothing(project: dh.Project, how: str) -> None:
    function = define(project, "serve")
    mark = f"sleep 4{os.getpid()}"
    instructions = [mark]
    run = function.run(
        "build", instructions=instructions, wait=False, timeout=12 if how == "timeout" else None
    )
    wait_until(lambda: is_running(mark) or (how == "timeout" and is_over(run)))
    run.refresh()
    if how == "stopped":
        run.stop()
    elif how == "killed":
        os.kill(run.status.process, signal.SIGKILL)
    run.wait(timeout=60)
    assert run.status.state == ("STOPPED" if how == "stopped" else "ERROR")
    wait_until(lambda: not is_running(mark))
    function.refresh()
    assert function.image is None
    assert f":{run.id[:12]}" not in podman("images")


def is_over(run: dh.Run) -> bool:
    run.refresh()
    return run.status.state in ("COMPLETED", "ERROR", "STOPPED")


def is_running(command: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode() == command:
                return True
    return False


def test_a_build_that_fails_tells_why(project: dh.Project) -> None:
    function = define(project, "serve")
    with pytest.raises(RunError, match="podman ended with status"):
        function.run("build", instructions=["echo on the way", "exit 3"])
    [run] = function.runs()
    assert run.status.state == "ERROR"
    assert "on the way" in "\n".join(run.logs())
    function.refresh()
    assert function.image is None
