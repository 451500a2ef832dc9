"""Every door takes what MLflow's client resolves, and each kind of model goes round."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import requests
from sklearn.linear_model import LinearRegression

import pyfunc
import pyfunc.flavors.sklearn
from pyfunc.deploy import write_context
from pyfunc.env import check, infer_requirements
from pyfunc.errors import StoreError
from pyfunc.handlers import add_handler

# What MLflow's own code and what it imports warn of is no matter of ours.
pytestmark = [pytest.mark.interop, pytest.mark.filterwarnings("default")]

FRAME = pd.DataFrame({"a": [1.0, 2.0]})
Places = dict[str, str]


# Not for the session: the experiment that MLflow sets in the environment ends with the module.
@pytest.fixture(scope="module")
def places(tracking_uri: str) -> Places:
    """Return the places of a model that was logged with ours, registered and given an alias."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", tracking_uri)  # as a user sets it
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        mlflow.set_experiment("places")
        fitted = LinearRegression().fit(FRAME, [2.0, 4.0])
        with mlflow.start_run() as run:
            info = pyfunc.flavors.sklearn.log_model(
                fitted,
                name="line",
                input_example=FRAME,
                registered_model_name="line",
                pip_requirements=["scikit-learn"],
            )
        mlflow.MlflowClient().set_registered_model_alias("line", "best", "1")
        artifacts = pyfunc.Model.load(info.model_uri).artifact_path
    return {
        "version": "models:/line/1",
        "alias": "models:/line@best",
        "latest": "models:/line/latest",
        "model": info.model_uri,
        "run": f"runs:/{run.info.run_id}/line",
        "artifacts": str(artifacts),
        "slash": "models:/line/1/",
    }


KINDS = ["version", "alias", "latest", "model", "run", "artifacts", "slash"]
DOORS: dict[str, Callable[[str, Path], Any]] = {
    "load_model": lambda uri, _: pyfunc.load_model(uri, verify="require").predict(FRAME),
    "flavor": lambda uri, _: pyfunc.flavors.sklearn.load_model(uri).predict(FRAME),
    "dst_path": lambda uri, folder: pyfunc.load_model(uri, dst_path=str(folder)).predict(FRAME),
    "inspect": lambda uri, _: pyfunc.inspect(uri),
    "verify": lambda uri, _: pyfunc.verify(uri),
    "dependencies": lambda uri, _: pyfunc.get_model_dependencies(uri),
    "conda": lambda uri, _: pyfunc.get_model_dependencies(uri, "conda"),
    "Model.load": lambda uri, _: pyfunc.Model.load(uri).flavors["sklearn"],
    "env.check": lambda uri, _: check(uri),
    "infer_requirements": lambda uri, _: infer_requirements(uri),
    "write_context": lambda uri, folder: write_context(uri, folder / "context"),
    "add_handler": lambda uri, folder: add_handler(uri, None, path=folder / "copy"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("door", DOORS)
def test_every_door_takes_it(
    server: str, places: Places, tmp_path: Path, door: str, kind: str
) -> None:
    found = DOORS[door](places[kind], tmp_path)
    if isinstance(found, np.ndarray):
        assert np.allclose(found, [2.0, 4.0])


@pytest.mark.parametrize(
    ("command", "told"),
    [
        pytest.param(["inspect"], "loader: mlflow.sklearn", id="inspect"),
        pytest.param(["verify"], "as they were saved", id="verify"),
        pytest.param(["dependencies"], "requirements.txt", id="dependencies"),
        pytest.param(["predict", "--content-type", "json"], "4.0", id="predict"),
    ],
)
def test_the_command_takes_it(server: str, places: Places, command: list[str], told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pyfunc", *command, "-m", places["alias"]],
        input=json.dumps({"dataframe_split": FRAME.to_dict("split")}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert told in done.stdout


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        pytest.param("models:/line/9", pyfunc.ModelNotFoundError, id="version"),
        pytest.param("models:/nobody/1", pyfunc.ModelNotFoundError, id="name"),
        pytest.param("models:/line@worst", pyfunc.ModelNotFoundError, id="alias"),
        pytest.param("models:/line/Production", pyfunc.ModelNotFoundError, id="stage"),
        pytest.param("models:/m-00000000", pyfunc.ModelNotFoundError, id="model"),
        pytest.param("runs:/nobody/m", pyfunc.ModelNotFoundError, id="run"),
        pytest.param("models:/", pyfunc.InvalidArgumentError, id="no-uri"),
        pytest.param("mlflow-artifacts:/", pyfunc.ModelNotFoundError, id="no-model"),
    ],
)
def test_what_is_not_there_is_told(
    server: str, places: Places, uri: str, error: type[Exception]
) -> None:
    for door in (pyfunc.load_model, pyfunc.inspect, pyfunc.flavors.sklearn.load_model):
        with pytest.raises(error):
            door(uri)


def test_a_path_in_a_run_that_has_nothing_is_told(server: str, places: Places) -> None:
    with pytest.raises((pyfunc.ModelNotFoundError, StoreError)):
        pyfunc.load_model(places["run"] + "/deeper")


@pytest.mark.parametrize("uri", ["models:/line/1", "models:/line@best", "runs:/1/m"])
@pytest.mark.parametrize("door", DOORS)
def test_without_a_client_the_command_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, door: str, uri: str
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.artifacts", None)  # as if it were not installed
    with pytest.raises(pyfunc.MissingDependencyError) as caught:
        DOORS[door](uri, tmp_path)
    assert "pip install 'pyfunc-format[tracking]'" in str(caught.value)
    assert "pip install mlflow-skinny" in str(caught.value)


@pytest.mark.parametrize(
    "log",
    [
        pytest.param(lambda: pyfunc.log_model(name="m", python_model=len), id="pyfunc"),
        pytest.param(
            lambda: pyfunc.flavors.sklearn.log_model(LinearRegression(), name="m"), id="flavor"
        ),
    ],
)
def test_without_a_client_nothing_is_logged(
    monkeypatch: pytest.MonkeyPatch, log: Callable[[], object]
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.models", None)  # as if it were not installed
    with pytest.raises(pyfunc.MissingDependencyError) as caught:
        log()
    assert "pip install 'pyfunc-format[tracking]'" in str(caught.value)


def test_ours_loads_what_mlflow_logged(server: str) -> None:
    mlflow.set_experiment("theirs")
    fitted = LinearRegression().fit(FRAME, [2.0, 4.0])
    info = mlflow.sklearn.log_model(
        fitted, name="m", input_example=FRAME, registered_model_name="theirs"
    )
    for uri in (info.model_uri, "models:/theirs/1"):
        assert np.allclose(pyfunc.load_model(uri).predict(FRAME), [2.0, 4.0])
        assert np.allclose(pyfunc.flavors.sklearn.load_model(uri).predict(FRAME), [2.0, 4.0])
    assert pyfunc.inspect("models:/theirs/1").integrity == "unknown"


def test_mlflow_checks_and_evaluates_what_ours_logged(server: str, places: Places) -> None:
    uri = places["alias"]
    assert mlflow.models.get_model_info(uri).flavors.keys() == {"sklearn", "python_function"}
    body = json.dumps({"dataframe_split": FRAME.to_dict("split")})
    answer: Any = mlflow.models.validate_serving_input(uri, body)
    assert np.allclose(answer, [2.0, 4.0])
    result = mlflow.models.evaluate(
        uri, FRAME.assign(target=[2.0, 4.0]), targets="target", model_type="regressor",
        evaluator_config={"log_model_explainability": False},
    )  # fmt: skip
    assert result.metrics["mean_squared_error"] == pytest.approx(0.0, abs=1e-12)


def test_artifacts_come_from_a_tracking_server(
    server: str, places: Places, tmp_path: Path
) -> None:
    class Nested(pyfunc.PythonModel):
        def load_context(self, context: Any) -> None:
            self.inner = pyfunc.load_model(context.artifacts["inner"])

        def predict(self, context: Any, model_input: Any) -> Any:
            return self.inner.predict(model_input)

    pyfunc.save_model(
        tmp_path / "model",
        python_model=Nested(),
        artifacts={"inner": places["alias"], "file": places["run"] + "/MLmodel"},
        pip_requirements=["pandas"],
    )
    loaded = pyfunc.load_model(tmp_path / "model", verify="require")
    assert np.allclose(loaded.predict(FRAME), [2.0, 4.0])
    assert (tmp_path / "model" / "artifacts" / "MLmodel").is_file()


@pytest.fixture(params=["ours", "MLflow's"])
def serving(
    request: pytest.FixtureRequest,
    server: str,
    places: Places,
    wait_for: Callable[[subprocess.Popen[bytes], str], None],
    end: Callable[[subprocess.Popen[bytes]], None],
) -> Iterator[str]:
    """Serve the registered model by its alias with ours or with MLflow's; return the address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["pyfunc", "serve"] if request.param == "ours" else ["mlflow", "models", "serve"]
    place = ["-m", places["alias"], "-p", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", *command, "--env-manager", "local", *place],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        start_new_session=True,
    )
    try:
        wait_for(process, f"http://127.0.0.1:{port}/ping")
        yield f"http://127.0.0.1:{port}"
    finally:
        end(process)


def test_what_is_registered_is_served(serving: str) -> None:
    body = {"dataframe_split": FRAME.to_dict("split")}
    answer = requests.post(f"{serving}/invocations", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    assert np.allclose(answer.json()["predictions"], [2.0, 4.0])
