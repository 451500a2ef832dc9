"""The door asks for trust: what a flavor does not say about its files counts as code."""

from __future__ import annotations

import pickle
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_corpus import evil
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import pyfunc
from pyfunc.errors import UntrustedModelError
from pyfunc.flavors import registry
from pyfunc.flavors import sklearn as sklearn_flavor
from pyfunc.flavors.loading import load_native, open_from_inside
from pyfunc.flavors.protocol import Serialization

MLMODEL = """\
flavors:
  python_function:
    data: data.bin
    loader_module: mlflow.acme
  acme:
    data: data.bin
"""


class Answer:
    """A model that answers with what it was made of."""

    def __init__(self, value: object) -> None:
        self.value = value

    def predict(self, data: object, params: object = None) -> object:
        """Return the value."""
        return self.value


def unpickle(path: str) -> Answer:
    return Answer(pickle.loads(Path(path).read_bytes()))


def flavor(**names: Any) -> types.ModuleType:
    module = types.ModuleType("acme")
    vars(module).update(save_model=print, _load_pyfunc=unpickle, **names)
    return module


def declared(contents: Any) -> Any:
    return lambda section, files: Serialization("acme", False, contents)


UNDECLARED = {
    "says-nothing": {},
    "says-no-contents": {"describe": lambda section, files: Serialization("acme", True)},
    "says-code": {"describe": declared("code")},
    "says-another-word": {"describe": declared("harmless")},
    "says-none": {"describe": lambda section, files: None},
    "opens-by-itself": {"load_opened": lambda opened: unpickle(opened.root / "data.bin")},
}


DOORS: dict[str, Callable[[Path, Any], object]] = {
    "load_model": lambda model, trust: pyfunc.load_model(model, trust=trust),
    "load_native": lambda model, trust: load_native(
        model, "acme", lambda opened: unpickle(str(opened.root / "data.bin")), {"trust": trust}
    ),
    "open_from_inside": lambda model, trust: open_from_inside(model / "data.bin", "acme"),
}


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registering is for the whole process, and so are the variables of trust."""
    for name in ("PYFUNC_TRUST", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(registry, "_registered", {})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    root = tmp_path / "m"
    root.mkdir()
    (root / "MLmodel").write_text(MLMODEL)
    (root / "data.bin").write_bytes(evil(str(tmp_path / "marker")))
    return root


@pytest.mark.parametrize("names", UNDECLARED.values(), ids=UNDECLARED)
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("how", ["allowlist", "variable", "pickles"])
def test_a_flavor_that_declares_nothing_runs_nothing_without_trust(
    model: Path, monkeypatch: pytest.MonkeyPatch, names: dict[str, Any], door: str, how: str
) -> None:
    registry.register("acme", flavor(**names))
    trust: Any = "allowlist" if how == "allowlist" else "full"
    if how == "variable":
        monkeypatch.setenv("PYFUNC_TRUST", "allowlist")
    if how == "pickles":
        monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    if door == "open_from_inside":  # MLflow calls it, and knows the variable only
        monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    with pytest.raises(UntrustedModelError, match="flavor acme"):
        DOORS[door](model, trust)
    assert not (model.parent / "marker").exists()


def test_the_variable_lowers_what_mlflow_calls_too(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing has put a policy in force where MLflow calls ``_load_pyfunc``."""
    registry.register("acme", flavor())
    assert open_from_inside(model / "data.bin", "acme").root == model
    for ceiling in ("allowlist", "none"):
        monkeypatch.setenv("PYFUNC_TRUST", ceiling)
        with pytest.raises(UntrustedModelError):
            open_from_inside(model / "data.bin", "acme")
    monkeypatch.setenv("PYFUNC_TRUST", "digest")
    with pytest.raises(pyfunc.InvalidArgumentError, match="expected_digest"):
        open_from_inside(model / "data.bin", "acme")


def test_an_unknown_flavor_counts_as_code(model: Path) -> None:
    with pytest.raises(UntrustedModelError, match="flavor acme"):
        load_native(model, "acme", lambda opened: opened, {"trust": "allowlist"})


def test_a_flavor_that_declares_data_is_loaded(model: Path) -> None:
    (model / "data.bin").write_bytes(pickle.dumps([1, 2]))
    registry.register("acme", flavor(describe=declared("data")))
    loaded = pyfunc.load_model(model, trust="allowlist")
    assert loaded.predict([0]) == [1, 2]
    registry.register("acme", flavor())
    assert pyfunc.load_model(model).predict([0]) == [1, 2]


def test_a_declared_pickle_is_closed_by_the_variable(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.register("acme", flavor(describe=declared("pickle")))
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    with pytest.raises(UntrustedModelError, match="MLFLOW_ALLOW_PICKLE_DESERIALIZATION"):
        pyfunc.load_model(model)


X, Y = np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([0, 0, 1, 1])


def save(model: Any, path: Path, trusted: list[str] | None = None) -> Path:
    sklearn_flavor.save_model(
        model, path, skops_trusted_types=trusted, pip_requirements=["scikit-learn"],
        pyfunc_predict_fn="predict" if hasattr(model, "predict") else "transform",
    )  # fmt: skip
    return path


@pytest.mark.parametrize(
    "vectorizer",
    [CountVectorizer(input="filename"), TfidfVectorizer(), HashingVectorizer(input="filename")],
    ids=lambda vectorizer: type(vectorizer).__name__,
)
def test_what_opens_files_when_it_predicts_is_named_by_the_caller(
    tmp_path: Path, vectorizer: Any
) -> None:
    root = save(make_pipeline(vectorizer, LogisticRegression()), tmp_path / "m")
    name = f"sklearn.feature_extraction.text.{type(vectorizer).__name__}"
    with pytest.raises(UntrustedModelError, match=name):
        pyfunc.load_model(root, trust="allowlist")
    pyfunc.load_model(root, trust="allowlist", dangerously_allowed_globals=[name])
    pyfunc.load_model(root)


def test_what_points_into_memory_is_named_by_the_caller(tmp_path: Path) -> None:
    tree = "sklearn.tree._tree.Tree"
    root = save(DecisionTreeClassifier().fit(X, Y), tmp_path / "m", [tree])
    with pytest.raises(UntrustedModelError, match=tree):
        pyfunc.load_model(root, trust="allowlist")
    with pytest.raises(pyfunc.InvalidArgumentError, match=tree):
        pyfunc.load_model(root, trust="allowlist", allowed_globals=[tree])
    loaded = pyfunc.load_model(root, trust="allowlist", dangerously_allowed_globals=[tree])
    np.testing.assert_array_equal(loaded.predict(X), Y)


def test_usual_estimators_need_no_list(tmp_path: Path) -> None:
    steps = FunctionTransformer(np.log1p), StandardScaler(), LogisticRegression()
    root = save(make_pipeline(*steps).fit(X, Y), tmp_path / "m")
    loaded = pyfunc.load_model(root, trust="allowlist")
    np.testing.assert_array_equal(loaded.predict(X), Y)
