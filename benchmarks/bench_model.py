"""Time importing, saving, loading and predicting beside MLflow in one run; print a table.

Each figure is the least of several rounds. The floor is the least work that any library has to do
for the case; a ratio is MLflow's time by ours. MLflow must be installed already.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import timeit
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow.models
import mlflow.pyfunc
import numpy as np
import pandas as pd

import pyfunc

__all__ = ["Row", "format_rows", "rows"]

REQUIREMENTS = ["pandas", "cloudpickle"]


@dataclass(frozen=True)
class Row:
    """The times of one case in milliseconds; ``target`` is the least ratio wanted."""

    case: str
    ours: float
    mlflow: float
    target: float | None
    floor: float

    @property
    def ratio(self) -> float:
        return self.mlflow / self.ours

    @property
    def distance(self) -> float:
        return self.ours / self.floor


class OurModel(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return first_column(model_input)


class TheirModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return first_column(model_input)


def first_column(frame: Any) -> Any:
    return frame.iloc[:, 0]


def rows(rounds: int = 10) -> list[Row]:
    """Return the times of all cases."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        return [
            *_importing(rounds),
            *_directories(Path(folder), rounds),
            *_predicting(folder),
            *_with_code(Path(folder), rounds),
        ]


def _importing(rounds: int) -> Iterator[Row]:
    theirs = _import_time("import mlflow.pyfunc", 3)
    numpy = _import_time("import numpy", rounds)
    pandas = _import_time("import pandas", rounds)
    names = "PythonModel, infer_signature, load_model, save_model"
    whole = f"from pyfunc import {names}"
    yield Row("import", _import_time("import pyfunc", rounds), theirs, 25.0, numpy)
    yield Row(f"import of {names}", _import_time(whole, rounds), theirs, None, pandas)


def _import_time(statement: str, rounds: int) -> float:
    """Return the least time that ``statement`` takes in fresh interpreters."""
    code = (
        "import time; start = time.perf_counter(); "
        f"{statement}; print(time.perf_counter() - start)"
    )
    command = [sys.executable, "-c", code]
    found = [float(subprocess.check_output(command)) for _ in range(rounds + 1)]
    return min(found[1:]) * 1e3  # the first one warms the disk up


def _directories(folder: Path, rounds: int) -> Iterator[Row]:
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

    saved_ours = _least_fresh(save_ours, folder / "ours", rounds)
    saved_theirs = _least_fresh(save_theirs, folder / "theirs", rounds)
    files = [path for path in (folder / "ours").rglob("*") if path.is_file()]
    contents = [path.read_bytes() for path in files]

    def write() -> None:
        (folder / "floor").mkdir()
        for number, content in enumerate(contents):
            _write_flushed(folder / "floor" / str(number), content)

    yield Row(
        "save_model, explicit requirements",
        saved_ours,
        saved_theirs,
        3.0,
        _least_fresh(write, folder / "floor", rounds),
    )
    yield Row(
        "load_model",
        _least(lambda: pyfunc.load_model(folder / "ours"), rounds),
        _least(lambda: mlflow.pyfunc.load_model(folder / "theirs"), rounds),
        5.0,
        _least(lambda: [path.read_bytes() for path in files], rounds),
    )


def _write_flushed(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _predicting(folder: str) -> Iterator[Row]:
    for width, target in ((10, 15.0), (1000, 300.0)):
        frame = _frame(width)
        own, other = _saved(Path(folder, str(width)), frame)
        yield Row(
            f"predict, exact frame 1 x {width}",
            _per_call(lambda: own.predict(frame)),  # noqa: B023 - called at once
            _per_call(lambda: other.predict(frame)),  # noqa: B023
            target,
            _per_call(lambda: first_column(frame)),  # noqa: B023
        )
    data, labels = frame.iloc[0].to_dict(), frame.columns
    yield Row(
        "predict, one dict of 1000 values",
        _per_call(lambda: own.predict(data)),
        _per_call(lambda: other.predict(data)),
        100.0,
        _per_call(lambda: first_column(_build(data, labels))),
    )


CODE = """
import shipped

class Model:
    def predict(self, data):
        import shipped.late
        return shipped.late.first_column(data)

def _load_pyfunc(path):
    return Model()
"""


def _with_code(folder: Path, rounds: int) -> Iterator[Row]:
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
    yield Row(
        "load_model, with code",
        _least(load_and_close, rounds),
        _least(load_anew, rounds),
        1.0,
        _least(lambda: [path.read_bytes() for path in files], rounds),
    )
    other = mlflow.pyfunc.load_model(folder / "theirs-with-code")
    theirs = _per_call(lambda: other.predict(frame))
    for name in ("entry_of_benchmark", "shipped", "shipped.late"):
        sys.modules.pop(name, None)
    own = pyfunc.load_model(folder / "ours-with-code")
    yield Row(
        "predict, with code, exact frame 1 x 10",
        _per_call(lambda: own.predict(frame)),
        theirs,
        1.0,
        _per_call(lambda: first_column(frame)),
    )
    own.close()


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


def _least(call: Callable[[], object], rounds: int) -> float:
    return min(timeit.repeat(call, number=1, repeat=rounds)) * 1e3


def _least_fresh(call: Callable[[], object], path: Path, rounds: int) -> float:
    """Time a call that makes ``path``, with the path removed before each round."""
    return min(
        timeit.repeat(call, lambda: shutil.rmtree(path, True), number=1, repeat=rounds)
    ) * 1e3  # fmt: skip


def _per_call(call: Callable[[], object], seconds: float = 0.3, rounds: int = 5) -> float:
    """Return the least time of one of many calls."""
    timer = timeit.Timer(call)
    number = max(1, min(10_000, int(seconds / max(timer.timeit(1), 1e-9))))
    return min(timer.repeat(rounds, number)) / number * 1e3


def format_rows(table: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| case | ours, ms | MLflow, ms | ratio | target | floor, ms | ours / floor |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in table:
        target = "" if row.target is None else f"{row.target:,.0f}"
        lines.append(
            f"| {row.case} | {row.ours:,.3f} | {row.mlflow:,.3f} | {row.ratio:,.1f} | {target} "
            f"| {row.floor:,.3f} | {row.distance:,.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="rounds of which the least counts")
    print(format_rows(rows(parser.parse_args().rounds)))


if __name__ == "__main__":
    main()
