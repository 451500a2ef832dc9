"""Refuses pickles that import anything but names which the caller listed one by one.

The list is applied twice: to what a walk over the opcodes finds before anything is loaded, and
to what the unpickler asks for. It says nothing about code that comes by value, which is always
refused: benign and hostile functions import the same names.

What may be listed is known to hold data (:mod:`pyfunc.pickles.known_data`). A list of what may not
would never be complete: any module may have a function that runs its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, UntrustedModelError, shorten
from pyfunc.pickles.known_data import (
    BASE_GLOBALS,
    find_problem_of_global,
    is_of_the_standard_library,
)
from pyfunc.pickles.report import PickleReport
from pyfunc.pickles.walking import map_global, walk_pickle

__all__ = ["BASE_GLOBALS", "Allowlist", "PickleVerdict", "VerdictWord", "record_globals"]

VerdictWord = Literal["only-allowlisted-globals", "contains-code", "refused"]
Global = tuple[str, str]


@dataclass(frozen=True, slots=True)
class PickleVerdict:
    """What an allowlist says about a pickle; never that it is safe.

    Attributes:
        word: ``only-allowlisted-globals``, ``contains-code`` or ``refused``.
        reasons: why it is not the first; empty otherwise.
    """

    word: VerdictWord
    reasons: tuple[str, ...] = ()


class Allowlist:
    """Names that a pickle may import, each an exact ``(module, name)``.

    Attributes:
        names: all of them.
        dangerous: those that run as the pickle says, because the caller wants it so.
    """

    def __init__(
        self, names: Iterable[str | Global], dangerous: Iterable[str | Global] = ()
    ) -> None:
        """Take names as ``module.name`` or ``(module, name)``.

        A module outside the standard library that is named in ``names`` is imported.

        Raises:
            InvalidTypeError: an entry is neither.
            InvalidArgumentError: an entry has dots in its name, or one of ``names`` is not known
                to hold data only, such as ``builtins.eval`` or ``yaml.unsafe_load``.
        """
        self.dangerous: frozenset[Global] = frozenset(map(_parse_name, dangerous))
        self.names: frozenset[Global] = self.dangerous | set(map(_parse_data_name, names))

    def judge(self, report: PickleReport) -> PickleVerdict:
        """Return the verdict over a pickle that has been walked."""
        reasons = [str(problem) for problem in report.problems]
        reasons += [
            f"the import of {module}.{name} is not allowed"
            for module, name in report.globals
            if (module, name) not in self.names
        ]
        if report.has_code:
            return PickleVerdict(
                "contains-code", ("contains code by value, which cannot be judged", *reasons)
            )
        if reasons:
            return PickleVerdict("refused", tuple(reasons))
        return PickleVerdict("only-allowlisted-globals")

    def check(self, data: bytes, *, path: Path | str) -> PickleReport:
        """Return the report of the pickle ``data`` if it imports allowed names only.

        Raises:
            UntrustedModelError: it imports another name, contains code by value, or could not
                be followed to its end; ``path`` is named.
        """
        report = walk_pickle(data)
        verdict = self.judge(report)
        if verdict.word != "only-allowlisted-globals":
            raise UntrustedModelError(_render(path, verdict))
        return report

    def guard(self, find_class: Callable[[str, str], Any]) -> Callable[[str, str], Any]:
        """Return ``find_class`` of an unpickler, restricted to the allowed names.

        What comes back raises :class:`UntrustedModelError` for any other name.
        """

        def find_allowed_class(module: str, name: str) -> Any:
            # An old protocol asks for the Python 2 name, and gets the mapped one.
            asked = {(module, name), map_global(module, name, 2)}
            if not asked & self.names or "." in name:
                raise UntrustedModelError(f"the import of {module}.{name} is not allowed")
            return find_class(module, name)

        return find_allowed_class


def record_globals(data: bytes) -> tuple[str, ...]:
    """Return the names that the pickle ``data`` imports, for an :class:`Allowlist`.

    For pickles that are known to be good: what this returns lets them load, given as
    ``dangerously_allowed_globals`` where it is more than names that hold data.

    Raises:
        UntrustedModelError: the pickle should have no list: it contains code by value, imports
            something of Python itself that does not hold data, or could not be followed to its
            end.
    """
    report = walk_pickle(data)
    # Nothing is imported for a name that only a pickle says, so it is not asked what it is.
    beyond = [
        name
        for name in report.globals
        if is_of_the_standard_library(name[0]) and find_problem_of_global(*name)
    ]
    listed = [] if report.has_code else [name for name in report.globals if name not in beyond]
    verdict = Allowlist((), dangerous=[name for name in listed if "." not in name[1]]).judge(
        report
    )
    if verdict.word != "only-allowlisted-globals":
        raise UntrustedModelError(_render("the pickle", verdict))
    return tuple(f"{module}.{name}" for module, name in report.globals)


def _render(path: Path | str, verdict: PickleVerdict) -> str:
    shown = [f"  - {reason}" for reason in verdict.reasons[:20]]
    if len(verdict.reasons) > 20:
        shown.append(f"  - ... and {len(verdict.reasons) - 20} more")
    return "\n".join([f"{path}: not loaded, since it is not allowed by the list", *shown])


def _parse_name(entry: object) -> Global:
    if isinstance(entry, str):
        module, _, name = entry.rpartition(".")
    elif isinstance(entry, tuple) and len(entry) == 2 and all(isinstance(e, str) for e in entry):
        module, name = entry
    else:
        raise InvalidTypeError(
            f"allowlist: expected 'module.name' or (module, name), got {shorten(entry)}"
        )
    if not module or not name or "." in name:
        raise InvalidArgumentError(
            f"allowlist: expected a module and a name without dots, got {shorten(entry)}"
        )
    return module, name


def _parse_data_name(entry: object) -> Global:
    module, name = _parse_name(entry)
    problem = find_problem_of_global(module, name)
    if problem is not None:
        raise InvalidArgumentError(
            f"allowlist: {module}.{name} is not known to hold data only: {problem}\n"
            "hint: dangerously_allowed_globals takes any name, and lets it run whatever its "
            "arguments say"
        )
    return module, name
