"""Finding flavors: by name, by the type of an object, by registration and by entry point."""

from __future__ import annotations

import importlib.metadata
import logging
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyfunc
import pyfunc.flavors
from pyfunc.flavors import registry


def object_of(module: str, *bases: type) -> Any:
    return type("Thing", bases, {"__module__": module})()


@pytest.fixture(name="clean", autouse=True)
def forget_registrations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})


def flavor_module(name: str = "acme.flavor") -> Any:
    module: Any = types.ModuleType(name)
    module.saved = []
    module.save_model = lambda model, path, **arguments: module.saved.append((model, path))
    module._load_pyfunc = lambda path: None
    return module


@pytest.mark.parametrize(
    ("module", "flavor"),
    [
        pytest.param("sklearn.linear_model._base", "sklearn", id="sklearn"),
        pytest.param("xgboost.core", "xgboost", id="xgboost"),
        pytest.param("lightgbm.sklearn", "lightgbm", id="lightgbm"),
        pytest.param("catboost.core", "catboost", id="catboost"),
        pytest.param("torch.nn.modules.linear", "pytorch", id="torch"),
        pytest.param("onnx.onnx_ml_pb2", "onnx", id="onnx"),
        pytest.param("statsmodels.base.model", "statsmodels", id="statsmodels"),
        pytest.param("keras.src.models.sequential", "keras", id="keras"),
        pytest.param("tensorflow.python.module.module", "tensorflow", id="tensorflow"),
        pytest.param("spacy.lang.en", "spacy", id="spacy"),
        pytest.param("prophet.forecaster", "prophet", id="prophet"),
        pytest.param("sentence_transformers.model", "sentence_transformers", id="sentences"),
        pytest.param("transformers.pipelines.base", "transformers", id="transformers"),
    ],
)
def test_the_package_of_a_class_decides(module: str, flavor: str) -> None:
    assert pyfunc.flavors.find_flavor_of(object_of(module)) == flavor


def test_the_most_specific_base_decides() -> None:
    estimator = type("BaseEstimator", (), {"__module__": "sklearn.base"})
    booster = type("XGBClassifier", (estimator,), {"__module__": "xgboost.sklearn"})
    assert pyfunc.flavors.find_flavor_of(object_of("mine", booster)) == "xgboost"
    assert pyfunc.flavors.find_flavor_of(object_of("mine", estimator)) == "sklearn"


def test_an_unknown_object_is_refused_with_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(pyfunc.FlavorNotFoundError) as caught:
        pyfunc.flavors.save(object_of("elsewhere"), tmp_path / "model")
    message = str(caught.value)
    assert "elsewhere.Thing" in message
    assert all(name in message for name in pyfunc.flavors.known_flavors())
    assert "pyfunc.flavors.register" in message
    assert not (tmp_path / "model").exists()


def test_a_python_model_needs_no_flavor(tmp_path: Path) -> None:
    pyfunc.flavors.save(abs, tmp_path / "model", pip_requirements=["numpy"], signature=False)
    assert pyfunc.load_model(tmp_path / "model").predict(-3) == 3


def test_a_registered_flavor_saves_the_objects_of_its_package(tmp_path: Path) -> None:
    module = flavor_module()
    pyfunc.flavors.register("acme", module)
    assert "acme" in pyfunc.flavors.known_flavors()
    assert pyfunc.flavors.find_flavor("acme") is module
    thing = object_of("acme.models")
    pyfunc.flavors.save(thing, tmp_path / "model")
    assert module.saved == [(thing, tmp_path / "model")]


def test_a_registered_flavor_names_the_packages_that_it_takes() -> None:
    module = flavor_module()
    module.MODEL_PACKAGES = ("sklearn",)
    pyfunc.flavors.register("acme", module)
    assert pyfunc.flavors.find_flavor_of(object_of("sklearn.base")) == "acme"


@pytest.mark.parametrize("name", ["sklearn", "not a name", ""])
def test_a_name_that_cannot_be_registered(name: str) -> None:
    with pytest.raises(pyfunc.InvalidArgumentError, match="new flavor's name"):
        pyfunc.flavors.register(name, flavor_module())


@pytest.mark.parametrize("missing", ["save_model", "_load_pyfunc"])
def test_a_module_without_what_a_flavor_needs(missing: str) -> None:
    module = flavor_module()
    delattr(module, missing)
    with pytest.raises(pyfunc.InvalidTypeError, match="expected a module with save_model"):
        pyfunc.flavors.register("acme", module)


def test_an_unknown_name_is_refused_with_what_is_known() -> None:
    with pytest.raises(pyfunc.FlavorNotFoundError, match="xgboost"):
        pyfunc.flavors.find_flavor("acme")


def declare(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    entry = importlib.metadata.EntryPoint("acme", value, registry.ENTRY_POINTS)
    monkeypatch.setattr(registry, "_entry_points", lambda: {"acme": entry})


def test_a_flavor_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    declare(monkeypatch, "pyfunc.flavors.xgboost")
    assert "acme" in pyfunc.flavors.known_flavors()
    assert pyfunc.flavors.find_flavor("acme").__name__ == "pyfunc.flavors.xgboost"


def test_a_broken_entry_point_does_not_keep_others_from_being_found(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    declare(monkeypatch, "no_such_package.flavor")
    with caplog.at_level(logging.WARNING, logger="pyfunc.flavors"):
        assert pyfunc.flavors.find_flavor_of(object_of("sklearn.base")) == "sklearn"
    assert "acme" in caplog.text


def test_a_registered_flavor_loads_what_names_it_in_mlflow(tmp_path: Path) -> None:
    module = flavor_module()
    module._load_pyfunc = lambda path: types.SimpleNamespace(predict=lambda data: data + 1)
    pyfunc.flavors.register("acme", module)
    pyfunc.save_model(tmp_path / "model", loader_module="mlflow.acme", pip_requirements=[])
    found = pyfunc.load_model(tmp_path / "model", suppress_warnings=True)
    assert found.predict(np.array([1])).tolist() == [2]


def test_inspect_says_how_each_flavor_is_stored() -> None:
    golden = Path(__file__).parents[1] / "data" / "golden" / "mlflow-3.17"
    safe = pyfunc.inspect(golden / "sklearn_skops" / "model")
    assert (safe.formats["sklearn"].format, safe.formats["sklearn"].is_pickle_free) == (
        "skops",
        True,
    )
    pickled = pyfunc.inspect(golden / "sklearn_pickle" / "model")
    assert not pickled.formats["sklearn"].is_pickle_free
    assert "format of sklearn: pickle (needs a pickle)" in str(pickled)
