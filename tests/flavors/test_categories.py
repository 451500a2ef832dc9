"""Boosters that were trained with columns of categories answer frames and texts alike."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost

import pyfunc
import pyfunc.flavors.lightgbm
import pyfunc.flavors.xgboost
from pyfunc.errors import InvalidArgumentError
from pyfunc.schema import RequestReader, format_request, infer_signature

FRAME = pd.DataFrame(
    {
        "a": pd.Series([1, 2] * 50).astype("category"),
        "n": np.arange(100.0),
        "c": pd.Categorical(["x", "y", "z", "x", "y"] * 20),
    }
)
TARGET = [0, 1] * 50
# Models of XGBoost before 3.1 do not hold their categories, so that plain values are refused.
XGBOOST_KNOWS = hasattr(xgboost.Booster, "get_categories")
SMALL: dict[str, Any] = {"verbosity": -1, "min_data_in_leaf": 1, "min_data_per_group": 1}


def train_lightgbm(kind: str) -> Any:
    if kind == "booster":
        return lightgbm.train(SMALL, lightgbm.Dataset(FRAME.copy(), TARGET), 3)
    return lightgbm.LGBMClassifier(n_estimators=3, **SMALL).fit(FRAME, TARGET)


def train_xgboost(kind: str) -> Any:
    model = xgboost.XGBClassifier(enable_categorical=True, n_estimators=3).fit(FRAME, TARGET)
    return model.get_booster() if kind == "booster" else model


MODELS = [
    pytest.param(pyfunc.flavors.lightgbm, train_lightgbm, id="lightgbm"),
    pytest.param(pyfunc.flavors.xgboost, train_xgboost, id="xgboost"),
]


def load(flavor: Any, model: Any, tmp_path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that integer columns cannot be missing
        signature = infer_signature(FRAME)
    flavor.save_model(model, tmp_path / "m", signature=signature, input_example=FRAME.head(3))
    return pyfunc.load_model(tmp_path / "m")


@pytest.mark.parametrize("kind", ["booster", "estimator"])
@pytest.mark.parametrize(("flavor", "train"), MODELS)
def test_categories_and_their_plain_values_predict_alike(
    flavor: Any, train: Any, kind: str, tmp_path: Path
) -> None:
    loaded = load(flavor, train(kind), tmp_path)
    rows = FRAME.head(5)
    expected = loaded.predict(rows)
    assert len(set(np.asarray(expected).tolist())) > 1
    reader = RequestReader(loaded.input_schema)
    columns = {name: column.tolist() for name, column in rows.items()}
    bodies = [
        reader.parse_json(format_request(rows)),
        reader.parse_json(json.dumps({"inputs": columns})),
        reader.parse_json(json.dumps({"dataframe_records": rows.to_dict("records")})),
        reader.parse_csv(rows.to_csv(index=False)),
    ]
    np.testing.assert_array_equal(loaded.predict(rows.copy()), expected)
    if flavor is pyfunc.flavors.xgboost and not XGBOOST_KNOWS:
        for body in bodies:
            with pytest.raises(ValueError, match="must be int, float, bool or category"):
                loaded.predict(body.data)
        return
    for body in bodies:
        np.testing.assert_array_equal(loaded.predict(body.data), expected)
    np.testing.assert_array_equal(loaded.predict(loaded.input_example), expected[:3])


def test_a_value_that_is_no_category(tmp_path: Path) -> None:
    odd = pd.DataFrame({"a": [1], "n": [0.0], "c": ["q"]})
    missing = odd.assign(c=pd.Categorical([None], categories=["x", "y", "z"]))
    (tmp_path / "lgb").mkdir()
    (tmp_path / "xgb").mkdir()
    booster = load(pyfunc.flavors.lightgbm, train_lightgbm("booster"), tmp_path / "lgb")
    filled = missing.assign(a=pd.Categorical([1], categories=[1, 2]))
    assert booster.predict(odd) == booster.predict(filled)
    model = load(pyfunc.flavors.xgboost, train_xgboost("booster"), tmp_path / "xgb")
    refusal = "'q' is none of the categories" if XGBOOST_KNOWS else "must be int, float, bool or"
    with pytest.raises(ValueError, match=refusal) as caught:
        model.predict(odd)
    if XGBOOST_KNOWS:
        assert isinstance(caught.value, InvalidArgumentError)
        assert caught.value.error_code == "BAD_REQUEST"
