"""The files that predictions are read for and written to."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pyfunc.errors import BAD_REQUEST, ModelNotFoundError, SaveConflictError, SaveError
from pyfunc.files.atomic_files import staged_file

__all__ = ["check_source", "check_target", "opened_source", "opened_target"]


def check_source(path: str) -> None:
    """Check that there is something to read.

    Raises:
        ModelNotFoundError: with ``BAD_REQUEST``, there is no file.
    """
    if not os.path.exists(path) or os.path.isdir(path):
        raise ModelNotFoundError(f"there is no file {path} to predict for", BAD_REQUEST)


def check_target(path: str) -> None:
    """Check that a file can be put at ``path``.

    Raises:
        SaveConflictError: there is a folder.
        SaveError: there is no folder to put it in.
    """
    parent = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path):
        raise SaveConflictError(f"{path} is a folder\nhint: name a file in it")
    if not os.path.isdir(parent):
        cause = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), parent)
        raise SaveError(f"there is no folder {parent}\nhint: create it first", cause=cause)


@contextlib.contextmanager
def opened_source(path: str) -> Iterator[BinaryIO]:
    """Give the file or pipe at ``path``.

    Raises:
        ModelNotFoundError: with ``BAD_REQUEST``, there is no file.
    """
    check_source(path)
    with open(path, "rb") as file:
        yield file


@contextlib.contextmanager
def opened_target(path: str) -> Iterator[BinaryIO]:
    """Give a file that takes the place of ``path`` when all is written.

    Devices and pipes at ``path`` are written to as they are.

    Raises:
        SaveConflictError: there is a folder at ``path``.
        SaveError: there is no folder to put it in, or it cannot be written.
    """
    check_target(path)
    if os.path.exists(path) and not (os.path.isfile(path) and _is_own_file(path)):
        with open(path, "wb") as device:
            yield device
        return
    with staged_file(Path(path).absolute(), mode=_mode()) as file:
        yield file


def _is_own_file(path: str) -> bool:
    """Return whether a file can be replaced: what /dev/stdout stands for may be a file, too."""
    return not os.path.abspath(path).startswith(("/dev/", "/proc/"))


def _mode() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask
