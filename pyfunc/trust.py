"""Deciding whether code that a model brings may run; the decision is never the model's own."""

from __future__ import annotations

import os
from pathlib import Path

from pyfunc.errors import InvalidArgumentError, UntrustedModelError

__all__ = ["ALLOW_VARIABLE", "check_code_may_run", "read_boolean_variable"]

ALLOW_VARIABLE = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"


def check_code_may_run(what: str, path: Path) -> None:
    """Return if the environment allows ``what`` of the model at ``path`` to run.

    Unlike MLflow's, the switch also closes loader modules and scripts, which run code as much
    as a pickle does (reliability.md 4.5).

    Raises:
        UntrustedModelError: the environment forbids it.
    """
    if not read_boolean_variable(ALLOW_VARIABLE, default=True):
        raise UntrustedModelError(
            f"{path}: {what} would run code of the model, and {ALLOW_VARIABLE} is false\n"
            "hint: unset the variable if you trust where the model comes from"
        )


def read_boolean_variable(name: str, *, default: bool) -> bool:
    """Return the environment variable ``name`` as a boolean.

    Raises:
        InvalidArgumentError: it is set to something else than true, false, 1 or 0.
    """
    text = os.environ.get(name)
    if text is None:
        return default
    if text.lower() in ("true", "1"):
        return True
    if text.lower() in ("false", "0"):
        return False
    raise InvalidArgumentError(f"{name}: expected true, false, 1 or 0, got {text!r}")
