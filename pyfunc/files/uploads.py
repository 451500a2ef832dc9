"""Putting a directory into a store, so that it is complete there or cannot be taken for one.

Stores replace single files only. What marks a directory as complete is written last, and removed
first where another one was there: whatever moment ends the upload, what is left is no model.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from pyfunc.errors import InvalidArgumentError, ModelNotFoundError, SaveConflictError
from pyfunc.files.stores import (
    FileSystem,
    is_bucket_store,
    list_tree,
    open_filesystem,
    store_errors,
)
from pyfunc.files.urls import without_credentials

__all__ = ["uploaded_directory"]

_AT_ONCE = 8


@contextlib.contextmanager
def uploaded_directory(
    url: str, *, last: Sequence[str], overwrite: bool = False
) -> Iterator[Path]:
    """Yield a new private directory whose files are at ``url`` when the block ends well.

    When the block fails nothing was sent. When sending fails, what was sent is removed; when it
    is cut off, at least the final file of ``last`` is not there.

    Args:
        url: a folder in a store; nothing may be there.
        last: relative paths of the files that are sent after all others, in this order.
        overwrite: True replaces what is there. Meanwhile nothing complete is.

    Raises:
        SaveConflictError: there is something at ``url``; found before the block runs, or when
            another was faster.
        MissingDependencyError: the package for this kind of URL is not installed.
        StoreError: the store failed.
    """
    filesystem, remote = open_filesystem(url)
    _find_old(filesystem, remote, url, overwrite)
    with tempfile.TemporaryDirectory(prefix="pyfunc-") as private:
        directory = Path(private, "model")
        directory.mkdir()
        yield directory
        names = _names_below(directory)
        old = _find_old(filesystem, remote, url, overwrite)
        with store_errors(url, writing=True):
            _take_away(filesystem, remote, old, names, last)
            try:
                _send(filesystem, remote, directory, names, last)
            except BaseException:
                with contextlib.suppress(Exception):
                    sent = list_tree(filesystem, remote)
                    _take_away(filesystem, remote, sent, (), last)
                raise


def _names_below(directory: Path) -> list[str]:
    """Return the relative POSIX paths of the files below ``directory``, sorted.

    Raises:
        InvalidArgumentError: a folder is empty, and would not come back from a store.
    """
    found = sorted(directory.rglob("*"))
    empty = [path for path in found if path.is_dir() and not any(path.iterdir())]
    if empty:
        names = [path.relative_to(directory).as_posix() for path in empty]
        raise InvalidArgumentError(
            f"a store holds no empty folder, and the model has: {', '.join(names)}\n"
            "hint: put a file into it, or leave it out"
        )
    return [path.relative_to(directory).as_posix() for path in found if path.is_file()]


def _find_old(filesystem: FileSystem, remote: str, url: str, overwrite: bool) -> set[str]:
    """Return the files that are there; none unless they may be replaced."""
    told = without_credentials(url)
    parts = urlsplit(url)
    if not parts.path.strip("/") and (is_bucket_store(parts.scheme) or not remote):
        raise SaveConflictError(f"{told} is the root of a store\nhint: choose a folder in it")
    try:
        with store_errors(url):
            names = set(list_tree(filesystem, remote))
            is_file = not names and not filesystem.isdir(remote) and filesystem.info(remote)
    except ModelNotFoundError:
        return set()
    if is_file:
        raise SaveConflictError(f"{told} exists already and is a file\nhint: choose another place")
    if names and not overwrite:
        raise SaveConflictError(
            f"{told} exists already and is not empty\n"
            "hint: choose another place, or pass overwrite=True; what a save that was cut off "
            "left there is replaced as well"
        )
    return names


def _take_away(
    filesystem: FileSystem,
    remote: str,
    old: Collection[str],
    names: Collection[str],
    last: Sequence[str],
) -> None:
    """Remove of the files ``old`` what marks them as complete, then those not in ``names``."""
    for name in reversed(last):
        if name in old:
            filesystem.rm_file(f"{remote}/{name}")
    stale = sorted(set(old) - {*names, *last})
    _each(filesystem.rm_file, [(f"{remote}/{name}",) for name in stale])


def _send(
    filesystem: FileSystem,
    remote: str,
    directory: Path,
    names: Sequence[str],
    last: Sequence[str],
) -> None:
    pairs = {name: (str(directory / name), f"{remote}/{name}") for name in names}
    _each(filesystem.put_file, [pair for name, pair in pairs.items() if name not in last])
    for name in last:
        if name in pairs:
            filesystem.put_file(*pairs[name])


def _each(call: Callable[..., object], arguments: Iterable[tuple[str, ...]]) -> None:
    """Call with each of ``arguments``, several at once; raise the first failure."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        futures = [pool.submit(call, *given) for given in arguments]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
