"""A save works out once what several of its files and checks need."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import pyfunc
from pyfunc.schema.enforce.plan import Plan
from pyfunc.schema.wire import json_codec


@pytest.mark.parametrize("kind", ["python_model", "loader_module"])
@pytest.mark.parametrize("params", [None, {"a": 1}], ids=["plain", "with-params"])
def test_an_example_is_turned_into_json_and_its_schema_compiled_once(
    kind: str, params: dict[str, object] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pd.DataFrame({"x": [1.0], "y": ["a"]})
    signature = pyfunc.infer_signature(frame, params=params)
    counted: Counter[str] = Counter()
    table_rows, compile_plan = json_codec.table_rows, Plan.__init__

    def count_rows(*arguments: Any) -> Any:
        counted["rows"] += 1
        return table_rows(*arguments)

    def count_plans(self: Plan, *arguments: Any, **named: Any) -> None:
        counted["plans"] += 1
        compile_plan(self, *arguments, **named)

    # How often shows in nothing that a save leaves.
    monkeypatch.setattr(json_codec, "table_rows", count_rows)
    monkeypatch.setattr(Plan, "__init__", count_plans)
    model: dict[str, Any] = {kind: (lambda model_input: 1) if kind == "python_model" else "json"}
    pyfunc.save_model(
        tmp_path / "m",
        signature=signature,
        input_example=frame if params is None else (frame, params),
        pip_requirements=["pandas"],
        **model,
    )
    assert counted == {"rows": 1, "plans": 1}
    saved = pyfunc.Model.load(tmp_path / "m")
    assert saved.signature == signature
    pd.testing.assert_frame_equal(saved.load_input_example(tmp_path / "m"), frame)
