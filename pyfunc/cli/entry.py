"""Where the command starts: says what to install if its libraries are missing."""

from __future__ import annotations

import sys

__all__ = ["main"]

_INSTALL = "pip install 'pyfunc-format[cli]'"


def main() -> None:
    """Run the command with the arguments of this process; ends it with an exit code."""
    try:
        _run()
    except KeyboardInterrupt:  # while something was being imported
        print("error: interrupted", file=sys.stderr)
        sys.exit(130)


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
