"""With ``mlflow-skinny`` alone a model is logged, registered, given an alias and loaded back."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import mlflow
import pandas as pd
import pytest

# What MLflow's own code and what it imports warn of is no matter of ours.
pytestmark = [pytest.mark.interop, pytest.mark.filterwarnings("default")]

REPOSITORY = Path(__file__).parents[3]
SCRIPT = """
import importlib.metadata, json
import mlflow, pandas as pd, pyfunc, pyfunc.flavors.sklearn
from sklearn.linear_model import LinearRegression

assert "mlflow" not in {found.name for found in importlib.metadata.distributions()}
frame = pd.DataFrame({"a": [1.0, 2.0]})

class Twice(pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input["a"] * 2

mlflow.set_experiment("skinny")
with mlflow.start_run():
    mlflow.log_metric("accuracy", 0.5)
    info = pyfunc.log_model(
        name="m",
        python_model=Twice(),
        input_example=frame,
        registered_model_name="skinny",
        pip_requirements=["pandas"],
    )
line = pyfunc.flavors.sklearn.log_model(
    LinearRegression().fit(frame, [2.0, 4.0]), name="line", pip_requirements=["scikit-learn"]
)
mlflow.MlflowClient().set_registered_model_alias("skinny", "best", "1")
try:
    pyfunc.log_model(name="bad", python_model=3)
except pyfunc.InvalidArgumentError:
    pass
places = [info.model_uri, "models:/skinny/1", "models:/skinny@best", f"runs:/{info.run_id}/m"]
loaded = [pyfunc.load_model(place, verify="require").predict(frame).tolist() for place in places]
print(json.dumps({"model": info.model_id, "line": line.model_uri, "loaded": loaded}))
"""


def test_the_smaller_client_is_enough(
    server: str, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    done = subprocess.run(
        [pytestconfig.getoption("--skinny"), "-W", "ignore", "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["loaded"] == [[2.0, 4.0]] * 4
    client = mlflow.MlflowClient()
    model = client.get_logged_model(told["model"])
    assert str(model.status) == "READY"
    assert [metric.key for metric in model.metrics] == ["accuracy"]
    failed = client.search_logged_models([model.experiment_id], "name = 'bad'")
    assert [str(model.status) for model in failed] == ["FAILED"]
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    for uri in ("models:/skinny@best", told["line"]):
        assert list(mlflow.pyfunc.load_model(uri).predict(frame)) == pytest.approx([2.0, 4.0])
