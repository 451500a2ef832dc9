"""A model of pmdarima, which only MLflow has a flavor for, is loaded by MLflow."""

from __future__ import annotations

import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

import pyfunc
from pyfunc.env import prepare_environment
from pyfunc.env.creating.recipe import read_recipe

# What MLflow's own code and what it imports warn of is no matter of ours.
pytestmark = [pytest.mark.interop, pytest.mark.filterwarnings("default")]

PERIODS = pd.DataFrame({"n_periods": [3]})


@pytest.fixture(scope="module")
def arima(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model of pmdarima that MLflow saved."""
    import pmdarima

    path = tmp_path_factory.mktemp("models") / "arima"
    values = np.arange(30.0) + np.sin(np.arange(30))
    mlflow.pmdarima.save_model(pmdarima.ARIMA(order=(1, 0, 0)).fit(values), path)
    return path


def test_it_predicts_as_in_mlflow(arima: Path) -> None:
    theirs = mlflow.pyfunc.load_model(str(arima)).predict(PERIODS)
    pd.testing.assert_frame_equal(pyfunc.load_model(arima).predict(PERIODS), theirs)


@pytest.mark.parametrize("trust", ["allowlist", "environment"])
def test_it_is_code_to_those_who_trust_none(
    arima: Path, trust: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if trust == "environment":
        monkeypatch.setenv("PYFUNC_TRUST", "allowlist")  # lowers what the call allows
    with pytest.raises(pyfunc.UntrustedModelError, match=r"mlflow\.pmdarima"):
        pyfunc.load_model(arima, trust="allowlist" if trust == "allowlist" else "full")
    assert pyfunc.load_model(arima, trust="none").metadata.flavors.keys() >= {"pmdarima"}


def test_files_that_changed_are_found_before_mlflow_reads_them(
    arima: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    copy = tmp_path / "model"
    shutil.copytree(arima, copy)
    pyfunc.refresh(copy)
    (copy / "model.pmd").write_bytes(b"\x80\x04cos\nabort\n.")
    monkeypatch.setattr(mlflow.pmdarima, "_load_pyfunc", pytest.fail)  # must not be reached
    with pytest.raises(pyfunc.ModelIntegrityError):
        pyfunc.load_model(copy)


def test_a_missing_library_is_named(arima: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pmdarima", None)  # as if it were not installed
    with pytest.raises(pyfunc.MissingDependencyError, match="pip install pmdarima"):
        pyfunc.load_model(arima)


def test_an_environment_of_its_own_has_mlflow(arima: Path) -> None:
    assert any(line.startswith("mlflow") for line in read_recipe(arima).requirements)
    assert prepare_environment(arima, env_manager="local") is not None
