"""What only a run can show is observed in a child process (env/observed_run.py)."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import pyfunc
from pyfunc.env import infer_requirements
from pyfunc.env.inference.observed_run import observe_modules
from pyfunc.env.installed.distributions import installed_version
from pyfunc.errors import ModelIncompleteError

SCRIPT = """
import pyfunc

class Model(pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        import importlib
        name = "ya" + "ml"
        importlib.import_module(name)
        __import__("packaging" + ".version")
        model_input.to_parquet("/dev/null")
        raise ValueError("after the imports")

pyfunc.set_model(Model())
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "script.py").write_text(SCRIPT)
    example = pd.DataFrame({"x": [1.0]})
    pyfunc.save_model(
        tmp_path / "model",
        python_model=tmp_path / "script.py",
        signature=pyfunc.infer_signature(example),
        pip_requirements=[],
    )
    # An example that nothing was predicted from: the model fails on purpose.
    example_file = {"columns": ["x"], "data": [[1.0]]}
    import json

    (tmp_path / "model" / "input_example.json").write_text(json.dumps(example_file))
    text = (tmp_path / "model" / "MLmodel").read_text()
    info = "saved_input_example_info:\n  artifact_path: input_example.json\n"
    info += "  pandas_orient: split\n  type: dataframe\n"
    (tmp_path / "model" / "MLmodel").write_text(text + info)
    for file in (tmp_path / "model" / ".pyfunc").iterdir():
        file.unlink()
    (tmp_path / "model" / ".pyfunc").rmdir()
    return tmp_path / "model"


def test_imports_that_no_source_shows_are_seen(model: Path) -> None:
    names = ("packaging", "pyarrow", "pyyaml")
    pins = [f"{name}=={installed_version(name)}" for name in names]
    assert not set(pins) & set(infer_requirements(model))
    found = infer_requirements(model, run=True)
    assert set(pins) <= set(found)
    assert not any(line.startswith(("pytest", "coverage", "pyfunc")) for line in found)


def test_a_model_that_cannot_be_loaded_is_an_error_with_its_output(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {}\n")
    with pytest.raises(ModelIncompleteError, match="python_function"):
        observe_modules(tmp_path)


def test_a_model_that_never_ends_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(command: Any, **options: Any) -> None:
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", never)
    with pytest.raises(ModelIncompleteError, match=r"longer than 0\.5 seconds"):
        observe_modules(tmp_path, timeout=0.5)
