"""``pyfunc validate`` says whether a model works where it runs, and what to do if not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pyfunc
from pyfunc.validation.report import Step, Validation

SAVE = """
import os, sys
import numpy as np
import pandas as pd
import pyfunc
{before}
class Model(pyfunc.PythonModel):
    {body}
FRAME = pd.DataFrame({{"a": [1.0, 2.0], "b": ["x", "y"]}})
pyfunc.save_model(sys.argv[1], python_model=Model(), {arguments})
"""
PREDICT = "def predict(self, context, model_input, params=None):\n        "
DOUBLE = PREDICT + "return model_input['a'] * 2"


def save(tmp_path: Path, body: str = DOUBLE, *, before: str = "", arguments: str = "") -> Path:
    """Save a model by a script of another process, so that its code comes by value."""
    script, target = tmp_path / "save.py", tmp_path / "model"
    arguments = arguments or "input_example=FRAME"
    script.write_text(SAVE.format(body=body, before=before, arguments=arguments))
    subprocess.run([sys.executable, script, target], cwd=tmp_path, check=True, timeout=120)
    return target


def validate(model: Path, *options: str, status: int = 0) -> dict[str, dict[str, Any]]:
    """Return the steps that the command tells, by name."""
    command = [sys.executable, "-m", "pyfunc", "validate", str(model), "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["ok"] is not any(step["status"] == "failed" for step in found["steps"])
    return {step["name"]: step for step in found["steps"]}


def statuses(steps: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: step["status"] for name, step in steps.items() if step["status"] != "ok"}


def test_a_model_that_works_is_asked_over_every_protocol(tmp_path: Path) -> None:
    steps = validate(save(tmp_path))
    assert statuses(steps) == {}
    assert list(steps) == [
        "files",
        "requirements",
        "differences",
        "load",
        "predict",
        "schema",
        "outside",
        "serve json",
        "serve csv",
        "serve open inference",
    ]
    assert steps["files"]["size"] > 1000
    assert steps["serve json"]["size"] == len('{"predictions": [{"a": 2.0}, {"a": 4.0}]}')
    assert all(step["seconds"] >= 0 for step in steps.values())


def test_the_table_is_for_people(tmp_path: Path) -> None:
    model = save(tmp_path, arguments="pip_requirements=['numpy']")
    command = [sys.executable, "-m", "pyfunc", "validate", str(model)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["step", "result", "seconds", "size", "what"]
    assert "of no one version: numpy" in done.stdout
    assert "pins: pin them with ==" in done.stdout
    assert "predict: save the model with input_example=" in done.stdout
    assert lines[-1] == f"{model} works"


@pytest.mark.parametrize(
    ("body", "arguments", "expected"),
    [
        pytest.param(
            DOUBLE,
            "pip_requirements=['numpy>=1']",
            {"pins": "warning", "predict": "warning", "serve": "skipped"},
            id="no-example",
        ),
        pytest.param(
            PREDICT + "return 1 / 0",
            "input_example=FRAME",
            {
                "predict": "failed",
                "serve json": "failed",
                "serve csv": "failed",
                "serve open inference": "failed",
            },
            id="fails",
        ),
        pytest.param(
            PREDICT + "return ['text']",
            "input_example=FRAME, signature=pyfunc.infer_signature(FRAME, FRAME['a'])",
            {"schema": "failed"},
            id="another-answer",
        ),
        pytest.param(
            DOUBLE,
            "input_example=FRAME, signature=False",
            {"schema": "warning"},
            id="no-signature",
        ),
        pytest.param(
            PREDICT + "return object()",
            "input_example=FRAME, signature=pyfunc.infer_signature(FRAME)",
            {
                "schema": "warning",
                "serve json": "failed",
                "serve csv": "failed",
                "serve open inference": "failed",
            },
            id="no-answer-that-a-server-can-give",
        ),
        pytest.param(
            "def load_context(self, context):\n        raise RuntimeError('broken')\n    "
            + DOUBLE,
            "input_example=FRAME",
            {"load": "failed"},
            id="cannot-be-loaded",
        ),
    ],
)
def test_what_is_missing_or_fails_is_said(
    tmp_path: Path, body: str, arguments: str, expected: dict[str, str]
) -> None:
    steps = validate(
        save(tmp_path, body, arguments=arguments), status=int("failed" in expected.values())
    )
    assert statuses(steps) == expected
    assert all(steps[name]["remedy"] for name in expected if expected[name] == "warning")


def test_warnings_count_if_they_are_to(tmp_path: Path) -> None:
    model = save(tmp_path, arguments="pip_requirements=['numpy']")
    assert "warning" in statuses(validate(model, "--strict", status=1)).values()


@pytest.mark.parametrize(
    ("example", "names"),
    [
        ("np.ones((2, 3))", ["serve json", "serve open inference"]),
        ("['a', 'b']", ["serve json", "serve open inference"]),
        ("(FRAME, {'k': 1})", ["serve json", "serve open inference"]),
        ("{'a': [1, 2]}", ["serve json", "serve open inference"]),
    ],
    ids=["tensor", "texts", "params", "dict"],
)
def test_other_examples_are_asked_as_they_can_be(
    tmp_path: Path, example: str, names: list[str]
) -> None:
    body = PREDICT + "return list(model_input)"
    steps = validate(save(tmp_path, body, arguments=f"input_example={example}"))
    assert [name for name in steps if name.startswith("serve")] == names
    assert statuses(steps) == {}


def test_a_stream_is_asked_too(tmp_path: Path) -> None:
    stream = "def predict_stream(self, context, model_input, params=None):\n        {}\n    "
    answer = PREDICT + "return list(model_input)"
    one = tmp_path / "one"
    two = tmp_path / "two"
    one.mkdir()
    two.mkdir()
    arguments = "input_example=['a', 'b']"
    good = save(one, stream.format("yield from 'ab'") + answer, arguments=arguments)
    assert validate(good)["serve stream"]["status"] == "ok"
    bad = save(two, stream.format("yield 1 / 0") + answer, arguments=arguments)
    assert statuses(validate(bad, status=1)) == {"serve stream": "failed"}


def test_files_and_modules_outside_the_model_are_named(tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text("1")
    body = PREDICT + f"open({str(data)!r}).read(); return model_input['a']"
    steps = validate(save(tmp_path, body))
    assert statuses(steps) == {"outside": "warning"}
    assert str(data) in steps["outside"]["detail"]
    assert "artifacts=" in steps["outside"]["remedy"]


def test_what_lies_in_the_working_directory_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "beside.txt").write_text("1")
    (tmp_path / "helper.py").write_text("")
    body = PREDICT + "open('beside.txt').read(); return model_input['a']"
    assert "FileNotFoundError" in validate(save(tmp_path, body), status=1)["predict"]["detail"]


def test_what_a_model_writes_itself_is_its_own(tmp_path: Path) -> None:
    body = (
        PREDICT + "import tempfile, pathlib; p = pathlib.Path(tempfile.mkdtemp()) / 'x'; "
        "p.write_text('1'); p.read_text(); return model_input['a']"
    )
    assert statuses(validate(save(tmp_path, body))) == {}


def test_a_model_that_ends_its_process_is_a_failure_with_the_steps_before_it(
    tmp_path: Path,
) -> None:
    here = str(tmp_path)
    body = PREDICT + f"os.getcwd() == {here!r} or os._exit(9); return model_input['a']"
    steps = validate(save(tmp_path, body), status=1)
    assert statuses(steps) == {"process": "failed"}
    assert steps["load"]["status"] == "ok"
    assert "status 9" in steps["process"]["detail"]


def test_a_model_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    here = str(tmp_path)
    body = (
        PREDICT
        + f"os.getcwd() == {here!r} or input() or 1\n        "
        + (f"while os.getcwd() != {here!r}: pass\n        return model_input['a']")
    )
    body = body.replace(f"os.getcwd() == {here!r} or input() or 1\n        ", "")
    steps = validate(save(tmp_path, body), "--timeout", "20", status=1)
    assert "longer than 20" in steps["process"]["detail"]


def test_files_that_were_changed_end_it_before_anything_runs(tmp_path: Path) -> None:
    model = save(tmp_path)
    (model / "requirements.txt").write_text("evil")
    steps = validate(model, status=1)
    assert statuses(steps)["files"] == "failed"
    assert "load" not in steps


def test_a_requirement_of_this_machine_alone_is_a_failure(tmp_path: Path) -> None:
    model = save(tmp_path)
    with open(model / "requirements.txt", "a") as file:
        file.write("\n# install separately: mine==1, installed from a folder of one machine")
    pyfunc.refresh(model)
    steps = validate(model, status=1)
    assert "mine==1" in steps["requirements"]["detail"]
    assert "code_paths" in steps["requirements"]["detail"] + steps["requirements"]["remedy"]


@pytest.mark.parametrize("answer", ["sample['a']", "sample['other']"])
def test_a_handler_is_tried_with_a_sample(tmp_path: Path, answer: str) -> None:
    (tmp_path / "handler.py").write_text(
        f"def pre_inference(sample, signature, metadata):\n    return {answer}\n"
    )
    body = PREDICT + "return [1.0]"
    arguments = "input_example=FRAME, handler='handler.py', project_dir='.', signature=False"
    model = save(tmp_path, body, arguments=arguments)
    (tmp_path / "sample.json").write_text('{"a": [1], "other": [2]}')
    found = validate(model)["handler"]["status"]
    assert found == ("ok" if "'a'" in answer else "warning")
    steps = validate(model, "--sample", str(tmp_path / "sample.json"))
    assert steps["handler"]["status"] == "ok"


def test_no_model_is_no_validation(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pyfunc", "validate", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 3
    assert "MLmodel" in json.loads(done.stdout)["error"]


def test_a_report_is_plain_values() -> None:
    step = Step("load", "failed", "first\nsecond", "do this", 1.5, 7)
    report = Validation("m", "local", (step,))
    assert not report.ok
    assert json.loads(report.to_json())["steps"] == [
        {
            "name": "load",
            "status": "failed",
            "detail": "first\nsecond",
            "remedy": "do this",
            "seconds": 1.5,
            "size": 7,
        }
    ]
    assert "first\nsecond" not in str(report)
    assert str(report).endswith("load: do this\nm does not work: 1 step(s) failed\n")


@pytest.mark.slow
@pytest.mark.network
def test_an_environment_is_made_and_the_server_is_tried_in_it(tmp_path: Path) -> None:
    model = save(tmp_path)
    environment = {**os.environ, "PYFUNC_ENV_ROOT": str(tmp_path / "envs")}
    command = [sys.executable, "-m", "pyfunc", "validate", str(model), "--json"]
    done = subprocess.run(
        [*command, "--env-manager", "uv"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    steps = {step["name"]: step for step in json.loads(done.stdout)["steps"]}
    assert statuses(steps) == {}
    assert steps["environment"]["size"] > 1_000_000
    assert steps["serve json"]["status"] == "ok"
