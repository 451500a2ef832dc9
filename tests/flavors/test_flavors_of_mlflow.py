"""Models of flavors that only MLflow has name the way to load them: MLflow itself.

With it installed they load: ``test_pmdarima_by_mlflow`` has one, in the session ``tracking``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import pyfunc

FLAVORS = ["h2o", "langchain", "openai", "paddle", "pmdarima", "spark", "dspy", "shap"]


@pytest.mark.parametrize("flavor", FLAVORS)
def test_without_mlflow_the_way_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flavor: str
) -> None:
    (tmp_path / "MLmodel").write_text(
        f"flavors:\n  python_function:\n    loader_module: mlflow.{flavor}\n  {flavor}: {{}}\n"
    )
    monkeypatch.setitem(sys.modules, "mlflow", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, f"mlflow.{flavor}", raising=False)
    with pytest.raises(pyfunc.FlavorNotFoundError) as caught:
        pyfunc.load_model(tmp_path, suppress_warnings=True)
    assert f"mlflow.{flavor}" in str(caught.value)
    assert "pip install mlflow" in caught.value.hint
