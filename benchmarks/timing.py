"""Time calls in this process by turns, so that what else the machine does falls on all of them."""

from __future__ import annotations

import gc
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import repeat

from benchmarks.results import Effort, Figure, least_figure

__all__ = ["Call", "Once", "time_calls", "time_imports"]

Call = Callable[[], object]
MOST = 10_000


@dataclass(frozen=True)
class Once:
    """A call that is timed one at a time, since ``before`` has to run before each."""

    call: Call
    before: Call


def time_calls(calls: Mapping[str, Call | Once], effort: Effort) -> dict[str, Figure]:
    """Return the least CPU and wall time that one of each of ``calls`` took in any round.

    A call that alone takes twenty times as long as a round should is timed that once.
    """
    found = {name: [_round(call, 1)] for name, call in calls.items()}
    brief = [name for name, (first,) in found.items() if (first.wall or 0) < 20 * effort.seconds]
    for _ in range(effort.rounds):
        for name in brief:
            number = _number(calls[name], least_figure(found[name]).wall, effort.seconds)
            found[name].append(_round(calls[name], number))
    return {name: least_figure(rounds) for name, rounds in found.items()}


def _number(call: Call | Once, once: float | None, seconds: float) -> int:
    return 1 if isinstance(call, Once) else max(1, min(MOST, int(seconds / (once or 1e-9))))


def _cpu_seconds() -> float:
    """Return what this process has used, with the children that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def _round(call: Call | Once, number: int) -> Figure:
    if isinstance(call, Once):
        call.before()
        call = call.call
    collecting = gc.isenabled()
    gc.disable()
    try:
        cpu, wall = _cpu_seconds(), time.perf_counter()
        for _ in repeat(None, number):
            call()
        wall, cpu = time.perf_counter() - wall, _cpu_seconds() - cpu
    finally:
        if collecting:
            gc.enable()
    return Figure(cpu / number, wall / number, number)


def time_imports(statements: Mapping[str, str], effort: Effort) -> dict[str, Figure]:
    """Return the least time that each of ``statements`` took in fresh interpreters.

    The first round warms the disk up.
    """
    found: dict[str, list[Figure]] = {name: [] for name in statements}
    for number in range(effort.rounds + 1):
        for name, statement in statements.items():
            said = subprocess.check_output([sys.executable, "-c", _IMPORT, statement], text=True)
            if number:
                cpu, wall = map(float, said.split())
                found[name].append(Figure(cpu, wall))
    return {name: least_figure(rounds) for name, rounds in found.items()}


_IMPORT = """
import sys, time
cpu, wall = time.process_time(), time.perf_counter()
exec(sys.argv[1])
print(time.process_time() - cpu, time.perf_counter() - wall)
"""
