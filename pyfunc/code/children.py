"""What child processes find on ``sys.path``: a folder with one small file per module of a model.

A child of spawn, forkserver or loky is given the ``sys.path`` of its parent. The folder of a model
itself must not be on it, since Python would run and write bytecode there. The files in this folder
ask for the model to be opened, whose bytes are then checked as here. One folder serves all models
of a process, so that a worker that was started for one finds those that were opened later.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import weakref
from pathlib import Path

from pyfunc.files.locks import lock_now
from pyfunc.files.opening import open_directory
from pyfunc.files.temporaries import remove_if_dead

__all__ = ["identity_of", "offer", "withdraw"]

_PREFIX = "pyfunc-modules-"
_offered: dict[str, int] = {}


class _Folder:
    """The folder of this process, made when it is first needed and removed at its end."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.path = ""
        with contextlib.suppress(OSError):  # no place for temporary files: children find nothing
            _remove_left_over(tempfile.gettempdir())
            self.path = tempfile.mkdtemp(prefix=_PREFIX)
        # Held until the process ends, so that others know it for a living one's.
        with contextlib.suppress(OSError):
            self._held = open_directory(self.path) if self.path else None
            if self._held is not None:
                lock_now(self._held)
        self._removal = weakref.finalize(self, _remove, self.path, self.process)


def _remove_left_over(folder: str) -> None:
    """Remove what processes that were killed have left."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX):
                remove_if_dead(entry.path)


def _remove(path: str, process: int) -> None:
    # A forked child ends like its parent, and the folder is the parent's.
    if path and os.getpid() == process:
        shutil.rmtree(path, ignore_errors=True)


_folder: _Folder | None = None


def _own_folder() -> str:
    global _folder  # noqa: PLW0603 - one per process
    if _folder is None or _folder.process != os.getpid():
        _folder = _Folder()
        _offered.clear()
    return _folder.path


def identity_of(file: str) -> str | None:
    """Return whose module ``file`` offers, here or in a parent; None for any other file."""
    if not os.path.basename(os.path.dirname(file)).startswith(_PREFIX):
        return None
    try:
        with open(file, encoding="utf-8") as stream:
            return stream.readline().removeprefix("# ").rstrip("\n")
    except OSError:
        return None


def offer(name: str, identity: str, text: str) -> None:
    """Let children find the top-level module ``name`` as a file that says ``text``.

    ``identity`` is one line that tells the model from others.
    """
    folder = _own_folder()
    if not folder:
        return
    with contextlib.suppress(OSError):
        Path(folder, f"{name}.py").write_text(f"# {identity}\n{text}\n", encoding="utf-8")
        _offered[name] = _offered.get(name, 0) + 1
        if folder not in sys.path:
            sys.path.append(folder)  # the last: it hides nothing


def withdraw(name: str) -> None:
    """Take back what :func:`offer` did, once for each call of it."""
    if _folder is None or _folder.process != os.getpid() or name not in _offered:
        return
    _offered[name] -= 1
    if _offered[name]:
        return
    del _offered[name]
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(_folder.path, f"{name}.py"))
    if not _offered:
        with contextlib.suppress(ValueError):
            sys.path.remove(_folder.path)
        sys.path_importer_cache.pop(_folder.path, None)
