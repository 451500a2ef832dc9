"""Models that hold loaded models, saved by MLflow or here, or that record parts of MLflow."""

from __future__ import annotations

import copy
import importlib.util
import json
import pickle
import shutil
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import lightgbm
import numpy as np
import pandas as pd
import pytest
import statsmodels.api
import xgboost
from sklearn.linear_model import LinearRegression

import pyfunc

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow.lightgbm
    import mlflow.pyfunc
    import mlflow.sklearn
    import mlflow.statsmodels
    import mlflow.xgboost

FRAME = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [0.0, 1.0, 0.0]})
TARGET = np.array([1.0, 2.0, 3.0])
# Where the extra ``dev`` installs torch, other tests fail without it.
TORCH = ["pytorch"] if importlib.util.find_spec("torch") else []
NAMES = ["sklearn", "xgboost", "lightgbm", "statsmodels", *TORCH, "python"]
pytestmark = [pytest.mark.interop, pytest.mark.filterwarnings("ignore")]

READER = """
import json, sys
if sys.argv[2] == "without":
    sys.modules["mlflow"] = None
import numpy as np
import pandas as pd
if sys.argv[2] == "mlflow":
    from mlflow.pyfunc import load_model
else:
    from pyfunc import load_model
frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [0.0, 1.0, 0.0]})
model = load_model(sys.argv[1], suppress_warnings=True)
print(json.dumps([np.asarray(part, float).ravel().tolist() for part in model.predict(frame)]))
"""


def read_in_child(path: Path, mlflow_is: str) -> Any:
    command = [sys.executable, "-W", "ignore", "-c", READER, str(path), mlflow_is]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


def save_parts(tmp_path: Path) -> None:
    signature = mlflow.models.infer_signature(FRAME, TARGET)
    estimator = LinearRegression().fit(FRAME, TARGET)
    mlflow.sklearn.save_model(
        estimator, tmp_path / "sklearn", signature=signature, pip_requirements=[]
    )
    trees = xgboost.XGBRegressor(n_estimators=2).fit(FRAME, TARGET)
    mlflow.xgboost.save_model(trees, tmp_path / "xgboost", pip_requirements=[])
    leaves = lightgbm.LGBMRegressor(n_estimators=2, min_child_samples=1, verbose=-1)
    leaves.fit(FRAME, TARGET)
    mlflow.lightgbm.save_model(leaves, tmp_path / "lightgbm", pip_requirements=[])
    results = statsmodels.api.OLS(TARGET, FRAME).fit()
    mlflow.statsmodels.save_model(results, tmp_path / "statsmodels", pip_requirements=[])
    if "pytorch" in NAMES:
        save_layer(tmp_path / "pytorch")

    class Twice(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
            return model_input["a"].to_numpy() * 2

    mlflow.pyfunc.save_model(tmp_path / "python", python_model=Twice(), pip_requirements=[])


def save_layer(path: Path) -> None:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pytorch
    torch.manual_seed(0)
    layer = torch.nn.Linear(2, 1)
    mlflow.pytorch.save_model(layer, path, serialization_format="pickle", pip_requirements=[])


def load_parts(tmp_path: Path, load: Callable[..., Any]) -> list[Any]:
    return [load(str(tmp_path / name), suppress_warnings=True) for name in NAMES]


def flat(values: Any) -> list[float]:
    found: list[float] = np.asarray(values, float).ravel().tolist()
    return found


@pytest.mark.parametrize("mlflow_is", ["installed", "without"])
def test_an_ensemble_of_models_that_mlflow_loaded(tmp_path: Path, mlflow_is: str) -> None:
    class Ensemble(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def __init__(self, models: Any) -> None:
            self.models = models

        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
            return [model.predict(model_input) for model in self.models]

    save_parts(tmp_path)
    parts = load_parts(tmp_path, mlflow.pyfunc.load_model)
    path = tmp_path / "ensemble"
    mlflow.pyfunc.save_model(path, python_model=Ensemble(parts), pip_requirements=[])
    expected = mlflow.pyfunc.load_model(str(path)).predict(FRAME)
    found = np.concatenate(read_in_child(path, mlflow_is))
    np.testing.assert_allclose(found, np.concatenate([flat(p) for p in expected]), rtol=1e-5)


@pytest.mark.parametrize("reader", ["installed", "without", "mlflow"])
def test_an_ensemble_of_models_that_were_loaded_here_is_whole(tmp_path: Path, reader: str) -> None:
    class Ensemble(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def __init__(self, models: Any) -> None:
            self.models = models

        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
            return [model.predict(model_input) for model in self.models]

    save_parts(tmp_path)
    parts = load_parts(tmp_path, pyfunc.load_model)
    expected = [flat(part.predict(FRAME)) for part in parts]
    path = tmp_path / "ensemble"
    pyfunc.save_model(path, python_model=Ensemble(parts), pip_requirements=[])
    for name in NAMES:
        shutil.rmtree(tmp_path / name)
    found = read_in_child(path, reader)
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(expected), rtol=1e-5)
    # What was loaded from a pickle is pickled, copied and saved again like anything else.
    loaded = pyfunc.load_model(path, suppress_warnings=True)
    for again in (copy.deepcopy(loaded), pickle.loads(pickle.dumps(loaded))):
        assert [flat(part) for part in again.predict(FRAME)] == expected
    inner = cloudpickle.loads(cloudpickle.dumps(loaded.unwrap_python_model().models))
    assert [flat(part.predict(FRAME)) for part in inner] == expected
    pyfunc.save_model(
        tmp_path / "again", python_model=loaded.unwrap_python_model(), pip_requirements=[]
    )
    assert read_in_child(tmp_path / "again", "installed") == expected


@pytest.mark.parametrize("written", ["pickle", "cloudpickle"])
def test_a_model_loaded_here_as_a_model_of_scikit_learn(tmp_path: Path, written: Any) -> None:
    save_parts(tmp_path)
    part = pyfunc.load_model(tmp_path / "lightgbm", suppress_warnings=True)
    expected = part.predict(FRAME)
    path = tmp_path / "wrapped"
    pyfunc.flavors.sklearn.save_model(
        part, path, serialization_format=written, pip_requirements=[]
    )
    shutil.rmtree(tmp_path / "lightgbm")
    for load in (pyfunc.load_model, mlflow.pyfunc.load_model):
        np.testing.assert_array_equal(load(str(path)).predict(FRAME), expected)


def test_a_loaded_model_as_a_model_of_scikit_learn(tmp_path: Path) -> None:
    save_parts(tmp_path)
    part = mlflow.pyfunc.load_model(str(tmp_path / "sklearn"))
    path = tmp_path / "wrapped"
    mlflow.sklearn.save_model(part, path, serialization_format="cloudpickle", pip_requirements=[])
    expected = mlflow.pyfunc.load_model(str(path)).predict(FRAME)
    found = pyfunc.load_model(path, suppress_warnings=True).predict(FRAME)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("part", ["artifacts", "config", "data", "metrics", "tracking"])
def test_a_part_of_mlflow_that_is_only_recorded_is_not_needed(tmp_path: Path, part: str) -> None:
    source = f"""
        import mlflow, mlflow.pyfunc, mlflow.{part}

        class Records(mlflow.pyfunc.PythonModel):
            def predict(self, context, model_input, params=None):
                assert mlflow.pyfunc.PythonModel is not None
                return [[getattr(self, "{part}", 1.0)], [self.{part} if 0 else 2.0]]
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(textwrap.dedent(source), names)
    path = tmp_path / "model"
    mlflow.pyfunc.save_model(path, python_model=names["Records"](), pip_requirements=[])
    assert read_in_child(path, "without") == [[1.0], [2.0]]


def test_a_model_loads_another_with_the_function_of_mlflow(tmp_path: Path) -> None:
    save_parts(tmp_path)

    class Outer(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def load_context(self, context: Any) -> None:
            self.inner = mlflow.pyfunc.load_model(context.artifacts["one"])

        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
            return [self.inner.predict(model_input)]

    path = tmp_path / "outer"
    one = {"one": str(tmp_path / "python")}
    mlflow.pyfunc.save_model(path, python_model=Outer(), artifacts=one, pip_requirements=[])
    assert read_in_child(path, "without") == [[2.0, 4.0, 6.0]]


def test_what_a_pickle_lacks_is_not_called_damage(
    tmp_path: Path, hand_made: Callable[..., Path]
) -> None:
    path = hand_made(
        {"loader_module": "mlflow.pyfunc.model", "python_model": "model.pkl"},
        {"model.pkl": b"cos.path\nno_such_function\n."},
    )
    with pytest.raises(pyfunc.ModelIncompleteError) as caught:
        pyfunc.load_model(path, suppress_warnings=True)
    assert "damaged" not in str(caught.value)
    assert "no_such_function" in str(caught.value)
