"""Puts directories and files in place so that after any crash they are absent or complete.

A directory is built under a temporary name beside its target, flushed to disk and renamed.
The builder holds a lock on it for as long as it lives; what a dead builder left behind is
removed by the next save to the same target.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Thread
from typing import BinaryIO

from pyfunc.errors import InvalidArgumentError, ModelPathError, SaveConflictError, SaveError
from pyfunc.files.paths import describe_type

__all__ = ["is_staging_name", "staged_directory", "staged_file", "write_file_atomically"]

FILE_MODE = 0o644
DIRECTORY_MODE = 0o755

_PRIVATE_MODE = 0o700
_STALE_SECONDS = 3600.0
_MAX_STEM_BYTES = 200  # leaves room for the rest of the name within 255 bytes
_STAGING_END = re.compile(r"[0-9a-f]{16}\.(tmp|old)")
_STAGING_NAME = re.compile(r"\..+\.[0-9a-f]{16}\.(tmp|old)", re.DOTALL)
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
_DISK_ERRORS = (errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EROFS)
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_FLUSHES_AT_ONCE = 8
_SLOW_FLUSH_SECONDS = 0.0005
_MAX_ROUNDS = 100  # each lost round means that another process changed the target


# What to flush: the path, the mode it is to have, and the mode it has if that is known.
_Entry = tuple[str, int, int | None]


def is_staging_name(name: str) -> bool:
    """Return whether ``name`` is one that :func:`staged_directory` gives to its temporaries."""
    return _STAGING_NAME.fullmatch(name) is not None


@contextlib.contextmanager
def staged_directory(target: Path | str, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a new private directory that becomes ``target`` when the block ends well.

    The directory lies beside ``target`` (mode 0700 meanwhile). At the end every file has mode
    0644 and every directory 0755, all of it is on disk, and ``target`` appears in one step.
    When the block or anything after it fails, nothing is left and ``target`` is as before.
    Missing parents of ``target`` are created. An empty directory at ``target`` counts as
    absent; a symbolic link at ``target`` is followed.

    Args:
        target: where the directory goes.
        overwrite: True replaces a directory at ``target``; a reader sees the old or the new
            content, never a mix, and a file handle into the old one stays usable.

    Raises:
        SaveConflictError: ``target`` is a file, or (unless ``overwrite``) a directory that is
            not empty; found before the block runs or when another process was faster.
        SaveError: the directory beside ``target`` cannot be written (found before the block
            runs), or the disk failed or is full.
        ModelPathError: the block left something that is neither a file nor a directory.
    """
    shown = os.fspath(target)
    final = _resolve_target(shown)
    _check_free(final, shown, overwrite)
    with _parents_of(final) as parents, _locked_temporary(final, shown, parents) as temporary:
        try:
            yield Path(temporary)
            _flush_tree(temporary)
            _publish(temporary, final, shown, overwrite)
        except OSError as error:
            if type(error).__module__ == "builtins" and _is_from_disk(error, temporary):
                raise _translate(error, shown) from error
            raise


def _resolve_target(shown: str) -> str:
    if not shown or "\0" in shown:
        raise InvalidArgumentError(f"expected a path to save to, got {shown!r}")
    final = os.path.realpath(shown)
    if final == os.path.dirname(final):
        raise SaveConflictError(f"{shown} is the root directory\nhint: choose another path")
    return final


def _is_from_disk(error: OSError, temporary: str) -> bool:
    """Return whether ``error`` is about the save rather than of the code that runs in it."""
    below = error.filename is not None and str(error.filename).startswith(temporary)
    return below or error.errno in _DISK_ERRORS


def _translate(error: OSError, shown: str) -> SaveError:
    return SaveError(f"{shown}: cannot be written: {error.strerror or error}", cause=error)


def _check_free(final: str, shown: str, overwrite: bool) -> None:
    try:
        mode = os.lstat(final).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise _translate(error, shown) from error
    if not stat.S_ISDIR(mode):
        raise SaveConflictError(
            f"{shown} exists already and is {describe_type(mode)}\nhint: choose another path"
        )
    if not overwrite and _has_entries(final, shown):
        raise _conflict(shown)


def _has_entries(directory: str, shown: str) -> bool:
    try:
        with os.scandir(directory) as entries:
            return any(True for _ in entries)
    except OSError as error:
        raise _translate(error, shown) from error


def _conflict(shown: str) -> SaveConflictError:
    return SaveConflictError(
        f"{shown} exists already and is not empty\n"
        "hint: choose another path, or pass overwrite=True"
    )


@contextlib.contextmanager
def _parents_of(final: str) -> Iterator[list[str]]:
    """Yield the parents of ``final`` that are missing, the innermost first.

    The block may create them; they are gone again if it fails, unless others use them by then.
    """
    missing = []
    parent = os.path.dirname(final)
    while not os.path.lexists(parent):
        missing.append(parent)
        parent = os.path.dirname(parent)
    try:
        yield missing
    except BaseException:
        for directory in missing:
            with contextlib.suppress(OSError):
                os.rmdir(directory)
        raise


@contextlib.contextmanager
def _locked_temporary(final: str, shown: str, parents: list[str]) -> Iterator[str]:
    """Yield a new locked directory beside ``final``; it is gone or renamed afterwards."""
    _remove_stale(final)
    temporary = _temporary_name(final, "tmp")
    lock = -1
    try:
        try:
            _make_directory(temporary)
            for directory in parents:
                _flush(os.path.dirname(directory))
            lock = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _translate(error, shown) from error
        # Some network file systems have no locks; stale directories stay there then.
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield temporary
    finally:
        # After an exchange this is the old content; after a rename there is nothing.
        _remove_tree(temporary)
        if lock >= 0:
            os.close(lock)


def _make_directory(directory: str) -> None:
    """Create ``directory`` and its missing parents.

    A save that fails meanwhile may take back parents that it had made; they are made again.
    """
    for _ in range(_MAX_ROUNDS):
        with contextlib.suppress(FileNotFoundError):
            os.makedirs(os.path.dirname(directory), exist_ok=True)
            os.mkdir(directory, _PRIVATE_MODE)
            return
    os.mkdir(directory, _PRIVATE_MODE)  # raises what the caller is told


def _stem(final: str) -> str:
    name = os.fsencode(os.path.basename(final))[:_MAX_STEM_BYTES]
    return os.fsdecode(name)


def _temporary_name(final: str, suffix: str) -> str:
    name = f".{_stem(final)}.{secrets.token_hex(8)}.{suffix}"
    return os.path.join(os.path.dirname(final), name)


def _remove_stale(final: str) -> None:
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
                _remove_if_dead(os.path.join(parent, name))


def _remove_if_dead(temporary: str) -> None:
    try:
        found = os.lstat(temporary)
        if time.time() - found.st_mtime < _STALE_SECONDS or not _is_ours(found.st_mode):
            return
        lock = os.open(temporary, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stat.S_ISREG(found.st_mode):
            os.unlink(temporary)
        else:
            _remove_tree(temporary)
    except OSError:
        return  # its owner is alive, or there are no locks here
    finally:
        os.close(lock)


def _is_ours(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _remove_tree(directory: str) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    if not os.path.lexists(directory):
        return
    # A directory without permissions kept it; each is opened before the walk enters it.
    for root, names, _ in os.walk(directory):
        for name in names:
            path = os.path.join(root, name)
            with contextlib.suppress(OSError):
                if not os.path.islink(path):
                    os.chmod(path, _PRIVATE_MODE)
    shutil.rmtree(directory, ignore_errors=True)


def _flush_tree(directory: str) -> None:
    """Set the mode of everything in ``directory`` and bring it to disk."""
    directories = [directory]
    files: list[_Entry] = []
    for current in directories:  # grows while it is walked
        with os.scandir(current) as entries:
            for entry in entries:
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    directories.append(entry.path)
                elif stat.S_ISREG(mode):
                    files.append((entry.path, FILE_MODE, mode))
                else:
                    raise ModelPathError(
                        f"a model holds files and directories only, got {describe_type(mode)}",
                        path=entry.path,
                    )
    _flush_all([*files, *((current, DIRECTORY_MODE, None) for current in directories)])


def _flush_all(entries: Sequence[_Entry]) -> None:
    """Flush one entry after the other, and the rest side by side once the disk proves slow.

    An idle disk needs less time for a flush than a thread needs to start; on a busy one the
    file system commits what is asked for at the same time together, which takes a tenth.
    """
    for position, entry in enumerate(entries):
        before = time.perf_counter()
        _flush(*entry)
        if time.perf_counter() - before > _SLOW_FLUSH_SECONDS:
            _flush_side_by_side(entries[position + 1 :])
            return


def _flush_side_by_side(entries: Sequence[_Entry]) -> None:
    failures: list[BaseException] = []

    def flush(part: Sequence[_Entry]) -> None:
        try:
            for entry in part:
                _flush(*entry)
        except BaseException as error:  # raised below, in the thread of the caller
            failures.append(error)

    parts = [entries[start::_FLUSHES_AT_ONCE] for start in range(_FLUSHES_AT_ONCE)]
    # Threads that live on would make a later fork of the application unsafe.
    threads: list[Thread] = []
    for part in filter(None, parts[1:]):
        thread = Thread(target=flush, args=(part,))
        try:
            thread.start()
        except RuntimeError:  # no threads any more: the interpreter is shutting down
            flush(part)
        else:
            threads.append(thread)
    flush(parts[0])
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _flush(path: str, wanted: int | None = None, mode: int | None = None) -> None:
    if mode is not None and not mode & stat.S_IRUSR:
        os.chmod(path, FILE_MODE)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if wanted is not None and (mode is None or stat.S_IMODE(mode) != wanted):
            os.fchmod(descriptor, wanted)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _publish(temporary: str, final: str, shown: str, overwrite: bool) -> None:
    replaced = _put(temporary, final, shown, overwrite)
    try:
        _flush(os.path.dirname(final))
    except BaseException:
        with contextlib.suppress(OSError):
            if replaced:
                _replace(temporary, final)
            else:
                os.rename(final, temporary)
        raise


def _put(temporary: str, final: str, shown: str, overwrite: bool) -> bool:
    """Rename ``temporary`` to ``final``; return whether it now holds the old content."""
    for _ in range(_MAX_ROUNDS):
        try:
            os.rename(temporary, final)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            if not overwrite or not os.path.isdir(final):
                raise _conflict(shown) from error
        else:
            return False
        with contextlib.suppress(FileNotFoundError):  # the target has just been removed
            _replace(temporary, final)
            return True
    raise _conflict(shown)


def _replace(temporary: str, final: str) -> None:
    """Swap two directories, in one step where the system can do it.

    Where it cannot, ``final`` is missing for a moment, and its old content then lies beside
    it under a name that no clean-up touches before there is a ``final`` again.
    """
    try:
        _exchange(temporary, final)
    except OSError as error:
        if error.errno not in _NO_EXCHANGE:
            raise
        old = _temporary_name(final, "old")
        os.rename(final, old)
        try:
            os.rename(temporary, final)
        except BaseException:
            with contextlib.suppress(OSError):
                os.rename(old, final)
            raise
        os.rename(old, temporary)


def _exchange(one: str, other: str) -> None:
    """Swap two directories in one step.

    Raises:
        OSError: with an ``errno`` of ``_NO_EXCHANGE`` where the system cannot do it.
    """
    import ctypes

    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    renameat2.argtypes = (
        ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint,
    )  # fmt: skip
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), other)


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
    final = _resolve_target(shown)
    temporary = _temporary_name(final, "tmp")
    in_block = False
    _remove_stale(final)
    try:
        with _new_file(temporary) as file:
            in_block = True
            yield file
            in_block = False
            file.flush()
            os.fchmod(file.fileno(), _mode_for(final, mode))
            os.fsync(file.fileno())
            os.replace(temporary, final)
        _flush(os.path.dirname(final))
    except OSError as error:
        if in_block and not _is_from_disk(error, temporary):
            raise
        raise _translate(error, shown) from error


@contextlib.contextmanager
def _new_file(temporary: str) -> Iterator[BinaryIO]:
    """Yield a new file; it is gone again if the block fails."""
    with open(temporary, "xb") as file:
        try:
            # As with directories: it tells the next writer that this one is alive.
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield file
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def _mode_for(final: str, new: int) -> int:
    try:
        return stat.S_IMODE(os.stat(final).st_mode)
    except FileNotFoundError:
        return new
