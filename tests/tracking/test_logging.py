"""Models logged with ours, and what a server then has of them, beside what MLflow makes of it."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import Model
from sklearn.linear_model import LinearRegression

import pyfunc
import pyfunc.flavors.sklearn
import pyfunc.flavors.xgboost
from pyfunc.errors import StoreError

# What MLflow's own code and what it imports warn of is no matter of ours.
pytestmark = [pytest.mark.interop, pytest.mark.filterwarnings("default")]

FRAME = pd.DataFrame({"a": [1.0, 2.0]})


class Twice(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        os.environ.get("OPENAI_API_KEY")
        return model_input["a"] * 2


def twice_in_mlflow() -> Any:
    """Return a model of MLflow's class, without a type hint, of which MLflow would warn."""
    predict = lambda self, context, model_input, params=None: model_input["a"] * 2  # noqa: E731
    return type("TwiceInMlflow", (mlflow.pyfunc.PythonModel,), {"predict": predict})()


def logged(info: Any) -> Any:
    return mlflow.MlflowClient().get_logged_model(info.model_id)


def described(log: Callable[..., Any], model: object, name: str) -> dict[str, Any]:
    """Return all that MLflow says of a model after ``log``, without what differs by chance."""
    client = mlflow.MlflowClient()
    with mlflow.start_run() as run:
        mlflow.log_params({"depth": 3})
        mlflow.log_metric("accuracy", 0.5, step=2)
        info = log(
            name="m",
            python_model=model,
            input_example=FRAME,
            pip_requirements=["pandas"],
            registered_model_name=name,
            metadata={"k": [1]},
            tags={"team": "x"},
            params={"own": 1},
            model_type="regressor",
            model_config={"x": {"y": 2}, "z": 1},
            step=2,
        )
    on_server, version = logged(info), client.get_model_version(name, "1")
    finished = client.get_run(run.info.run_id)
    assert info.model_uri == f"models:/{info.model_id}"
    assert info.artifact_path == on_server.artifact_location
    assert info.model_uuid == info.model_id
    assert info.run_id == run.info.run_id == on_server.source_run_id == version.run_id
    assert version.source == info.model_uri
    written = Model.load(info.model_uri)
    assert (written.model_id, written.run_id) == (info.model_id, info.run_id)
    return {
        "name": info.name,
        "registered": info.registered_model_version,
        "metadata": info.metadata,
        "signature": info.signature.to_dict(),
        "flavors": info.flavors.keys(),
        "example": info.saved_input_example_info,
        "type of the result": type(info),
        "status": on_server.status,
        "type": on_server.model_type,
        "tags": {k: v for k, v in on_server.tags.items() if not k.startswith("mlflow.")},
        "params": on_server.params,
        "metrics": [(m.key, m.value, m.step) for m in on_server.metrics],
        "outputs": [output.step for output in finished.outputs.model_outputs],
        "run": finished.data.params,
        "version": (version.status, version.tags, version.aliases),
        "prediction": list(mlflow.pyfunc.load_model(info.model_uri).predict(FRAME)),
    }


def test_a_server_has_of_ours_what_it_has_of_mlflows(server: str) -> None:
    mlflow.set_experiment("equal")
    ours = described(pyfunc.log_model, Twice(), "equal-ours")
    theirs = described(mlflow.pyfunc.log_model, twice_in_mlflow(), "equal-theirs")
    assert ours == theirs
    assert ours["prediction"] == [2.0, 4.0]


def test_without_a_run_none_is_made(server: str) -> None:
    experiment = mlflow.set_experiment("no-run")
    info = pyfunc.log_model("m", python_model=Twice(), pip_requirements=["pandas"])
    assert info.run_id is None
    assert mlflow.search_runs([experiment.experiment_id], output_format="list") == []
    assert logged(info).experiment_id == experiment.experiment_id


def test_a_logged_model_that_was_made_before_is_filled(server: str) -> None:
    mlflow.set_experiment("before")
    made = mlflow.initialize_logged_model(name="made")
    info = pyfunc.log_model(
        model_id=made.model_id, python_model=Twice(), pip_requirements=["pandas"]
    )
    assert info.model_id == made.model_id
    assert pyfunc.load_model(f"models:/{made.model_id}").predict(FRAME).tolist() == [2.0, 4.0]


@pytest.mark.parametrize("how", ["ours", "through MLflow's Model"])
def test_what_mlflow_writes_after_the_save_is_declared_too(
    server: str, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "geheim")  # the model reads it, and MLflow writes that
    mlflow.set_experiment("variables")
    arguments: dict[str, Any] = {
        "name": "m",
        "python_model": Twice(),
        "input_example": FRAME,
        "pip_requirements": ["pandas"],
        "registered_model_name": f"variables-{how[:4]}",
    }
    if how == "ours":
        info: Any = pyfunc.log_model(**arguments)
    else:
        info = Model.log(artifact_path=None, flavor=pyfunc, **arguments)
    assert info.env_vars == ["OPENAI_API_KEY"]
    assert str(info.registered_model_version) == "1"
    uri = f"models:/variables-{how[:4]}/1"
    loaded = pyfunc.load_model(uri, verify="require")
    assert loaded.predict(FRAME).tolist() == [2.0, 4.0]
    assert loaded.metadata.env_vars == ["OPENAI_API_KEY"]
    assert mlflow.pyfunc.load_model(uri).predict(FRAME).tolist() == [2.0, 4.0]


def test_mlflows_object_is_filled_by_a_save(tmp_path: Path) -> None:
    theirs = Model(artifact_path="m", run_id="r", metadata={"k": 1}, model_id="m-1")
    pyfunc.save_model(
        tmp_path / "model",
        python_model=Twice(),
        mlflow_model=theirs,
        input_example=FRAME,
        pip_requirements=["pandas"],
    )
    assert theirs == Model.load(tmp_path / "model")
    assert theirs.signature == Model.load(tmp_path / "model").signature
    assert isinstance(theirs, Model)
    assert type(theirs).__name__ == "Model"
    assert theirs.get_serving_input(str(tmp_path / "model")) is not None
    theirs.metadata = {"k": 2}
    theirs.save(str(tmp_path / "model" / "MLmodel"))
    assert pyfunc.load_model(tmp_path / "model", verify="require").metadata.metadata == {"k": 2}


def test_a_refused_save_leaves_mlflows_object_as_it_was(tmp_path: Path) -> None:
    theirs = Model()
    before = dict(vars(theirs))
    with pytest.raises(pyfunc.InvalidArgumentError):
        pyfunc.save_model(tmp_path / "model", python_model=3, mlflow_model=theirs)
    assert vars(theirs) == before


@pytest.mark.parametrize(
    ("module", "model", "first"),
    [
        pytest.param(pyfunc.flavors.sklearn, LinearRegression, "sk_model", id="sklearn"),
        pytest.param(pyfunc.flavors.xgboost, "XGBRegressor", "xgb_model", id="xgboost"),
    ],
)
@pytest.mark.parametrize("by_name", [True, False])
def test_a_flavor_logs_its_models(
    server: str, module: Any, model: Any, first: str, by_name: bool
) -> None:
    mlflow.set_experiment("flavors")
    if isinstance(model, str):
        import xgboost

        model = getattr(xgboost, model)
    fitted = model().fit([[1.0], [2.0]], [1.0, 2.0])
    arguments = {"registered_model_name": f"of-{first}-{by_name}", "input_example": [[1.0]]}
    if by_name:
        info = module.log_model(**{first: fitted}, name="m", **arguments)
    else:
        info = module.log_model(fitted, "m", **arguments)
    data = np.array([[1.5]])
    expected = fitted.predict(data)
    uri = f"models:/{arguments['registered_model_name']}/1"
    assert np.allclose(module.load_model(uri).predict(data), expected)
    assert np.allclose(pyfunc.load_model(info.model_uri).predict(data), expected)
    assert np.allclose(mlflow.pyfunc.load_model(uri).predict(data), expected)


class Interrupts(pyfunc.PythonModel):
    def __reduce__(self) -> Any:
        raise KeyboardInterrupt

    def predict(self, context: Any, model_input: Any) -> Any:
        return model_input


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        pytest.param({"python_model": 3}, pyfunc.InvalidArgumentError, id="argument"),
        pytest.param({"python_model": Twice(), "hander": 1}, pyfunc.InvalidTypeError, id="name"),
        pytest.param({"python_model": "none.py"}, pyfunc.ModelNotFoundError, id="script"),
        pytest.param(
            {"python_model": Interrupts(), "pip_requirements": ["pandas"]},
            KeyboardInterrupt,
            id="interrupt",
        ),
    ],
)
def test_a_failed_save_leaves_a_failed_model(
    server: str, arguments: dict[str, Any], error: type[BaseException]
) -> None:
    experiment = mlflow.set_experiment("failed")
    with pytest.raises(error):
        pyfunc.log_model(name="bad", **arguments)
    found: Any = mlflow.search_logged_models(
        experiment_ids=[experiment.experiment_id], output_format="list"
    )
    assert found
    assert {str(model.status) for model in found} == {"FAILED"}


def test_a_server_that_is_not_there_is_an_error_of_ours(
    server: str, monkeypatch: pytest.MonkeyPatch, unused_address: str
) -> None:
    word = "geheim"
    address = unused_address.replace("://", f"://user:{word}@")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)  # what is tested
    for use in (
        lambda: pyfunc.log_model(name="m", python_model=Twice(), pip_requirements=["pandas"]),
        lambda: pyfunc.load_model("models:/m/1"),
    ):
        with pytest.raises(StoreError) as caught:
            use()
        assert word not in "".join(traceback.format_exception(caught.value))


def test_credentials_reach_neither_a_model_nor_a_log(
    server: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    word = "geheim"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.replace("://", f"://user:{word}@"))
    monkeypatch.setenv("OPENAI_API_KEY", word)  # the model reads it
    mlflow.set_experiment("credentials")
    with caplog.at_level("DEBUG", logger="pyfunc"):
        info = pyfunc.log_model(
            name="m", python_model=Twice(), input_example=FRAME, pip_requirements=["pandas"]
        )
        model = pyfunc.load_model(info.model_uri, verify="require")
        assert model.predict(FRAME).tolist() == [2.0, 4.0]
        found = pyfunc.inspect(info.model_uri)
    told = capfd.readouterr()
    assert word not in f"{caplog.text}{told.out}{told.err}{found}{model!r}"
    files = [path for path in Path(found.path).rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if word.encode() in path.read_bytes()] == []


def test_an_address_with_credentials_is_not_written(tmp_path: Path) -> None:
    theirs = Model(artifact_path="mlflow-artifacts://user:geheim@host/1/models/m-1/artifacts")
    pyfunc.save_model(
        tmp_path / "model", python_model=Twice(), mlflow_model=theirs, pip_requirements=["pandas"]
    )
    assert "geheim" not in (tmp_path / "model" / "MLmodel").read_text()
    assert "mlflow-artifacts://host/1/models" in (tmp_path / "model" / "MLmodel").read_text()
