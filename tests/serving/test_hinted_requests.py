"""A model whose signature comes from a type hint takes its own example through every door.

No variable of the environment is set here: what JSON has as text is decoded by the signature.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pydantic
import pytest

import pyfunc
from pyfunc.serving import create_app

Ask = Callable[..., httpx.Response]
REPOSITORY = Path(__file__).parents[2]
MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, 600)
AWARE = dt.datetime(9999, 12, 31, tzinfo=dt.timezone.utc)


class Document(pydantic.BaseModel):
    """A row with what JSON has no type for."""

    content: bytes
    at: dt.datetime
    pages: list[bytes] = []
    seen: dt.datetime | None = None


class OfBytes(pyfunc.PythonModel):
    def predict(self, model_input: list[bytes]) -> list[str]:
        return [repr(value) for value in model_input]


class OfMoments(pyfunc.PythonModel):
    def predict(self, model_input: list[dt.datetime]) -> list[str]:
        return [repr(value) for value in model_input]


class OfLists(pyfunc.PythonModel):
    def predict(self, model_input: list[list[dt.datetime]]) -> list[str]:
        return [repr(value) for value in model_input]


class OfDicts(pyfunc.PythonModel):
    def predict(self, model_input: list[dict[str, bytes]]) -> list[str]:
        return [repr(value) for value in model_input]


class OfDocuments(pyfunc.PythonModel):
    def predict(self, model_input: list[Document]) -> list[str]:
        return [repr(value) for value in model_input]


class OfText(pyfunc.PythonModel):
    def predict(self, model_input: list[str]) -> list[str]:
        return [repr(value) for value in model_input]


CASES = [
    pytest.param(OfBytes, [b"", b"abc", bytes(range(256))], id="bytes"),
    pytest.param(OfMoments, [MOMENT, AWARE], id="datetime"),
    pytest.param(OfLists, [[MOMENT], [AWARE, MOMENT]], id="lists-of-datetime"),
    pytest.param(OfDicts, [{"a": b"abc"}, {"b": bytes(100)}], id="dicts-of-bytes"),
    pytest.param(
        OfDocuments,
        [Document(content=bytes(80), at=MOMENT, pages=[b"1"], seen=AWARE)],
        id="pydantic",
    ),
    pytest.param(OfText, ["YWJj", "2026-01-02T03:04:05"], id="text-stays-text"),
]


def save(model: pyfunc.PythonModel, example: object, path: Path) -> Path:
    pyfunc.save_model(path, python_model=model, input_example=example)
    return path


@pytest.mark.parametrize(("cls", "example"), CASES)
def test_the_serving_example_is_served(
    ask: Ask, tmp_path: Path, cls: type[pyfunc.PythonModel], example: list[object]
) -> None:
    path = save(cls(), example, tmp_path / "model")
    app = create_app(pyfunc.load_model(path, trust="full"))
    body = (path / "serving_input_example.json").read_bytes()
    answer = ask(app, body=body)
    assert answer.json() == {"predictions": cls().predict(example)}


@pytest.mark.parametrize(
    ("cls", "cells", "value"),
    [
        pytest.param(OfBytes, ["YWJj"], [b"abc"], id="bytes"),
        pytest.param(OfMoments, ["2026-01-02"], [dt.datetime(2026, 1, 2)], id="a-date"),
        pytest.param(OfText, ["YWJj"], ["YWJj"], id="text-stays-text"),
    ],
)
def test_tensors_of_text_are_decoded(
    ask: Ask, tmp_path: Path, cls: type[pyfunc.PythonModel], cells: list[str], value: list[object]
) -> None:
    app = create_app(pyfunc.load_model(save(cls(), value, tmp_path / "model"), trust="full"))
    tensor = {"name": "inputs", "datatype": "BYTES", "shape": [len(cells)], "data": cells}
    answer = ask(app, "/v2/models/model/infer", {"inputs": [tensor]})
    assert answer.json()["outputs"][0]["data"] == cls().predict(value)


@pytest.mark.parametrize(
    ("cls", "cell"),
    [
        pytest.param(OfBytes, "abc!", id="bytes"),
        pytest.param(OfMoments, "yesterday", id="datetime"),
        pytest.param(OfMoments, 5, id="a-number"),
    ],
)
def test_what_stands_for_nothing_is_refused(
    ask: Ask, tmp_path: Path, cls: type[pyfunc.PythonModel], cell: object
) -> None:
    example: list[object] = [b"abc"] if cls is OfBytes else [MOMENT]
    app = create_app(pyfunc.load_model(save(cls(), example, tmp_path / "model"), trust="full"))
    answer = ask(app, body={"inputs": [cell]})
    assert answer.status_code == 400
    assert "input[0]" in answer.json()["message"]


def test_line_breaks_in_base64_do_not_matter(ask: Ask, tmp_path: Path) -> None:
    value = bytes(range(200))
    app = create_app(pyfunc.load_model(save(OfBytes(), [value], tmp_path / "m"), trust="full"))
    for text in (base64.encodebytes(value), base64.b64encode(value)):
        answer = ask(app, body={"inputs": [text.decode("ascii")]})
        assert answer.json() == {"predictions": [repr(value)]}


@contextlib.contextmanager
def served(path: Path) -> Iterator[str]:
    """Serve a model by the command, in a process without MLflow's variable; yield the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    command = [sys.executable, "-m", "pyfunc", "serve", "-m", str(path), "-p", str(port)]
    assert "_MLFLOW_IS_IN_SERVING_ENVIRONMENT" not in os.environ
    process = subprocess.Popen([*command, "--trust", "full"], cwd=REPOSITORY)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(httpx.ConnectError):
                httpx.get(f"{url}/ping", timeout=10)
                break
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def test_the_command_serves_and_predicts_the_example(tmp_path: Path) -> None:
    example = [{"a": b"abc", "b": bytes(100)}]
    path = save(OfDicts(), example, tmp_path / "model")
    body = path / "serving_input_example.json"
    expected = {"predictions": OfDicts().predict(example)}
    with served(path) as url:
        headers = {"content-type": "application/json"}
        answer = httpx.post(f"{url}/invocations", content=body.read_bytes(), headers=headers)
    assert answer.json() == expected
    command = [sys.executable, "-m", "pyfunc", "predict", "-m", str(path), "-i", str(body)]
    done = subprocess.run(
        [*command, "--trust", "full"], cwd=REPOSITORY, capture_output=True, check=True
    )
    assert json.loads(done.stdout) == expected
