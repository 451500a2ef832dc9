"""The suites: each runs in a process of its own, which writes what it finds as it finds it.

``python -m benchmarks.suites NAME EFFORT FILE`` is that process. What a suite has found before it
fails, or is ended because it takes too long, is kept.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from benchmarks import peers
from benchmarks.results import Effort, Failure, Workload

__all__ = ["PEERS", "find_suites", "run_suite"]

# What a suite asks; a suite whose work is done inside of a peer's environment runs in it.
PEERS = {"serving": (peers.MLFLOW, peers.MLSERVER), "spark": (peers.SPARK,)}
INSIDE = {"spark": peers.SPARK}


def find_suites() -> list[str]:
    """Return the names of the modules beside this one that hold suites."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    return [name.removeprefix("bench_") for name in names]


def run_suite(name: str, effort: Effort, seconds: float) -> list[Workload | Failure]:
    """Return what the suite finds within ``seconds``; its last words are a failure if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder, "found.jsonl")
        found.touch()
        try:
            failure = _run(name, effort, seconds, found)
        except (OSError, RuntimeError) as error:
            failure = Failure(name, str(error))
        results = [*map(_parse, found.read_text(encoding="utf-8").splitlines())]
    return [*results, *([failure] if failure else [])]


def _run(name: str, effort: Effort, seconds: float, found: Path) -> Failure | None:
    python = str(peers.make_environment(INSIDE[name])) if name in INSIDE else sys.executable
    command = [
        python,
        "-W",
        "ignore",
        "-m",
        __name__,
        name,
        json.dumps(asdict(effort)),
        str(found),
    ]
    path = f"{os.path.dirname(python)}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        command,
        cwd=peers.ROOT,
        env={**os.environ, "PATH": path},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        return Failure(name, f"it was ended after {seconds:.0f} s")
    finally:  # with whatever it has started
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return Failure(name, f"it ended with status {status}") if status else None


def _parse(line: str) -> Workload | Failure:
    form = json.loads(line)
    return Workload.from_dict(form) if "figures" in form else Failure(**form)


def _write_found(name: str, effort: Effort, file: Path) -> None:
    with file.open("a", encoding="utf-8") as out:
        for one in _measured(name, effort):
            print(json.dumps(asdict(one)), file=out, flush=True)
            said = f"failed: {one.what}" if isinstance(one, Failure) else one.name
            print(f"{name}: {said}", file=sys.stderr, flush=True)


def _measured(name: str, effort: Effort) -> Iterator[Workload | Failure]:
    try:
        yield from importlib.import_module(f"{__package__}.bench_{name}").measure(effort)
    except Exception:  # told beside what was found before it
        yield Failure(name, traceback.format_exc(limit=-3))


if __name__ == "__main__":
    _write_found(sys.argv[1], Effort(**json.loads(sys.argv[2])), Path(sys.argv[3]))
