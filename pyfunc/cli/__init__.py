"""The command ``pyfunc``."""

from __future__ import annotations

from pyfunc.cli.entry import main

__all__ = ["main"]
