"""Chats that real MLflow releases saved load here, and answer what they answered there.

MLflow 3.17.2 itself loads neither those of 2.14 nor the responses agents of 2.22.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import pyfunc

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
CASES = [path.parent for path in sorted(GOLDEN.glob("*-chat/*/case.json"))]
# What MLflow refuses only because the signature cannot describe it; see docs/differences.md.
TAKEN_HERE = {"responses_agent_tools": "a tool with a name"}
SAVED_ON = "3.11"

pytestmark = pytest.mark.filterwarnings("ignore:truncation. 'odd':UserWarning")


def read_input(description: dict[str, Any]) -> Any:
    data = json.loads(json.dumps(description["data"]))
    return pd.DataFrame(data) if description["kind"] == "frame" else data


def answer_of(model: pyfunc.PyFuncModel, call: dict[str, Any]) -> Any:
    found = getattr(model, call["method"])(read_input(call["input"]))
    return list(found) if call["method"] == "predict_stream" else found


def needs_other_python(case: Path) -> bool:
    pickled = (case / "model" / "python_model.pkl").exists()
    return pickled and not platform.python_version().startswith(SAVED_ON)


def is_taken_here(case: Path, call: dict[str, Any]) -> bool:
    tools = call["input"]["data"].get("tools") or [{}]
    return case.name in TAKEN_HERE and "name" in tools[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_a_golden_chat_answers_what_its_release_answered(case: Path) -> None:
    description = json.loads((case / "case.json").read_text())
    if needs_other_python(case):
        with pytest.raises(pyfunc.IncompatiblePythonError, match=r"python_model\.pkl"):
            pyfunc.load_model(case / "model", suppress_warnings=True)
        return
    model = pyfunc.load_model(case / "model", suppress_warnings=True)
    for call in (description, *description["more"]):
        if "error" not in call:
            assert answer_of(model, call) == call["output"]["value"]
        elif is_taken_here(case, call):
            assert answer_of(model, call)
        else:
            with pytest.raises((pyfunc.PyfuncError, NotImplementedError)) as caught:
                answer_of(model, call)
            code = call["error"]["code"]
            assert code is None or getattr(caught.value, "error_code", None) == code


def test_a_golden_chat_answers_without_mlflow(tmp_path: Path) -> None:
    # In a process of its own, since others import MLflow beside this one.
    code = (
        "import sys, pyfunc\n"
        "for path in sys.argv[1:]:\n"
        "    pyfunc.load_model(path, suppress_warnings=True)\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] == 'mlflow'))\n"
    )
    paths = [str(case / "model") for case in CASES if not needs_other_python(case)]
    done = subprocess.run(
        [sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_there_are_chats_of_every_release_and_kind() -> None:
    assert {case.parent.name for case in CASES} == {
        "mlflow-2.14-chat",
        "mlflow-2.22-chat",
        "mlflow-3.17-chat",
    }
    kinds = {
        pyfunc.Model.load(case / "model").flavors["python_function"]["loader_module"]
        for case in CASES
    }
    assert len(kinds) == 4
