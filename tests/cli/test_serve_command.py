"""``pyfunc serve`` as a process of its own, with a request handler, until a signal ends it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Saved = Callable[..., Path]

HANDLER = """
import json, os

with open(os.path.join(project_dir, "config.json")) as file:
    config = json.load(file)

def pre_inference(sample, signature, metadata):
    return {"a": sample["x"], "b": config["b"]}

def post_inference(prediction, signature, metadata):
    return {"sum": float(prediction[0])}
"""


@pytest.fixture
def model(saved: Saved, tmp_path: Path) -> Path:
    project = tmp_path / "project"
    project.mkdir()
    (project / "handler.py").write_text(HANDLER)
    (project / "config.json").write_text('{"b": 10}')
    return saved(handler="handler.py", project_dir=project)


def ask(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.loads(response.read())


def read_address(process: subprocess.Popen[str]) -> str:
    """Return the address that the server says it listens on."""
    assert process.stderr is not None
    for line in process.stderr:
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        if found:
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return found[0]
    raise AssertionError("the server ended before it listened")


def test_a_model_with_a_handler_is_served(model: Path) -> None:
    command = [sys.executable, "-m", "pyfunc", "serve", str(model), "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        address = read_address(process)
        assert ask(f"{address}/predict", {"x": 5}) == {"sum": 15.0}
        assert ask(f"{address}/healthz") == {"ok": True}
        answer = ask(f"{address}/invocations", {"dataframe_records": [{"a": 1, "b": 2}]})
        assert answer == {"predictions": [3.0]}
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()
