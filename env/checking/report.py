"""The differences between a model's environment and the running one, as values and as text."""

from __future__ import annotations

import contextlib
import html
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from pyfunc.errors import EnvironmentMismatchError

__all__ = [
    "Kind",
    "Mismatch",
    "Report",
    "Severity",
    "attach_report",
    "raise_mismatches",
    "warn_mismatches",
    "warn_text",
]

logger = logging.getLogger("pyfunc.env")

Kind = Literal["missing", "version", "python", "unreadable", "url", "runtime", "lock"]
Severity = Literal["breaks", "likely", "cosmetic", "info"]

_ORDER: tuple[Severity, ...] = ("breaks", "likely", "cosmetic", "info")
_MEANING: dict[Severity, str] = {
    "breaks": "loading will fail",
    "likely": "results may differ",
    "cosmetic": "hardly matters",
    "info": "for information",
}
_COLOURS: dict[Severity, str] = {
    "breaks": "\x1b[31m",
    "likely": "\x1b[33m",
    "cosmetic": "\x1b[2m",
    "info": "\x1b[2m",
}
_RESET = "\x1b[0m"
_HEADERS = ("package", "current", "required", "severity", "remark")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One line of a model's requirements that the running environment does not meet.

    Attributes:
        name: the package as the line spells it; ``python`` for the interpreter.
        required: the whole requirement, as written.
        current: the version here, None if the package is not installed.
        kind: ``missing``, ``version`` (another one is installed), ``python`` (another
            interpreter), ``unreadable`` (not a requirement), ``url`` (only the presence can be
            checked), ``runtime`` (the library that loads the model, for information only) or
            ``lock`` (installed here, unknown to the lock file).
        severity: ``breaks`` (unpickling fails), ``likely`` (results may differ), ``cosmetic``
            or ``info`` (nothing to warn of).
        remark: more about it, often empty.
    """

    name: str
    required: str
    current: str | None
    kind: Kind
    severity: Severity
    remark: str = ""

    def __str__(self) -> str:
        return f"{self.name} (current: {self.shown}, required: {self.required})"

    @property
    def shown(self) -> str:
        """The current version as it is shown: ``uninstalled`` if there is none."""
        if self.current is not None:
            return self.current
        return self.kind if self.kind in ("unreadable", "url") else "uninstalled"


@dataclass(frozen=True, slots=True)
class Report:
    """What :func:`pyfunc.env.check` found.

    Attributes:
        path: the model directory, as text.
        mismatches: all differences, in the order of the requirements.
        python_required: the Python version of the model, None if it names none.
        python_current: the running Python version.
        requirement_count: how many lines were compared.
    """

    path: str
    mismatches: tuple[Mismatch, ...]
    python_required: str | None
    python_current: str
    requirement_count: int

    @property
    def ok(self) -> bool:
        """Whether there is nothing to warn of."""
        return not self.problems

    @property
    def problems(self) -> tuple[Mismatch, ...]:
        """The mismatches that are more than information."""
        return tuple(item for item in self.mismatches if item.severity != "info")

    @property
    def severity(self) -> Severity | None:
        """The worst severity of all mismatches, None if there are none."""
        return min((m.severity for m in self.mismatches), key=_ORDER.index, default=None)

    def to_dict(self) -> dict[str, object]:
        """Return the report as plain values."""
        return {
            "path": self.path,
            "ok": self.ok,
            "python": {"required": self.python_required, "current": self.python_current},
            "requirement_count": self.requirement_count,
            "mismatches": [asdict(item) for item in self.mismatches],
        }

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(self.to_dict())

    def to_table(self, *, colour: bool = False) -> str:
        """Return the report as a table for a terminal, with ANSI colours if asked for."""
        if not self.mismatches:
            return f"{self._summary()}\n"
        rows = list(self._rows())
        widths = [max(len(row[i]) for row in (_HEADERS, *rows)) for i in range(len(_HEADERS))]
        lines = [self._summary(), _format_row(_HEADERS, widths)]
        lines.append("  ".join("-" * width for width in widths))
        for item, row in zip(self.mismatches, rows, strict=True):
            line = _format_row(row, widths)
            lines.append(f"{_COLOURS[item.severity]}{line}{_RESET}" if colour else line)
        return "\n".join(lines) + "\n"

    def __str__(self) -> str:
        return self.to_table()

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in _HEADERS)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self._rows()
        )
        summary = html.escape(self._summary())
        if not body:
            return f"<p>{summary}</p>"
        return (
            f"<table><caption>{summary}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )

    def _summary(self) -> str:
        count = len(self.problems)
        verdict = "no differences" if not count else f"{count} difference(s)"
        return f"{self.path}: {verdict} in {self.requirement_count} requirement(s)"

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for item in self.mismatches:
            remark = item.remark or _MEANING[item.severity]
            yield item.name, item.shown, item.required, item.severity, remark


def _format_row(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def as_error(report: Report) -> EnvironmentMismatchError | None:
    """Return the error that tells the problems of ``report``; None if there are none."""
    problems = report.problems
    if not problems:
        return None
    lines = ["The running environment differs from the one this model was saved in:"]
    lines += [f" - {item}" for item in problems]
    lines.append(
        "hint: install the file that pyfunc.get_model_dependencies(path) returns, or load with "
        'env="isolated"'
    )
    return EnvironmentMismatchError("\n".join(lines), problems)


def warn_text(report: Report) -> str:
    """Return the warning about ``report``, one line per problem; empty if there is none."""
    error = as_error(report)
    return "" if error is None else str(error)


def warn_mismatches(report: Report) -> None:
    """Log one WARNING about the problems of ``report``, nothing if there are none."""
    error = as_error(report)
    if error is not None:
        logger.warning("%s", error)


def attach_report(error: BaseException, report: Report) -> None:
    """Give an error of loading the report as ``environment_report``, and as a note if it helps."""
    with contextlib.suppress(AttributeError):
        error.environment_report = report  # type: ignore[attr-defined]
    text = warn_text(report)
    if text and hasattr(error, "add_note"):  # since Python 3.11
        error.add_note(text)


def raise_mismatches(report: Report) -> None:
    """Return if ``report`` has no problems.

    Raises:
        EnvironmentMismatchError: it has; ``mismatches`` lists them.
    """
    error = as_error(report)
    if error is not None:
        raise error
