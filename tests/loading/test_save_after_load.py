"""Save, load and save again in one process, as in a notebook, with live classes left alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

COMMON = """
import enum, json, pickle, sys
import cloudpickle
import pyfunc
folder = sys.argv[1]

class Colour(enum.Enum):
    RED = 1
    def loud(self):
        return self.name + "!"

class Setting:
    factor = 1
"""
REPORT = "\nprint(json.dumps(report))\n"


def run(folder: Path, code: str) -> Any:
    script = folder / "script.py"
    script.write_text(COMMON + code + REPORT)
    done = subprocess.run(
        [sys.executable, script, folder], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


NAMES = {
    "pyfunc": ("", "assert pyfunc.PythonModel"),
    "mlflow": ("import mlflow", "assert mlflow.pyfunc.PythonModel"),
    "mlflow.pyfunc": ("import mlflow.pyfunc", "assert mlflow.pyfunc.load_model"),
    "an-alias": ("import mlflow.types as kinds", "assert kinds.Schema"),
}


@pytest.mark.parametrize(("before", "body"), NAMES.values(), ids=NAMES)
def test_a_load_leaves_the_live_class_alone(tmp_path: Path, before: str, body: str) -> None:
    code = f"""
{before}
class Model(pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        {body}
        return [RATE * Setting.factor, Colour.RED.loud()]

live = [Model, Setting, Colour]
found, answers = [], []
for RATE in (1, 2, 3):
    Setting.factor = RATE
    before = [dict(vars(kind)) for kind in live]
    pyfunc.save_model(f"{{folder}}/{{RATE}}", python_model=Model(), pip_requirements=[])
    model = pyfunc.load_model(f"{{folder}}/{{RATE}}")
    after = [dict(vars(kind)) for kind in live]
    for one, other in zip(before, after):
        other.pop("__slotnames__", None), one.pop("__slotnames__", None)
        found.append(one == other)
    found.append(Model.predict.__globals__ is globals())
    answers.append(model.predict([1]))
again = [pyfunc.load_model(f"{{folder}}/{{rate}}").predict([1])[0] for rate in (1, 2, 3)]
report = [all(found), answers, again]
"""
    answers = [[1, "RED!"], [4, "RED!"], [9, "RED!"]]
    assert run(tmp_path, code) == [True, answers, [1, 4, 9]]


@pytest.mark.parametrize(("before", "body"), NAMES.values(), ids=NAMES)
def test_what_was_loaded_can_be_saved_and_pickled(tmp_path: Path, before: str, body: str) -> None:
    code = f"""
{before}
class Model(pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        {body}
        return [len(model_input)]

pyfunc.save_model(folder + "/0", python_model=Model(), pip_requirements=[])
report = []
for step in range(3):
    loaded = pyfunc.load_model(f"{{folder}}/{{step}}")
    model = loaded.unwrap_python_model()
    assert type(cloudpickle.loads(cloudpickle.dumps(model))).__name__ == "Model"
    assert cloudpickle.loads(cloudpickle.dumps(loaded)).predict([1, 2]) == [2]
    pyfunc.save_model(f"{{folder}}/{{step + 1}}", python_model=model, pip_requirements=[])
    report += loaded.predict([1] * step)
"""
    code += "import mlflow\nreport += mlflow.pyfunc.load_model(folder + '/3').predict('abcd')\n"
    assert run(tmp_path, code) == [0, 1, 2, 4]


def test_mlflow_can_save_its_own_class_after_a_load_here(tmp_path: Path) -> None:
    code = """
import mlflow
class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [mlflow.__name__]

report = []
for step in range(2):
    mlflow.pyfunc.save_model(f"{folder}/{step}", python_model=Model(), pip_requirements=[])
    report += pyfunc.load_model(f"{folder}/{step}").predict([1])
    report.append(Model().predict(None, [1])[0])
    report.append(type(mlflow) is type(sys))
"""
    assert run(tmp_path, code) == ["mlflow", "mlflow", True] * 2
