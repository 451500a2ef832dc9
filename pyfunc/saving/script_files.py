"""What a script reads beside itself while a model is saved, and the model will not contain."""

from __future__ import annotations

import contextlib
import contextvars
import os
import sys
import sysconfig
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from pyfunc.errors import PyfuncWarning

__all__ = ["warned_of_files"]

_SHOWN = 10
_seen: contextvars.ContextVar[set[str] | None] = contextvars.ContextVar(
    "pyfunc_files_of_script", default=None
)


@contextlib.contextmanager
def warned_of_files(script: Path, kept: Iterable[Path | str]) -> Iterator[None]:
    """Issue one warning if the body reads files beside ``script`` that are not below ``kept``.

    Files that are read while modules of the script are imported count, those of installed
    packages do not.
    """
    _watch()
    seen: set[str] = set()
    token = _seen.set(seen)
    try:
        yield
    finally:
        _seen.reset(token)
    found = _find_files(seen, script, [Path(os.path.abspath(path)) for path in kept])
    if found:
        shown = ", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
        warnings.warn(
            f"{script}: reads files beside itself that are not in the model, and will not find "
            f"them where it is loaded: {shown}\n"
            "hint: give modules as code_paths=, and data as artifacts= or code_paths=",
            PyfuncWarning,
            stacklevel=8,
        )


@cache
def _watch() -> None:
    sys.addaudithook(_note)  # for the life of the process: Python has no way to take one off


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event != "open":
        return
    seen = _seen.get()
    if seen is None:
        return
    path, _, flags = arguments
    reads = isinstance(flags, int) and not flags & (os.O_WRONLY | os.O_RDWR)
    if isinstance(path, (str, bytes, os.PathLike)) and reads:
        seen.add(os.path.abspath(os.fsdecode(path)))


def _find_files(seen: Iterable[str], script: Path, kept: list[Path]) -> list[str]:
    folder = script.parent
    installed = [Path(p) for p in {*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix}]
    found: list[str] = []
    for path in map(Path, seen):
        if not path.is_relative_to(folder) or path == script or "__pycache__" in path.parts:
            continue
        inside = [root for root in installed if not folder.is_relative_to(root)]
        if path.is_file() and not any(path.is_relative_to(root) for root in (*kept, *inside)):
            found.append(path.relative_to(folder).as_posix())
    return sorted(found)
