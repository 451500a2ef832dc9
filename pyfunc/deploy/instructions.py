"""Commands of a shell that a user adds to a build, each one line of its Dockerfile."""

from __future__ import annotations

from collections.abc import Iterator

from pyfunc.errors import Problem, shorten

__all__ = ["find_problems_in_instructions"]


def find_problems_in_instructions(lines: object) -> Iterator[Problem]:
    """Yield what keeps ``lines`` from being the commands of a shell that a build runs."""
    if not isinstance(lines, (list, tuple)):
        yield Problem("instructions", "a list", shorten(lines))
        return
    for position, line in enumerate(lines):
        expected = _expected_of_instruction(line)
        if expected is not None:
            yield Problem(f"instructions[{position}]", expected, shorten(line))


def _expected_of_instruction(line: object) -> str | None:
    """Return what an instruction should have been, None if it is one command line.

    A line that reaches into the next would swallow what the Dockerfile says there.
    """
    if not isinstance(line, str) or not line.strip():
        return "a command"
    if len(line.splitlines()) > 1 or line.endswith(("\n", "\r")):
        return "one line; join commands with &&"
    if line.rstrip().endswith("\\"):
        return "a line that does not end with a backslash"
    return "a command without a here-document" if "<<" in line else None
