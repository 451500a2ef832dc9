"""Engines that build and run for real, on a machine that reaches no registry of images.

Run by ``nox -s images``, which names the archive of a Debian with Python. Images, containers and
their settings are in a folder of their own, so that nothing of the machine's is touched.
"""

from __future__ import annotations

import ast
import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

import pyfunc.functions as dh
from pyfunc.functions.containers import container_name

TAR = os.environ.get("PYFUNC_BASE_TAR")
collect_ignore_glob = [] if TAR else ["test_*.py"]

BASE = "docker.io/library/python:3.11-slim"
ENGINES = ["podman", "buildah"]
# What our Dockerfiles expect of the image: ``python``, and pip that may install.
BASE_DOCKERFILE = """
FROM localhost/bookworm:1
RUN rm -f /usr/lib/python3*/EXTERNALLY-MANAGED && ln -sf python3 /usr/bin/python
"""


def podman(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(
        ["podman", *arguments], check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout


def read_pip_settings() -> dict[str, str]:
    """Return what pip is told on this machine, which the pip of a build has to be told too."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.findall(r"^(?::env:|global)\.(\S+?)=(.+)$", lines, re.M)
    return {name: ast.literal_eval(value) for name, value in found}


def write_settings(folder: Path) -> None:
    """Write how the engines work here: no systemd, no network of their own, pip as outside."""
    settings = read_pip_settings()
    lines = [f"{name} = {value}" for name, value in settings.items()]
    (folder / "pip.conf").write_text("\n".join(["[global]", *lines, ""]))
    named = {Path(part) for value in settings.values() for part in re.split(r"[\s=]", value)}
    named |= {Path(re.sub("^file://", "", str(part)).replace("file:", "")) for part in named}
    local = {path for path in named if path.is_absolute() and path.exists()}
    local |= {path.parent for path in local if path.name == "simple"}  # its files lie beside it
    volumes = [f"{folder}/pip.conf:/etc/pip.conf:ro", "/etc/ssl/certs:/etc/ssl/certs:ro"]
    volumes += [f"{path}:{path}:ro" for path in sorted(local) if "/etc/ssl/certs" not in str(path)]
    (folder / "containers.conf").write_text(
        "[containers]\n"
        'default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
        f'netns = "host"\nvolumes = {volumes!r}\n[engine]\nruntime = "runc"\n'
    )
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
    )


@pytest.fixture(scope="session", autouse=True)
def machine() -> Iterator[None]:
    # Not among the folders of pytest, which cannot remove what is mounted. And a short path: where
    # its sockets have longer ones than sockets may have, podman waits 20 seconds for each.
    folder = Path(tempfile.mkdtemp(prefix="pyfunc-", dir="/tmp"))
    write_settings(folder)
    (folder / "temporary").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        # The engines are told by variables alone, also where our code starts them.
        patch.setenv("CONTAINERS_CONF", str(folder / "containers.conf"))
        patch.setenv("CONTAINERS_STORAGE_CONF", str(folder / "storage.conf"))
        patch.setenv("BUILDAH_ISOLATION", "chroot")
        patch.setenv("TMPDIR", str(folder / "temporary"))
        podman("import", str(TAR), "localhost/bookworm:1")
        (folder / "Dockerfile").write_text(BASE_DOCKERFILE)
        podman("build", "--format", "docker", "--tag", BASE, str(folder))
        yield
        podman("pod", "rm", "--all", "--force", check=False)
        podman("rm", "--all", "--force", "--time", "0", check=False)
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted(mounts, reverse=True):
        if Path(mount).is_relative_to(folder):
            subprocess.run(["umount", "--lazy", mount], check=False)
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def only(name: str, folder: Path) -> Iterator[None]:
    """Let every engine but ``name`` say that it does not work."""
    for other in {"docker", *ENGINES} - {name}:
        path = folder / other
        path.write_text("#!/bin/sh\necho not here >&2\nexit 1\n")
        path.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        # Which engine builds is what is found on the path.
        patch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        yield


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def ask(url: str, data: bytes | None = None) -> str:
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        text: str = answer.read().decode()
    return text


def is_answered(url: str) -> bool:
    try:
        return ask(url) is not None
    except (urllib.error.URLError, ConnectionError):
        return False


def wait_until(is_true: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def wait_until_answered(url: str, container: str) -> None:
    """Wait until ``url`` answers; fail with its log if the container ends before."""
    wait_until(lambda: is_answered(url) or not is_up(container))
    assert is_up(container), podman("logs", container)


def is_up(container: str) -> bool:
    return podman("inspect", "--format", "{{.State.Running}}", container).strip() == "true"


CODE = """
import os
import subprocess
import time
from pathlib import Path

import pandas as pd
from pyfunc.functions import Dataitem, handler


@handler(outputs=["data", "number", "thing"])
def function(di: Dataitem, project, run, param1: str):
    frame = di.as_df()
    print("it runs in", Path("/made").read_text())
    return frame * 2, len(frame), {param1: {run.id}}


def told():
    git = subprocess.run(["git", "--version"], capture_output=True, text=True).stdout
    return git, os.environ["A"], len(os.environ["TOKEN"]), os.environ["RUN_ID"], os.getuid()


def fail():
    raise KeyError("no such thing")


def leave():
    os._exit(7)


def sleep(path):
    print("it sleeps", flush=True)
    Path(path).touch()
    time.sleep(600)


def serve(event, context):
    return {"got": event.body}
"""


@pytest.fixture(scope="module")
def project(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dh.Project]:
    """Return a project whose function ``function`` has an image, made by the engine."""
    folder = tmp_path_factory.mktemp(str(request.param))
    (folder / "main.py").write_text(CODE)
    (folder / "programs").mkdir()
    project = dh.get_or_create_project("my-project", root=folder / "store")
    function = define(project, "function")
    with only(str(request.param), folder / "programs"):
        # The slip of the document: without the first line Debian knows no package.
        run = function.run(
            action="build",
            instructions=["apt-get update", "apt-get install -y git", "echo an image > /made"],
            envs=[{"name": "A", "value": "in the image: $HOME \"'\\ "}],
        )
    assert run.status.state == "COMPLETED"
    log = "\n".join(run.logs())
    assert "apt-get install -y git" in log
    assert run.result("image") == function.image
    assert f"the image is {function.image}" in log
    yield project
    assert podman("ps", "--all", "--quiet") == ""


def define(project: dh.Project, handler: str, image: str | None = None) -> dh.Function:
    return project.new_function(
        name="python-function",
        kind="python",
        code_src=str(project.path.parents[1] / "main.py"),
        handler=handler,
        python_version="PYTHON3_11",
        base_image=BASE,
        requirements=["pyarrow"],
        image=image,
    )


@pytest.fixture
def image(project: dh.Project) -> str:
    [built] = [run.result("image") for run in project.list_runs() if run.result("image")]
    return str(built)


@contextlib.contextmanager
def removed(name: str) -> Iterator[None]:
    """Remove the container ``name`` at the end."""
    try:
        yield
    finally:
        podman("rm", "--force", "--time", "0", name)


def is_gone(run: dh.Run) -> bool:
    return container_name(run) not in podman("ps", "--all", "--format", "{{.Names}}").split()


@contextlib.contextmanager
def played(manifests: list[dict[str, object]], folder: Path) -> Iterator[None]:
    path = folder / "manifests.yaml"
    path.write_text(yaml.safe_dump_all(manifests, sort_keys=False))
    podman("kube", "play", str(path))
    try:
        yield
    finally:
        podman("kube", "down", str(path))
