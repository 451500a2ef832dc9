"""What a model imports by a name in text, or only as it is tried, is among its requirements."""

from __future__ import annotations

import builtins
import importlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pyfunc.env import infer_requirements
from pyfunc.env.inference.observing import ImportObserver, is_asked_for

Install = Callable[..., Path]


SAVE = """
import builtins, importlib, sys
from importlib import import_module as fetch
import pyfunc

def ask(model_input):
    {body}

class Model(pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        {body}

example = {example}
pyfunc.save_model(sys.argv[1], python_model=Model(), input_example=example)
"""
FOUND_IN_THE_CODE = {
    "by-attribute": 'return importlib.import_module("late_engine").answer',
    "by-builtin": 'return __import__("late_engine.part").answer',
    "by-attribute-of-builtins": 'return builtins.__import__("late_engine").answer',
    "by-another-name": 'return fetch(name="late_engine").answer',
    "by-a-local-name": "from importlib import import_module as f; return f('late_engine').answer",
}
COMPUTED = 'return importlib.import_module("_".join(["late", "engine"])).answer'


@pytest.fixture
def engine(site: Install) -> Path:
    folder = site("the-engine", "2.5", files=["late_engine/__init__.py", "late_engine/part.py"])
    (folder / "late_engine" / "__init__.py").write_text("answer = [1]\n")
    return folder


def saved_lines(tmp_path: Path, engine: Path, body: str, example: str = "None") -> list[str]:
    """Return what a model requires that a script of another process saves by value."""
    script, target = tmp_path / "save.py", tmp_path / "model"
    script.write_text(SAVE.format(body=body, example=example))
    environment = {**os.environ, "PYTHONPATH": str(engine)}
    subprocess.run([sys.executable, script, target], env=environment, check=True, timeout=120)
    return (target / "requirements.txt").read_text().split("\n")


@pytest.mark.parametrize("body", FOUND_IN_THE_CODE.values(), ids=FOUND_IN_THE_CODE.keys())
def test_a_module_named_by_text_is_found_in_the_code(
    engine: Path, tmp_path: Path, body: str
) -> None:
    assert "the-engine==2.5" in saved_lines(tmp_path, engine, body)
    assert "the-engine==2.5" in infer_requirements(tmp_path / "model")


def test_text_that_is_no_import_names_nothing(engine: Path, tmp_path: Path) -> None:
    lines = saved_lines(tmp_path, engine, 'return ["late_engine"]')
    assert not [line for line in lines if line.startswith("the-engine")]


@pytest.mark.parametrize("end", ["", " + 1 / 0"], ids=["answers", "fails"])
def test_what_the_trial_of_the_example_imports_is_required(
    engine: Path, tmp_path: Path, end: str
) -> None:
    assert "the-engine==2.5" in saved_lines(tmp_path, engine, COMPUTED + end, "['x']")


def test_without_an_example_nothing_is_tried(engine: Path, tmp_path: Path) -> None:
    assert "the-engine==2.5" not in saved_lines(tmp_path, engine, COMPUTED)


def test_helpers_that_a_library_tries_when_it_loads_are_not_required(
    site: Install, engine: Path, tmp_path: Path
) -> None:
    site("the-helper", files=["handy_helper.py"])
    (engine / "late_engine" / "__init__.py").write_text(
        "answer = [1]\ntry:\n    import handy_helper\nexcept ImportError:\n    pass\n"
    )
    lines = saved_lines(tmp_path, engine, COMPUTED, "['x']")
    assert "the-engine==2.5" in lines
    assert "the-helper==1.0" not in lines


def test_observers_see_what_runs_while_they_are_entered_and_leave_nothing_behind() -> None:
    before = builtins.__import__, importlib.import_module
    inside, leave = threading.Event(), threading.Event()
    other = ImportObserver(is_asked_for)

    def observe() -> None:
        with other:
            inside.set()
            assert leave.wait(60)

    thread = threading.Thread(target=observe)
    with ImportObserver(is_asked_for) as observer:
        thread.start()
        assert inside.wait(60)
        importlib.import_module("json.tool")
        with pytest.raises(ImportError):
            importlib.import_module("surely_not_there")
    leave.set()
    thread.join()
    import colorsys

    assert "json.tool" in observer.seen
    assert "surely_not_there" not in observer.seen
    assert "json.tool" in other.seen
    assert "colorsys" not in observer.seen
    assert colorsys.__name__
    assert (builtins.__import__, importlib.import_module) == before
