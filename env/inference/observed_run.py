"""Observes in a child process which modules loading and one prediction import.

What loads and runs a model stands above this package, so the child is named, not imported.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from pyfunc.errors import ModelIncompleteError

__all__ = ["OBSERVER_MODULE", "observe_modules"]

OBSERVER_MODULE = "pyfunc.loading.observer"
_SHOWN_OUTPUT = 2000


def observe_modules(directory: Path, *, timeout: float | None = 120.0) -> set[str]:
    """Return the modules that loading the model and predicting its saved example import.

    The model's code runs, in a child of the same interpreter with the same ``sys.path``.

    Raises:
        ModelIncompleteError: the child fails or takes longer than ``timeout`` seconds; its
            last output is in the message.
    """
    with tempfile.TemporaryDirectory(prefix="pyfunc-observe-") as folder:
        result = Path(folder, "modules.json")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p or "." for p in sys.path)}
        command = [sys.executable, "-m", OBSERVER_MODULE, str(directory.absolute()), str(result)]
        try:
            done = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ModelIncompleteError(
                f"observing a prediction took longer than {timeout} seconds", path=directory
            ) from error
        if done.returncode or not result.is_file():
            output = done.stdout.decode("utf-8", "replace")[-_SHOWN_OUTPUT:]
            raise ModelIncompleteError(
                f"observing a prediction failed with exit status {done.returncode}:\n{output}",
                path=directory,
            )
        return set(json.loads(result.read_text(encoding="utf-8")))
