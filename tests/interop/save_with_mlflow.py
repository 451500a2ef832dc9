"""Run by an interpreter with real MLflow where this library cannot be imported.

Saves one model of each kind below the folder that standard input names, predicts with it, and
prints the plan for predicting again and what came out as JSON.
"""

# mypy: ignore-errors
# A script whose results are checked, not its types.

import json
import os
import sys
import traceback
from pathlib import Path


class Blocker:
    """Makes ``import pyfunc`` fail, whatever is installed."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pyfunc":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Blocker())

import importlib.metadata  # noqa: E402

import mlflow.pyfunc  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from mlflow.models import infer_signature  # noqa: E402
from pydantic import BaseModel  # noqa: E402

VERSION = tuple(map(int, importlib.metadata.version("mlflow").split(".")[:2]))
COLUMNS = {"a": [1.0, 2.0], "b": ["x", "y"]}
FRAME = pd.DataFrame(COLUMNS)
AS_FRAME = {"kind": "frame", "data": COLUMNS}


class WithContext(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.text = Path(context.artifacts["text"]).read_text()

    def predict(self, context, model_input, params=None):
        power = context.model_config["power"] if VERSION >= (2, 20) else 2
        return [f"{self.text}{v**power}{params['suffix']}" for v in model_input["a"]]


class WithoutContext(mlflow.pyfunc.PythonModel):
    def predict(self, model_input):
        return model_input["a"] + 1


class Hinted(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[str]) -> list[str]:
        return [text.upper() for text in model_input]


class HintedRecords(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[dict[str, int]]) -> list[int]:
        return [sum(record.values()) for record in model_input]


class Item(BaseModel):
    name: str
    amount: int = 1


class HintedPydantic(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[Item]) -> list[str]:
        return [item.name * item.amount for item in model_input]


class Streaming(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return "whole"

    def predict_stream(self, context, model_input, params=None):
        yield "part of"
        yield list(model_input["b"])


class WithSchema(mlflow.pyfunc.PythonModel):
    def __init__(self):
        self.signature = infer_signature(FRAME)

    def predict(self, context, model_input, params=None):
        return [type(self.signature).__module__.split(".")[0], str(self.signature.inputs)]


class Callable_:
    def __call__(self, model_input):
        return model_input


def double(model_input):
    return model_input * 2


def increase(numbers: list[int]) -> list[int]:
    return [number + 1 for number in numbers]


def instance(folder):
    (folder / "text.txt").write_text("t")
    return {
        "python_model": WithContext(),
        "artifacts": {"text": str(folder / "text.txt")},
        "model_config": {"power": 2},
        "signature": infer_signature(FRAME, ["x"], {"suffix": "!"}),
        "input_example": (FRAME, {"suffix": "?"}),
    }


def script(folder):
    (folder / "script.py").write_text(
        "from mlflow.models import ModelConfig, set_model\n"
        "from mlflow.pyfunc import PythonModel\n\n"
        "config = ModelConfig(development_config={'step': 0})\n\n\n"
        "class Stepper(PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n"
        "        return [value + config.get('step') for value in model_input['a']]\n\n\n"
        "set_model(Stepper())\n"
    )
    return {"python_model": str(folder / "script.py"), "model_config": {"step": 5}}


def class_of_shipped_code(folder):
    (folder / "shipped_class.py").write_text(
        "from mlflow.pyfunc import PythonModel\n\n\n"
        "class Shipped(PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n"
        "        return [value - 1 for value in model_input['a']]\n"
    )
    sys.path.insert(0, str(folder))
    import shipped_class

    return {
        "python_model": shipped_class.Shipped(),
        "code_paths": [str(folder / "shipped_class.py")],
    }


def loader_module(folder):
    (folder / "text.txt").write_text("t")
    (folder / "own_loader.py").write_text(
        "class Reader:\n"
        "    def __init__(self, path):\n"
        "        with open(path) as file:\n"
        "            self.text = file.read()\n\n"
        "    def predict(self, model_input, params=None):\n"
        "        return [self.text] * len(model_input)\n\n\n"
        "def _load_pyfunc(path):\n"
        "    return Reader(path)\n"
    )
    return {
        "loader_module": "own_loader",
        "data_path": str(folder / "text.txt"),
        "code_paths": [str(folder / "own_loader.py")],
    }


def raw(data):
    return {"kind": "raw", "data": data}


# Kind -> what save_model is given, the input, and the release that it exists since.
KINDS = {
    "instance": (instance, AS_FRAME, None),
    "without_context": (lambda _: {"python_model": WithoutContext()}, AS_FRAME, (2, 20)),
    "hinted": (lambda _: {"python_model": Hinted()}, raw(["q"]), (2, 20)),
    "hinted_records": (
        lambda _: {"python_model": HintedRecords()},
        raw([{"a": 1, "b": 2}]),
        (2, 20),
    ),
    "hinted_pydantic": (
        lambda _: {"python_model": HintedPydantic()},
        raw([{"name": "x", "amount": 2}, {"name": "y"}]),
        (2, 20),
    ),
    "hinted_function": (
        lambda _: {"python_model": increase, "input_example": [1]},
        raw([1, 2]),
        (2, 20),
    ),
    "function": (
        lambda _: {"python_model": double, "input_example": np.array([1.0])},
        {"kind": "array", "data": [1.5, 2.0]},
        None,
    ),
    "lambda": (lambda _: {"python_model": lambda x: x}, raw([1, "two"]), None),
    "callable_object": (lambda _: {"python_model": Callable_()}, raw("text"), None),
    "streaming": (
        lambda _: {"python_model": Streaming()},
        {"kind": "frame", "data": {"b": ["x"]}},
        None,
    ),
    "schema_in_state": (lambda _: {"python_model": WithSchema()}, AS_FRAME, None),
    "script": (script, AS_FRAME, None),
    "class_of_shipped_code": (class_of_shipped_code, AS_FRAME, None),
    "loader_module": (loader_module, raw([1, 2, 3]), None),
    "tensor": (
        lambda _: {"python_model": double, "signature": infer_signature(np.zeros((2, 3)))},
        {"kind": "array", "data": [[1.0, 2.0, 3.0]]},
        None,
    ),
}


def read_input(description):
    kind, data = description["kind"], description["data"]
    if kind == "frame":
        return pd.DataFrame(data)
    return np.array(data) if kind == "array" else data


def save_and_predict(name, folder):
    make, given, since = KINDS[name]
    if since is not None and since > VERSION:
        return {"since": since}
    folder.mkdir()
    path = str(folder / "model")
    mlflow.pyfunc.save_model(path, pip_requirements=["pandas"], **make(folder))
    plan = {
        "name": name,
        "path": path,
        "input": given,
        "params": {"suffix": "+"} if name == "instance" else None,
        "stream": name == "streaming",
    }
    model = mlflow.pyfunc.load_model(path, suppress_warnings=True)
    data = read_input(given)
    if plan["stream"]:
        return {"plan": plan, "value": list(model.predict_stream(data))}
    found = model.predict(data, params=plan["params"]) if plan["params"] else model.predict(data)
    plain = found.tolist() if isinstance(found, (np.ndarray, pd.Series)) else found
    return {"plan": plan, "value": plain}


def main():
    import logging
    import warnings

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    folder = Path(json.load(sys.stdin)["folder"])
    os.chdir(folder)  # where MLflow may keep what it likes
    results = {}
    for name in KINDS:
        try:
            results[name] = save_and_predict(name, folder / name)
        except Exception:  # noqa: PERF203 - each kind fails by itself
            results[name] = {"error": traceback.format_exc()[-2000:]}
    assert "pyfunc" not in sys.modules
    print("RESULT " + json.dumps(results))


if __name__ == "__main__":
    main()
