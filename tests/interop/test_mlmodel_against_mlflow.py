"""What a save writes is what MLflow writes: the description and the list of files."""

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
    from mlflow.types.type_hints import TypeFromExample


def read_table() -> ModuleType:
    """Return the module of the tests that hold our own saves against the same table."""
    path = Path(__file__).parents[1] / "saving" / "test_save_model.py"
    spec = importlib.util.spec_from_file_location("table_of_saves", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


TABLE = read_table()


class Theirs:
    PythonModel = mlflow.pyfunc.PythonModel
    TypeFromExample = TypeFromExample
    infer_signature = staticmethod(mlflow.models.infer_signature)
    home = "mlflow.pyfunc"
    set_model_home = "mlflow.models"


@pytest.mark.parametrize("kind", TABLE.KINDS, ids=lambda kind: kind.id)
def test_mlflow_writes_the_same(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in kind.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    target = tmp_path / "target"
    mlflow.pyfunc.save_model(str(target), **kind.arguments(Theirs, tmp_path))
    assert TABLE.description_of(target) == TABLE.expected_description(kind, tmp_path, ours=False)
    assert TABLE.files_of(target) == TABLE.ENVIRONMENT_FILES | kind.files
