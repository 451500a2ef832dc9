"""The temporaries that a save builds beside its target: their names, and what becomes of them.

The builder holds a lock on its temporary for as long as it lives; what a dead builder left
behind is removed by the next save to the same target.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import time

from pyfunc.errors import InvalidArgumentError, SaveConflictError, SaveError
from pyfunc.files.locks import lock_now
from pyfunc.files.opening import open_directory, open_to_read

__all__ = [
    "FILE_MODE",
    "PRIVATE_MODE",
    "is_from_disk",
    "is_staging_name",
    "remove_if_dead",
    "remove_stale",
    "remove_tree",
    "resolve_target",
    "temporary_name",
    "to_save_error",
]

FILE_MODE = 0o644
# Windows would make an access list of it, which the directory has under its name too.
PRIVATE_MODE = 0o700 if os.name == "posix" else 0o777

_STALE_SECONDS = 3600.0
_MAX_STEM_BYTES = 200  # leaves room for the rest of the name within 255 bytes
_STAGING_END = re.compile(r"[0-9a-f]{16}\.(tmp|old)")
_STAGING_NAME = re.compile(r"\..+\.[0-9a-f]{16}\.(tmp|old)", re.DOTALL)
_DISK_ERRORS = (errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EROFS)


def is_staging_name(name: str) -> bool:
    """Return whether ``name`` is one that :func:`temporary_name` gives."""
    return _STAGING_NAME.fullmatch(name) is not None


def temporary_name(final: str, suffix: str) -> str:
    """Return a new path beside ``final``, named for it; ``suffix`` is ``tmp`` or ``old``."""
    name = f".{_stem(final)}.{secrets.token_hex(8)}.{suffix}"
    return os.path.join(os.path.dirname(final), name)


def _stem(final: str) -> str:
    name = os.path.basename(final)
    while len(os.fsencode(name)) > _MAX_STEM_BYTES:  # whole characters: some systems want UTF-8
        name = name[:-1]
    return name


def resolve_target(shown: str) -> str:
    """Return the path that ``shown`` leads to, with links followed.

    Raises:
        InvalidArgumentError: it is no path.
        SaveConflictError: it is the root directory.
        SaveError: it is relative to a working directory that is gone.
    """
    if not shown or "\0" in shown:
        raise InvalidArgumentError(f"expected a path to save to, got {shown!r}")
    try:
        final = os.path.realpath(shown)
    except FileNotFoundError as error:  # of the working directory: what is missing is no error
        raise to_save_error(error, shown) from error
    if final == os.path.dirname(final):
        raise SaveConflictError(f"{shown} is the root directory\nhint: choose another path")
    return final


def is_from_disk(error: OSError, temporary: str) -> bool:
    """Return whether ``error`` is about the save rather than of the code that runs in it."""
    below = error.filename is not None and str(error.filename).startswith(temporary)
    return below or error.errno in _DISK_ERRORS


def to_save_error(error: OSError, shown: str) -> SaveError:
    """Return what the caller of a save is told when the system raised ``error``."""
    return SaveError(f"{shown}: cannot be written: {error.strerror or error}", cause=error)


def remove_stale(final: str) -> None:
    """Remove what dead saves to ``final`` left behind more than an hour ago."""
    parent = os.path.dirname(final)
    prefix = f".{_stem(final)}."
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        names = [
            entry.name
            for entry in entries
            if entry.name.startswith(prefix) and _STAGING_END.fullmatch(entry.name, len(prefix))
        ]
        for name in names:
            # An '.old' holds the only copy if its save died between two renames.
            if name.endswith(".tmp") or os.path.lexists(final):
                remove_if_dead(os.path.join(parent, name))


def remove_if_dead(temporary: str) -> None:
    """Remove a temporary that is more than an hour old and whose owner holds no lock on it."""
    with contextlib.suppress(OSError):
        mode = os.lstat(temporary).st_mode
        if stat.S_ISREG(mode) and _is_dead(temporary, open_to_read(temporary, follow=False)):
            os.unlink(temporary)
        elif stat.S_ISDIR(mode) and _is_dead(temporary, open_directory(temporary)):
            remove_tree(temporary)


def _is_dead(temporary: str, descriptor: int | None) -> bool:
    """Return whether nobody has locked ``temporary``, which is old; close the descriptor.

    A builder makes its temporary young before it lets go of the lock.

    Raises:
        OSError: its owner is alive, or there are no locks here.
    """
    if descriptor is None:
        return False
    try:
        if time.time() - os.fstat(descriptor).st_mtime < _STALE_SECONDS:
            return False
        lock_now(descriptor)
        return True
    finally:
        os.close(descriptor)


def remove_tree(directory: str) -> None:
    """Remove ``directory`` and all below it as far as the system allows; links stay links."""
    shutil.rmtree(directory, ignore_errors=True)
    if not os.path.lexists(directory):
        return
    # Something without permissions kept it; a directory is opened before the walk enters it.
    for root, folders, files in os.walk(directory):
        for name in (*folders, *files):
            path = os.path.join(root, name)
            with contextlib.suppress(OSError):
                if not os.path.islink(path):
                    os.chmod(path, PRIVATE_MODE)
    shutil.rmtree(directory, ignore_errors=True)
