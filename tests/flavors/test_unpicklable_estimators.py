"""An estimator that pickle cannot write is an error of ours that is caught as pickle's, too."""

from __future__ import annotations

import os
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
from sklearn.base import BaseEstimator

import pyfunc
from pyfunc.errors import PyfuncError

sklearn = pyfunc.flavors.sklearn


class Estimator(BaseEstimator):  # type: ignore[misc]
    def predict(self, data: object) -> object:
        return data


class Failing(Estimator):
    def __reduce__(self) -> Any:
        raise RuntimeError("no pickle of me")


def with_lock() -> Estimator:
    estimator = Estimator()
    estimator.lock = threading.Lock()
    return estimator


def of_local_class() -> Estimator:
    class Local(Estimator):
        pass

    return Local()


def with_lambda() -> Estimator:
    estimator = Estimator()
    estimator.key = lambda value: value
    return estimator


@pytest.mark.parametrize(
    ("make", "written", "kinds"),
    [
        pytest.param(with_lock, "pickle", (TypeError, pickle.PicklingError), id="lock"),
        pytest.param(with_lock, "cloudpickle", (TypeError, pickle.PicklingError), id="cloud-lock"),
        pytest.param(of_local_class, "pickle", (pickle.PicklingError,), id="local-class"),
        pytest.param(with_lambda, "pickle", (pickle.PicklingError,), id="lambda"),
        pytest.param(Failing, "pickle", (RuntimeError,), id="own-error"),
        pytest.param(Failing, "cloudpickle", (RuntimeError,), id="cloud-own-error"),
    ],
)
def test_an_estimator_that_cannot_be_pickled_is_an_error_of_pickle_too(
    tmp_path: Path, make: Any, written: Any, kinds: tuple[type[Exception], ...]
) -> None:
    with pytest.raises(pyfunc.InvalidArgumentError, match="cannot be pickled") as caught:
        sklearn.save_model(
            make(), tmp_path / "model", serialization_format=written, pip_requirements=[]
        )
    error = caught.value
    assert isinstance(error.__cause__, Exception)
    again = pickle.loads(pickle.dumps(error))
    for kind in (type(error.__cause__), PyfuncError, *kinds):
        assert isinstance(error, kind)
        assert isinstance(again, kind)
    assert type(error).__name__ == "InvalidArgumentError"
    assert str(again) == str(error)
    assert os.listdir(tmp_path) == []
