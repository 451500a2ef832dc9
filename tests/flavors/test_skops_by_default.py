"""The default format of scikit-learn holds what people fit, and any method of it predicts."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn import ensemble
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity, KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    OneHotEncoder,
    SplineTransformer,
    StandardScaler,
)
from sklearn.svm import OneClassSVM
from sklearn.tree import DecisionTreeClassifier

import pyfunc
from pyfunc.errors import InvalidArgumentError, UntrustedModelError
from pyfunc.flavors import sklearn
from pyfunc.flavors.skops_harmless import HARMLESS

X = np.random.default_rng(0).random((60, 3))
Y = np.arange(60) % 3
FRAME = pd.DataFrame({"a": [1.0, None, 3.0] * 20, "b": ["x", "y", "z"] * 20, "c": range(60)})


def columns() -> Any:
    parts = [
        ("n", make_pipeline(SimpleImputer(), StandardScaler()), ["a", "c"]),
        ("t", make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), ["b"]),
    ]
    return make_pipeline(ColumnTransformer(parts), ensemble.RandomForestClassifier(3))


def hist(loss: str, **options: Any) -> Any:
    return ensemble.HistGradientBoostingRegressor(max_iter=2, loss=loss, **options)


MODELS: dict[str, Callable[[], Any]] = {
    "forest": lambda: ensemble.RandomForestClassifier(3),
    "forest-regressor": lambda: ensemble.RandomForestRegressor(3),
    "extra-trees": lambda: ensemble.ExtraTreesClassifier(3),
    "tree": DecisionTreeClassifier,
    "boosting": lambda: ensemble.GradientBoostingClassifier(n_estimators=2),
    "boosting-huber": lambda: ensemble.GradientBoostingRegressor(n_estimators=2, loss="huber"),
    "boosting-quantile": lambda: ensemble.GradientBoostingRegressor(
        n_estimators=2, loss="quantile"
    ),
    "hist-absolute-error": lambda: hist("absolute_error"),
    "hist-poisson": lambda: hist("poisson"),
    "hist-quantile": lambda: hist("quantile", quantile=0.5),
    "hist-squared-error": lambda: hist("squared_error"),
    "hist": lambda: ensemble.HistGradientBoostingClassifier(max_iter=2),
    "isolation": lambda: ensemble.IsolationForest(n_estimators=3),
    "adaboost": lambda: ensemble.AdaBoostClassifier(n_estimators=2),
    "bagging": lambda: ensemble.BaggingRegressor(n_estimators=2),
    "voting": lambda: ensemble.VotingRegressor(
        [("l", LinearRegression()), ("f", ensemble.RandomForestRegressor(2))]
    ),
    "neighbours-of-a-tree": lambda: KNeighborsClassifier(3, algorithm="kd_tree"),
    "neighbours-of-balls": lambda: KNeighborsRegressor(3, algorithm="ball_tree", p=1),
    "calibrated": lambda: CalibratedClassifierCV(LogisticRegression(), cv=2),
    "gaussian-process": lambda: GaussianProcessRegressor(RBF() + WhiteKernel()),
    "perceptron": lambda: MLPClassifier((3,), max_iter=2),
    "search": lambda: GridSearchCV(ensemble.RandomForestRegressor(2), {"max_depth": [1, 2]}, cv=2),
    "selection": lambda: make_pipeline(SelectKBest(f_regression, k=2), LinearRegression()),
    "splines": lambda: make_pipeline(SplineTransformer(n_knots=3), LinearRegression()),
    "bins": lambda: make_pipeline(KBinsDiscretizer(3, strategy="uniform"), LinearRegression()),
    "columns": columns,
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:The SAMME.R algorithm:FutureWarning")  # scikit-learn 1.5
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_what_people_fit_is_saved_by_default_and_loads_here_and_in_mlflow(
    tmp_path: Path, make: Callable[[], Any]
) -> None:
    data = FRAME if make is columns else X
    model = make().fit(data, Y)
    sklearn.save_model(model, tmp_path / "m", pip_requirements=[])
    section = yaml.safe_load((tmp_path / "m" / "MLmodel").read_text())["flavors"]["sklearn"]
    assert section["serialization_format"] == "skops"
    assert set(section["skops_trusted_types"] or ()) <= HARMLESS
    expected = model.predict(data)
    assert np.array_equal(pyfunc.load_model(tmp_path / "m").predict(data), expected)
    import mlflow.sklearn  # slow, and of a few tests

    assert np.array_equal(mlflow.sklearn.load_model(str(tmp_path / "m")).predict(data), expected)
    with pytest.raises(UntrustedModelError):
        pyfunc.load_model(tmp_path / "m", trust="allowlist")


def test_a_model_without_such_parts_is_written_as_before(tmp_path: Path) -> None:
    sklearn.save_model(LinearRegression().fit(X, Y), tmp_path / "m", pip_requirements=[])
    section = yaml.safe_load((tmp_path / "m" / "MLmodel").read_text())["flavors"]["sklearn"]
    assert section["skops_trusted_types"] is None
    pyfunc.load_model(tmp_path / "m", trust="allowlist")


# Names of earlier or later releases than the installed one.
_OTHER_RELEASES = {
    "_BSpline",
    "_CurveScorer",
    "_PredictScorer",
    "_ProbaScorer",
    "_RemainderColsList",
    "_ThresholdScorer",
}


def test_the_list_is_of_this_release_or_known_to_be_of_another() -> None:
    missing = set()
    for name in HARMLESS:
        module, _, attribute = name.rpartition(".")
        assert module.partition(".")[0] in ("numpy", "scipy", "sklearn")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError):
            missing.add(attribute)
            continue
        assert callable(found)
    assert {name for name in missing if "Distance" not in name} <= _OTHER_RELEASES | {
        "_TemperatureScaling", "csr_array", "csc_array", "Interval", "asarray", "HalfLogitLink",
        "BallTree32", "BallTree64", "KDTree32", "KDTree64", "root_mean_squared_error",
        "root_mean_squared_log_error", "lloyd_iter_chunked_dense", "d2_log_loss_score",
        "_BinaryGaussianProcessClassifierLaplace", "LeavePOut", "MethodMetadataRequest",
    }  # fmt: skip


class Own(BaseEstimator):  # type: ignore[misc,unused-ignore]
    def fit(self, data: Any, target: Any = None) -> Own:
        self.fitted_ = True
        return self

    def predict(self, data: Any) -> Any:
        return np.zeros(len(data))


OWN = f"{Own.__module__}.Own"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Return a model of a class of one's own whose description trusts nothing."""
    sklearn.save_model(
        Own().fit(X), tmp_path / "m", skops_trusted_types=[OWN], pip_requirements=[]
    )
    file = tmp_path / "m" / "MLmodel"
    content = yaml.safe_load(file.read_text())
    content["flavors"]["sklearn"]["skops_trusted_types"] = None
    file.write_text(yaml.safe_dump(content))
    pyfunc.refresh(tmp_path / "m")
    return tmp_path / "m"


def test_allowed_globals_count_in_every_mode(own: Path) -> None:
    with pytest.raises(UntrustedModelError, match="not trusted") as caught:
        pyfunc.load_model(own)
    assert OWN in str(caught.value)
    assert "allowed_globals" in caught.value.hint
    loaded = pyfunc.load_model(own, allowed_globals=[OWN])
    assert loaded.predict(X).tolist() == [0.0] * 60
    assert pickle.loads(pickle.dumps(loaded)).predict(X).tolist() == [0.0] * 60
    digest = pyfunc.verify(own).digest
    pyfunc.load_model(own, trust="digest", expected_digest=digest, allowed_globals=[OWN])


@pytest.mark.parametrize(
    ("model", "method"),
    [
        pytest.param(StandardScaler(), "transform", id="transform"),
        pytest.param(StandardScaler(), "inverse_transform", id="inverse-transform"),
        pytest.param(PCA(2), "score_samples", id="score-samples-of-a-pca"),
        pytest.param(KernelDensity(), "score_samples", id="score-samples"),
        pytest.param(LogisticRegression(), "decision_function", id="decision-function"),
        pytest.param(LogisticRegression(), "predict_proba", id="probabilities"),
        pytest.param(OneClassSVM(), "score_samples", id="score-samples-of-a-machine"),
        pytest.param(
            ensemble.IsolationForest(n_estimators=2), "decision_function", id="isolation"
        ),
        pytest.param(DecisionTreeClassifier(), "apply", id="leaves"),
        pytest.param(make_pipeline(StandardScaler(), PCA(2)), "transform", id="pipeline"),
    ],
)
@pytest.mark.parametrize("written", ["skops", "pickle"])
def test_any_method_of_the_estimator_predicts(
    tmp_path: Path, model: Any, method: str, written: Any
) -> None:
    model.fit(X, Y)
    sklearn.save_model(
        model,
        tmp_path / "m",
        pyfunc_predict_fn=method,
        serialization_format=written,
        input_example=X[:2],
        pip_requirements=[],
    )
    loaded = pyfunc.load_model(tmp_path / "m")
    expected = np.asarray(getattr(model, method)(X))
    for rows in (X, X[:1]):
        np.testing.assert_allclose(np.asarray(loaded.predict(rows)), expected[: len(rows)])
    assert loaded.metadata.signature is not None


@pytest.mark.parametrize(
    "method", ["fit", "fit_predict", "partial_fit", "set_params", "_x", "a.b", 5]
)
def test_a_method_that_does_not_predict_is_refused(tmp_path: Path, method: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="pyfunc_predict_fn"):
        sklearn.save_model(
            LogisticRegression().fit(X, Y), tmp_path / "m", pyfunc_predict_fn=method
        )
    assert not (tmp_path / "m").exists()
