"""Rows of numbers as an array are answered with the bits that they get as a frame."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import onnxruntime
import pandas as pd
import pytest
import xgboost
from skl2onnx import to_onnx
from sklearn.linear_model import LinearRegression, LogisticRegression

from pyfunc.flavors.lightgbm import LightgbmPredictor
from pyfunc.flavors.onnx_session import OnnxPredictor
from pyfunc.flavors.xgboost import XgboostPredictor
from pyfunc.model.rows import RowTaker

NAMES = ["a", "b", "c", "d"]
DTYPES = ["float64", "float32", "int64", "int32"]


def table(dtype: str, rows: int, *, holes: bool = False) -> Any:
    """Return numbers that lose something in single precision, some of them near borders."""
    random = np.random.default_rng(rows)
    cells = random.normal(size=(rows, len(NAMES))) * [1.0, 1e3, 3e7, 1e-3]
    cells = np.asfortranarray(cells.astype(dtype))
    if holes and dtype.startswith("float"):
        cells[random.random(cells.shape) < 0.3] = np.nan
    return cells


TRAIN = pd.DataFrame(table("float64", 200), columns=NAMES)
TARGET = TRAIN["a"] + TRAIN["c"] / 3e7
WORDS = np.where(TARGET > 0, "yes", "no")


def xgb_booster() -> XgboostPredictor:
    matrix = xgboost.DMatrix(TRAIN, TARGET)
    return XgboostPredictor(xgboost.train({"max_depth": 3}, matrix, 8))


def lgb_booster() -> LightgbmPredictor:
    data = lightgbm.Dataset(TRAIN, TARGET)
    return LightgbmPredictor(lightgbm.train({"verbosity": -1}, data, 8))


def graph(model: Any, target: Any, dtype: Any, **options: Any) -> OnnxPredictor:
    cells = TRAIN.to_numpy()
    made = to_onnx(model.fit(cells, target), cells[:1].astype(dtype), **options)
    return OnnxPredictor(onnxruntime.InferenceSession(made.SerializeToString()))


MODELS: dict[str, Callable[[], Any]] = {
    "xgboost-booster": xgb_booster,
    "xgboost-regressor": lambda: XgboostPredictor(
        xgboost.XGBRegressor(n_estimators=8).fit(TRAIN, TARGET)
    ),
    "xgboost-classifier": lambda: XgboostPredictor(
        xgboost.XGBClassifier(n_estimators=8).fit(TRAIN, TARGET > 0)
    ),
    "lightgbm-booster": lgb_booster,
    "lightgbm-regressor": lambda: LightgbmPredictor(
        lightgbm.LGBMRegressor(n_estimators=8, verbosity=-1).fit(TRAIN, TARGET)
    ),
    "lightgbm-classifier": lambda: LightgbmPredictor(
        lightgbm.LGBMClassifier(n_estimators=8, verbosity=-1).fit(TRAIN, WORDS)
    ),
    "onnx-single": lambda: graph(LinearRegression(), TARGET, np.float32),
    "onnx-double": lambda: graph(LinearRegression(), TARGET, np.float64),
    "onnx-classes": lambda: graph(
        LogisticRegression(), WORDS, np.float32, options={"zipmap": False}
    ),
}


@pytest.fixture(scope="module", params=MODELS)
def predictor(request: pytest.FixtureRequest) -> Any:
    return MODELS[request.param]()


@pytest.mark.parametrize("rows", [1, 7, 300])
@pytest.mark.parametrize("holes", [False, True], ids=["full", "with-holes"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_array_is_answered_like_the_frame(
    predictor: Any, dtype: str, holes: bool, rows: int
) -> None:
    taker: Any = predictor
    assert isinstance(predictor, RowTaker)
    method = predictor.row_method("predict", NAMES)
    assert method is not None
    cells = table(dtype, rows, holes=holes)
    wanted, error = outcome(taker.predict, pd.DataFrame(cells.copy("F"), columns=NAMES))
    found, other = outcome(method, cells)
    assert error == other
    assert type(found) is type(wanted)
    if isinstance(found, pd.DataFrame):
        pd.testing.assert_frame_equal(found, wanted, check_exact=True)
    elif found is not None:
        assert found.dtype == wanted.dtype
        assert found.tolist() == wanted.tolist()


def outcome(call: Callable[[Any], object], data: Any) -> tuple[Any, str | None]:
    try:
        return call(data), None
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"


class OwnRegressor(xgboost.XGBRegressor):
    """May do anything."""


class OwnBooster(lightgbm.LGBMRegressor):
    """May do anything."""


@pytest.mark.parametrize(
    "made",
    [
        lambda: XgboostPredictor(OwnRegressor(n_estimators=2).fit(TRAIN, TARGET)),
        lambda: LightgbmPredictor(OwnBooster(n_estimators=2, verbosity=-1).fit(TRAIN, TARGET)),
    ],
    ids=["xgboost", "lightgbm"],
)
def test_code_of_a_user_gets_frames(made: Callable[[], Any]) -> None:
    assert made().row_method("predict", NAMES) is None


def test_other_columns_than_those_of_the_training_get_frames() -> None:
    assert xgb_booster().row_method("predict", NAMES[::-1]) is None
    unnamed = xgboost.XGBRegressor(n_estimators=2).fit(TRAIN.to_numpy(), TARGET)
    assert XgboostPredictor(unnamed).row_method("predict", NAMES) is None


def test_categories_get_frames() -> None:
    frame = TRAIN.assign(d=pd.Categorical(np.where(TRAIN["d"] > 0, 1, 2)))
    regressor = lightgbm.LGBMRegressor(n_estimators=2, verbosity=-1).fit(frame, TARGET)
    assert LightgbmPredictor(regressor).row_method("predict", NAMES) is None
    other = xgboost.XGBRegressor(n_estimators=2, enable_categorical=True).fit(frame, TARGET)
    assert XgboostPredictor(other).row_method("predict", NAMES) is None


def test_the_estimator_itself_keeps_its_names_and_class() -> None:
    predictor = MODELS["lightgbm-regressor"]()
    before = copy.copy(vars(predictor.model))
    assert predictor.row_method("predict", NAMES)(table("float64", 2)).shape == (2,)
    assert type(predictor.get_raw_model()) is lightgbm.LGBMRegressor
    assert vars(predictor.get_raw_model()) == before
    assert predictor.get_raw_model().feature_names_in_.tolist() == NAMES
