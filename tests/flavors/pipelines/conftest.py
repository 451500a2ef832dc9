"""Gives the tests of pipelines tiny ones of every task, saved here and by MLflow."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

# The library asks its hub for what a folder lacks; there is none for these tests to ask.
os.environ["HF_HUB_OFFLINE"] = "1"


HERE = Path(__file__).parent


def load_builders() -> ModuleType:
    path = HERE / "tiny_pipelines.py"
    spec = importlib.util.spec_from_file_location("tiny_pipelines", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tiny_pipelines"] = module
    spec.loader.exec_module(module)
    return module


TINY = load_builders()


@pytest.fixture(name="tiny", scope="session")
def give_tiny() -> ModuleType:
    return TINY


@pytest.fixture(name="mlflow", scope="session")
def give_mlflow() -> Any:
    import mlflow
    import mlflow.pyfunc
    import mlflow.sentence_transformers
    import mlflow.transformers

    return mlflow


@pytest.fixture(name="ours", scope="session")
def give_ours() -> Any:
    import pyfunc.flavors.transformers

    return pyfunc.flavors.transformers


@dataclass(frozen=True)
class Both:
    """One pipeline, saved by both and loaded by both: the saver's name, then the loader's."""

    pipeline: Any
    folders: dict[str, Path]
    models: dict[str, Any]

    def predictions(self, data: Any) -> dict[str, Any]:
        return {name: model.predict(data) for name, model in self.models.items()}


@pytest.fixture(name="saved_by_both", scope="session")
def give_saved_by_both(
    tmp_path_factory: pytest.TempPathFactory, mlflow: Any, ours: Any
) -> Callable[..., Both]:
    """Return a function from a task, and arguments of save, to its pipeline saved by both."""
    import pyfunc

    made: dict[str, Both] = {}

    def save(
        pipeline_task: str, name: str = "", arguments: dict[str, Any] | None = None, **more: Any
    ) -> Both:
        if (key := f"{pipeline_task} {name}") in made:
            return made[key]
        pipeline = TINY.BUILDERS[pipeline_task]()
        root = tmp_path_factory.mktemp("pipeline")
        folders = {"mlflow": root / "mlflow", "ours": root / "ours"}
        for library, saver in ((mlflow.transformers, "mlflow"), (ours, "ours")):
            library.save_model(
                pipeline,
                str(folders[saver]),
                pip_requirements=["transformers"],
                **{**(arguments or {}), **more},
            )
        models = {}
        for saver, folder in folders.items():
            models[f"{saver} to mlflow"] = mlflow.pyfunc.load_model(str(folder))
            models[f"{saver} to ours"] = pyfunc.load_model(folder, suppress_warnings=True)
        made[key] = Both(pipeline, folders, models)
        return made[key]

    return save


def is_same(found: Any, expected: Any) -> bool:
    if type(found) is not type(expected):
        return False
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected, check_exact=False, rtol=1e-4)
        return True
    if isinstance(expected, np.ndarray):
        return found.shape == expected.shape and np.allclose(found, expected, rtol=1e-4)
    return bool(found == expected)


@pytest.fixture(name="assert_same_everywhere", scope="session")
def give_assert_same_everywhere() -> Callable[[dict[str, Any]], None]:
    """Return a function that fails unless whoever saved and loaded a model, it says the same."""

    def check(predictions: dict[str, Any]) -> None:
        expected = predictions["mlflow to mlflow"]
        for found in predictions.values():
            assert is_same(found, expected), predictions

    return check


def is_left_out(item: pytest.Item) -> bool:
    call = getattr(item, "callspec", None)
    task = None if call is None else call.params.get("task")
    if task not in TINY.BUILDERS:
        return False
    # Of the library before 5, the tokenizer of tables fails with numpy 2.4.
    is_old = TINY.is_there("question-answering")
    return not TINY.is_there(task) or (is_old and task == "table-question-answering")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tasks that the library here does not have; nox runs two releases of it."""
    left = [item for item in items if HERE in item.path.parents and is_left_out(item)]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]
