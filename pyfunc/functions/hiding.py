"""Values of secrets, hidden wherever a run could let them out: in its log, its errors, its status.

Hidden is what Python writes as text: what a program that the function starts writes by itself, and
what the function returns, is not looked at.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TextIO
from urllib.parse import quote, quote_plus

__all__ = ["HIDDEN", "Veil", "veil_of"]

HIDDEN = "***"

_SHORTEST = 4  # shorter ones would hide half of what there is, and are none


class Veil:
    """Hides texts in others, also where they stand escaped as in Python, JSON or a URL.

    Args:
        secrets: texts to be hidden; those of fewer than four characters are not.

    Attributes:
        texts: all that is hidden, the longest first: one may be a part of another.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        found = {form for text in secrets if len(text) >= _SHORTEST for form in _forms(text)}
        self.texts = tuple(sorted(found, key=len, reverse=True))

    def text(self, text: str) -> str:
        """Return ``text`` without what is hidden."""
        for secret in self.texts:
            text = text.replace(secret, HIDDEN)
        return text

    def cover_output(self) -> None:
        """Let no text that is hidden reach standard output and standard error from now on."""
        if self.texts:
            sys.stdout, sys.stderr = (
                _VeiledStream(each, self) for each in (sys.stdout, sys.stderr)
            )

    @contextlib.contextmanager
    def over_output(self) -> Iterator[None]:
        """Cover the output meanwhile."""
        before = sys.stdout, sys.stderr
        self.cover_output()
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before


def veil_of(variables: object) -> Veil:
    """Return what hides the values of variables of the environment, a list of their names."""
    names = variables if isinstance(variables, (list, tuple)) else ()
    return Veil(os.environ.get(name, "") for name in names)


def _forms(text: str) -> set[str]:
    escaped = {repr(text)[1:-1], json.dumps(text)[1:-1], quote(text, safe=""), quote_plus(text)}
    return {text, *escaped}


class _VeiledStream(io.TextIOWrapper):
    """Writes at once where another stream does, which stays open afterwards."""

    def __init__(self, stream: TextIO, veil: Veil) -> None:
        stream.flush()
        file = io.FileIO(stream.fileno(), "w", closefd=False)
        super().__init__(file, "utf-8", "backslashreplace", write_through=True)
        self._veil = veil

    def write(self, text: str) -> int:
        """Write what is not hidden; return how much was to be written."""
        super().write(self._veil.text(text))
        return len(text)
