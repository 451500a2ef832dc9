"""Puts directories in place so that after any crash they are absent or complete.

A directory is built under a temporary name beside its target, flushed to disk and renamed.
"""

from __future__ import annotations

import _thread
import contextlib
import errno
import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pyfunc.errors import ModelPathError, SaveConflictError
from pyfunc.files.locks import lock_now
from pyfunc.files.opening import flush, open_directory
from pyfunc.files.paths import describe_type
from pyfunc.files.temporaries import (
    FILE_MODE,
    PRIVATE_MODE,
    is_from_disk,
    remove_stale,
    remove_tree,
    resolve_target,
    temporary_name,
    to_save_error,
)

__all__ = ["put_directory", "staged_directory"]

_DIRECTORY_MODE = 0o755
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS
_MAX_HELPERS = 3
_SLOW_FLUSH_SECONDS = 0.0005
_MAX_ROUNDS = 100  # each lost round means that another process changed the target

# What to flush: the path, the mode it is to have, and the mode it has if that is known.
_Entry = tuple[str, int, int | None]


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
    final = resolve_target(shown)
    _check_free(final, shown, overwrite)
    with _parents_of(final) as parents, _locked_temporary(final, shown, parents) as temporary:
        in_block = True
        try:
            yield Path(temporary)
            in_block = False
            _flush_tree(temporary)
            _publish(temporary, final, shown, overwrite)
        except OSError as error:
            is_of_system = type(error).__module__ == "builtins"
            if is_of_system and (not in_block or is_from_disk(error, temporary)):
                raise to_save_error(error, shown) from error
            raise


def put_directory(temporary: Path, target: Path) -> None:
    """Put the complete directory ``temporary`` in the place of ``target``, in one step.

    It lies on the same disk. What was at ``target`` before is gone afterwards.

    Raises:
        SaveConflictError: ``target`` is a file.
        SaveError: the disk failed.
    """
    try:
        _flush_tree(str(temporary))
        _publish(str(temporary), str(target), str(target), overwrite=True)
    except OSError as error:
        raise to_save_error(error, str(target)) from error
    remove_tree(str(temporary))  # what was there before, after an exchange


def _check_free(final: str, shown: str, overwrite: bool) -> None:
    try:
        mode = os.lstat(final).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise to_save_error(error, shown) from error
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
        raise to_save_error(error, shown) from error


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
    while not os.path.lexists(parent) and parent != os.path.dirname(parent):
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
    remove_stale(final)
    temporary = temporary_name(final, "tmp")
    lock = None
    try:
        try:
            _make_directory(temporary)
            for directory in parents:
                flush(os.path.dirname(directory))
            lock = open_directory(temporary)
        except OSError as error:
            raise to_save_error(error, shown) from error
        if lock is not None:
            # Some network file systems have no locks; stale directories stay there then.
            with contextlib.suppress(OSError):
                lock_now(lock)
        yield temporary
    finally:
        # After an exchange this is the old content; after a rename there is nothing.
        remove_tree(temporary)
        if lock is not None:
            os.close(lock)


def _make_directory(directory: str) -> None:
    """Create ``directory`` and its missing parents.

    A save that fails meanwhile may take back parents that it had made; they are made again.
    """
    for _ in range(_MAX_ROUNDS):
        with contextlib.suppress(FileNotFoundError):
            os.makedirs(os.path.dirname(directory), exist_ok=True)
            os.mkdir(directory, PRIVATE_MODE)
            return
    os.mkdir(directory, PRIVATE_MODE)  # raises what the caller is told


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
    _flush_all([*files, *((current, _DIRECTORY_MODE, None) for current in directories)])


def _flush_all(entries: Sequence[_Entry]) -> None:
    """Flush one entry after the other, and the rest side by side once the disk proves slow.

    An idle disk needs less time for a flush than a thread needs to start; on a busy one the
    file system commits what is asked for at the same time together, which takes a tenth.
    """
    left = deque(entries)
    helpers = _Helpers(left)
    try:
        before = time.perf_counter()
        while _flush_next(left):
            if time.perf_counter() - before > _SLOW_FLUSH_SECONDS:
                helpers.start()
            before = time.perf_counter()
    finally:
        helpers.wait()


def _flush_next(left: deque[_Entry]) -> bool:
    """Take the next of ``left`` and flush it; return whether there was one."""
    try:
        entry = left.popleft()
    except IndexError:
        return False
    flush(*entry)
    return True


class _Helpers:
    """Threads that flush what is left, beside their caller.

    Threads that live on would make a later fork of the application unsafe, and a ``Thread``
    takes longer to start than many a flush.
    """

    def __init__(self, left: deque[_Entry]) -> None:
        self._left = left
        self._ended: list[_thread.LockType] = []
        self._failures: list[BaseException] = []

    def start(self) -> None:
        """Start those that are missing and have something to do, if the system gives them."""
        while len(self._ended) < min(_MAX_HELPERS, len(self._left)):
            ended = _thread.allocate_lock()
            ended.acquire()
            self._ended.append(ended)
            try:
                _thread.start_new_thread(self._flush, (ended,))
            except RuntimeError:  # the interpreter may be shutting down
                self._ended.remove(ended)
                return

    def _flush(self, ended: _thread.LockType) -> None:
        try:
            while _flush_next(self._left):
                pass
        except BaseException as error:  # raised in the thread of the caller
            self._failures.append(error)
        finally:
            ended.release()

    def wait(self) -> None:
        """Return when all have ended.

        Raises:
            OSError: what the first of them that failed raised.
        """
        for ended in self._ended:
            ended.acquire()
        if self._failures:
            raise self._failures[0]


def _publish(temporary: str, final: str, shown: str, overwrite: bool) -> None:
    replaced = _put(temporary, final, shown, overwrite)
    try:
        flush(os.path.dirname(final))
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
            # Windows renames to nothing that exists, be it an empty directory.
            with contextlib.suppress(OSError):
                os.rmdir(final)
                continue
            if not overwrite or _is_no_directory(final):
                raise _conflict(shown) from error
        else:
            return False
        with contextlib.suppress(FileNotFoundError):  # the target has just been removed
            if _replace(temporary, final):
                return True
    raise _conflict(shown)


def _is_no_directory(path: str) -> bool:
    try:
        return not stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:  # another process is about to put a directory there
        return False


def _replace(temporary: str, final: str) -> bool:
    """Swap two directories, in one step where the system can do it; return whether it is done.

    Where it cannot, ``final`` is missing for a moment, and its old content then lies beside
    it under a name that no clean-up touches before there is a ``final`` again. It is not done
    if another process puts a directory there in that moment, whose content then counts.
    """
    try:
        _exchange(temporary, final)
    except OSError as error:
        if error.errno not in _NO_EXCHANGE:
            raise
        old = temporary_name(final, "old")
        os.rename(final, old)
        try:
            os.rename(temporary, final)
        except BaseException as failure:
            if isinstance(failure, OSError) and failure.errno in _TAKEN:
                remove_tree(old)
                return False
            with contextlib.suppress(OSError):
                os.rename(old, final)
            raise
        os.rename(old, temporary)
    return True


def _exchange(one: str, other: str) -> None:
    """Swap two directories in one step.

    Raises:
        OSError: with an ``errno`` of ``_NO_EXCHANGE`` where the system cannot do it.
    """
    import ctypes

    call = _find_exchange()
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if call(os.fsencode(one), os.fsencode(other)):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), other)


def _find_exchange() -> Callable[[bytes, bytes], int] | None:
    """Return the call of the C library that swaps two paths; None where there is none."""
    import ctypes

    if os.name == "nt":
        return None
    library = ctypes.CDLL(None, use_errno=True)
    path, number = ctypes.c_char_p, ctypes.c_int
    if (linux := getattr(library, "renameat2", None)) is not None:
        linux.argtypes = (number, path, number, path, ctypes.c_uint)
        return lambda one, other: int(linux(_AT_FDCWD, one, _AT_FDCWD, other, _RENAME_EXCHANGE))
    if (macos := getattr(library, "renamex_np", None)) is not None:
        macos.argtypes = (path, path, ctypes.c_uint)
        return lambda one, other: int(macos(one, other, _RENAME_EXCHANGE))
    return None
