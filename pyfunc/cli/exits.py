"""The exit codes of the command, and how errors are told: one line, a hint, no traceback."""

from __future__ import annotations

import errno
import functools
import json
import os
import sys
import traceback
from collections.abc import Callable
from enum import IntEnum
from typing import Any, ParamSpec, TypeVar

import typer

from pyfunc.errors import (
    BAD_REQUEST,
    INVALID_PARAMETER_VALUE,
    CodeFailedError,
    ConfigKeyError,
    EntityNotFoundError,
    EnvironmentCreationError,
    EnvironmentMismatchError,
    FlavorNotFoundError,
    HandlerError,
    IncompatiblePythonError,
    InvalidArgumentError,
    InvalidTypeError,
    MissingDependencyError,
    ModelFailedError,
    ModelFormatError,
    ModelIncompleteError,
    ModelIntegrityError,
    ModelNotFoundError,
    PyfuncError,
    RunError,
    SaveConflictError,
    SaveError,
    SchemaError,
    UntrustedModelError,
)
from pyfunc.variables import TRACEBACK

__all__ = ["Exit", "code_of", "reporting", "text_for_command"]


P = ParamSpec("P")
R = TypeVar("R")


class Exit(IntEnum):
    """What the command ends with. These numbers do not change."""

    DONE = 0
    FINDINGS = 1
    USAGE = 2
    MODEL = 3
    REFUSED = 4
    INPUT = 5
    MODEL_FAILED = 6
    ENVIRONMENT = 7
    OUTPUT = 8
    BUG = 70
    INTERRUPTED = 130


_CODES: tuple[tuple[tuple[type[PyfuncError], ...], Exit], ...] = (
    ((ModelFailedError, HandlerError, RunError), Exit.MODEL_FAILED),
    ((ModelIntegrityError, UntrustedModelError), Exit.REFUSED),
    ((SchemaError,), Exit.INPUT),
    ((SaveConflictError, SaveError), Exit.OUTPUT),
    (
        (
            EnvironmentCreationError,
            EnvironmentMismatchError,
            IncompatiblePythonError,
            MissingDependencyError,
        ),
        Exit.ENVIRONMENT,
    ),
    (
        (
            EntityNotFoundError,
            FlavorNotFoundError,
            ModelFormatError,
            ModelIncompleteError,
            ModelNotFoundError,
        ),
        Exit.MODEL,
    ),
    ((InvalidArgumentError, InvalidTypeError, ConfigKeyError), Exit.USAGE),
)


# Hints to those who call functions, and what those who type commands are told instead.
_HINTS = {
    "choose another path, or pass overwrite=True": (
        "choose another path, or replace it with --overwrite"
    ),
    "install the file that pyfunc.get_model_dependencies(path) returns, or load with "
    'env="isolated"': (
        "install the file that `pyfunc dependencies` prints, or give --env-manager uv"
    ),
    "if it was changed on purpose, as MLflow does, call pyfunc.refresh on it": (
        "if it was changed on purpose, as MLflow does, run pyfunc refresh on it"
    ),
    "it needs expected_digest": "it needs --expected-digest",
    "it needs public_key": "it needs --public-key",
}


def text_for_command(error: PyfuncError) -> str:
    """Return the text of an error, with the hint that those who type commands need."""
    return error.with_hint(_HINTS.get(error.hint, error.hint))


def code_of(error: BaseException) -> Exit:
    """Return the exit code for an exception."""
    if isinstance(error, KeyboardInterrupt):
        return Exit.INTERRUPTED
    if not isinstance(error, PyfuncError):
        return Exit.OUTPUT if isinstance(error, OSError) else Exit.BUG
    if isinstance(error, InvalidArgumentError) and error.error_code == BAD_REQUEST:
        return Exit.INPUT
    for kinds, code in _CODES:
        if isinstance(error, kinds):
            return code
    return Exit.USAGE if error.error_code == INVALID_PARAMETER_VALUE else Exit.MODEL


def reporting(command: Callable[P, R]) -> Callable[P, R]:
    """Let ``command`` end with an exit code and a line on standard error where it would raise.

    With ``as_json`` among its arguments it is a JSON object on standard output. The environment
    variable ``PYFUNC_TRACEBACK`` adds the traceback.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            result = command(*args, **kwargs)
            sys.stdout.flush()
        except typer.Exit:
            raise
        except BrokenPipeError:
            _silence_stdout()
            raise typer.Exit(Exit.DONE) from None
        except (Exception, KeyboardInterrupt) as error:
            if TRACEBACK.read():
                traceback.print_exc()
            if isinstance(error, OSError) and error.errno == errno.EBADF:
                _silence_stdout()  # it was closed
            code = code_of(error)
            as_json = bool(kwargs.get("as_json"))
            typer.echo(_told(error, code, as_json=as_json), err=not as_json)
            raise typer.Exit(code) from None
        return result

    return run


def _silence_stdout() -> None:
    """Keep Python from failing again when it closes a pipe that nobody reads."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _told(error: BaseException, code: Exit, *, as_json: bool) -> str:
    text = _text_of(error, code)
    if not as_json:
        return f"error: {text}"
    tree: dict[str, Any] = {"error": text, "kind": type(error).__name__, "exit_code": int(code)}
    if isinstance(error, PyfuncError):
        tree["error_code"] = error.error_code
    return json.dumps(tree)


def _place_of(cause: BaseException) -> str:
    """Return where an error of the model's own code was raised, and how to see more of it."""
    frames = traceback.extract_tb(cause.__traceback__)
    told = f"\ncause: {type(cause).__name__}: {cause}"
    if frames:
        told += f"\n  {frames[-1].filename}, line {frames[-1].lineno}, in {frames[-1].name}"
    return f"{told}\nhint: {TRACEBACK.name}=1 shows the traceback"


def _text_of(error: BaseException, code: Exit) -> str:
    if code is Exit.INTERRUPTED:
        return "interrupted"
    if isinstance(error, CodeFailedError) and error.__cause__ is not None:
        return f"{text_for_command(error)}{_place_of(error.__cause__)}"
    if isinstance(error, PyfuncError):
        return text_for_command(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"{where}{error.strerror or error}"
    return (
        f"{type(error).__name__}: {error}\n"
        f"hint: this is a defect of pyfunc; {TRACEBACK.name}=1 shows where it is"
    )
