"""Says what a pickle would import and call, by walking its opcodes; nothing is ever run.

The walk follows the unpickler's stack and memo with stand-ins for values: text, tuples and
imported names are kept, everything else is opaque. What it cannot follow becomes a problem of
the report, so that a policy can refuse what was not understood.
"""

from __future__ import annotations

from pyfunc.pickles.machine import MAX_OPCODES, Machine, map_global
from pyfunc.pickles.report import PickleProblem, PickleReport, ProblemKind

__all__ = ["PickleProblem", "PickleReport", "ProblemKind", "map_global", "walk_pickle"]


def walk_pickle(
    data: bytes | bytearray | memoryview, *, max_opcodes: int = MAX_OPCODES
) -> PickleReport:
    """Return what unpickling ``data`` would import and call; nothing is imported or run.

    Large payloads are skipped, not copied. Never raises for any bytes: what is wrong with
    them is in ``problems``.
    """
    machine = Machine(bytes(data), max_opcodes)
    machine.run()
    return machine.report()
