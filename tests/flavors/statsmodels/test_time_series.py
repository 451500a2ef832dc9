"""Time series of statsmodels, and what saving leaves alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pyfunc
from pyfunc.flavors import statsmodels

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(name="arima", scope="module")
def fit_a_series() -> Any:
    from statsmodels.tsa.arima.model import ARIMA

    days = pd.date_range("2020-01-01", periods=30, freq="D")
    return ARIMA(pd.Series(np.sin(np.arange(30.0)), index=days), order=(1, 0, 0)).fit()


def test_dates_are_predicted(arima: Any, tmp_path: Path) -> None:
    statsmodels.save_model(arima, tmp_path / "m")
    span = {"start": [pd.Timestamp("2020-01-20")], "end": [pd.Timestamp("2020-02-02")]}
    found = pyfunc.load_model(tmp_path / "m").predict(pd.DataFrame(span))
    pd.testing.assert_series_equal(found, arima.predict("2020-01-20", "2020-02-02"))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(pd.DataFrame({"start": [1]}), id="no-end"),
        pytest.param(pd.DataFrame({"start": [1, 2], "end": [3, 4]}), id="two-rows"),
    ],
)
def test_another_frame_is_refused(arima: Any, tmp_path: Path, data: Any) -> None:
    statsmodels.save_model(arima, tmp_path / "m")
    with pytest.raises(pyfunc.InvalidArgumentError, match="'start'"):
        pyfunc.load_model(tmp_path / "m").predict(data)


def test_the_given_results_keep_their_data(tmp_path: Path) -> None:
    import statsmodels.api as sm

    x = sm.add_constant(np.arange(5.0))
    results = sm.OLS(2 * np.arange(5.0), x).fit()
    statsmodels.save_model(results, tmp_path / "m", remove_data=True)
    assert results.model.endog is not None
    assert statsmodels.load_model(tmp_path / "m").model.endog is None
    np.testing.assert_allclose(pyfunc.load_model(tmp_path / "m").predict(x), results.predict(x))


def test_no_results_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(pyfunc.InvalidTypeError, match="statsmodels"):
        statsmodels.save_model("results", tmp_path / "m")
