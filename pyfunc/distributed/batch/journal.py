"""What is finished of a long prediction, kept beside its output until all is.

A folder ``<output>.pyfunc-parts`` holds ``journal.json``, which says what is being predicted, and
a parquet file for each finished row group. Each file appears complete or not at all.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pyfunc.errors import SaveConflictError
from pyfunc.files.atomic_files import write_file_atomically
from pyfunc.files.locks import lock_now
from pyfunc.files.temporaries import remove_tree, to_save_error

__all__ = ["Journal", "opened_journal"]

_logger = logging.getLogger(__name__)

_SUFFIX = ".pyfunc-parts"
_WHAT = "journal.json"
_LOCK = "lock"


class Journal:
    """The finished row groups of one prediction; made by :func:`opened_journal`.

    Attributes:
        folder: where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path_of(self, group: int) -> Path:
        """Return where the predictions for a row group lie, or will."""
        return self.folder / f"{group:06}.parquet"

    def is_finished(self, group: int) -> bool:
        """Return whether a row group has been predicted."""
        return self.path_of(group).exists()

    def finish(self, group: int, content: bytes) -> None:
        """Keep the predictions for a row group; on disk when this returns.

        Raises:
            SaveError: they cannot be written.
        """
        write_file_atomically(self.path_of(group), content)


@contextlib.contextmanager
def opened_journal(
    target: str, what: Mapping[str, object], *, restart: bool = False
) -> Iterator[Journal]:
    """Give the journal of the output ``target``, for this process alone.

    It is gone when the block ends well, and stays for the next run when it does not, unless
    nothing is finished.

    Args:
        target: the file that the predictions are for.
        what: all that the predictions follow from, as JSON has it. What is finished counts only
            for the same.
        restart: drop what is finished.

    Raises:
        SaveConflictError: another process is at it, or what is finished is of something else.
        SaveError: the folder cannot be written.
    """
    folder = Path(os.path.abspath(target) + _SUFFIX)
    with _locked(folder, target):
        if restart:
            _empty(folder)
        _check_same(folder, what, target)
        try:
            yield Journal(folder)
        except BaseException:
            if finished := sum(1 for _ in folder.glob("*.parquet")):
                _logger.warning(
                    "%d row groups are finished and kept in %s: run it again to go on from there",
                    finished,
                    folder,
                )
            else:
                remove_tree(os.fspath(folder))
            raise
        remove_tree(os.fspath(folder))


@contextlib.contextmanager
def _locked(folder: Path, target: str) -> Iterator[None]:
    try:
        folder.mkdir(exist_ok=True)
        (folder / _LOCK).touch()
    except OSError as error:
        raise to_save_error(error, os.fspath(folder)) from error
    with open(folder / _LOCK, "rb+") as lock:
        try:
            lock_now(lock.fileno())
        except BlockingIOError as error:
            raise _busy(target) from error
        except OSError:  # a file system without locks: two runs at once are not found there
            pass
        if not _is_still_there(lock.fileno(), folder / _LOCK):
            raise _busy(target)
        yield


def _is_still_there(descriptor: int, path: Path) -> bool:
    """Return whether an open file is the one at ``path``: another run may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _busy(target: str) -> SaveConflictError:
    return SaveConflictError(
        f"another process is predicting to {target}\nhint: wait for it, or name another file"
    )


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != _LOCK:
            path.unlink()


def _check_same(folder: Path, what: Mapping[str, object], target: str) -> None:
    path = folder / _WHAT
    try:
        before = json.loads(path.read_bytes())
    except FileNotFoundError:
        write_file_atomically(path, json.dumps(what, indent=2).encode())
        return
    except ValueError as error:
        raise _conflict(target, folder, f"{_WHAT} cannot be read: {error}") from error
    if not isinstance(before, dict):
        raise _conflict(target, folder, f"{_WHAT} is no JSON object")
    changed = [name for name, value in what.items() if before.get(name) != value]
    if changed:
        raise _conflict(target, folder, f"changed since: {', '.join(changed)}")


def _conflict(target: str, folder: Path, why: str) -> SaveConflictError:
    return SaveConflictError(
        f"{folder} holds finished predictions for {target} that are of something else: {why}\n"
        "hint: undo that to go on from there, or drop them by --restart (restart=True)"
    )
