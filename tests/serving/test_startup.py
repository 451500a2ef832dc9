"""The start of a server: Python's search for cyclic garbage, and what is imported for it."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.linear_model import LinearRegression

import pyfunc
import pyfunc.flavors.sklearn
from pyfunc.serving.http.startup import collection_paused


@pytest.mark.parametrize("enabled", [True, False])
def test_collection_is_as_it_was_afterwards(enabled: bool) -> None:
    def fail() -> None:
        with collection_paused():
            assert not gc.isenabled()
            raise ValueError("stop")

    was_enabled = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(ValueError, match="stop"):
            fail()
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()


SCRIPT = """
import gc, sys, uvicorn
from pyfunc.serving import run
def look(self, sockets=None):
    print(gc.isenabled(), gc.get_freeze_count() > 10_000)
uvicorn.Server.run = look
run(sys.argv[1], port=0)
"""


def test_what_a_server_loaded_is_not_looked_at_again(tmp_path: Path) -> None:
    path = str(tmp_path / "model")
    pyfunc.save_model(path, python_model=lambda model_input: model_input, pip_requirements=[])
    command = [sys.executable, "-c", SCRIPT, path]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.split() == ["True", "True"]


IMPORTED = """
import sys
from pyfunc.serving.running import model_app
plan = {"model_path": sys.argv[1], "load_options": {}, "name": None, "settings": {}}
model_app({**plan, "routes": None})
print(*[name for name in sys.modules if name.startswith(("pyfunc.saving", "pyfunc.tracking"))])
"""


def test_a_server_imports_nothing_that_saves(tmp_path: Path) -> None:
    path = str(tmp_path / "model")
    model = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
    pyfunc.flavors.sklearn.save_model(model, path, pip_requirements=[])
    command = [sys.executable, "-c", IMPORTED, path]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.split() == []
