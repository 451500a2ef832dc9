"""Importing, saving, loading and predicting beside MLflow in one process.

The floor is the least work that any library has to do for the case.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow.models
import mlflow.pyfunc
import numpy as np
import pandas as pd
import yaml

import pyfunc
from benchmarks.results import OURS, Effort, Figure, Goal, Workload
from benchmarks.timing import Call, Once, time_calls, time_imports

__all__ = ["measure"]

MLFLOW, WHOLE = "MLflow", "import, ready to save and load"
REQUIREMENTS = ["pandas", "cloudpickle"]


class OurModel(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return first_column(model_input)


class TheirModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return first_column(model_input)


def first_column(frame: Any) -> Any:
    return frame.iloc[:, 0]


def measure(effort: Effort) -> Iterator[Workload]:
    """Yield what a process does once, then what it does with a small model over and over."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        yield from _importing(effort)
        yield from _directories(Path(folder), effort)
        yield from _predicting(folder, effort)
        yield from _with_code(Path(folder), effort)


def _importing(effort: Effort) -> Iterator[Workload]:
    names = "PythonModel, infer_signature, load_model, save_model"
    statements = {
        OURS: "import pyfunc",
        WHOLE: f"from pyfunc import {names}",
        MLFLOW: "import mlflow.pyfunc",
        "import numpy": "import numpy",
        "import pandas": "import pandas",
    }
    found = time_imports(statements, effort)
    for name, own, floor, most in (
        ("import", OURS, "import numpy", 1 / 25),
        (WHOLE, WHOLE, "import pandas", 1.0),
    ):
        figures = {OURS: found[own], MLFLOW: found[MLFLOW], floor: found[floor]}
        yield Workload(name, figures, floor, (Goal(MLFLOW, most, "wall"),), "wall", headline=True)


def _directories(folder: Path, effort: Effort) -> Iterator[Workload]:
    frame = _frame(10)
    own = pyfunc.infer_signature(frame)
    other = mlflow.models.infer_signature(frame)

    def save_ours() -> None:
        pyfunc.save_model(
            folder / "ours",
            python_model=OurModel(),
            signature=own,
            input_example=frame,
            pip_requirements=REQUIREMENTS,
        )

    def save_theirs() -> None:
        mlflow.pyfunc.save_model(
            folder / "theirs",
            python_model=TheirModel(),
            signature=other,
            input_example=frame,
            pip_requirements=REQUIREMENTS,
        )

    save_ours()
    files = [path for path in (folder / "ours").rglob("*") if path.is_file()]
    contents = [path.read_bytes() for path in files]

    def write() -> None:
        (folder / "floor").mkdir()
        for number, content in enumerate(contents):
            _write_flushed(folder / "floor" / str(number), content)

    saves = {
        OURS: _fresh(save_ours, folder / "ours"),
        MLFLOW: _fresh(save_theirs, folder / "theirs"),
        "write the files": _fresh(write, folder / "floor"),
    }
    goals = (Goal(MLFLOW, 1 / 3, "wall"),)
    figures = time_calls(saves, effort)
    yield Workload(
        "save_model, explicit requirements",
        figures,
        "write the files",
        goals,
        "wall",
        headline=True,
    )
    loads = {
        OURS: lambda: pyfunc.load_model(folder / "ours"),
        MLFLOW: lambda: mlflow.pyfunc.load_model(folder / "theirs"),
        "read, parse, unpickle": lambda: [_parse(path) for path in files],
    }
    goals = (Goal(MLFLOW, 1 / 5),)
    yield Workload(
        "load_model", time_calls(loads, effort), "read, parse, unpickle", goals, headline=True
    )


def _parse(path: Path) -> object:
    """Return what a file of a model holds, read in the plainest way."""
    content = path.read_bytes()
    if path.suffix == ".pkl":
        return pickle.loads(content)
    if path.suffix == ".json":
        return json.loads(content)
    return content if path.suffix == ".txt" else yaml.load(content, yaml.CSafeLoader)


def _write_flushed(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _predicting(folder: str, effort: Effort) -> Iterator[Workload]:
    for width, times in ((10, 15), (1000, 300)):
        frame = _frame(width)
        own, other = _saved(Path(folder, str(width)), frame)
        yield Workload(
            f"predict, a frame of 1 x {width:,}",
            _predict_times(own, other, frame, effort),
            "the model alone",
            (Goal(MLFLOW, 1 / times),),
            headline=True,
        )
    data, labels = frame.iloc[0].to_dict(), frame.columns
    calls: dict[str, Call | Once] = {
        OURS: lambda: own.predict(data),
        MLFLOW: lambda: other.predict(data),
        "frame and model": lambda: first_column(_build(data, labels)),
    }
    name, floor = "predict, one dict of 1,000 values", "frame and model"
    figures = time_calls(calls, effort)
    yield Workload(name, figures, floor, (Goal(MLFLOW, 1 / 100),), headline=True)


def _predict_times(own: Any, other: Any, frame: Any, effort: Effort) -> dict[str, Figure]:
    calls: dict[str, Call | Once] = {
        OURS: lambda: own.predict(frame),
        MLFLOW: lambda: other.predict(frame),
        "the model alone": lambda: first_column(frame),
    }
    return time_calls(calls, effort)


CODE = """
import shipped

class Model:
    def predict(self, data):
        import shipped.late
        return shipped.late.first_column(data)

def _load_pyfunc(path):
    return Model()
"""


def _with_code(folder: Path, effort: Effort) -> Iterator[Workload]:
    """Time a model with code of its own, which it also imports at every call."""
    frame = _frame(10)
    (folder / "entry_of_benchmark.py").write_text(CODE)
    package = folder / "shipped"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "late.py").write_text("def first_column(frame):\n    return frame.iloc[:, 0]\n")
    options: dict[str, Any] = {
        "loader_module": "entry_of_benchmark",
        "code_paths": [str(folder / "entry_of_benchmark.py"), str(package)],
        "pip_requirements": REQUIREMENTS,
    }
    pyfunc.save_model(folder / "ours-with-code", **options)
    mlflow.pyfunc.save_model(folder / "theirs-with-code", **options)

    def load_and_close() -> None:
        pyfunc.load_model(folder / "ours-with-code").close()

    def load_anew() -> None:
        for name in ("entry_of_benchmark", "shipped", "shipped.late"):
            sys.modules.pop(name, None)
        mlflow.pyfunc.load_model(folder / "theirs-with-code")

    files = [path for path in (folder / "ours-with-code").rglob("*") if path.is_file()]
    loads: dict[str, Call | Once] = {
        OURS: load_and_close,
        MLFLOW: load_anew,
        "read the files": lambda: [path.read_bytes() for path in files],
    }
    figures = time_calls(loads, effort)
    yield Workload("load_model, with code", figures, "read the files", (Goal(MLFLOW, 1),))
    other = mlflow.pyfunc.load_model(folder / "theirs-with-code")
    theirs = time_calls({MLFLOW: lambda: other.predict(frame)}, effort)
    for name in ("entry_of_benchmark", "shipped", "shipped.late"):
        sys.modules.pop(name, None)
    own = pyfunc.load_model(folder / "ours-with-code")
    figures = time_calls({OURS: lambda: own.predict(frame)}, effort) | theirs
    figures |= time_calls({"the model alone": lambda: first_column(frame)}, effort)
    own.close()
    name = "predict, with code, a frame of 1 x 10"
    yield Workload(name, figures, "the model alone", (Goal(MLFLOW, 1),))


def _build(data: dict[Any, Any], labels: Any) -> pd.DataFrame:
    frame: pd.DataFrame = pd.DataFrame(np.array([list(data.values())]), columns=labels, copy=False)
    return frame


def _saved(folder: Path, frame: pd.DataFrame) -> tuple[Any, Any]:
    """Return the same model saved and loaded here and by MLflow."""
    pyfunc.save_model(
        folder / "ours",
        python_model=OurModel(),
        signature=pyfunc.infer_signature(frame),
        pip_requirements=REQUIREMENTS,
    )
    mlflow.pyfunc.save_model(
        folder / "theirs",
        python_model=TheirModel(),
        signature=mlflow.models.infer_signature(frame),
        pip_requirements=REQUIREMENTS,
    )
    return pyfunc.load_model(folder / "ours"), mlflow.pyfunc.load_model(folder / "theirs")


def _frame(width: int) -> pd.DataFrame:
    names = [f"c{number}" for number in range(width)]
    frame: pd.DataFrame = pd.DataFrame(np.ones((1, width)), columns=names)
    return frame


def _fresh(call: Call, path: Path) -> Once:
    """Return a call that makes ``path``, which is removed before each."""
    return Once(call, lambda: shutil.rmtree(path, ignore_errors=True))
