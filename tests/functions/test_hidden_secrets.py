"""Values of secrets: no run lets one out, whatever the function prints and raises."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from pyfunc.errors import RunError
from pyfunc.functions import Function, Project, get_or_create_project

HERE = f"PYTHON3_{sys.version_info[1]}"
SECRET = "hush-of 'all'\nthe dübel & co"
CODE = """
import logging, os, sys
from urllib.parse import quote

TOKEN = os.environ["TOKEN"]

def say():
    print("a", TOKEN, [TOKEN], flush=True)
    sys.stderr.write(TOKEN)
    logging.getLogger("user").error("b %s", TOKEN)

def run(how):
    say()
    if how == "key":
        raise KeyError(TOKEN)
    if how == "url":
        raise OSError("http://localhost/?token=" + quote(TOKEN))
    return len(TOKEN)

def serve(context):
    say()
    context.logger.info_with("c", token=TOKEN)
    raise ValueError(TOKEN)

def fail(context):
    say()
    raise ValueError(TOKEN)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = get_or_create_project("demo", root=tmp_path / "store")
    project.new_secret("TOKEN", SECRET)
    return project


def function_of(project: Project, handler: str, **more: Any) -> Function:
    return project.new_function(handler, code=CODE, handler=handler, python_version=HERE, **more)


def check_hidden(project: Project) -> None:
    """Check that only the file of the secret has it, or the part that every form of it has."""
    files = [path for path in project.path.rglob("*") if path.is_file()]
    assert [path.name for path in files if b"hush-of" in path.read_bytes()] == ["value"]
    assert "***" in "\n".join(project.list_runs()[-1].logs())


@pytest.mark.parametrize("how", ["key", "url", "nothing"])
def test_a_job_hides_its_secrets(project: Project, how: str) -> None:
    function = function_of(project, "run")
    if how == "nothing":
        run = function.run("job", parameters={"how": how}, secrets=["TOKEN"])
        assert run.result("output_0") == len(SECRET)
    else:
        with pytest.raises(RunError) as raised:
            function.run("job", parameters={"how": how}, secrets=["TOKEN"])
        assert "hush-of" not in str(raised.value)
        assert "***" in str(raised.value)
    check_hidden(project)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_served_function_hides_its_secrets(project: Project, workers: int) -> None:
    run = function_of(project, "serve").run("serve", secrets=["TOKEN"], workers=workers)
    assert run.invoke().status_code == 500
    run.stop()
    check_hidden(project)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_that_does_not_start_hides_its_secrets(project: Project, workers: int) -> None:
    function = function_of(project, "serve", init_function="fail")
    with pytest.raises(RunError, match=r"failed: \*\*\*") as raised:
        function.run("serve", secrets=["TOKEN"], workers=workers)
    assert "hush-of" not in str(raised.value)
    check_hidden(project)
