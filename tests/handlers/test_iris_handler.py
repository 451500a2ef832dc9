"""The handler of the iris example over a real ONNX classifier and over scikit-learn's own."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import numpy as np
import pytest
import yaml
from sklearn.datasets import load_iris

import pyfunc
from pyfunc.cortex import convert_api
from pyfunc.handlers import RequestHandler, add_handler, handler_routes
from pyfunc.serving import create_app

EXAMPLE = Path(__file__).parents[2] / "examples" / "iris_handler"
LABELS = ["iris-setosa", "iris-versicolor", "iris-virginica"]
NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
KINDS = ["onnx", "sklearn"]


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("iris_example", EXAMPLE / "save_models.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def models(example: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("iris")
    classifier = example.train()
    example.save_as_onnx(classifier, folder / "onnx")
    example.save_as_sklearn(classifier, folder / "sklearn")
    return folder


def load(path: Path) -> pyfunc.PyFuncModel:
    return pyfunc.load_model(path, suppress_warnings=True)


def samples() -> list[dict[str, Any]]:
    features = load_iris().data[::10]
    return [dict(zip(NAMES, row.tolist(), strict=True)) for row in features]


@pytest.mark.parametrize("kind", KINDS)
def test_every_sample_is_answered_with_the_class_of_the_classifier(
    models: Path, example: ModuleType, kind: str
) -> None:
    model = load(models / kind)
    classifier = example.train()
    for sample in samples():
        answer = model.predict_sample(sample)
        row = np.array([list(sample.values())], np.float32)
        expected = classifier.predict_proba(row)[0]
        assert answer["class_index"] == int(np.argmax(expected))
        assert answer["class_label"] == LABELS[answer["class_index"]]
        np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)


def test_whole_numbers_will_do(models: Path) -> None:
    sample = {"sepal_length": 5, "sepal_width": 3, "petal_length": 1, "petal_width": 0}
    assert load(models / "onnx").predict_sample(sample)["class_index"] == 0


def test_the_signature_is_that_of_the_session(models: Path) -> None:
    handler = load(models / "onnx").request_handler
    assert isinstance(handler, RequestHandler)
    [field] = handler.inputs
    assert (field.name, field.shape, field.type) == ("X", [None, 4], "tensor(float)")
    assert handler.outputs.names == ["probabilities"]


def test_the_style_of_predict_for_a_session(models: Path, tmp_path: Path) -> None:
    handler = tmp_path / "handler.py"
    handler.write_text(
        "def post_inference(prediction, signature, metadata):\n    return sorted(prediction)\n"
    )
    path = add_handler(
        models / "onnx", handler, handler_output_style="pyfunc", path=tmp_path / "copy"
    )
    data = np.array([[5, 3, 1.5, 0.2]], np.float32)
    assert load(path).predict_sample(data) == ["probabilities"]


@pytest.mark.parametrize("kind", KINDS)
def test_over_http(models: Path, client: Callable[..., httpx.Response], kind: str) -> None:
    app = create_app(load(models / kind), extra_routes=handler_routes)
    response = client(app, "POST", "/predict", json=samples()[-1])
    assert response.status_code == 200
    assert response.json()["class_label"] == "iris-virginica"
    assert abs(sum(response.json()["probabilities"]) - 1) < 1e-5
    missing = client(app, "POST", "/predict", json={})
    assert "pre_inference request handler: 'sepal_length'" in missing.json()["message"]


@pytest.mark.parametrize("kind", KINDS)
def test_plain_predictions_need_no_handler(models: Path, kind: str) -> None:
    found = load(models / kind).predict(np.array([[5, 3, 1.5, 0.2]], np.float32))
    values = next(iter(found.values())) if isinstance(found, dict) else found
    assert np.asarray(values).shape == (1, 3)


CORTEX_10 = """
- kind: deployment
  name: iris
- kind: api
  name: classifier
  onnx:
    model: model.onnx
    request_handler: handler.py
    metadata: {region: here}
  compute: {min_replicas: 2}
"""
CORTEX_9 = """
- kind: deployment
  name: iris
- kind: api
  name: classifier
  python_path: .
  onnx:
    model: model.onnx
    request_handler: handler.py
"""
CORTEX_8 = """
- kind: deployment
  name: iris
- kind: api
  name: classifier
  model: model.onnx
  request_handler: handler.py
"""


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(CORTEX_10, id="0.10"),
        pytest.param(CORTEX_9, id="0.9"),
        pytest.param(CORTEX_8, id="0.8"),
    ],
)
def test_a_cortex_project_becomes_a_model(models: Path, tmp_path: Path, text: str) -> None:
    project = tmp_path / "iris-classifier"
    project.mkdir()
    (project / "cortex.yaml").write_text(text)
    (project / "handler.py").write_bytes((EXAMPLE / "handler.py").read_bytes())
    (project / "model.onnx").write_bytes((models / "onnx" / "model.onnx").read_bytes())
    path = convert_api(project, tmp_path / "converted")
    answer = load(path).predict_sample(samples()[0])
    assert answer["class_label"] == "iris-setosa"
    section = yaml.safe_load((path / "MLmodel").read_text())["flavors"]["request_handler"]
    assert section["metadata"] == ({"region": "here"} if "region" in text else {})
    with pytest.raises(pyfunc.SaveConflictError):
        convert_api(project, path)
    convert_api(project / "cortex.yaml", path, api="classifier", overwrite=True)


@pytest.mark.interop
@pytest.mark.filterwarnings("ignore")
def test_mlflow_loads_the_plain_models(models: Path) -> None:
    import mlflow.pyfunc

    for kind in KINDS:
        model = mlflow.pyfunc.load_model(str(models / kind), suppress_warnings=True)
        found = model.predict(np.array([[5, 3, 1.5, 0.2]], np.float32))
        values = next(iter(found.values())) if isinstance(found, dict) else found
        assert int(np.argmax(np.asarray(values)[0])) == 0


def test_the_example_runs_as_a_program(tmp_path: Path) -> None:
    import subprocess

    finished = subprocess.run(
        [sys.executable, str(EXAMPLE / "save_models.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stderr
    assert [line.split()[:2] for line in finished.stdout.splitlines()] == [
        ["onnx:", "iris-setosa"],
        ["sklearn:", "iris-setosa"],
    ]
    assert json.dumps(sorted(path.name for path in (tmp_path / "onnx" / "project").iterdir())) == (
        '["handler.py"]'
    )
