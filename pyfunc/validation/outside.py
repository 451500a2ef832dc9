"""Sees which files are read that will not be there where the model runs."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

__all__ = ["ReadWatch"]

# What every machine of a kind has, or makes anew.
_SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/usr", "/lib", "/lib64", "/opt/conda", "/var")


class ReadWatch:
    """Notes what this process opens for reading outside of ``inside`` while it is on.

    Python has no way to take the hook away again: it stays, and does nothing, in a process that
    is made for one question.
    """

    def __init__(self, inside: Iterable[str | os.PathLike[str]]) -> None:
        self._allowed = tuple({str(Path(path).resolve()) for path in (*inside, *_installed())})
        self._written: set[str] = set()
        self._is_on = False
        self.found: set[str] = set()
        sys.addaudithook(self._note)

    def __enter__(self) -> ReadWatch:
        self._is_on = True
        return self

    def __exit__(self, *_: object) -> None:
        self._is_on = False

    def _note(self, event: str, arguments: tuple[object, ...]) -> None:
        if event != "open" or not self._is_on:
            return
        path, mode, flags = (*arguments, None, None, None)[:3]
        if not isinstance(path, (str, bytes)):
            return
        self._is_on = False  # what is asked here is not the model's
        try:
            self._judge(os.fsdecode(path), mode, flags)
        finally:
            self._is_on = True

    def _judge(self, path: str, mode: object, flags: object) -> None:
        whole = os.path.abspath(path)
        writes = isinstance(mode, str) and not set("wxa+").isdisjoint(mode)
        if writes or (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)):
            self._written.add(whole)
        elif whole not in self._written and os.path.isfile(whole):
            place = str(Path(whole).resolve())
            if not any(_is_below(name, self._allowed) for name in (whole, place)):
                self.found.add(whole)


def _is_below(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(folder + os.sep) for folder in folders)


def _installed() -> set[str]:
    """Return where Python, what is installed, and this library are."""
    ours = Path(sys.modules["pyfunc"].__file__ or "").parent
    links = {str(path.resolve()) for path in ours.iterdir() if path.is_symlink()}
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix}
    return {*_SYSTEM, *prefixes, *sysconfig.get_paths().values(), str(ours), *links}
