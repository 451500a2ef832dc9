"""A real MLflow server with a registry, in processes of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Nothing is told to a far server, and no processes wait for jobs that no test has.
SERVER_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


@pytest.fixture(scope="session")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start the server (sqlite, artifacts served by it); return its address."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--workers", "1"),
        *("--artifacts-destination", str(folder / "artifacts"), "--serve-artifacts"),
    ]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **SERVER_SETTINGS},
            start_new_session=True,
        )
    uri = f"http://127.0.0.1:{port}"
    try:
        wait_until_it_answers(process, f"{uri}/health")
        yield uri
    finally:
        end_with_its_children(process)


def wait_until_it_answers(process: subprocess.Popen[bytes], address: str) -> None:
    while process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(address) as answer:
            if answer.status == 200:
                return
        time.sleep(0.2)
    pytest.fail(f"the server of {address} ended with {process.returncode}")


def end_with_its_children(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):  # all of them have ended
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def wait_for() -> Callable[[subprocess.Popen[bytes], str], None]:
    """Return a function that waits until a process answers at an address."""
    return wait_until_it_answers


@pytest.fixture
def end() -> Callable[[subprocess.Popen[bytes]], None]:
    """Return a function that ends a process and what it has started."""
    return end_with_its_children


@pytest.fixture
def unused_address() -> Iterator[str]:
    """Return an address where nothing answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def server(tracking_uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Return the address of the server, which MLflow's client is set to as a user sets it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")  # else it waits for a far server
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # tells at once what is wrong
    monkeypatch.chdir(tmp_path)
    return tracking_uri
