from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pyfunc.errors import ModelNotFoundError, SaveConflictError
from pyfunc.functions.building import (
    SERVE_COMMAND,
    BuildError,
    parse_python_version,
    write_function_context,
)
from pyfunc.functions.invoking import InvokeError, invoke
from pyfunc.functions.plans import ServerPlan

PLAN = ServerPlan(function="main:function", host="0.0.0.0", port=8080, workers=2)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "package").mkdir(parents=True)
    (folder / "main.py").write_text("def function(event):\n    return 'served'\n")
    (folder / "package" / "part.py").write_text("X = 1\n")
    return folder


def test_the_dockerfile_has_the_order_of_upstream(source: Path, tmp_path: Path) -> None:
    context = write_function_context(
        source,
        PLAN,
        tmp_path / "context",
        python_version="PYTHON3_11",
        instructions=["apt-get update", "apt-get install -y git"],
        requirements=["numpy>=2", "scikit-learn==1.5.0"],
    )
    assert context.image == "python:3.11-slim"
    text = (tmp_path / "context" / "Dockerfile").read_text()
    assert text == context.dockerfile
    steps = [
        line
        for line in text.splitlines()
        if line.split(" ")[0] in ("CMD", "COPY", "ENTRYPOINT", "FROM", "RUN", "USER", "WORKDIR")
    ]
    assert steps[0] == "FROM python:3.11-slim"
    assert steps[1] == "USER root"
    assert steps[2].startswith("COPY server-requirements.txt pyfunc_format-")
    assert steps[3].startswith("RUN python -m pip install")
    assert steps[4:] == [
        "COPY source /shared",
        "WORKDIR /shared",
        "RUN apt-get update",
        "RUN apt-get install -y git",
        "COPY requirements.txt /opt/pyfunc/",
        "RUN python -m pip install --no-cache-dir -r /opt/pyfunc/requirements.txt",
        "COPY function.json /opt/pyfunc/function.json",
        "USER 10001:10001",
        'ENTRYPOINT ["python", "-m"]',
        'CMD ["pyfunc.functions.server", "/opt/pyfunc/function.json"]',
    ]
    assert "http://127.0.0.1:8080/-/ready" in text


def test_the_context_has_all_that_the_image_is_built_from(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "context"
    write_function_context(source, PLAN, target, python_version="3.12", requirements=["a"])
    names = sorted(p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file())
    (wheel,) = [name for name in names if name.endswith(".whl")]
    assert [name for name in names if name != wheel] == [
        ".dockerignore",
        "Dockerfile",
        "function.json",
        "requirements.txt",
        "server-requirements.txt",
        "source/main.py",
        "source/package/part.py",
    ]
    assert json.loads((target / "function.json").read_text()) == dataclasses.asdict(PLAN)
    assert (target / "requirements.txt").read_text() == "a\n"


def test_equal_arguments_give_equal_files(source: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_function_context(source, PLAN, tmp_path / name, python_version="3.11")
    files = [
        {p.name: p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()}
        for name in ("one", "two")
    ]
    assert files[0] == files[1]


def test_a_single_file_is_a_source(source: Path, tmp_path: Path) -> None:
    context = write_function_context(
        source / "main.py",
        PLAN,
        tmp_path / "context",
        python_version="3.11",
        base_image="registry.local:5000/base:1",
    )
    assert context.image == "registry.local:5000/base:1"
    assert [p.name for p in (tmp_path / "context" / "source").iterdir()] == ["main.py"]
    assert "requirements.txt /opt/pyfunc/\n" not in context.dockerfile


def test_all_problems_are_in_one_error(source: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        write_function_context(
            source,
            dataclasses.replace(PLAN, port=80),
            tmp_path / "context",
            python_version="PYTHON2_7",
            base_image="a b\nRUN true",
            instructions=["ok", "a\nUSER root", "a \\", " ", "cat <<EOF"],
            requirements=["ok", "-r other.txt", "a b", "a\n--index-url http://x"],
        )
    assert [problem.path for problem in caught.value.problems] == [
        "base_image",
        "instructions[1]",
        "instructions[2]",
        "instructions[3]",
        "instructions[4]",
        "plan.port",
        "python_version",
        "requirements[1]",
        "requirements[2]",
        "requirements[3]",
    ]
    assert not (tmp_path / "context").exists()


def test_what_is_there_stays(source: Path, tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "mine").touch()
    with pytest.raises(SaveConflictError):
        write_function_context(source, PLAN, tmp_path / "context", python_version="3.11")
    with pytest.raises(ModelNotFoundError, match="no source"):
        write_function_context(tmp_path / "no", PLAN, tmp_path / "new", python_version="3.11")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("PYTHON3_9", "3.9"),
        ("PYTHON3_13", "3.13"),
        ("3.11", "3.11"),
        ("3", None),
        ("3.11.2", None),
    ],
)
def test_a_python_version_is_read(text: str, version: str | None) -> None:
    assert parse_python_version(text) == version


def test_the_command_of_the_image_serves_until_it_is_told_to_end(
    source: Path, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    plan = dataclasses.replace(PLAN, host="127.0.0.1", port=port)
    (tmp_path / "plan.json").write_text(plan.to_json())
    command = [sys.executable, *SERVE_COMMAND[1:-1], str(tmp_path / "plan.json")]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = {**os.environ, "PYTHONPATH": path}
    server: Any = subprocess.Popen(
        command, cwd=source, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    with server:
        try:
            assert ask_until_answered(f"127.0.0.1:{port}", server) == "served"
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0


def ask_until_answered(url: str, server: subprocess.Popen[bytes]) -> str:
    while server.poll() is None:
        with contextlib.suppress(InvokeError):
            return invoke(url, timeout=5).text
        time.sleep(0.1)
    return f"ended with status {server.returncode}"
