"""Calls take turns, as often as the effort says, each prepared where it has to be."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from benchmarks.results import Effort
from benchmarks.timing import Once, time_calls, time_imports


def test_calls_take_turns() -> None:
    order: list[str] = []
    calls = {name: Once(partial(order.append, name), lambda: None) for name in "ab"}
    time_calls(calls, Effort(rounds=3, seconds=1.0))
    assert "".join(order) == "abababab"


def test_what_has_to_be_prepared_is_prepared_before_each(tmp_path: Path) -> None:
    made = tmp_path / "made"
    before: list[bool] = []

    def prepare() -> None:
        before.append(made.exists())
        if made.exists():
            made.rmdir()

    time_calls({"make": Once(made.mkdir, prepare)}, Effort(rounds=2, seconds=1.0))
    assert before == [False, True, True]
    assert made.exists()


def test_a_call_that_takes_too_long_for_rounds_is_made_once() -> None:
    calls: list[int] = []

    def spin() -> None:
        calls.append(1)
        end = time.process_time() + 0.02
        while time.process_time() < end:
            pass

    found = time_calls({"spin": spin}, Effort(rounds=5, seconds=0.0005))["spin"]
    assert len(calls) == 1
    assert found.cpu is not None
    assert found.cpu >= 0.02
    assert found.wall is not None
    assert found.wall >= 0.02


def test_the_processes_that_a_call_starts_count() -> None:
    code = "import time\nwhile time.process_time() < 0.2: pass"
    run = {"run": lambda: subprocess.run([sys.executable, "-c", code], check=True)}
    assert (time_calls(run, Effort(0, 0))["run"].cpu or 0) >= 0.2


def test_imports_are_timed_in_fresh_interpreters() -> None:
    found = time_imports({"none": "pass", "one": "import json"}, Effort(1))
    assert all(figure.cpu and figure.wall for figure in found.values())
