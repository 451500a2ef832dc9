"""Millions of rows of CSV through ``pyfunc predict``, with pyarrow and without it.

The floor is a script that reads the file by pandas, calls the same function and writes what comes
of it by pandas. Figures are of one row, of whole processes: imports and the model's loading count,
but not the compiling of this clone's files, which an installed library has behind it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cloudpickle
import numpy as np
import pandas as pd

import pyfunc
from benchmarks.peers import ROOT
from benchmarks.results import OURS, Effort, Figure, Goal, Workload, least_figure

__all__ = ["measure"]

ROWS, COLUMNS = 10_000_000, [f"c{number}" for number in range(10)]
WITHOUT, FLOOR, LIMIT = "without", "pandas", "at most"
PREDICT = """
import sys
if sys.argv.pop(1) == "without":
    sys.modules["pyarrow"] = None
from pyfunc.cli import main
sys.argv = ["pyfunc", "predict", sys.argv[1], "-i", sys.argv[2], "-o", sys.argv[3]]
main()
"""
SCRIPT = """
import sys
import cloudpickle
import pandas as pd
with open(sys.argv[1], "rb") as file:
    predict = cloudpickle.load(file)
predict(pd.read_csv(sys.argv[2])).to_csv(sys.argv[3], index=False)
"""
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def combine(frame: pd.DataFrame) -> pd.Series[float]:
    """The model: next to nothing, so that reading and writing are what is measured."""
    total = frame["c0"] * 0.5
    for name in COLUMNS[1:]:
        total = total + frame[name]
    return total


def measure(effort: Effort) -> Iterator[Workload]:
    """Yield the CPU and the memory of the same file, predicted by all ways."""
    with tempfile.TemporaryDirectory() as folder:
        rows = effort.of(ROWS)
        with ProcessPoolExecutor(1, get_context("spawn")) as other:
            # Linux counts the most memory that a process ever had as that of those it starts.
            commands = other.submit(_prepare, Path(folder), rows).result()
        found: dict[str, list[Figure]] = {name: [] for name in commands}
        for _ in range(max(1, effort.rounds // 2)):
            for name, command in commands.items():
                found[name].append(_run([*command, str(Path(folder, "out.csv"))], rows))
        figures = {name: least_figure(rounds) for name, rounds in found.items()}
    for name, way, most in (
        (f"predict {rows:,} rows of CSV, each", OURS, 0.7),
        ("the same without pyarrow", WITHOUT, 1.0),
    ):
        beside = {FLOOR: figures[FLOOR], LIMIT: Figure(memory=350 * 2**20)}
        goals = (Goal(FLOOR, most), Goal(LIMIT, 1.0, "memory"))
        yield Workload(name, {OURS: figures[way], **beside}, FLOOR, goals, rate=True)


def _prepare(folder: Path, rows: int) -> dict[str, list[str]]:
    """Write the file and the model; return the commands, each but for where it writes."""
    cells = np.random.default_rng(0).normal(size=(rows, len(COLUMNS)))
    frame = pd.DataFrame(cells, columns=COLUMNS)
    frame.to_csv(folder / "in.csv", index=False)
    pyfunc.save_model(
        folder / "model",
        python_model=combine,
        signature=pyfunc.infer_signature(frame.head(10)),
        pip_requirements=["pandas"],
    )
    (folder / "function.pkl").write_bytes(cloudpickle.dumps(combine))
    model, table = str(folder / "model"), str(folder / "in.csv")
    return {
        OURS: [sys.executable, "-c", PREDICT, "with", model, table],
        WITHOUT: [sys.executable, "-c", PREDICT, "without", model, table],
        FLOOR: [sys.executable, "-c", SCRIPT, str(folder / "function.pkl"), table],
    }


def _run(command: list[str], rows: int) -> Figure:
    """Run the command; a row less or more in what it writes is an error."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall, process.returncode = time.perf_counter() - begin, os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[3:]} ended with status {process.returncode}")
    with open(command[-1], "rb") as file:
        written = sum(1 for _ in file) - 1
    os.unlink(command[-1])
    if written != rows:
        raise RuntimeError(f"{command[3:]} wrote {written:,} of {rows:,} rows")
    cpu = used.ru_utime + used.ru_stime
    return Figure(cpu / rows, wall / rows, rows, memory=used.ru_maxrss * 1024)
