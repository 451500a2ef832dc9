"""Models that real MLflow releases saved load here, and predict what they predicted there."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pyfunc

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
CASES = sorted(path.parent for path in GOLDEN.glob("*/*/case.json"))


def read_input(description: dict[str, Any]) -> Any:
    kind, data = description["kind"], description["data"]
    if kind == "frame":
        return pd.DataFrame(data).astype(description.get("dtypes", {}))
    if kind == "array":
        return np.array(data, dtype=description["dtype"])
    if kind == "arrays":
        return {name: np.array(part["data"], dtype=part["dtype"]) for name, part in data.items()}
    return data


def assert_output(found: Any, expected: dict[str, Any]) -> None:
    if "frame" in expected:
        frame = pd.DataFrame(**expected["frame"])
        pd.testing.assert_frame_equal(found, frame, check_dtype=False)
    elif "series" in expected:
        assert list(found) == pytest.approx(expected["series"])
    elif "array" in expected:
        assert found.dtype == expected["dtype"]
        np.testing.assert_allclose(found, np.array(expected["array"]))
    else:
        assert found == expected["value"]


def needs_other_python(case: Path, description: dict[str, Any]) -> bool:
    """Say whether the pickle holds code of a Python other than the running one."""
    from pyfunc.pickle_globals import walk_pickle

    minor = ".".join(description["python"].split(".")[:2])
    if minor == f"{sys.version_info[0]}.{sys.version_info[1]}":
        return False
    pickle = case / "model" / "python_model.pkl"
    return pickle.exists() and walk_pickle(pickle.read_bytes()).has_code


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_a_golden_model_predicts_what_its_release_predicted(case: Path) -> None:
    description = json.loads((case / "case.json").read_text())
    if needs_other_python(case, description):
        with pytest.raises(pyfunc.IncompatiblePythonError, match=r"python_model\.pkl"):
            pyfunc.load_model(case / "model", suppress_warnings=True)
        return
    model = pyfunc.load_model(case / "model", suppress_warnings=True)
    found = model.predict(read_input(description["input"]), params=description["params"])
    assert_output(found, description["output"])


def test_there_are_golden_models_of_every_release() -> None:
    releases = {case.parent.name for case in CASES}
    assert releases == {"mlflow-1.30", "mlflow-2.14", "mlflow-3.17"}
