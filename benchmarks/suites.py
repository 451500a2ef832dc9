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
        found, log = Path(folder, "found.jsonl"), Path(folder, "log")
        found.touch()
        try:
            why = _run(name, effort, seconds, found, log)
        except (OSError, RuntimeError) as error:
            why = str(error)
        results = [*map(_parse, found.read_text(encoding="utf-8").splitlines())]
        if why:
            results.append(Failure(name, why).shortened())
        if log.exists() and any(isinstance(one, Failure) for one in results):
            print(log.read_text(encoding="utf-8", errors="replace")[-5000:], file=sys.stderr)
    return results


def _run(name: str, effort: Effort, seconds: float, found: Path, log: Path) -> str:
    """Run the suite; return why it failed, or nothing."""
    python = str(peers.make_environment(INSIDE[name])) if name in INSIDE else sys.executable
    words = ["-W", "ignore", "-m", __name__, name, json.dumps(asdict(effort)), str(found)]
    path = f"{os.path.dirname(python)}{os.pathsep}{os.environ['PATH']}"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [python, *words],
            cwd=peers.ROOT,
            env={**os.environ, "PATH": path},
            stdout=2,  # the names of what is done, as it is done
            stderr=said,
            start_new_session=True,
        )
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            return f"it was ended after {seconds:.0f} s"
        finally:  # with whatever it has started
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if not status:
        return ""
    return f"it ended with status {status}: {log.read_text(encoding='utf-8', errors='replace')}"


def _parse(line: str) -> Workload | Failure:
    form = json.loads(line)
    return Workload.from_dict(form) if "figures" in form else Failure(**form)


def _write_found(name: str, effort: Effort, file: Path) -> None:
    with file.open("a", encoding="utf-8") as out:
        for one in _measured(name, effort):
            said = one.name if isinstance(one, Workload) else f"failed: {one.what}"
            print(f"{name}: {said}", flush=True)
            if isinstance(one, Failure):  # whole in the log, and short in what is shown
                print(f"{one.what}: {one.why}", file=sys.stderr, flush=True)
            shown = one.shortened() if isinstance(one, Failure) else one
            print(json.dumps(asdict(shown)), file=out, flush=True)


def _measured(name: str, effort: Effort) -> Iterator[Workload | Failure]:
    try:
        yield from importlib.import_module(f"{__package__}.bench_{name}").measure(effort)
    except Exception:  # told beside what was found before it
        yield Failure(name, traceback.format_exc())


if __name__ == "__main__":
    _write_found(sys.argv[1], Effort(**json.loads(sys.argv[2])), Path(sys.argv[3]))
