"""A type hint is accepted, refused and applied as MLflow does it."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytestmark = [
    pytest.mark.interop,
    # MLflow's own, about hints; they are not what is compared.
    pytest.mark.filterwarnings("ignore"),
]

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow.pyfunc
    from mlflow.exceptions import MlflowException


def read_table() -> ModuleType:
    """Return the module of the tests that hold our own hints against the same tables."""
    path = Path(__file__).parents[1] / "model" / "test_hinted_models.py"
    spec = importlib.util.spec_from_file_location("table_of_hints", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


TABLE = read_table()


@pytest.mark.parametrize(("hint", "expected"), TABLE.HINTS)
def test_mlflow_accepts_and_refuses_the_same(hint: Any, expected: str) -> None:
    outcome, texts = TABLE.outcome_of(
        lambda: TABLE.class_with(mlflow.pyfunc.PythonModel, hint), MlflowException
    )
    assert outcome == (expected if expected == "INTERNAL_ERROR" else "ok")
    assert any("is not supported for MLflow" in text for text in texts) == (expected == "warns")


@pytest.mark.parametrize(("hint", "data", "expected"), TABLE.CONVERSIONS)
def test_mlflow_gives_predict_the_same(hint: Any, data: Any, expected: Any) -> None:
    model = TABLE.class_with(mlflow.pyfunc.PythonModel, hint)()
    if expected is not TABLE.REFUSED:
        assert model.predict(data) == expected
        return
    with pytest.raises(MlflowException) as caught:
        model.predict(data)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
