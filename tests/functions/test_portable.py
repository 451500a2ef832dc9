"""Functions on a system that has no more than Windows: what works there, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.functions.conftest import HERE

POORER = Path(__file__).parents[1] / "portable"

SCRIPT = """
import importlib, pkgutil, sys
import pyfunc.functions as dh
from pyfunc.errors import InvalidArgumentError

for found in pkgutil.walk_packages(dh.__path__, "pyfunc.functions."):
    importlib.import_module(found.name)
root, here = sys.argv[1:]
project = dh.get_or_create_project("demo", root=root)
function = project.new_function(
    "f", code="def f(x): return {'x': x}, x + 1", handler="f", python_version=here
)
run = function.run(parameters={"x": 1}, cache=True)
assert run.result("output_1") == 2
assert run.output("output_0").as_object() == {"x": 1}
assert function.run(parameters={"x": 1}, cache=True).status.cached_from == run.key
project.new_secret("s", "hush")
assert [one.status.state for one in project.list_runs()] == ["COMPLETED"] * 2
refused = [
    {"wait": False}, {"timeout": 5}, {"envs": [{"name": "A", "value": "b"}]}, {"secrets": ["s"]},
    {"env": "isolated"}, {"action": "serve"},
]
for arguments in refused:
    try:
        function.run(**arguments)
    except InvalidArgumentError as error:
        assert "on Linux and macOS only" in str(error), error
    else:
        raise AssertionError(arguments)
assert len(project.list_runs()) == 2
print("done")
"""


def test_jobs_run_in_this_process_and_nothing_else_does(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "store"), HERE],
        env={"PYTHONPATH": str(POORER), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr
