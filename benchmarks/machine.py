"""What a run says of the machine and of what is installed."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.peers import ROOT
from pyfunc.version import VERSION

__all__ = ["describe_machine", "installed_versions", "today"]

SHOWN = ("mlflow", "numpy", "pandas", "scikit-learn", "orjson", "starlette", "uvicorn")


def describe_machine() -> str:
    """Return how many cores of which kind there are, and the system."""
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {_processor()}, {platform.system()}"


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    found = re.search(r"^model name\s*: (.*)$", text, flags=re.MULTILINE)
    return found[1] if found else platform.machine()


def installed_versions() -> dict[str, str]:
    """Return the versions of this library, of Python and of what the figures depend on."""
    versions = {name: importlib.metadata.version(name) for name in SHOWN}
    own = {"pyfunc": _own_version(), "Python": platform.python_version()}
    return {**own, "MLflow": versions.pop("mlflow"), **versions}


def _own_version() -> str:
    """Return the version, with the commit where git knows it."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return VERSION
    return f"{VERSION} ({done.stdout.strip()})" if done.returncode == 0 else VERSION


def today() -> str:
    """Return the day, in UTC."""
    return datetime.now(timezone.utc).date().isoformat()
