"""What MLflow refuses to save is refused here with the same code, or the same builtin error."""

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
    # MLflow's own, about hints and pickles; they are not what is compared.
    pytest.mark.filterwarnings("ignore"),
]

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow
    import mlflow.pyfunc
    from mlflow.exceptions import MlflowException


def read_table() -> ModuleType:
    """Return the module of the tests that hold our own errors against the same table."""
    path = Path(__file__).parents[1] / "saving" / "test_save_errors.py"
    spec = importlib.util.spec_from_file_location("table_of_save_errors", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


TABLE = read_table()


class Theirs:
    PythonModel = mlflow.pyfunc.PythonModel
    infer_signature = staticmethod(mlflow.models.infer_signature)
    set_model_home = "mlflow.models"


@pytest.mark.parametrize("case", TABLE.CASES, ids=lambda case: case.id)
def test_mlflow_refuses_with_the_same_code(
    case: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = case.arguments(Theirs, tmp_path)
    for name, value in case.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    # Otherwise a script without set_model reuses the model of the script before it.
    monkeypatch.setattr(mlflow.models.model, "__mlflow_model__", None)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the point is which one it is
        mlflow.pyfunc.save_model(str(tmp_path / "target"), **arguments)
    error = caught.value
    if case.mlflow is not None:
        assert type(error).__name__ == case.mlflow
    elif case.base is not None:
        assert isinstance(error, case.base)
        assert not isinstance(error, MlflowException)
    else:
        assert isinstance(error, MlflowException)
        assert error.error_code == case.code
