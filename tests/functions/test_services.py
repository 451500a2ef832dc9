"""Functions served by ``run("serve")``: real processes, real sockets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, RunError
from pyfunc.functions import Function, Project
from tests.functions.conftest import HERE

Make = Callable[..., Function]

CODE = """
from pyfunc.functions import handler

def init(context, param1, param2):
    context.total = param1 + param2

def func1():
    return "hello world"

@handler(outputs=["result"])
def func2():
    return "hello world"

def func4(context, event):
    context.logger.info("Some log")
    return {"total": context.total, "got": event.body["some-func-param"]}

@handler(outputs=["sum", "project", "run"])
def named(project, run, a: int, b: int = 1):
    return a + b, project.name, run.id

def bad(context, a):
    return a
"""


def define(project: Project, name: str, init: str | None = None) -> Function:
    return project.new_function(
        name, code=CODE, handler=name, python_version=HERE, init_function=init
    )


def test_the_example_of_the_document(project: Project) -> None:
    function = define(project, "func4", init="init")
    run = function.run(
        action="serve",
        init_parameters={"param1": 1, "param2": 2},
        replicas=1,
        service_type="NodePort",
    )
    try:
        run.refresh()
        service = run.status.service
        assert (run.status.state, service["type"]) == ("RUNNING", "Local")
        assert service["url"].endswith(f":{service['ports'][0]}")
        answer = run.invoke(method="POST", json={"some-func-param": [1, 2]})
        assert answer.json() == {"total": 3, "got": [1, 2]}
        assert any("Some log" in line for line in run.logs())
        [task] = project.list_tasks()
        assert (task.kind, run.spec.replicas) == ("python+serve", 1)
        assert run.to_dict("0.15")["kind"] == "python+serve:run"
    finally:
        run.stop()
    assert project.get_run(run.id).status.state == "STOPPED"
    with pytest.raises(RunError, match="it is STOPPED"):
        run.invoke()


def test_decorated_functions_answer_with_names(project: Project) -> None:
    plain, decorated = define(project, "func1"), define(project, "func2")
    first = plain.run("serve", workers=1, wait=False)
    second = decorated.run("serve", workers=1)
    try:
        assert first.wait(60).invoke("GET").text == "hello world"
        assert second.invoke().json() == {"result": "hello world"}
    finally:
        first.stop()
        second.stop()


def test_keys_of_the_body_fill_parameters(project: Project) -> None:
    run = define(project, "named").run("serve", bind="json", workers=1)
    try:
        assert run.invoke(json={"a": 2}).json() == {"sum": 3, "project": "demo", "run": run.id}
        refused = run.invoke(json={"a": "x", "c": 1})
        assert (refused.status_code, "INVALID_PARAMETER_VALUE" in refused.text) == (422, True)
    finally:
        run.stop()


@pytest.mark.network
def test_an_environment_of_its_own_serves_too(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Environments are kept for the user; those of a test are not.
    monkeypatch.setenv("PYFUNC_ENV_ROOT", str(tmp_path / "envs"))
    code = """
import sys
import six

def init(context):
    context.version = six.__version__

def f(context, event):
    return {"six": context.version, "prefix": sys.prefix, "body": event.body}
"""
    function = project.new_function(
        "f", code=code, handler="f", init_function="init", python_version=HERE,
        requirements=["six==1.15.0"],
    )  # fmt: skip
    run = function.run("serve", workers=2)
    try:
        answer = run.invoke(json={"a": [1]}).json()
        assert isinstance(answer, dict)
        assert (answer["six"], answer["body"]) == ("1.15.0", {"a": [1]})
        assert answer["prefix"] != sys.prefix
    finally:
        run.stop()
    assert project.get_run(run.id).status.state == "STOPPED"


def test_what_no_request_could_call_is_refused(project: Project) -> None:
    function = define(project, "bad")
    with pytest.raises(InvalidArgumentError, match="a"):
        function.run("serve")
    with pytest.raises(InvalidArgumentError, match="inputs"):
        function.run("serve", bind="json", inputs={})
    with pytest.raises(InvalidTypeError, match="backoff_limit"):
        function.run("serve", bind="json", backoff_limit=1)
    with pytest.raises(InvalidTypeError, match="replicas"):
        function.run("job", replicas=1)
    with pytest.raises(InvalidArgumentError, match="workers"):
        function.run("serve", bind="json", workers=0)
    assert project.list_runs() == []


def test_a_start_that_fails_ends_the_run(project: Project, make: Make) -> None:
    function = make("print('on the way')\nraise RuntimeError('no way')\n")
    with pytest.raises(RunError, match="no way"):
        function.run("serve", workers=1)
    [run] = project.list_runs()
    assert run.status.state == "ERROR"
    assert "no way" in run.status.message
    assert "on the way" in "\n".join(run.logs())


def test_a_server_that_is_gone_is_an_error(project: Project) -> None:
    run = define(project, "func1").run("serve", workers=1)
    os.kill(run.status.process, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while project.get_run(run.id).status.state == "RUNNING" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert project.get_run(run.id).status.state == "ERROR"


def test_a_server_ends_with_the_process_that_started_it(project: Project, root: Path) -> None:
    define(project, "func1")
    script = f"""
        from pyfunc.functions import get_project
        get_project("demo", root={str(root)!r}).get_function("func1").run("serve")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=120)
    [run] = project.list_runs()
    assert run.status.state == "ERROR"
    assert "gone" in run.status.message
