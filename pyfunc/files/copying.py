"""Copies files and trees of the user into a model directory: content only, never links.

Blocks are shared with the source where the file system can do that (reflinks), and copied
inside the kernel otherwise. Hard links are never used: a later write to the source would
change the model.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pyfunc.errors import InvalidArgumentError, ModelNotFoundError, ModelPathError
from pyfunc.files.opening import open_new_file, open_to_read
from pyfunc.files.paths import describe_type
from pyfunc.files.temporaries import is_staging_name

__all__ = ["Links", "copy_into"]

Links = Literal["follow", "refuse"]

_CHUNK = 1 << 30
_BUFFER = 1 << 20
_IGNORED = ("__pycache__",)
_NOT_HERE = (errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM)


def copy_into(
    source: Path | str,
    destination: Path | str,
    *,
    key: str | None = None,
    links: Links = "follow",
) -> int:
    """Copy the file or directory ``source`` to ``destination``; return the bytes copied.

    The copy holds ordinary files and directories only. Inside a directory ``__pycache__`` and
    the temporaries of saves are left out, so a tree may be copied into a model beside it.

    Args:
        source: a file or a directory; a symbolic link stands for what it points to.
        destination: the full path of the copy. Nothing may be there; missing parents are made.
        key: what the source is to the caller, such as ``artifacts['weights']``, for messages.
        links: whether symbolic links below ``source`` are copied as content or refused.

    Raises:
        ModelNotFoundError: ``source`` is missing, or a part of it vanished meanwhile.
        ModelPathError: ``source`` or a part of it is a FIFO, a socket or a device, a link that
            leads nowhere or in a circle (with ``links="refuse"``, any link inside), or a file
            that changed while it was copied or cannot be read.
        OSError: writing failed.
    """
    shown = os.fspath(source)
    if not shown or "\0" in shown:
        raise InvalidArgumentError(f"{key or 'source'}: expected a path, got {shown!r}")
    copier = _Copier(key, links)
    os.makedirs(os.path.dirname(os.fspath(destination)), exist_ok=True)
    copier.copy(shown, os.fspath(destination))
    return copier.copied


class _Copier:
    def __init__(self, key: str | None, links: Links) -> None:
        self.copied = 0
        self._key = key
        self._links = links
        self._above: list[tuple[int, int]] = []  # the directories that are being copied
        self._own: tuple[int, int] | None = None  # the directory that the copy goes to

    def copy(self, source: str, destination: str) -> None:
        found = self._stat(source)
        if stat.S_ISREG(found.st_mode):
            self._copy_file(source, destination)
        elif stat.S_ISDIR(found.st_mode):
            self._copy_directory(source, destination, (found.st_dev, found.st_ino))
        else:
            raise self._refuse(
                f"expected a file or a directory, got {describe_type(found.st_mode)}", source
            )

    def _stat(self, source: str) -> os.stat_result:
        try:
            return os.stat(source)
        except FileNotFoundError as error:
            if os.path.islink(source):
                raise self._refuse("the target of the link is missing", source) from error
            raise self._missing(source) from error
        except OSError as error:
            raise self._translate(error, source) from error

    def _translate(self, error: OSError, source: str) -> ModelPathError | ModelNotFoundError:
        if isinstance(error, FileNotFoundError):
            return self._missing(source)
        if error.errno == errno.ELOOP:
            return self._refuse("the link leads in a circle", source)
        return self._refuse(f"cannot be read ({error.strerror})", source)

    def _refuse(self, reason: str, source: str) -> ModelPathError:
        return ModelPathError(reason, path=source, key=self._key)

    def _missing(self, source: str) -> ModelNotFoundError:
        where = f"{self._key}: " if self._key else ""
        return ModelNotFoundError(f"{where}{source} does not exist")

    def _copy_directory(self, source: str, destination: str, identity: tuple[int, int]) -> None:
        if identity in self._above:
            raise self._refuse("the link leads to a directory that contains it", source)
        if identity == self._own:
            return  # the copy lies inside its source
        try:
            names = sorted(os.listdir(source))
        except OSError as error:
            raise self._translate(error, source) from error
        os.mkdir(destination)
        if not self._above:
            made = os.stat(destination)
            self._own = (made.st_dev, made.st_ino)
        self._above.append(identity)
        for name in names:
            path = os.path.join(source, name)
            if name in _IGNORED or is_staging_name(name):
                continue
            if self._links == "refuse" and os.path.islink(path):
                raise self._refuse("symbolic links are refused here", path)
            self.copy(path, os.path.join(destination, name))
        self._above.pop()

    def _copy_file(self, source: str, destination: str) -> None:
        try:
            reader = open_to_read(source)
        except OSError as error:
            raise self._translate(error, source) from error
        try:
            before = os.fstat(reader)
            if not stat.S_ISREG(before.st_mode):
                raise self._refuse(f"expected a file, got {describe_type(before.st_mode)}", source)
            writer = open_new_file(destination)
            try:
                count = _copy_bytes(reader, writer, before.st_size)
            finally:
                os.close(writer)
            after = os.fstat(reader)
        finally:
            os.close(reader)
        unchanged = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
        if count != before.st_size or not unchanged:
            raise self._refuse("the file changed while it was copied", source)
        self.copied += count


def _copy_bytes(reader: int, writer: int, size: int) -> int:
    """Copy ``size`` bytes, in the kernel where that works; return how many there were.

    A file of size 0 is read to its end, since that size says nothing below ``/proc``.
    """
    count = _copy_with(_copy_range, reader, writer, size)
    count += _copy_with(_send, reader, writer, size - count)
    while (count < size or not size) and (block := os.read(reader, _BUFFER)):
        view = memoryview(block)
        while view:
            view = view[os.write(writer, view) :]
        count += len(block)
    return count


def _copy_with(call: Callable[[int, int, int], int], reader: int, writer: int, size: int) -> int:
    """Copy up to ``size`` bytes; return how many the kernel can copy between these files."""
    count = 0
    try:
        while count < size and (chunk := call(reader, writer, min(_CHUNK, size - count))):
            count += chunk
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
    return count


def _copy_range(reader: int, writer: int, size: int) -> int:
    return os.copy_file_range(reader, writer, size) if hasattr(os, "copy_file_range") else 0


def _send(reader: int, writer: int, size: int) -> int:
    # None: from where the reader stands.
    return os.sendfile(writer, reader, None, size) if hasattr(os, "sendfile") else 0
