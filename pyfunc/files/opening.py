"""Opens files and directories and brings them to disk, on systems that differ in what they can.

What only POSIX has is left out where it is missing; docs/security.md says what is weaker there.
"""

from __future__ import annotations

import errno
import os
import stat

__all__ = ["flush", "open_directory", "open_new_file", "open_to_read"]


def _flags(*names: str) -> int:
    """Return those of the flags of ``os.open`` that this system has, as one number."""
    found = 0
    for name in names:
        found |= getattr(os, name, 0)
    return found


# O_NONBLOCK: should a FIFO take the place of a file right now, open returns all the same.
# O_BINARY: Windows would turn line breaks otherwise. Descriptors are never inherited (PEP 446).
_READ = os.O_RDONLY | _flags("O_NONBLOCK", "O_NOCTTY", "O_BINARY")
_WRITE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _flags("O_BINARY")
_NO_FOLLOW = _flags("O_NOFOLLOW")
_DIRECTORY = _flags("O_DIRECTORY")
# Windows opens no directories, and flushes only what is open for writing.
_FLUSH = _READ if _DIRECTORY else os.O_RDWR | _flags("O_BINARY")


def open_to_read(path: str | os.PathLike[str], *, follow: bool = True) -> int:
    """Return a descriptor of the file ``path``; a FIFO or a device is not waited for.

    Args:
        path: what to open.
        follow: False refuses a symbolic link. Where the system cannot do that by itself, what
            is open is compared with what was there before.

    Raises:
        OSError: it cannot be opened, or is a link.
    """
    if follow or _NO_FOLLOW:
        return os.open(path, _READ if follow else _READ | _NO_FOLLOW)
    before = os.lstat(path)
    descriptor = os.open(path, _READ)
    if not os.path.samestat(before, os.fstat(descriptor)):
        os.close(descriptor)
        raise FileNotFoundError(errno.ENOENT, "it was replaced meanwhile", os.fspath(path))
    return descriptor


def open_new_file(path: str | os.PathLike[str]) -> int:
    """Return a descriptor of the new file ``path``, to write to; only its owner reads it.

    Raises:
        OSError: it cannot be created, or something is there.
    """
    return os.open(path, _WRITE_NEW, 0o600)


def open_directory(path: str | os.PathLike[str]) -> int | None:
    """Return a descriptor of the directory ``path``, or None where the system opens none.

    Raises:
        OSError: it cannot be opened.
    """
    return os.open(path, os.O_RDONLY | _DIRECTORY) if _DIRECTORY else None


def flush(path: str, wanted: int | None = None, mode: int | None = None) -> None:
    """Bring the file or directory ``path`` to disk, with the mode ``wanted`` if it is given.

    Directories are left alone where the system opens none: it keeps their entries by itself.

    Args:
        path: what to flush.
        wanted: the mode that it is to have.
        mode: ``st_mode`` as it is, if that is known; None for directories.

    Raises:
        OSError: the disk failed, or it cannot be opened.
    """
    if wanted is not None and (mode is None or stat.S_IMODE(mode) != wanted):
        os.chmod(path, wanted)
    if not _DIRECTORY and os.path.isdir(path):
        return
    descriptor = os.open(path, _FLUSH)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
