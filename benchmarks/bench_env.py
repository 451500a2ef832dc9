"""What is done about environments, beside MLflow in one process.

MLflow's inference starts a process, so a round of it may be the only one.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
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
from benchmarks.results import OURS, Effort, Goal, Workload
from benchmarks.timing import Once, time_calls
from pyfunc.env import infer_requirements
from pyfunc.env.checking.mismatch import check_requirements
from pyfunc.env.installed.distributions import _folders, iter_distributions
from pyfunc.env.specification import python_version

__all__ = ["measure"]

MLFLOW = "MLflow"

FRAME = pd.DataFrame(np.random.default_rng(0).random((10, 3)), columns=["a", "b", "c"])


class OurModel(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        import scipy.special

        return scipy.special.expit(model_input)


class TheirModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        import scipy.special

        return scipy.special.expit(model_input)


def measure(effort: Effort) -> Iterator[Workload]:
    """Yield a save with inferred requirements, inference alone, and the search for mismatches."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        yield from _cases(Path(folder), effort)


def _cases(folder: Path, effort: Effort) -> Iterator[Workload]:
    ours, theirs = folder / "ours", folder / "theirs"
    saves = {
        OURS: Once(
            lambda: pyfunc.save_model(ours, python_model=OurModel(), input_example=FRAME),
            lambda: shutil.rmtree(ours, ignore_errors=True),
        ),
        MLFLOW: Once(
            lambda: mlflow.pyfunc.save_model(
                theirs, python_model=TheirModel(), input_example=FRAME
            ),
            lambda: shutil.rmtree(theirs, ignore_errors=True),
        ),
    }
    name = "save_model with inferred requirements"
    figures = time_calls(saves, effort)
    goals = (Goal(MLFLOW, 1 / 20, "wall"),)
    yield Workload(name, figures, None, goals, "wall", headline=True)
    inferring = {
        OURS: lambda: _infer_cold(ours),
        f"{OURS}, again": lambda: infer_requirements(ours),
        MLFLOW: lambda: _infer_requirements(str(theirs), "python_function"),
    }
    yield Workload("inference of requirements", time_calls(inferring, effort), measure="wall")
    lines = (ours / "requirements.txt").read_text().splitlines()[1:]
    checking = {
        OURS: lambda: check_requirements(ours, python=python_version()),
        MLFLOW: lambda: warn_dependency_requirement_mismatches(lines),
    }
    name = f"mismatches of {len(lines)} lines among {len(iter_distributions())} distributions"
    yield Workload(name, time_calls(checking, effort))


def _infer_cold(model: Path) -> list[str]:
    """Infer as a fresh process does: the folders of sys.path are listed again."""
    _folders.clear()
    return infer_requirements(model)
