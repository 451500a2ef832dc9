"""Where the command starts: says what to install if its libraries are missing."""

from __future__ import annotations

import os
import sys

__all__ = ["main"]

_INSTALL = "pip install 'pyfunc-format[cli]'"


def main() -> None:
    """Run the command with the arguments of this process; ends it with an exit code."""
    _open_closed_streams()
    try:
        _run()
    except KeyboardInterrupt:  # while something was being imported
        print("error: interrupted", file=sys.stderr)
        sys.exit(130)


def _open_closed_streams() -> None:
    """Put something in the place of standard streams that the shell closed (such as ``>&-``).

    Reading gives nothing, and what goes to standard error is lost; to write results nowhere is an
    error. A file that is opened later would otherwise take the place, and get what is printed.
    """
    for number, (name, access, mode) in enumerate(
        (("stdin", os.O_RDONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_WRONLY, "w"))
    ):
        if getattr(sys, name) is not None:
            continue
        opened = os.open(os.devnull, access)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
        setattr(sys, name, open(number, mode, closefd=False, encoding="utf-8"))  # noqa: SIM115


def _run() -> None:
    try:
        from pyfunc.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        print(
            f"error: the command needs {error.name}, which is not installed\nhint: {_INSTALL}",
            file=sys.stderr,
        )
        sys.exit(7)
    app()
