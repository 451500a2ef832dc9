"""Copying a tree out of a store: in parallel, resumable, and in its place only when complete.

Whether the files are those that were saved is seen by who opens them: a model's manifest is held
against every byte before anything of it runs.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from pyfunc.errors import ModelIntegrityError, ModelNotFoundError, StoreError
from pyfunc.files.locks import lock_now
from pyfunc.files.opening import open_directory
from pyfunc.files.paths import MANIFEST_PATH
from pyfunc.files.progress import Meter, Progress
from pyfunc.files.publishing import put_directory
from pyfunc.files.stores import (
    FileSystem,
    Remote,
    digest_of,
    list_tree,
    open_filesystem,
    store_errors,
)
from pyfunc.files.urls import without_credentials

__all__ = ["download_cached", "download_into"]

_BLOCK = 16 << 20
_AT_ONCE = 8


def download_into(directory: Path, url: str, *, progress: Progress | None = None) -> Path:
    """Copy the file or tree at ``url`` into ``directory``; return the path of the copy.

    A tree takes the place of one of its name only when all of it is there. If it was cut off,
    the next call goes on where it ended, unless the store has something else by then.

    Args:
        directory: an existing directory.
        url: of a file or a tree.
        progress: called with the bytes copied so far and the bytes to copy, from any thread.

    Raises:
        MissingDependencyError: fsspec, or the package for this kind of URL, is not installed.
        ModelNotFoundError: there is nothing at ``url``.
        ModelIntegrityError: what is there changed meanwhile.
        StoreError: the store failed.
    """
    filesystem, remote = open_filesystem(url)
    name = remote.rpartition("/")[2]
    target = directory / ("model" if name in ("", ".", "..") else name)
    with store_errors(url):
        if filesystem.isdir(remote):
            _download_tree(filesystem, remote, target, url, progress)
        else:
            filesystem.get_file(remote, str(target))
    return target


def download_cached(cache: Path, url: str, *, progress: Progress | None = None) -> Path:
    """Return a copy of the model at ``url`` that is kept in ``cache`` by the model's digest.

    Only the manifest is fetched where a complete copy is there. A model without one is copied
    anew each time.

    Raises:
        PyfuncError: as :func:`download_into`.
    """
    filesystem, remote = open_filesystem(url)
    with store_errors(url):
        tree = list_tree(filesystem, remote)
        if MANIFEST_PATH not in tree:
            return download_into(Path(tempfile.mkdtemp(prefix="pyfunc-")), url, progress=progress)
        digest = hashlib.sha256(filesystem.cat_file(tree[MANIFEST_PATH].path)).hexdigest()
        kept = cache / digest
        if not _is_copy(kept, tree, digest):
            cache.mkdir(parents=True, exist_ok=True)
            _download_tree(filesystem, remote, kept, url, progress)
            if not _is_copy(kept, tree, digest):
                raise _changed(url)
    return kept


def _is_copy(kept: Path, tree: Mapping[str, Remote], digest: str) -> bool:
    """Return whether ``kept`` has the manifest of that digest, and files of the right sizes."""
    try:
        manifest = (kept / MANIFEST_PATH).read_bytes()
        sizes = {name: (kept / name).stat().st_size for name in tree}
    except OSError:
        return False
    same = all(remote.size in (sizes[name], None) for name, remote in tree.items())
    return same and hashlib.sha256(manifest).hexdigest() == digest


def _download_tree(
    filesystem: FileSystem, remote: str, target: Path, url: str, progress: Progress | None
) -> None:
    tree = list_tree(filesystem, remote)
    if not tree:
        raise ModelNotFoundError(f"nothing found at {without_credentials(url)}")
    digest = digest_of(tree)
    with _partial_directory(target, digest) as partial:
        _fetch_all(filesystem, tree, partial, progress)
        if digest_of(list_tree(filesystem, remote)) != digest:
            shutil.rmtree(partial)
            raise _changed(url)
        put_directory(partial, target)


def _changed(url: str) -> ModelIntegrityError:
    return ModelIntegrityError(
        f"{without_credentials(url)} changed while it was downloaded\nhint: load it again"
    )


@contextlib.contextmanager
def _partial_directory(target: Path, digest: str) -> Iterator[Path]:
    """Yield the directory that gathers the tree of ``digest`` for ``target``, for this process.

    What an earlier process left is gone on with; beside one that is at work, it is a new one.
    """
    partial = target.parent / f".{target.name}.{digest[:16]}.part"
    partial.mkdir(exist_ok=True)
    held = open_directory(str(partial))
    try:
        if _is_free(held):
            yield partial
        else:
            with tempfile.TemporaryDirectory(dir=target.parent, suffix=".part") as own:
                yield Path(own, "tree")
    finally:
        if held is not None:
            os.close(held)


def _is_free(held: int | None) -> bool:
    """Return whether no other process works in the directory, as far as the system can tell."""
    try:
        if held is not None:
            lock_now(held)
    except BlockingIOError:
        return False
    except OSError:  # some disks have no locks
        return True
    return True


def _fetch_all(
    filesystem: FileSystem,
    tree: Mapping[str, Remote],
    directory: Path,
    progress: Progress | None,
) -> None:
    meter = Meter(progress, sum(remote.size or 0 for remote in tree.values()))
    stop = threading.Event()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        futures = [
            pool.submit(_fetch, filesystem, remote, directory / name, meter, stop)
            for name, remote in tree.items()
        ]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch(
    filesystem: FileSystem, remote: Remote, path: Path, meter: Meter, stop: threading.Event
) -> None:
    """Append to the file ``path`` what it lacks of ``remote``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if remote.size is None:  # a web server does not say
        filesystem.get_file(remote.path, str(path))
        return
    with open(path, "ab") as file:
        meter.add(file.tell())
        while file.tell() < remote.size and not stop.is_set():
            start = file.tell()
            end = min(start + _BLOCK, remote.size)
            block = filesystem.cat_file(remote.path, start=start, end=end)
            if len(block) != end - start:
                raise StoreError(
                    f"{remote.path}: expected bytes {start} to {end}, got {len(block)} bytes"
                )
            file.write(block)
            meter.add(len(block))
