"""What of a project nobody can see or use any more, and that no living process is writing.

* outputs of runs that did not complete
* what a process that was killed had begun: temporaries, folders that have no document yet, or none
  any more
* code that no function and no run is made of
* notes of the cache about runs that are gone

Whoever writes holds a lock on what is not finished, but for the moment between two calls of the
system: what looks left behind is looked at again a second later, and counts if it is the same.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pyfunc.files.locks import lock_now
from pyfunc.files.opening import open_directory, open_to_read
from pyfunc.files.temporaries import is_staging_name, remove_tree
from pyfunc.functions.cache import CACHE
from pyfunc.functions.names import UNNAMED_TYPES, VERSIONED_TYPES, Key
from pyfunc.functions.run import settle
from pyfunc.functions.sources import MAIN, SOURCES, TREE
from pyfunc.functions.store import DOCUMENT, Store

__all__ = ["find_garbage", "remove_garbage"]

_SECOND_LOOK = 1.0
_FAILED = ("ERROR", "STOPPED")


def find_garbage(store: Store, project: str) -> list[Path]:
    """Return files and folders of a project that can go, sorted; nothing is changed."""
    first = {path: _mark(path) for path in _candidates(store, project)}
    if not first:
        return []
    time.sleep(_SECOND_LOOK)
    again = {path: _mark(path) for path in _candidates(store, project)}
    found = [path for path, mark in first.items() if mark and again.get(path) == mark]
    return sorted(path for path in found if not set(path.parents) & {*found})


def remove_garbage(paths: Iterable[Path]) -> None:
    """Remove what :func:`find_garbage` found."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            remove_tree(str(path))
        else:
            with contextlib.suppress(OSError):
                path.unlink()


def _candidates(store: Store, project: str) -> Iterator[Path]:
    folder = store.folder(Key(project))
    yield from _hidden_outputs(store, project)
    yield from _unused_sources(store, project, folder / SOURCES)
    for path in _entries(folder / CACHE):
        if not is_staging_name(path.name) and not store.has(_run_in(path, project)):
            yield path
    yield from (path for path in _begun(folder) if not _is_held(path))
    yield from (
        path
        for path in _entries(store.root)
        if is_staging_name(path.name) and path.name.startswith(f".{project}.")
        if not _is_held(path)
    )


def _mark(path: Path) -> list[tuple[int, int, int]]:
    """Return what changes when somebody writes at or below ``path``; empty if nothing is there."""
    found = []
    for each in (path, *(sorted(path.rglob("*")) if path.is_dir() else ())):
        with contextlib.suppress(OSError):
            status = each.lstat()
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return found


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _hidden_outputs(store: Store, project: str) -> Iterator[Path]:
    # In this order: a run is there before its outputs are.
    hidden = [*store.find_hidden(project)]
    runs = (settle(store, run) for run in store.read_all(project, "run"))
    kept = {run["id"] for run in runs if run["status"]["state"] not in _FAILED}
    return (folder for folder, run in hidden if run not in kept)


def _unused_sources(store: Store, project: str, sources: Path) -> Iterator[Path]:
    trees = [path for path in _entries(sources) if not is_staging_name(path.name)]
    specs = [
        document["spec"].get("source")
        for entity_type in ("function", "run")
        for document in store.read_all(project, entity_type)
    ]
    texts = {_embedded(spec) for spec in specs if isinstance(spec, dict)}
    used = {hashlib.sha256(text).hexdigest() for text in texts if text is not None}
    # Nobody writes down which folder was fetched for which of them.
    keeps_fetched = None in texts
    for path in trees:
        if path.name not in used and not (keeps_fetched and _is_fetched(path)):
            yield path


def _embedded(source: Mapping[str, object]) -> bytes | None:
    """Return the code that stands in a document, None if it is fetched from somewhere."""
    try:
        return base64.b64decode(str(source["base64"]), validate=True)
    except (KeyError, binascii.Error, ValueError):
        return None


def _is_fetched(path: Path) -> bool:
    try:
        data = path.joinpath(TREE, f"{MAIN}.py").read_bytes()
    except OSError:
        return True
    return hashlib.sha256(data).hexdigest() != path.name


def _run_in(path: Path, project: str) -> Key:
    try:
        run = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        run = ""
    return Key(project, "run", "", "", run or "none")


def _begun(project: Path) -> Iterator[Path]:
    """Yield temporaries of a project, and folders of entities without a document."""
    for name in (*VERSIONED_TYPES, *UNNAMED_TYPES):
        above = project / f"{name}s"
        folders = [above] if name in UNNAMED_TYPES else _entries(above)
        yield from (path for path in _entries(above) if is_staging_name(path.name))
        for path in (path for folder in folders for path in _entries(folder)):
            if is_staging_name(path.name) or not path.joinpath(DOCUMENT).exists():
                yield path
            else:
                yield from (file for file in _entries(path) if is_staging_name(file.name))
    for folder in (project, project / SOURCES, project / CACHE):
        yield from (path for path in _entries(folder) if is_staging_name(path.name))


def _is_held(path: Path) -> bool:
    """Return whether a process holds a lock on ``path`` or on a file of that folder."""
    if not path.is_dir():
        return _is_locked(path)
    return _is_locked(path) or any(
        _is_locked(file) for file in _entries(path) if file.name in ("alive", "lock")
    )


def _is_locked(path: Path) -> bool:
    """Return whether a process has locked ``path``; where nobody can tell, one has."""
    try:
        is_folder = path.is_dir() and not path.is_symlink()
        opened = open_directory if is_folder else lambda name: open_to_read(name, follow=False)
        descriptor = opened(str(path))
    except OSError:
        return path.exists()
    if descriptor is None:  # a system that does not open folders
        return True
    try:
        lock_now(descriptor)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
