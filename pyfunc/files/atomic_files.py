"""Gives a file new content so that after any crash it has the old or the new, never a mix."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pyfunc.files.locks import lock_now
from pyfunc.files.opening import flush
from pyfunc.files.temporaries import (
    FILE_MODE,
    is_from_disk,
    remove_stale,
    resolve_target,
    temporary_name,
    to_save_error,
)

__all__ = ["staged_file", "write_file_atomically"]


def write_file_atomically(path: Path | str, data: bytes) -> None:
    """Give the file ``path`` the content ``data``; after any crash it has the old or the new.

    A new file has mode 0644, an existing one keeps its mode. The parent has to exist.

    Raises:
        SaveError: the file cannot be written; nothing is left beside it.
    """
    with staged_file(path) as file:
        file.write(data)


@contextlib.contextmanager
def staged_file(path: Path | str, *, mode: int = FILE_MODE) -> Iterator[BinaryIO]:
    """Yield a new file that takes the place of the file ``path`` when the block ends well.

    After any crash ``path`` is as before or complete. A new file has ``mode``, an existing one
    keeps its own; a symbolic link at ``path`` is followed. The parent has to exist.

    Raises:
        SaveError: the file cannot be written (a missing parent is found before the block runs);
            nothing is left beside it.
    """
    shown = os.fspath(path)
    final = resolve_target(shown)
    temporary = temporary_name(final, "tmp")
    in_block = False
    remove_stale(final)
    try:
        with _gone_on_failure(temporary):
            with _new_file(temporary) as file:
                in_block = True
                yield file
                in_block = False
                _complete(file, temporary, _mode_for(final, mode))
            # Closed by now: Windows renames no file that is open.
            os.replace(temporary, final)
        flush(os.path.dirname(final))
    except OSError as error:
        if in_block and not is_from_disk(error, temporary):
            raise
        raise to_save_error(error, shown) from error


@contextlib.contextmanager
def _gone_on_failure(temporary: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def _new_file(temporary: str) -> Iterator[BinaryIO]:
    with open(temporary, "xb") as file:
        # As with directories: it tells the next writer that this one is alive.
        with contextlib.suppress(OSError):
            lock_now(file.fileno())
        yield file


def _complete(file: BinaryIO, temporary: str, mode: int) -> None:
    file.flush()
    os.chmod(file.fileno() if os.chmod in os.supports_fd else temporary, mode)
    os.utime(temporary)  # young, whenever the last byte came: see temporaries
    os.fsync(file.fileno())


def _mode_for(final: str, new: int) -> int:
    try:
        return stat.S_IMODE(os.stat(final).st_mode)
    except FileNotFoundError:
        return new
