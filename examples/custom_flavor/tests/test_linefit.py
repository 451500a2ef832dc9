"""Lines are saved, found by their type, and loaded; run with linefit installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from linefit import Line

import pyfunc
import pyfunc.flavors

X = np.array([0.0, 1.0, 2.0, 10.0])


@pytest.fixture(name="saved")
def save_a_line(tmp_path: Path) -> Path:
    line = Line.fit(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0]))
    pyfunc.flavors.save(line, tmp_path / "model", input_example=X)
    return tmp_path / "model"


def test_a_saved_line_predicts(saved: Path) -> None:
    np.testing.assert_allclose(pyfunc.load_model(saved).predict(X), 2 * X + 1)


def test_the_line_itself_comes_back(saved: Path) -> None:
    found = pyfunc.flavors.find_flavor("linefit").load_model(saved)
    assert found.slope == pytest.approx(2)
    assert pyfunc.load_model(saved).get_raw_model() == found


def test_the_flavor_is_known_by_its_entry_point(saved: Path) -> None:
    assert "linefit" in pyfunc.flavors.known_flavors()
    described = pyfunc.flavors.describe(pyfunc.inspect(saved).flavors, [])
    assert described["linefit"].is_pickle_free


def test_the_model_needs_linefit(saved: Path) -> None:
    assert "linefit" in (saved / "requirements.txt").read_text(encoding="utf-8")
