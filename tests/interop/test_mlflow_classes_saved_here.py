"""Models of MLflow's own base class can be saved and loaded here, where MLflow is installed."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import pyfunc

pytestmark = [
    pytest.mark.interop,
    # MLflow's own, about hints; they are not what is tested.
    pytest.mark.filterwarnings("ignore"),
]

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow.models
    import mlflow.pyfunc


def theirs_by_value() -> Any:
    class Theirs(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def load_context(self, context: Any) -> None:
            self.names = sorted(context.artifacts)

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return self.names, model_input, params

    return Theirs()


def test_an_instance_of_mlflow_s_class_is_saved_and_loaded(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    pyfunc.save_model(
        tmp_path / "t",
        python_model=theirs_by_value(),
        artifacts={"a": str(tmp_path / "a.txt")},
        pip_requirements=[],
    )
    model = pyfunc.load_model(tmp_path / "t", suppress_warnings=True)
    assert model.predict(1) == (["a"], 1, None)
    section = model.metadata.flavors["python_function"]
    assert section["streamable"] is False
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "t"))
    assert loaded.predict(1) == (["a"], 1, None)


def test_a_stream_of_mlflow_s_class_is_seen(tmp_path: Path) -> None:
    class Streaming(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return model_input

        def predict_stream(self, context: Any, model_input: Any, params: Any = None) -> Any:
            yield model_input

    pyfunc.save_model(tmp_path / "t", python_model=Streaming(), pip_requirements=[])
    model = pyfunc.load_model(tmp_path / "t", suppress_warnings=True)
    assert list(model.predict_stream(5)) == [5]


def test_a_signature_of_mlflow_is_taken(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.0]})
    given = mlflow.models.infer_signature(frame, frame)
    pyfunc.save_model(
        tmp_path / "t",
        python_model=theirs_by_value(),
        signature=given,
        input_example=frame,
        pip_requirements=[],
    )
    found = pyfunc.Model.load(tmp_path / "t").signature
    assert found is not None
    assert found.to_dict() == given.to_dict()


@pytest.fixture
def installed_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a module outside of the model whose class has MLflow's base class."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "theirs_installed.py").write_text(
        "import mlflow.pyfunc\n"
        "class Installed(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input: list[str], params=None):\n"
        "        return [len(text) for text in model_input]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    yield importlib.import_module("theirs_installed")
    sys.modules.pop("theirs_installed", None)


def test_a_class_of_an_installed_module_keeps_mlflow_s_base(
    tmp_path: Path, installed_module: Any
) -> None:
    pyfunc.save_model(
        tmp_path / "t", python_model=installed_module.Installed(), pip_requirements=[]
    )
    model = pyfunc.load_model(tmp_path / "t", suppress_warnings=True)
    assert type(model.unwrap_python_model()) is installed_module.Installed
    assert model.predict(["abc", "d"]) == [3, 1]
    assert model.predict(pd.DataFrame({"n": [1], "text": ["ab"]})) == [2]
