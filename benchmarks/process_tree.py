"""What a process and all below it have used, as Linux tells it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["cpu_seconds", "find_processes", "resident_bytes"]

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(root: int) -> float:
    """Return the CPU seconds of the tree below ``root``, those that have ended included."""
    return sum(_own_seconds(pid) + ended for pid, ended in _tree(root))


def resident_bytes(root: int) -> int:
    """Return the memory of the tree, with what several processes share counted once."""
    return sum(_proportional_bytes(pid) for pid, _ in _tree(root))


def find_processes(root: int) -> list[int]:
    """Return the ids of the tree: the root and all below it."""
    return [pid for pid, _ in _tree(root)]


def _tree(root: int) -> Iterator[tuple[int, float]]:
    """Yield each process of the tree with the seconds of its children that have ended."""
    parents: dict[int, int] = {}
    ended: dict[int, float] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="latin-1").rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        pid = int(path.parent.name)
        parents[pid], ended[pid] = int(fields[1]), (int(fields[13]) + int(fields[14])) / TICK
    below = {root}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    return ((pid, ended[pid]) for pid in below if pid in ended)


def _own_seconds(pid: int) -> float:
    """Return the seconds of all threads of a process, by its own clock: to the nanosecond."""
    try:
        return time.clock_gettime((~pid << 3) | 2)  # the clock id that clock_getcpuclockid makes
    except OSError:
        return 0.0


def _proportional_bytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    found = re.search(r"^Pss:\s+(\d+) kB", text, flags=re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
