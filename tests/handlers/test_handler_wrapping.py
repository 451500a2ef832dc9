"""Models whose ``predict`` runs a request handler, here and in MLflow."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

import pyfunc
import pyfunc.flavors.sklearn
from pyfunc.errors import InvalidArgumentError, InvalidTypeError, ModelIntegrityError
from pyfunc.handlers import add_handler, handler_routes
from pyfunc.schema import infer_signature
from pyfunc.serving import create_app

HANDLER = """
import json
from pathlib import Path

import naming

names = json.loads((Path(project_dir) / "names.json").read_text())

def pre_inference(sample, signature, metadata):
    return {names[key]: value for key, value in sample.items()}

def post_inference(prediction, signature, metadata):
    return {naming.LABEL: prediction.tolist()[0] + metadata["offset"]}
"""
FILES = {
    "handler.py": HANDLER,
    "naming.py": "LABEL = 'sum'\n",
    "names.json": '{"left": "a", "right": "b"}',
}
FIRST_SCRIPT = Path(__file__).parents[1] / "data" / "wrapped" / "handled_model_0.py"
FRAME = pd.DataFrame({"a": [1.0, 2.0, 5.0], "b": [3.0, 4.0, 9.0]})
SAMPLES = pd.DataFrame({"left": [1.0, 2.5], "right": [3.0, -4.0]})
ANSWERS = [{"sum": pytest.approx(104.0)}, {"sum": pytest.approx(98.5)}]

Project = Callable[..., Path]


def save(path: Path, project: Path, **arguments: Any) -> Path:
    model = LinearRegression().fit(FRAME, FRAME["a"] + FRAME["b"])
    pyfunc.flavors.sklearn.save_model(
        model,
        path,
        signature=infer_signature(FRAME),
        pip_requirements=["scikit-learn"],
        handler="handler.py",
        project_dir=project,
        handler_metadata={"offset": 100},
        **arguments,
    )
    return path


@pytest.fixture
def wrapped(tmp_path: Path, project: Project) -> Path:
    return save(tmp_path / "model", project(FILES), wrap_as_pyfunc=True)


def load(path: Path) -> pyfunc.PyFuncModel:
    return pyfunc.load_model(path, suppress_warnings=True)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(SAMPLES, id="frame"),
        pytest.param(SAMPLES.to_dict("records"), id="list"),
        pytest.param(SAMPLES.astype(object), id="objects"),
    ],
)
def test_predict_runs_the_handler_for_every_sample(wrapped: Path, data: Any) -> None:
    assert load(wrapped).predict(data) == ANSWERS


def test_the_handler_answers_as_without_the_wrapper(
    tmp_path: Path, project: Project, wrapped: Path
) -> None:
    plain = load(save(tmp_path / "plain", project(FILES, "other")))
    outer = load(wrapped)
    for sample in SAMPLES.to_dict("records"):
        assert outer.predict_sample(sample) == plain.predict_sample(sample)
        assert outer.predict([sample]) == [plain.predict_sample(sample)]


IN_MLFLOW = """
import importlib.machinery, json, sys, warnings

class OnlyFromWheels:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "pyfunc":
            return None
        wheels = [entry for entry in sys.path if entry.endswith(".whl")]
        found = importlib.machinery.PathFinder.find_spec(name, wheels)
        if found is None:
            raise ModuleNotFoundError("No module named 'pyfunc'", name=name)
        return found

if sys.argv[2] == "elsewhere":
    sys.meta_path.insert(0, OnlyFromWheels)
warnings.simplefilter("ignore")
import mlflow.pyfunc, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
frame = pd.DataFrame({"left": [1.0, 2.5], "right": [3.0, -4.0]})
answers = [model.predict(frame), model.predict(frame.to_dict("records"))]
print(json.dumps([answers, ".whl" in sys.modules["pyfunc"].__file__]))
"""


@pytest.mark.parametrize("place", ["here", "elsewhere"])
def test_mlflow_runs_the_handler(wrapped: Path, place: str) -> None:
    """Elsewhere this library is not installed: the model brings it."""
    done = subprocess.run(
        [sys.executable, "-c", IN_MLFLOW, str(wrapped), place],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == [[ANSWERS, ANSWERS], place == "elsewhere"]


def test_a_server_answers_both_ways(wrapped: Path) -> None:
    app = create_app(load(wrapped), extra_routes=handler_routes)

    async def ask() -> list[Any]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            body = {"dataframe_records": SAMPLES.to_dict("records")}
            rows = await client.post("/invocations", json=body)
            one = await client.post("/predict", json=body["dataframe_records"][0])
            return [rows.json(), one.json()]

    import asyncio

    assert asyncio.run(ask()) == [{"predictions": ANSWERS}, ANSWERS[0]]


def test_the_model_inside_is_the_whole_model(wrapped: Path) -> None:
    inner = load(wrapped / "artifacts" / "model")
    assert inner.input_schema is not None
    assert inner.predict(FRAME) == pytest.approx([4.0, 6.0, 14.0])
    pyfunc.verify(wrapped / "artifacts" / "model")
    assert load(wrapped).metadata.signature is None


@pytest.mark.parametrize("loader", ["pyfunc", "mlflow"])
def test_the_environment_is_that_of_the_model(
    tmp_path: Path, project: Project, loader: Any
) -> None:
    path = save(tmp_path / "model", project(FILES), wrap_as_pyfunc=True, loader=loader)
    for name in ("requirements.txt", "conda.yaml", "python_env.yaml"):
        assert (path / name).read_text() == (path / "artifacts" / "model" / name).read_text()


def test_a_model_with_artifacts_of_its_own(tmp_path: Path, project: Project) -> None:
    (tmp_path / "data.txt").write_text("7")
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "import pyfunc\n"
        "class Adder(pyfunc.PythonModel):\n"
        "    def load_context(self, context):\n"
        "        self.number = int(Path(context.artifacts['model']).read_text())\n"
        "    def predict(self, context, model_input, params=None):\n"
        "        return model_input + self.number\n"
        "pyfunc.set_model(Adder())\n"
    )
    source = "def post_inference(prediction, signature, metadata):\n    return [prediction]\n"
    pyfunc.save_model(
        tmp_path / "model",
        python_model=str(script),
        artifacts={"model": str(tmp_path / "data.txt")},
        pip_requirements=[],
        handler="handler.py",
        project_dir=project({"handler.py": source}),
        wrap_as_pyfunc=True,
    )
    assert load(tmp_path / "model").predict([1, 2]) == [[8], [9]]


def test_a_saved_model_is_wrapped(tmp_path: Path, project: Project) -> None:
    model = LinearRegression().fit(FRAME, FRAME["a"] + FRAME["b"])
    path = tmp_path / "model"
    pyfunc.flavors.sklearn.save_model(model, path, pip_requirements=["scikit-learn"])
    add_handler(
        path,
        "handler.py",
        project_dir=project(FILES),
        handler_metadata={"offset": 100},
        wrap_as_pyfunc=True,
    )
    # Without a signature the handler's dict would reach the estimator as it is.
    inner = load(path / "artifacts" / "model")
    assert inner.request_handler is not None
    with pytest.raises(InvalidArgumentError, match="artifacts/model"):
        add_handler(path, "handler.py", project_dir=project(FILES, "again"))


def test_a_changed_file_inside_is_found(wrapped: Path) -> None:
    file = wrapped / "artifacts" / "model" / "project" / "naming.py"
    file.write_text("LABEL = 'other'\n")
    with pytest.raises(ModelIntegrityError, match=r"naming\.py"):
        load(wrapped)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param({}, (InvalidArgumentError, "without handler"), id="no-handler"),
        pytest.param(
            {"handler": "handler.py", "wrap_as_pyfunc": "yes"},
            (InvalidTypeError, "expected True or False, got 'yes'"),
            id="no-flag",
        ),
    ],
)
def test_bad_arguments(
    tmp_path: Path,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    arguments: dict[str, Any],
    expected: tuple[type[Exception], str],
) -> None:
    monkeypatch.chdir(project(FILES))
    with pytest.raises(expected[0], match=expected[1]):
        pyfunc.save_model(
            tmp_path / "model",
            python_model=lambda model_input: model_input,
            pip_requirements=[],
            **{"wrap_as_pyfunc": True, **arguments},
        )
    assert not (tmp_path / "model").exists()


def test_a_script_of_the_first_release_keeps_working(wrapped: Path) -> None:
    """It imports the samples from where they were before they had a public name."""
    (wrapped / "handled_model.py").write_bytes(FIRST_SCRIPT.read_bytes())
    pyfunc.refresh(wrapped)
    assert load(wrapped).predict(SAMPLES) == ANSWERS
