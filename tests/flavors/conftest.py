"""Gives the tests of a folder the cases of ``zoo.py`` and the stored models for that folder."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from packaging.version import Version

import pyfunc

HERE = Path(__file__).parent
STORED = HERE.parent / "data" / "flavors"


def load_zoo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("flavor_zoo", HERE / "zoo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["flavor_zoo"] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


ZOO = load_zoo()


def marks_of(folder: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.torch] if folder == "torch" else []


DISTRIBUTIONS = {"sklearn": "scikit-learn", "pytorch": "torch"}


def is_of_a_newer_library(model: Path) -> bool:
    """Return whether a library that saved the model is newer than the one here.

    The newest of a library for an older Python is an older one, and none reads pickles of newer.
    """
    for name, section in pyfunc.Model.load(model).flavors.items():
        with contextlib.suppress(KeyError, importlib.metadata.PackageNotFoundError):
            saved = Version(section[f"{name}_version"])
            here = Version(importlib.metadata.version(DISTRIBUTIONS.get(name, name)))
            return here.release[:2] < saved.release[:2]
    return False


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    folders = metafunc.config.getoption("libraries").split(",")
    if "case" in metafunc.fixturenames:
        cases = [
            pytest.param(case, id=case.id, marks=marks_of(folder))
            for folder in folders
            for case in ZOO.cases_of(folder)
        ]
        metafunc.parametrize("case", cases)
    if "stored" in metafunc.fixturenames:
        stored = [
            pytest.param(path.parent, id=path.parent.name, marks=marks_of(folder))
            for folder in folders
            for path in sorted(STORED.glob(f"{folder}/*/case.json"))
            if not is_of_a_newer_library(path.parent / "model")
        ]
        metafunc.parametrize("stored", stored)


@pytest.fixture(name="zoo", scope="session")
def give_zoo() -> ModuleType:
    return ZOO


def read_value(content: dict[str, Any]) -> Any:
    if "frame" in content:
        frame = pd.read_json(io.StringIO(json.dumps(content["frame"])), orient="split")
        return frame.astype({name: "datetime64[ns]" for name in frame.columns if name == "ds"})
    if "dict" in content:
        return {name: read_value(part) for name, part in content["dict"].items()}
    if "array" in content:
        return np.array(content["array"], dtype=content.get("dtype"))
    return content["value"]


@pytest.fixture(name="read_stored", scope="session")
def give_read_stored() -> Callable[[Path], tuple[dict[str, Any], Any, Any]]:
    """Return a function from the folder of a stored model to its case, input and output."""

    def read(stored: Path) -> tuple[dict[str, Any], Any, Any]:
        content: dict[str, Any] = json.loads((stored / "case.json").read_text(encoding="utf-8"))
        return content, read_value(content["input"]), read_value(content["output"])

    return read


def assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name, part in expected.items():
            assert_same(found[name], part)
    elif isinstance(expected, pd.DataFrame):
        assert list(found.columns) == list(expected.columns)
        for name in expected.columns:
            assert_same(found[name].tolist(), expected[name].tolist())
    elif isinstance(expected, list) and expected and not isinstance(expected[0], float):
        assert found == expected
    else:
        np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-5, atol=1e-6)


@pytest.fixture(name="assert_same", scope="session")
def give_assert_same() -> Callable[[Any, Any], None]:
    return assert_same


@pytest.fixture(name="real_mlflow", scope="session")
def give_real_mlflow() -> Any:
    import mlflow
    import mlflow.pyfunc

    return mlflow
