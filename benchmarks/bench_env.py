"""Time what this library does about environments beside MLflow in one process; print a table.

Each figure is the least of several rounds, except MLflow's inference, which starts a process
and is run once. MLflow must be installed already.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import tempfile
import timeit
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
from mlflow.utils.requirements_utils import (
    _infer_requirements,
    warn_dependency_requirement_mismatches,
)

import pyfunc
from pyfunc.env import infer_requirements
from pyfunc.env.checking.mismatch import check_requirements
from pyfunc.env.installed.distributions import _folders, iter_distributions
from pyfunc.env.specification import python_version

__all__ = ["Row", "format_rows", "rows"]

FRAME = pd.DataFrame(np.random.default_rng(0).random((10, 3)), columns=["a", "b", "c"])


@dataclass(frozen=True)
class Row:
    """The times of one case in milliseconds; ``target`` is the least ratio wanted."""

    case: str
    ours: float
    mlflow: float | None
    target: float | None

    @property
    def ratio(self) -> float | None:
        return None if self.mlflow is None else self.mlflow / self.ours


class OurModel(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        import scipy.special

        return scipy.special.expit(model_input)


class TheirModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        import scipy.special

        return scipy.special.expit(model_input)


def rows(rounds: int = 5) -> list[Row]:
    """Return the times of all cases."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        return list(_cases(Path(folder), rounds))


def _least(call: Callable[[], object], rounds: int) -> float:
    return min(timeit.repeat(call, number=1, repeat=rounds)) * 1e3


def _cases(folder: Path, rounds: int) -> Iterator[Row]:
    def save_ours() -> None:
        shutil.rmtree(folder / "ours", ignore_errors=True)
        pyfunc.save_model(folder / "ours", python_model=OurModel(), input_example=FRAME)

    def save_theirs() -> None:
        shutil.rmtree(folder / "theirs", ignore_errors=True)
        mlflow.pyfunc.save_model(folder / "theirs", python_model=TheirModel(), input_example=FRAME)

    yield Row(
        "save_model with inferred requirements",
        _least(save_ours, rounds),
        _least(save_theirs, 1),
        20,
    )
    model = folder / "ours"
    theirs = _least(lambda: _infer_requirements(str(folder / "theirs"), "python_function"), 1)
    yield Row(
        "inference alone, first time", _least(lambda: _infer_cold(model), rounds), theirs, None
    )
    warm = _least(lambda: infer_requirements(model), rounds)
    yield Row("inference alone, again", warm, theirs, None)
    lines = (model / "requirements.txt").read_text().splitlines()[1:]
    yield Row(
        f"mismatches of {len(lines)} lines among {len(iter_distributions())} distributions",
        _least(lambda: check_requirements(model, python=python_version()), 50),
        _least(lambda: warn_dependency_requirement_mismatches(lines), 50),
        None,
    )


def _infer_cold(model: Path) -> list[str]:
    """Infer as a fresh process does: the folders of sys.path are listed again."""
    _folders.clear()
    return infer_requirements(model)


def format_rows(table: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| case | ours, ms | MLflow, ms | ratio | target |", "|---|---|---|---|---|"]
    for row in table:
        cells = (row.ours, row.mlflow, row.ratio, row.target)
        shown = ["" if cell is None else f"{cell:,.2f}" for cell in cells]
        lines.append(f"| {row.case} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of which the least counts")
    arguments = parser.parse_args()
    print(format_rows(rows(arguments.rounds)))


if __name__ == "__main__":
    main()
