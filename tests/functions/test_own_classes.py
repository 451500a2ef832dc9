"""Classes in the code of a function: their objects and models are read anywhere."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pyfunc.functions import Project
from tests.functions.conftest import HERE, Make

CODE = """
import collections
import dataclasses
import enum

import pyfunc
from pyfunc.functions import handler

class Color(enum.Enum):
    RED = 1

@dataclasses.dataclass(frozen=True)
class Scale:
    factor: int
    color: Color = Color.RED

    def apply(self, value):
        import math  # an import within a call has the scope of its code, wherever that runs
        return math.trunc(value) * self.factor

Pair = collections.namedtuple("Pair", "one two")

def double(value):
    return value * 2

class Doubling(pyfunc.PythonModel):
    def __init__(self, scale):
        self.scale = scale

    def predict(self, context, model_input, params=None):
        return [self.scale.apply(double(value)) for value in model_input["x"]]

@handler(outputs=["own", "inside", "closure", {"name": "model", "kind": "model"}])
def make():
    class Local:
        def apply(self, value):
            return Scale(7).apply(value)
    return Scale(3), [Pair(Scale(5), double), Color.RED], Local(), Doubling(Scale(2))
"""
# It has a class of the same name in a module of the same name, and is the first of its process.
USE = """
import pandas as pd
import pyfunc

class Scale:
    pass

def use(own, inside, closure, model: pyfunc.PyFuncModel):
    [pair, color] = inside.as_object()
    return (
        own.as_object().apply(2.5), pair.one.apply(2), pair.two(2), color.value,
        closure.as_object().apply(2), repr(model.predict(pd.DataFrame({"x": [1, 2]}))),
    )

def give_back(own):
    return own.as_object(), [own.as_object()]
"""
USED = [6, 10, 4, 1, 14, "[4, 8]"]
ARGUMENTS = ("own", "inside", "closure", "model")


def use_all(project: Project) -> list[object]:
    run = project.list_runs()[0]
    function = project.new_function("use", code=USE, handler="use", python_version=HERE)
    inputs = {name: entity for name, entity in run.outputs().items() if name in ARGUMENTS}
    return [*function.run(inputs=inputs).results().values()]


def test_objects_of_own_classes_are_read_in_the_same_process(make: Make, project: Project) -> None:
    run = make(CODE, "make").run()
    own: Any = run.output("own", strict=True)
    assert own.as_object().apply(2.5) == 6
    assert own.as_object() == own.as_object()  # the same class each time
    model: Any = run.output("model", strict=True)
    assert model.load().predict(pd.DataFrame({"x": [1]})) == [4]
    assert use_all(project) == USED


def test_objects_of_own_classes_are_read_in_another_process(
    make: Make, project: Project, root: Path
) -> None:
    make(CODE, "make").run()
    code = (
        "import sys; from pyfunc.functions import get_project\n"
        "from tests.functions.test_own_classes import USED, use_all\n"
        "assert use_all(get_project('demo', root=sys.argv[1])) == USED"
    )
    subprocess.run([sys.executable, "-c", code, str(root)], check=True)


def test_objects_of_own_classes_go_on_from_function_to_function(
    make: Make, project: Project, root: Path
) -> None:
    own: Any = make(CODE, "make").run().output("own")
    for _ in range(2):
        own = make(USE, "give_back").run(inputs={"own": own}).output("output_0")
    assert own.as_object().apply(2.5) == 6
    shutil.rmtree(project.path / "sources")  # what an object is of is in its artifact
    assert read_elsewhere(root, own.key, "value.apply(2.5)") == "6"


def read_elsewhere(root: Path, key: str, expression: str) -> str:
    """Return the text of an expression about the object of an artifact, of another process."""
    code = (
        "import sys; from pyfunc.functions import get_project\n"
        "value = get_project('demo', root=sys.argv[1]).get_artifact(sys.argv[2]).as_object()\n"
        f"print({expression})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(root), key], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


PACKAGE = {
    "pkg/__init__.py": "",
    "pkg/part.py": """
from helper import go

class Part:
    def __init__(self, x):
        self.x = x

    def up(self):
        return go(self.x)
""",
    "pkg/mod.py": """
from .part import Part

def make():
    return Part(2)

def use(part):
    return part.as_object().up()
""",
    "helper.py": """
def go(x):
    from pkg import part
    return x + 1 if part.Part else None
""",
}


def test_classes_of_a_package_bring_all_of_its_modules(
    project: Project, root: Path, site: tuple[Path, str]
) -> None:
    folder, url = site
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        for name, text in PACKAGE.items():
            archive.writestr(name, text)
    made = [
        project.new_function(
            handler,
            code_src=f"zip+{url}/a.zip",
            handler=f"pkg.mod:{handler}",
            python_version=HERE,
        )
        for handler in ("make", "use")
    ]
    part: Any = made[0].run().output("output_0")
    assert made[1].run(inputs={"part": part}).result("output_0") == 3
    shutil.rmtree(project.path / "sources")
    assert read_elsewhere(root, part.key, "value.up()") == "3"


CHILDREN = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

class Twice(BaseEstimator, TransformerMixin):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X * 2

def score(estimator, X, y):
    return estimator.score(X, y)

def joblib():
    X, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(Twice(), LogisticRegression(max_iter=500))
    found = cross_val_score(pipeline, X, y, cv=2, n_jobs=2, scoring=score, error_score="raise")
    return bool(found.mean() > 0.9)

def up(value):
    return value + 1

def returned():
    return up

def used(function=None):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return [*pool.map(function.as_object(), [1, 2])] == [2, 3]

def spawn():
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return [*pool.map(up, [1, 2])] == [2, 3]
"""


@pytest.mark.parametrize("apart", [False, True], ids=["here", "apart"])
@pytest.mark.parametrize("handler", ["joblib", "spawn"])
def test_children_of_a_function_find_its_code(make: Make, handler: str, apart: bool) -> None:
    more: dict[str, Any] = {"timeout": 300} if apart else {}
    assert make(CHILDREN, handler).run(**more).results() == {"output_0": True}


def test_children_find_the_code_of_an_object_that_was_read(make: Make) -> None:
    up: Any = make(CHILDREN, "returned").run().output("output_0")
    assert make(CHILDREN, "used").run(inputs={"function": up}).results() == {"output_0": True}
