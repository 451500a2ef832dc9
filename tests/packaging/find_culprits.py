"""Run the tests; of those that fail, say with which dependency's locked version they pass.

For an environment that has left the lock, as the nox sessions ``newest`` and ``lowest`` make
them: ``python tests/packaging/find_culprits.py [arguments of pytest]``.
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

LOCK = Path(__file__).resolve().parents[2] / "requirements" / "dev.txt"


class Moved(NamedTuple):
    """A distribution that is not here in the version of the lock."""

    name: str
    here: str
    locked: str

    def __str__(self) -> str:
        return f"{self.name} {self.here} (locked: {self.locked})"


def read_lock() -> dict[str, str]:
    """Return the locked version of each distribution that this Python gets, by name."""
    lines = (line.rstrip(" \\\n") for line in LOCK.open(encoding="utf-8"))
    requirements = [Requirement(line) for line in lines if line[:1].isalnum()]
    return {
        found.name: str(found.specifier).removeprefix("==")
        for found in requirements
        if found.marker is None or found.marker.evaluate()
    }


def find_moved() -> Iterator[Moved]:
    """Yield what is installed in another version than that of the lock."""
    for name, locked in read_lock().items():
        try:
            here = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if here != locked:
            yield Moved(name, here, locked)


def run_tests(cache: Path, *arguments: str) -> set[str]:
    """Run pytest; return the ids of the tests that failed, which ``cache`` remembers."""
    command = [sys.executable, "-m", "pytest", "-q", "-o", f"cache_dir={cache}", *arguments]
    code = subprocess.run(command, check=False).returncode
    if code not in (0, 1):
        sys.exit(f"pytest could not run the tests (exit {code}); moved are: {describe_moved()}")
    remembered = cache / "v" / "cache" / "lastfailed"
    return set(json.loads(remembered.read_text())) if code else set()


def describe_moved() -> str:
    """Return all that has left the lock, as one text."""
    return ", ".join(map(str, find_moved())) or "none, everything is as in the lock"


def pin(name: str, version: str) -> None:
    """Put that version in the place of the one that is installed."""
    requirement = f"{name}=={version}"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", requirement]
    subprocess.run(command, check=True)


def find_culprits(failed: set[str], cache: Path) -> Iterator[str]:
    """Yield one line for each dependency whose locked version heals some of ``failed``.

    Each goes back to its locked version alone, and returns after the run.
    """
    for moved in list(find_moved()):
        print(f"\n== trying {moved.name} {moved.locked}", flush=True)
        pin(moved.name, moved.locked)
        healed = failed - run_tests(cache / moved.name, "--tb=no", *sorted(failed))
        pin(moved.name, moved.here)
        if healed:
            yield f"{moved} breaks: {', '.join(sorted(healed))}"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        failed = run_tests(Path(folder, "all"), *sys.argv[1:])
        if not failed:
            return
        lines = list(find_culprits(failed, Path(folder)))
    print("\n== moved: ", describe_moved())
    print("\n".join(lines) or "No dependency alone heals a test that failed.")
    sys.exit(1)


if __name__ == "__main__":
    main()
