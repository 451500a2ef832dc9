"""Our server beside MLflow's own, with the same model: clients and answers."""

from __future__ import annotations

import importlib
import json
import os
import random
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests
from sklearn.linear_model import LinearRegression

import pyfunc
from pyfunc.schema import ModelSignature
from pyfunc.serving import create_app

pytestmark = [pytest.mark.interop, pytest.mark.slow]

NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a scikit-learn model that MLflow saved."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow_sklearn = importlib.import_module("mlflow.sklearn")
        models = importlib.import_module("mlflow.models")
        frame = pd.DataFrame(np.random.default_rng(0).random((40, 3)), columns=NAMES)
        # Its sums show in the last bit how a frame lies in memory.
        model = LinearRegression().fit(frame, frame @ [0.3, -1.7, 2.9])
        path = tmp_path_factory.mktemp("mlflow") / "linear"
        mlflow_sklearn.save_model(
            model,
            str(path),
            signature=models.infer_signature(frame, model.predict(frame)),
            pip_requirements=["scikit-learn"],
            serialization_format="cloudpickle",
        )
    assert isinstance(pyfunc.Model.load(str(path)).signature, ModelSignature)
    return path


@pytest.fixture(scope="module")
def servers(
    saved: Path, live: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """Return the addresses of MLflow's server and of ours, for the same model."""
    folder = tmp_path_factory.mktemp("server")
    with ExitStack() as stack:
        ours = stack.enter_context(live(create_app(str(saved))))
        port = free_port()
        log = stack.enter_context((folder / "log").open("wb"))
        environment = {**os.environ, "__pyfunc_model_path__": saved.as_uri()}
        application = "mlflow.pyfunc.scoring_server.app:app"
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "--port", str(port), application],
            env=environment,
            stdout=log,
            stderr=log,
            cwd=folder,
        )
        stack.callback(process.wait, 30)
        stack.callback(process.terminate)
        theirs = f"http://127.0.0.1:{port}"
        wait_for(theirs, process)
        yield theirs, f"http://127.0.0.1:{ours}"


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def wait_for(url: str, process: Any) -> None:
    deadline = time.monotonic() + 120
    while True:
        assert process.poll() is None
        assert time.monotonic() < deadline
        try:
            requests.get(f"{url}/ping", timeout=5)
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return


def payloads() -> Iterator[tuple[str, bytes]]:
    """Yield fifty bodies with their content types."""
    source = random.Random(7)
    for number in range(50):
        height = source.choice([1, 1, 2, 7, 50])
        rows = [[source.uniform(-0.2, 1.2) for _ in NAMES] for _ in range(height)]
        rows[0][0] = source.choice([0, 5, -0.0, 1e-300, 0.1, 2**40])
        columns = [[row[i] for row in rows] for i in range(3)]
        records = [dict(zip(NAMES, row, strict=True)) for row in rows]
        bodies: list[Any] = [
            {"dataframe_split": {"columns": NAMES, "data": rows}},
            {"dataframe_split": {"columns": NAMES[::-1], "data": [row[::-1] for row in rows]}},
            {"dataframe_split": {"columns": NAMES, "index": [*range(height)], "data": rows}},
            {"dataframe_records": records},
            {"inputs": dict(zip(NAMES, columns, strict=True))},
            {"instances": records},
            {"inputs": records},
            {"dataframe_records": [{**r, "more": "x"} for r in records], "params": {}},
        ]
        if number % 10 == 9:
            # MLflow reads few digits exactly under every version of pandas.
            frame = pd.DataFrame(rows, columns=NAMES).round(6)
            yield "text/csv", frame.to_csv(index=False).encode()
        elif number % 10 == 8:
            yield (
                "application/vnd.apache.parquet",
                pd.DataFrame(rows, columns=NAMES, dtype=float).to_parquet(),
            )
        else:
            yield "application/json", json.dumps(bodies[number % 8]).encode()


def test_fifty_payloads_get_the_same_answers(servers: tuple[str, str]) -> None:
    answered = 0
    for content_type, body in payloads():
        headers = {"content-type": content_type}
        theirs, ours = (
            requests.post(f"{url}/invocations", body, headers=headers, timeout=30)
            for url in servers
        )
        assert ours.status_code == theirs.status_code, body
        assert ours.text == theirs.text, body
        answered += ours.status_code == 200
    assert answered == 50


def test_small_routes_answer_as_mlflows(servers: tuple[str, str]) -> None:
    for path in ("/ping", "/health"):
        theirs, ours = (requests.get(url + path, timeout=30) for url in servers)
        assert (ours.status_code, ours.text) == (theirs.status_code, theirs.text)


def test_errors_have_the_keys_of_mlflows(servers: tuple[str, str]) -> None:
    bodies: list[Any] = [{"inputs": {"a": [1]}}, {}, {"dataframe_split": []}]
    for body in bodies:
        theirs, ours = (
            requests.post(f"{url}/invocations", json=body, timeout=30) for url in servers
        )
        assert ours.status_code == theirs.status_code == 400
        assert ours.json().keys() <= {*theirs.json(), "sqlstate", "error_class"}
        assert ours.json()["error_code"] == theirs.json()["error_code"]


def test_mlflows_client_talks_to_our_server(servers: tuple[str, str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = importlib.import_module("mlflow.pyfunc.scoring_server.client")
    frame = pd.DataFrame([[1.0, 2.0, 3.0], [4.0, 5.0, 6.5]], columns=NAMES)
    found = []
    for url in servers:
        client = module.ScoringServerClient("127.0.0.1", int(url.rpartition(":")[2]))
        client.wait_server_ready(timeout=30, scoring_server_proc=Running())
        found.append(client.invoke(frame).get_predictions())
    pd.testing.assert_frame_equal(*found)
    assert found[0].shape == (2, 1)


class Running:
    """A process that MLflow's client may ask whether it has ended."""

    @staticmethod
    def poll() -> None:
        return None
