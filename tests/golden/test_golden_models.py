"""Models that real MLflow releases saved load here, and predict what they predicted there."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from packaging.version import Version

import pyfunc

GOLDEN = Path(__file__).parents[1] / "data" / "golden"


def _is_for_installed_sklearn(case: Path) -> bool:
    """Say whether scikit-learn here is not older than the one that pickled the estimator.

    The newest release for Python 3.10 is older than the one on 3.11 that made some models.
    """
    section = pyfunc.Model.load(case / "model").flavors.get("sklearn")
    return section is None or Version(section["sklearn_version"]) <= Version(
        version("scikit-learn")
    )


CASES = [
    path.parent
    for path in sorted(GOLDEN.glob("*/*/case.json"))
    if not path.parent.parent.name.endswith("-chat") and _is_for_installed_sklearn(path.parent)
]


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
    from pyfunc.pickles.walking import walk_pickle

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
