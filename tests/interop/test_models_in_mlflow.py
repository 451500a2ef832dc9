"""Models saved here, loaded by real MLflow in a process that cannot import this library.

``PYFUNC_MLFLOW_PYTHON`` names an interpreter with another release of MLflow.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel

import pyfunc
from pyfunc.errors import PyfuncError
from pyfunc.schema import AnyType, ColSpec, ModelSignature, Schema, infer_signature

pytestmark = pytest.mark.interop

PREDICTING = Path(__file__).with_name("predict_with_mlflow.py")
SAVING = Path(__file__).with_name("save_with_mlflow.py")
READING = Path(__file__).with_name("predict_without_mlflow.py")
PYTHON = os.environ.get("PYFUNC_MLFLOW_PYTHON", sys.executable)
FRAME = {"a": [1.0, 2.0], "b": ["x", "y"]}
REQUIREMENTS = ["pandas"]

# What a release cannot do (format.md 9.4 and 9.6), by the kinds below.
UNSUPPORTED = {
    "2.14": {
        "hinted": "type hints are checked since 2.20",
        "hinted_function": "type hints are checked since 2.20",
        "hinted_pydantic": "type hints are checked since 2.20",
        "hinted_records": "type hints are checked since 2.20",
        "without_context": "predict without context exists since 2.20",
        "any_output": "the type any exists since 2.20",
    },
}


class WithContext(pyfunc.PythonModel):
    def load_context(self, context: Any) -> None:
        self.text = Path(context.artifacts["text"]).read_text()

    def predict(self, context: Any, model_input: Any, params: Any = None) -> list[str]:
        power = context.model_config["power"]
        return [f"{self.text}{v**power}{params['suffix']}" for v in model_input["a"]]


class WithoutContext(pyfunc.PythonModel):
    def predict(self, model_input: Any) -> Any:
        return model_input["a"] + 1


class Hinted(pyfunc.PythonModel):
    def predict(self, model_input: list[str]) -> list[str]:
        return [text.upper() for text in model_input]


class HintedRecords(pyfunc.PythonModel):
    def predict(self, model_input: list[dict[str, int]]) -> list[int]:
        return [sum(record.values()) for record in model_input]


class Item(BaseModel):
    name: str
    amount: int = 1


class HintedPydantic(pyfunc.PythonModel):
    def predict(self, model_input: list[Item]) -> list[str]:
        return [item.name * item.amount for item in model_input]


# As without the import from __future__: cloudpickle leaves out what only text refers to.
HintedPydantic.predict.__annotations__["model_input"] = list[Item]


class Streaming(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return "whole"

    def predict_stream(self, context: Any, model_input: Any, params: Any = None) -> Any:
        yield "part of"
        yield str(model_input["b"])


class WithSchema(pyfunc.PythonModel):
    def __init__(self) -> None:
        self.signature = infer_signature(pd.DataFrame(FRAME))

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return [type(self.signature).__module__.split(".")[0], str(self.signature.inputs)]


class RaisesOurs(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> str:
        try:
            raise PyfuncError("as MLflow's own")  # noqa: TRY301 - the point of this model
        except PyfuncError as error:
            return str(error)


class Callable_:
    def __call__(self, model_input: Any) -> Any:
        return model_input


def double(model_input: Any) -> Any:
    return model_input * 2


def increase(numbers: list[int]) -> list[int]:
    return [number + 1 for number in numbers]


@dataclass
class Kind:
    """One kind of model: how it is saved, what it is given."""

    save: Callable[[Path, Path], object]
    input: dict[str, Any]
    params: dict[str, Any] | None = None
    stream: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


def _save(**arguments: Any) -> Callable[[Path, Path], object]:
    def save(path: Path, folder: Path) -> object:
        given = {k: v(folder) if callable(v) and k in _LATE else v for k, v in arguments.items()}
        return pyfunc.save_model(path, pip_requirements=REQUIREMENTS, **given)

    return save


_LATE = {"artifacts", "code_paths", "data_path"}


def _text(folder: Path) -> Path:
    (folder / "text.txt").write_text("t")
    return folder / "text.txt"


def _loader(folder: Path) -> list[str]:
    package = folder / "own_loader"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from own_loader.reader import Reader\n\n\n"
        "def _load_pyfunc(path, model_config=None):\n    return Reader(path)\n"
    )
    (package / "reader.py").write_text(
        "class Reader:\n"
        "    def __init__(self, path):\n"
        "        with open(path) as file:\n"
        "            self.text = file.read()\n\n"
        "    def predict(self, model_input, params=None):\n"
        "        return [self.text] * len(model_input)\n"
    )
    return [str(package)]


def _save_script(path: Path, folder: Path) -> object:
    script = folder / "script.py"
    script.write_text(
        "from mlflow.models import ModelConfig, set_model\n"
        "from mlflow.pyfunc import PythonModel\n\n"
        "config = ModelConfig(development_config={'step': 0})\n\n\n"
        "class Stepper(PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n"
        "        return [value + config.get('step') for value in model_input['a']]\n\n\n"
        "set_model(Stepper())\n"
    )
    return pyfunc.save_model(
        path, python_model=script, model_config={"step": 5}, pip_requirements=REQUIREMENTS
    )


def _save_with_code(path: Path, folder: Path) -> object:
    (folder / "shipped_helper.py").write_text("FACTOR = 3\n")

    class UsesShippedCode(pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            import shipped_helper

            return (model_input["a"] * shipped_helper.FACTOR).tolist()

    return pyfunc.save_model(
        path,
        python_model=UsesShippedCode(),
        code_paths=[str(folder / "shipped_helper.py")],
        pip_requirements=REQUIREMENTS,
    )


def _save_class_of_code(path: Path, folder: Path) -> object:
    """Save an instance whose class is pickled by its name in the shipped code."""
    (folder / "shipped_class.py").write_text(
        "from mlflow.pyfunc import PythonModel\n\n\n"
        "class Shipped(PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n"
        "        return [value - 1 for value in model_input['a']]\n"
    )
    # Real MLflow is not wanted here: its base class would be another one than ours.
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        module = _import_with_our_base(folder / "shipped_class.py")
        patch.setitem(sys.modules, "shipped_class", module)
        return pyfunc.save_model(
            path,
            python_model=module.Shipped(),
            code_paths=[str(folder / "shipped_class.py")],
            pip_requirements=REQUIREMENTS,
        )


def _import_with_our_base(script: Path) -> Any:
    source = script.read_text().replace("from mlflow.pyfunc", "from pyfunc")
    module = types.ModuleType(script.stem)
    module.__file__ = str(script)
    exec(compile(source, str(script), "exec"), vars(module))
    return module


SIGNATURE = infer_signature(pd.DataFrame(FRAME), ["x"], {"suffix": "!"})
AS_FRAME = {"kind": "frame", "data": FRAME}
KINDS = {
    "instance": Kind(
        _save(
            python_model=WithContext(),
            artifacts=lambda folder: {"text": _text(folder)},
            model_config={"power": 2},
            signature=SIGNATURE,
            input_example=(pd.DataFrame(FRAME), {"suffix": "?"}),
        ),
        AS_FRAME,
        params={"suffix": "+"},
    ),
    "without_context": Kind(_save(python_model=WithoutContext()), AS_FRAME),
    "hinted": Kind(_save(python_model=Hinted()), {"kind": "raw", "data": ["q"]}),
    "hinted_records": Kind(
        _save(python_model=HintedRecords()), {"kind": "raw", "data": [{"a": 1, "b": 2}]}
    ),
    "hinted_pydantic": Kind(
        _save(python_model=HintedPydantic()),
        {"kind": "raw", "data": [{"name": "x", "amount": 2}, {"name": "y"}]},
    ),
    "hinted_function": Kind(
        _save(python_model=increase, input_example=[1]), {"kind": "raw", "data": [1, 2]}
    ),
    "function": Kind(
        _save(python_model=double, input_example=np.array([1.0])),
        {"kind": "array", "data": [1.5, 2.0]},
    ),
    "lambda": Kind(_save(python_model=lambda x: x), {"kind": "raw", "data": [1, "two"]}),
    "callable_object": Kind(_save(python_model=Callable_()), {"kind": "raw", "data": "text"}),
    "streaming": Kind(
        _save(python_model=Streaming()),
        {"kind": "frame", "data": {"b": ["x"]}},
        stream=True,
    ),
    "schema_in_state": Kind(_save(python_model=WithSchema()), AS_FRAME),
    "our_error_in_code": Kind(_save(python_model=RaisesOurs()), AS_FRAME),
    "script": Kind(_save_script, AS_FRAME),
    "shipped_code": Kind(_save_with_code, AS_FRAME),
    "class_of_shipped_code": Kind(_save_class_of_code, AS_FRAME),
    "loader_module": Kind(
        _save(loader_module="own_loader", data_path=_text, code_paths=_loader),
        {"kind": "raw", "data": [1, 2, 3]},
    ),
    "tensor": Kind(
        _save(python_model=double, signature=infer_signature(np.zeros((2, 3)))),
        {"kind": "array", "data": [[1.0, 2.0, 3.0]]},
    ),
    "any_output": Kind(
        _save(
            python_model=lambda frame: [object.__name__] * len(frame),
            signature=ModelSignature(SIGNATURE.inputs, Schema([ColSpec(AnyType())])),
        ),
        AS_FRAME,
    ),
}


@pytest.fixture(scope="module")
def mlflow_version() -> str:
    code = "import importlib.metadata as m; print(m.version('mlflow'))"
    found = subprocess.run([PYTHON, "-c", code], check=True, capture_output=True, text=True)
    return ".".join(found.stdout.strip().split(".")[:2])


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    paths = {}
    # As in a notebook or a script: the classes here are not importable where they are loaded.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        for name, kind in KINDS.items():
            folder = tmp_path_factory.mktemp(name)
            paths[name] = folder / "model"
            kind.save(paths[name], folder)
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    return paths


def run_script(python: str, script: Path, given: object) -> dict[str, Any]:
    """Return what the script says of each kind; it reads the JSON of ``given``."""
    done = subprocess.run(
        [python, str(script)],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
        cwd=tempfile.gettempdir(),
        # MLflow would leave bytecode in the models, which then are not what was saved.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, done.stderr
    results: dict[str, Any] = json.loads(lines[-1].removeprefix("RESULT "))
    return results


@pytest.fixture(scope="module")
def theirs(saved: dict[str, Path]) -> dict[str, Any]:
    plan = [
        {
            "name": name,
            "path": str(saved[name]),
            "input": kind.input,
            "params": kind.params,
            "stream": kind.stream,
        }
        for name, kind in KINDS.items()
    ]
    return run_script(PYTHON, PREDICTING, plan)


def ours(kind: Kind, path: Path) -> Any:
    data: Any = kind.input["data"]
    if kind.input["kind"] == "frame":
        data = pd.DataFrame(data)
    elif kind.input["kind"] == "array":
        data = np.array(data)
    model = pyfunc.load_model(path, suppress_warnings=True)
    if kind.stream:
        return list(model.predict_stream(data))
    found = model.predict(data, params=kind.params) if kind.params else model.predict(data)
    return found.tolist() if isinstance(found, (np.ndarray, pd.Series)) else found


@pytest.mark.parametrize("name", KINDS)
def test_mlflow_predicts_what_we_predict(
    name: str, saved: dict[str, Path], theirs: dict[str, Any], mlflow_version: str
) -> None:
    reason = UNSUPPORTED.get(mlflow_version, {}).get(name)
    if reason is not None:
        assert "error" in theirs[name], f"works although {reason}"
        return
    assert "error" not in theirs[name], theirs[name]["error"]
    expected = ours(KINDS[name], saved[name])
    if name == "schema_in_state":
        assert expected[0] == "pyfunc"
        assert theirs[name]["value"] == ["mlflow", expected[1]]
    else:
        assert theirs[name]["value"] == expected


@pytest.mark.parametrize("name", KINDS)
def test_no_pickle_refers_to_this_library(name: str, saved: dict[str, Path]) -> None:
    pickle = saved[name] / "python_model.pkl"
    if pickle.exists():
        (found,) = (p for p in pyfunc.inspect(saved[name]).pickles if p.path == pickle.name)
        assert not [imported for imported in found.globals if imported.startswith("pyfunc")]


# The kinds that save_with_mlflow.py knows.
SAVED_BY_MLFLOW = (
    "instance",
    "without_context",
    "hinted",
    "hinted_pydantic",
    "hinted_records",
    "hinted_function",
    "function",
    "lambda",
    "callable_object",
    "streaming",
    "schema_in_state",
    "script",
    "class_of_shipped_code",
    "loader_module",
    "tensor",
)


@pytest.fixture(scope="module")
def written_by_mlflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What MLflow says of the models it saved: a plan to predict with, and what it predicted."""
    folder = tmp_path_factory.mktemp("written-by-mlflow")
    return run_script(PYTHON, SAVING, {"folder": str(folder)})


@pytest.fixture(scope="module")
def read_here(written_by_mlflow: dict[str, Any]) -> dict[str, Any]:
    """What this library predicts with them where MLflow cannot be imported."""
    plan = [case["plan"] for case in written_by_mlflow.values() if "plan" in case]
    return run_script(sys.executable, READING, plan)


@pytest.mark.parametrize("name", SAVED_BY_MLFLOW)
def test_we_predict_without_mlflow_what_it_predicted(
    name: str, written_by_mlflow: dict[str, Any], read_here: dict[str, Any], mlflow_version: str
) -> None:
    reason = UNSUPPORTED.get(mlflow_version, {}).get(name)
    if reason is not None:
        assert "since" in written_by_mlflow[name], f"saved although {reason}"
        return
    assert "error" not in written_by_mlflow[name], written_by_mlflow[name]["error"]
    assert "error" not in read_here[name], read_here[name]["error"]
    if name == "schema_in_state":
        module, text = written_by_mlflow[name]["value"]
        assert module == "mlflow"
        assert read_here[name]["value"] == ["pyfunc", text]
    else:
        assert read_here[name]["value"] == written_by_mlflow[name]["value"]


def test_mlflow_saved_exactly_these_kinds(written_by_mlflow: dict[str, Any]) -> None:
    assert set(written_by_mlflow) == set(SAVED_BY_MLFLOW)
