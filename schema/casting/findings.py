"""The problems found while data is checked against a schema, and the error that lists them."""

from __future__ import annotations

import os

from pyfunc.errors import INTERNAL_ERROR, INVALID_PARAMETER_VALUE, Problem, SchemaError

__all__ = ["Findings", "Misfit", "as_predict_error", "details_are_hidden", "name_type"]

_MAX_HINTS = 3


class Misfit(Exception):  # noqa: N818 - never leaves the package
    """A value or column does not fit; whoever knows the path turns it into a problem.

    Attributes:
        got: what the data has.
        row: position of the first offending row, or None when all rows are concerned.
        hint: what the caller can do, or an empty text.
    """

    def __init__(self, got: str, row: int | None = None, hint: str = "") -> None:
        super().__init__(got, row, hint)
        self.got = got
        self.row = row
        self.hint = hint


class Findings:
    """Collects problems; the same problem in many rows counts once, with the row added first."""

    __slots__ = ("_code", "_found", "_hints")

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], int | None] = {}
        self._hints: dict[str, None] = {}
        self._code: str | None = None

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(
        self,
        path: str,
        expected: str,
        got: str,
        *,
        row: int | None = None,
        hint: str = "",
        code: str = INTERNAL_ERROR,
    ) -> None:
        """Add one problem; ``code`` counts if this is the first problem of all.

        MLflow stops at its first problem, so the code of the first is the code it has.
        """
        key = (path, expected, got)
        self._found.setdefault(key, row)
        if hint:
            self._hints.setdefault(hint)
        if self._code is None:
            self._code = code

    def to_error(self) -> SchemaError:
        """Return the error that lists all problems, sorted.

        With ``MLFLOW_DISABLE_SCHEMA_DETAILS=true`` it names no column and no type.
        """
        if details_are_hidden():
            problem = Problem("inputs", "data that fits the signature", "data that does not")
            hint = "MLFLOW_DISABLE_SCHEMA_DETAILS hides the details"
            return SchemaError([problem], hint=hint, error_code=self._code)
        problems = [
            Problem(path, expected, got, row) for (path, expected, got), row in self._found.items()
        ]
        hint = "; ".join(list(self._hints)[:_MAX_HINTS])
        return SchemaError(problems, hint=hint, error_code=self._code)


def details_are_hidden() -> bool:
    """Return whether the environment asks to keep names of columns out of messages."""
    return os.environ.get("MLFLOW_DISABLE_SCHEMA_DETAILS", "").strip().lower() in ("true", "1")


def as_predict_error(error: SchemaError) -> SchemaError:
    """Return ``error`` with the codes that a failed check has when ``predict`` runs it.

    Enforcement itself raises with MLflow's code for a direct call, mostly ``INTERNAL_ERROR``;
    a loaded model raises the result of this function from it.
    """
    return SchemaError(
        error.problems,
        hint=error.hint,
        subject=error.subject,
        error_code=INVALID_PARAMETER_VALUE,
        error_class="SCHEMA_ENFORCEMENT_FAILED",
        sqlstate="KAM01",
    )


def name_type(value: object) -> str:
    """Return the name of the class of ``value``; never its content, which may be huge."""
    return type(value).__name__
