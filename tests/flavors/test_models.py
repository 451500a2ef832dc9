"""Models of every library: ours, and MLflow's, in both directions.

The option ``--libraries`` says whose; by default those that the extra ``dev`` installs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import pyfunc
import pyfunc.flavors

pytestmark = pytest.mark.filterwarnings("ignore")


def save(case: Any, path: Path) -> Any:
    built = case.build()
    flavor = pyfunc.flavors.find_flavor(case.flavor)
    flavor.save_model(built.model, path, **case.save_arguments(built))
    return built


def test_what_is_saved_predicts_as_the_library(
    case: Any, tmp_path: Path, assert_same: Any
) -> None:
    built = save(case, tmp_path / "model")
    model = pyfunc.load_model(tmp_path / "model", on_mismatch="raise", verify="require")
    assert_same(model.predict(built.data), built.expected)


def test_what_is_saved_says_how_it_is_stored(case: Any, tmp_path: Path) -> None:
    save(case, tmp_path / "model")
    found = pyfunc.inspect(tmp_path / "model")
    described = pyfunc.flavors.describe(found.flavors, found.files)
    assert described[case.flavor].is_pickle_free is case.pickle_free
    assert pyfunc.Model.load(tmp_path / "model").flavors[case.flavor]["code"] is None


def test_the_object_of_the_library_comes_back(case: Any, tmp_path: Path) -> None:
    built = save(case, tmp_path / "model")
    flavor = pyfunc.flavors.find_flavor(case.flavor)
    found = flavor.load_model(tmp_path / "model", trust="full")
    assert found is not None
    if case.name not in ("pt2", "script"):  # these come back as a graph of the same network
        assert type(found) is type(built.model)


@pytest.mark.interop
def test_mlflow_loads_what_is_saved(
    case: Any, tmp_path: Path, assert_same: Any, real_mlflow: Any
) -> None:
    built = save(case, tmp_path / "model")
    model = real_mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert_same(model.predict(built.data), built.expected)


def test_what_mlflow_saved_predicts_as_there(
    stored: Path, read_stored: Any, assert_same: Any
) -> None:
    _, data, expected = read_stored(stored)
    model = pyfunc.load_model(stored / "model", suppress_warnings=True)
    assert_same(model.predict(data), expected)


def test_what_mlflow_saved_says_how_it_is_stored(stored: Path, read_stored: Any) -> None:
    content, _, _ = read_stored(stored)
    found = pyfunc.inspect(stored / "model")
    described = pyfunc.flavors.describe(found.flavors, found.files)
    assert described[content["flavor"]].is_pickle_free is content["pickle_free"]
