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


VALUES = """
import collections, dataclasses, typing

class Level(enum.IntEnum):
    LOW = 1

class Word(str, enum.Enum):
    YES = "yes"

class Right(enum.Flag):
    READ = 1
    WRITE = 2

class Pair(typing.NamedTuple):
    left: int
    right: Colour = Colour.RED

Point = collections.namedtuple("Point", "x y")

@dataclasses.dataclass
class Out:
    value: int
    colour: Colour = Colour.RED
    parts: list = dataclasses.field(default_factory=list)
    def as_dict(self):
        return dataclasses.asdict(self)

@dataclasses.dataclass(order=True, frozen=True)
class Fixed:
    weight: float = 2.0

class Failed(ValueError):
    def __init__(self, code):
        super().__init__(code)
        self.code = code

class FailedBadly(Failed):
    pass

LIMIT = 3
@dataclasses.dataclass
class Limited:
    value: int
    def is_large(self):
        return self.value > LIMIT

@dataclasses.dataclass
class Counted:
    value: int
Counted.seen = []

class Raised(Limited, Exception):
    pass

KEPT = [Colour, Level, Word, Right, Pair, Point, Out, Fixed, Failed, FailedBadly]
ANEW = [Setting, Limited, Counted, Raised]

class Model(Base):
    def predict(self, context, model_input, params=None):
        kept = [Colour.RED, Level.LOW, Word.YES, Right.READ | Right.WRITE, Pair(1), Point(1, 2)]
        kept += [Out(1), Fixed(), Failed(1), FailedBadly(1)]
        return kept + [Setting(), Limited(4), Counted(1), Raised(1)]

save(folder + "/0", python_model=Model(), pip_requirements=[])
everything = [*KEPT, *ANEW]
def content():
    shown = [{n: v for n, v in vars(k).items() if n != "__slotnames__"} for k in everything]
    return [[(n, id(v)) for n, v in each.items()] for each in shown]

before, found = content(), []
for _ in range(2):
    out = pyfunc.load_model(folder + "/0", suppress_warnings=True).predict([1])
    found.append([type(value) is kind for kind, value in zip(everything, out)])
same = [out[6] == Out(1), out[0] is Colour.RED, out[7] < Fixed(3.0), isinstance(out[9], Failed)]
report = [found, same, before == content()]
"""


@pytest.mark.parametrize("writer", ["pyfunc", "mlflow.pyfunc"])
def test_a_value_class_of_the_caller_is_kept_where_the_pickle_defines_the_same(
    tmp_path: Path, writer: str
) -> None:
    code = f"import warnings; warnings.simplefilter('ignore'); import {writer} as writer\n"
    code += "Base, save = writer.PythonModel, writer.save_model\n"
    code += VALUES
    kept = [True] * 10 + [False] * 4
    assert run(tmp_path, code) == [[kept, kept], [True] * 4, True]


CHANGED = {
    "a-method": "Out.as_dict = lambda self: 'new'",
    "an-attribute": "Out.letter = 'new'",
    "a-default": "Out.__init__.__defaults__ = (Colour.BLUE, *Out.__init__.__defaults__[1:])",
    "what-it-is-made-of": "Out.as_dict.__code__ = (lambda self: 'new').__code__",
}


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_a_class_that_was_changed_after_the_save_is_made_anew(tmp_path: Path, change: str) -> None:
    code = f"""
import dataclasses

class Colour(enum.Enum):
    RED = 1
    BLUE = 2

@dataclasses.dataclass
class Out:
    value: int
    colour: Colour = Colour.RED
    def as_dict(self):
        return dataclasses.asdict(self)

class Model(pyfunc.PythonModel):
    def predict(self, model_input):
        return Out(1)

pyfunc.save_model(folder + "/0", python_model=Model(), pip_requirements=[])
{change}
out = pyfunc.load_model(folder + "/0").predict([1])
report = [type(out) is Out, out.as_dict() == dict(value=1, colour=Colour.RED)]
report += [out.colour is Colour.RED, hasattr(out, "letter")]
"""
    assert run(tmp_path, code) == [False, True, True, False]
