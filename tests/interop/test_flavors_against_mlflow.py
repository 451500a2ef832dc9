"""Flavors beside real MLflow: the arguments it takes, and the MLmodel file that it writes."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pyfunc
import pyfunc.flavors
from pyfunc.flavors.protocol import SaveArguments

pytestmark = [pytest.mark.interop, pytest.mark.filterwarnings("ignore")]

FLAVORS = ("sklearn", "xgboost", "lightgbm", "onnx", "statsmodels")
PYTORCH = pytest.param("pytorch", marks=pytest.mark.torch)
# What is not taken here: keyword arguments handed through to the library, and the module that
# pickles, which is always cloudpickle's.
NOT_TAKEN = {"kwargs", "pickle_module"}
CHANGING = ("model_uuid", "utc_time_created", "model_size_bytes")


@pytest.mark.parametrize("name", [*FLAVORS, PYTORCH])
def test_every_argument_of_mlflow_is_taken(name: str) -> None:
    theirs = inspect.signature(importlib.import_module(f"mlflow.{name}").save_model).parameters
    ours = inspect.signature(pyfunc.flavors.find_flavor(name).save_model).parameters
    taken = {*ours, *SaveArguments.__annotations__}
    assert set(theirs) - taken - NOT_TAKEN == set()
    assert list(theirs)[:2] == list(ours)[:2]


@pytest.mark.parametrize("name", [*FLAVORS, PYTORCH])
def test_the_default_requirements_are_those_of_mlflow(name: str) -> None:
    theirs = importlib.import_module(f"mlflow.{name}").get_default_pip_requirements()
    ours = pyfunc.flavors.find_flavor(name).get_default_pip_requirements()
    # With packaging 26.4 or newer MLflow does not get the label of torch==2.13.0+cpu off.
    theirs = [line.partition("+")[0] for line in theirs]
    assert [line.replace("xgboost-cpu", "xgboost") for line in ours] == theirs


def iris() -> tuple[pd.DataFrame, Any]:
    from sklearn.datasets import load_iris

    frame: pd.DataFrame
    frame, target = load_iris(return_X_y=True, as_frame=True)
    return frame, target


def sklearn_model() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=500).fit(*iris())


def xgboost_model() -> Any:
    import xgboost

    return xgboost.XGBClassifier(n_estimators=2).fit(*iris())


def lightgbm_model() -> Any:
    import lightgbm

    return lightgbm.LGBMClassifier(n_estimators=2, verbose=-1).fit(*iris())


def statsmodels_model() -> Any:
    import statsmodels.api

    frame, target = iris()
    return statsmodels.api.OLS(target.astype(float), frame).fit()


@pytest.mark.parametrize(
    ("name", "build"),
    [
        pytest.param("sklearn", sklearn_model, id="sklearn"),
        pytest.param("xgboost", xgboost_model, id="xgboost"),
        pytest.param("lightgbm", lightgbm_model, id="lightgbm"),
        pytest.param("statsmodels", statsmodels_model, id="statsmodels"),
    ],
)
def test_the_description_is_that_of_mlflow(name: str, build: Any, tmp_path: Path) -> None:
    model, example = build(), iris()[0].head(3)
    theirs = importlib.import_module(f"mlflow.{name}")
    theirs.save_model(
        model, str(tmp_path / "theirs"), input_example=example, pip_requirements=["numpy"]
    )
    pyfunc.flavors.save(model, tmp_path / "ours", input_example=example)
    descriptions = [pyfunc.Model.load(tmp_path / whose).to_dict() for whose in ("ours", "theirs")]
    for description in descriptions:
        for key in CHANGING:
            description.pop(key)
        # MLflow takes these from a set, in another order in every process.
        section = description["flavors"][name]
        section["skops_trusted_types"] = sorted(section.get("skops_trusted_types") or ())
    assert descriptions[0] == descriptions[1]


@pytest.mark.torch
def test_the_description_of_a_network_is_that_of_mlflow(tmp_path: Path) -> None:
    import mlflow.pytorch
    import torch

    net, example = torch.nn.Linear(4, 2), np.ones((2, 4), dtype=np.float32)
    mlflow.pytorch.save_model(
        net, str(tmp_path / "theirs"), input_example=example, pip_requirements=["numpy"]
    )
    pyfunc.flavors.save(net, tmp_path / "ours", input_example=example)
    ours, theirs = (pyfunc.Model.load(tmp_path / whose) for whose in ("ours", "theirs"))
    assert ours.flavors == theirs.flavors
    assert ours.signature == theirs.signature
