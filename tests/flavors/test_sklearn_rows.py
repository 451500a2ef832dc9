"""Rows as an array: the same answers as for the frame, to the last bit, or the frame itself."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators

from pyfunc.flavors.sklearn import SklearnPredictor
from pyfunc.flavors.sklearn_rows import RowEstimator

COLUMNS = ["sepal length", "b", "c", "d"]
METHODS = ("predict", "predict_proba", "predict_log_proba", "predict_joint_log_proba")

RANDOM = np.random.default_rng(7)
FRAME = pd.DataFrame(RANDOM.uniform(0.1, 3.0, size=(60, 4)), columns=COLUMNS)
CLASSES = (FRAME["b"] + FRAME["c"] > FRAME["d"] * 1.9).astype("int64")


def fitted(estimator: Any, frame: pd.DataFrame = FRAME) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        target = CLASSES if is_classifier(estimator) else FRAME.sum(axis=1)
        return estimator.fit(frame, target)


def predicting_estimators() -> list[Any]:
    """All of scikit-learn's estimators that predict, work without arguments and fit this data."""
    found = []
    for name, kind in all_estimators():
        if not hasattr(kind, "predict"):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", FutureWarning)  # those that are going away
                estimator = kind()
            fitted(clone(estimator)).predict(FRAME[:3])
        except (TypeError, ValueError, AttributeError, IndexError, FutureWarning):
            continue
        found.append(pytest.param(estimator, id=name))
    return found


ESTIMATORS = predicting_estimators()

PIPELINES = [
    pytest.param(make_pipeline(StandardScaler(), LogisticRegression()), id="scaled"),
    pytest.param(
        make_pipeline(SimpleImputer(), PolynomialFeatures(), PCA(3), LinearRegression()), id="long"
    ),
    pytest.param(make_pipeline(KBinsDiscretizer(3), LogisticRegression()), id="bins"),
    pytest.param(
        make_pipeline(OneHotEncoder(handle_unknown="ignore"), LinearRegression()), id="x"
    ),
    pytest.param(make_pipeline(SelectKBest(k=2), DecisionTreeClassifier()), id="selected"),
    pytest.param(
        make_pipeline(make_pipeline(StandardScaler()), LogisticRegression()), id="pipeline-inside"
    ),
]


def answers(predictor: SklearnPredictor, method: str, frame: pd.DataFrame) -> Any:
    """Return an answer with its dtype, or the error; warnings are errors here."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = getattr(predictor, method)(frame)
    except Exception as error:
        return type(error), str(error)
    return type(found), np.asarray(found).dtype, np.asarray(found).tolist()


def both(model: Any) -> tuple[SklearnPredictor, SklearnPredictor]:
    quick, slow = SklearnPredictor(model), SklearnPredictor(model)
    slow.get_raw_model()  # from now on only the estimator itself answers
    return quick, slow


def test_most_estimators_are_tried() -> None:
    taken = [case.id for case in ESTIMATORS if RowEstimator.of(fitted(case.values[0]))]
    assert len(taken) > 60
    assert {"LogisticRegression", "RandomForestRegressor", "SVC", "MLPClassifier"} <= set(taken)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
@pytest.mark.parametrize("estimator", [*ESTIMATORS, *PIPELINES])
def test_every_estimator_answers_alike(estimator: Any, dtype: str) -> None:
    frame = FRAME.astype(dtype)
    model = fitted(clone(estimator), frame)
    quick, slow = both(model)
    for method in METHODS:
        if not hasattr(model, method):
            continue
        for position in (0, 17, 59):
            row = frame[position : position + 1]
            assert answers(quick, method, row) == answers(slow, method, row)


WIDE = pd.DataFrame(RANDOM.uniform(0.1, 3.0, size=(60, 24)), columns=[f"x{i}" for i in range(24)])


def by_order(frame: pd.DataFrame, order: Literal["C", "F"]) -> pd.DataFrame:
    cells = np.array(frame.to_numpy(), order=order)
    laid: pd.DataFrame = pd.DataFrame(cells, columns=frame.columns, copy=False)
    return laid


def layouts_in_memory(frame: pd.DataFrame) -> list[pd.DataFrame]:
    return [
        frame,
        frame[:2],
        frame[3:40:2],
        frame[::-1],
        pd.DataFrame(dict(frame.items())),
        by_order(frame, "F"),
        by_order(frame, "C"),
    ]


@pytest.mark.parametrize("estimator", [*ESTIMATORS, *PIPELINES])
def test_many_rows_are_answered_alike_however_they_lie_in_memory(estimator: Any) -> None:
    try:
        model = fitted(clone(estimator), WIDE)
    except ValueError:  # it takes fewer columns
        model = fitted(clone(estimator))
    quick, slow = both(model)
    wide = len(model.feature_names_in_) == WIDE.shape[1]
    for rows in layouts_in_memory(WIDE if wide else FRAME):
        for method in METHODS:
            if hasattr(model, method):
                assert answers(quick, method, rows) == answers(slow, method, rows)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_pipelines_take_arrays(pipeline: Any) -> None:
    assert RowEstimator.of(fitted(clone(pipeline))) is not None


class OwnClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator of a user, which reads its columns by name."""

    def fit(self, frame: pd.DataFrame, target: Any) -> OwnClassifier:
        self.feature_names_in_ = np.asarray(frame.columns, dtype=object)
        self.classes_ = np.unique(target)
        return self

    def predict(self, frame: pd.DataFrame) -> Any:
        return (frame["b"] > 1).astype("int64").to_numpy()


class OwnForest(RandomForestClassifier):  # type: ignore[misc]
    """A subclass may do anything."""


def first_column(frame: pd.DataFrame) -> Any:
    return frame[["b", "d"]]


@pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(OwnClassifier(), id="own-class"),
        pytest.param(OwnForest(n_estimators=2), id="subclass"),
        pytest.param(VotingClassifier([("own", OwnClassifier())]), id="own-inside"),
        pytest.param(VotingClassifier([("tree", DecisionTreeClassifier())]), id="voting"),
        pytest.param(GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [2]}), id="search"),
        pytest.param(CalibratedClassifierCV(DecisionTreeClassifier()), id="calibrated"),
        pytest.param(
            Pipeline(
                [
                    ("pick", ColumnTransformer([("bd", "passthrough", ["b", "d"])])),
                    ("fit", LinearRegression()),
                ]
            ),
            id="columns-by-name",
        ),
        pytest.param(
            make_pipeline(FunctionTransformer(first_column), LinearRegression()), id="function"
        ),
        pytest.param(
            make_pipeline(FeatureUnion([("f", StandardScaler())]), LinearRegression()), id="union"
        ),
        pytest.param(
            make_pipeline(StandardScaler().set_output(transform="pandas"), LinearRegression()),
            id="frames-between-steps",
        ),
    ],
)
def test_what_may_look_at_names_is_given_the_frame(estimator: Any) -> None:
    model = fitted(estimator)
    assert RowEstimator.of(model) is None
    row = FRAME[4:5]
    assert SklearnPredictor(model).predict(row).tolist() == model.predict(row).tolist()


def test_an_estimator_fitted_without_names_still_warns() -> None:
    model = LinearRegression().fit(FRAME.to_numpy(), FRAME.sum(axis=1))
    with pytest.warns(UserWarning, match="fitted without feature names"):
        SklearnPredictor(model).predict(FRAME[:1])


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(FRAME[:0], id="no-row"),
        pytest.param(FRAME[:1][COLUMNS[::-1]], id="other-order"),
        pytest.param(FRAME[:1].assign(e=1.0), id="more-columns"),
        pytest.param(FRAME[:1].astype({"b": "float32"}), id="two-dtypes"),
        pytest.param(FRAME[:1].astype("Float64"), id="nullable"),
        pytest.param(FRAME[:1].astype("object"), id="objects"),
        pytest.param(FRAME[:1] > 1, id="booleans"),
        pytest.param(FRAME[:1].astype("float16"), id="half"),
        pytest.param(FRAME[:1].to_numpy(), id="an-array"),
        pytest.param(FRAME[:1].to_dict("records"), id="records"),
    ],
)
def test_only_plain_rows_become_arrays(data: Any) -> None:
    rows = RowEstimator.of(fitted(LinearRegression()))
    assert rows is not None
    assert rows.as_array(data) is None


def test_a_row_of_nulls_fails_as_in_a_frame() -> None:
    quick, slow = both(fitted(LogisticRegression()))
    row = FRAME[:1].assign(b=np.nan)
    found = answers(quick, "predict", row)
    assert found == answers(slow, "predict", row)
    assert "contains NaN" in found[1]


def test_changes_of_the_raw_model_count() -> None:
    predictor = SklearnPredictor(fitted(LinearRegression()))
    before = predictor.predict(FRAME[:1])
    predictor.get_raw_model().intercept_ += 100.0
    assert predictor.predict(FRAME[:1]) == pytest.approx(before + 100.0)


def test_the_estimator_is_left_as_it_was() -> None:
    pipeline = fitted(make_pipeline(StandardScaler(), LogisticRegression()))
    first = pipeline.steps[0][1]
    assert RowEstimator.of(pipeline) is not None
    assert pipeline.steps[0][1] is first
    assert list(pipeline.feature_names_in_) == COLUMNS
