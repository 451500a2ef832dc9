"""The tests have the same names in every process, and say so when they need a network."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


def collect(config: pytest.Config, **environment: str) -> set[str]:
    """Return the ids that another process finds for the arguments of this run."""
    libraries = f"--libraries={config.getoption('libraries')}"
    browser = ["--browser"] if config.getoption("browser") else []
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, libraries, *browser, *config.args],
        cwd=config.invocation_params.dir,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return set(done.stdout.splitlines())


def test_an_id_is_the_same_in_every_process(request: pytest.FixtureRequest) -> None:
    """An id made of a hash, an address, a set's order or the time differs by process.

    Runs of several processes refuse such tests, but only where their clocks or seeds differ;
    the process that is asked here has another seed and starts later.
    """
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    here = {item.nodeid for item in request.session.items}
    assert here - collect(request.config, PYTHONHASHSEED=seed) == set()
