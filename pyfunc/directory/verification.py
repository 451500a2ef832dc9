"""Holding the files of a model against its manifest, and declaring them right.

Only names and sizes are looked at where that settles it; each file is read once.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Literal

from pyfunc.directory.additions import REGISTERED_META, find_added_by_stores
from pyfunc.directory.manifest import (
    MANIFEST_PATH,
    UNLISTED,
    FileEntry,
    Manifest,
    encode_manifest,
    find_clash,
    name_of,
    read_manifest,
)
from pyfunc.directory.mlmodel import MLMODEL_FILE, read_mlmodel
from pyfunc.errors import (
    ModelIncompleteError,
    ModelIntegrityError,
    ModelPathError,
    PyfuncError,
    PyfuncWarning,
    shorten,
)
from pyfunc.files.atomic_files import write_file_atomically
from pyfunc.files.lfs_pointers import POINTER_TEXT, holds_lfs_pointer
from pyfunc.files.paths import (
    confine,
    describe_type,
    find_problem_of_relative,
    is_link,
    open_regular_file,
)
from pyfunc.files.progress import Meter, Progress

__all__ = [
    "Extra",
    "Found",
    "Progress",
    "build_manifest",
    "check_listing",
    "find_additions",
    "find_files",
    "hash_files",
    "integrity_error",
    "refresh_manifest",
    "verify_files",
    "write_manifest",
]

Extra = Literal["error", "warn", "ignore"]

_logger = logging.getLogger("pyfunc.files")
_CODE_FOLDER = "code/"  # also where MLmodel names no folder: other readers may import from it
_CODE_SUFFIXES = (".py", ".pyc", ".pyd", ".so")
_CHUNK = 1 << 20
# Below this, threads cost more than they bring; hashing releases the interpreter's lock.
_THREADED_BYTES = 8 << 20
_NO_COPIES: Mapping[str, BinaryIO] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Found:
    """A file on disk: its path as the system spells it, and its size in bytes."""

    path: str
    size: int


def find_files(directory: Path | str) -> dict[str, Found]:
    """Return every file below ``directory`` by the name that a manifest gives it, sorted.

    The manifest itself and signatures over it are left out.

    Raises:
        ModelPathError: something below is a symbolic link, a FIFO, a socket or a device, or
            has a name that a manifest cannot hold, or two names differ in case or Unicode
            form only.
        ModelIncompleteError: the directory or a part of it is gone, or cannot be read.
    """
    root = os.fspath(directory)
    try:
        return _find_files(root)
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        raise ModelIncompleteError(reason, path=str(error.filename or root)) from error


def _find_files(root: str) -> dict[str, Found]:
    found: dict[str, Found] = {}
    pending = [""]
    for below in pending:  # grows while it is walked
        with os.scandir(os.path.join(root, below)) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                relative = below + entry.name
                if stat.S_ISDIR(status.st_mode) and not is_link(status):
                    pending.append(relative + "/")
                elif not stat.S_ISREG(status.st_mode):
                    kind = describe_type(status.st_mode)
                    raise ModelPathError(f"expected a file, got {kind}", path=entry.path)
                elif relative not in UNLISTED:
                    _add_found(found, relative, Found(entry.path, status.st_size))
    clash = find_clash(found)
    if clash:
        raise ModelPathError(clash, path=root)
    return dict(sorted(found.items()))


def _add_found(found: dict[str, Found], relative: str, file: Found) -> None:
    problem = find_problem_of_relative(relative)
    name = name_of(relative)
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        problem = "the name of the file is not valid Unicode"
    if problem is None and name in found:
        problem = f"two files are called {shorten(name)} in different Unicode forms"
    if problem is not None:
        raise ModelPathError(problem, path=file.path)
    found[name] = file


def hash_files(
    files: Mapping[str, str],
    *,
    progress: Progress | None = None,
    total: int = 0,
    copies: Mapping[str, BinaryIO] = _NO_COPIES,
) -> dict[str, str]:
    """Return the SHA-256 of each file as hex; ``files`` maps names to paths.

    Each file is read once; links are not followed. Threads are used for many large bytes.

    Args:
        files: what to hash.
        progress: called with the bytes done so far and ``total``, from any thread.
        total: the size of all files in bytes, 0 if unknown.
        copies: what the bytes that are hashed are written to as well, by the names of files.

    Raises:
        ModelPathError: something is not an ordinary file (any more).
        ModelIncompleteError: something is missing or cannot be opened.
    """
    meter = Meter(progress, total)
    if total < _THREADED_BYTES or len(files) == 1:
        return {name: _hash_file(path, meter, copies.get(name)) for name, path in files.items()}
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        wanted = map(copies.get, files)
        digests = pool.map(_hash_file, files.values(), repeat(meter), wanted)
        return dict(zip(files, digests, strict=True))


def _hash_file(path: str, meter: Meter, copy: BinaryIO | None) -> str:
    digest = hashlib.sha256()
    with open_regular_file(path, follow=False) as file:
        while block := file.read(_CHUNK):
            digest.update(block)
            if copy is not None:
                copy.write(block)
            meter.add(len(block))
    return digest.hexdigest()


def build_manifest(directory: Path | str, *, progress: Progress | None = None) -> Manifest:
    """Return the manifest of the files that are below ``directory`` now."""
    found = find_files(directory)
    found.pop(REGISTERED_META, None)  # every download writes it anew
    digests = hash_files(
        {name: file.path for name, file in found.items()},
        progress=progress,
        total=sum(file.size for file in found.values()),
    )
    entries = {name: FileEntry(file.size, digests[name]) for name, file in found.items()}
    return Manifest(MappingProxyType(entries))


def write_manifest(directory: Path | str, *, progress: Progress | None = None) -> Manifest:
    """Write the manifest of ``directory`` into it, as the last step of a save; return it.

    Raises:
        InvalidArgumentError: nothing could read it back.
    """
    manifest = build_manifest(directory, progress=progress)
    path = os.path.join(directory, MANIFEST_PATH)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(encode_manifest(manifest))
    return manifest


def refresh_manifest(directory: Path | str, *, progress: Progress | None = None) -> Manifest:
    """Declare the files that are in a published model now to be right; return the manifest.

    For use after MLflow changed a file, such as a signature or requirements. A reader sees
    the old manifest or the new one.

    Raises:
        ModelIncompleteError: ``directory`` has no ``MLmodel``.
    """
    root = Path(directory)
    confine(root, MLMODEL_FILE, key=MLMODEL_FILE, file=root, kind="file")
    confine(root, MANIFEST_PATH, key=MANIFEST_PATH, file=root, kind="file", must_exist=False)
    manifest = build_manifest(root, progress=progress)
    path = root / MANIFEST_PATH
    path.parent.mkdir(exist_ok=True)
    write_file_atomically(path, encode_manifest(manifest))
    return manifest


def check_listing(
    directory: Path | str, manifest: Manifest, found: Mapping[str, Found], *, extra: Extra
) -> None:
    """Check names and sizes of ``found`` against ``manifest``; nothing but MLmodel is read.

    Raises:
        ModelIntegrityError: files are missing, of another size, or extra. What ``extra`` says
            does not hold where loading imports code from: there an extra file always counts.
    """
    missing, resized, unlisted = _compare(manifest.files, found, directory, extra)
    if missing or resized or unlisted:
        raise integrity_error(directory, missing, resized, unlisted)


def verify_files(
    directory: Path | str,
    manifest: Manifest | None = None,
    *,
    extra: Extra = "error",
    but: Collection[str] = (),
    progress: Progress | None = None,
    copies: Mapping[str, BinaryIO] = _NO_COPIES,
) -> Manifest:
    """Check every file of ``directory`` against its manifest; return the manifest.

    Args:
        directory: a model directory.
        manifest: what to check against; None reads the one in ``directory``.
        extra: what a file that is not listed means. Below a folder that loading imports code
            from it is always an error.
        but: names of files that are not looked at, whether they are listed or not.
        progress: called with the bytes hashed so far and the bytes to hash.
        copies: as for :func:`hash_files`.

    Raises:
        ModelIntegrityError: files are missing, modified or extra; all of them are listed. Or
            there is no manifest. What stores are known to add beside a model is no extra file.
        ModelFormatError: the manifest is malformed.
        ModelPathError: something in the directory is neither a file nor a directory.
    """
    if manifest is None:
        manifest = read_manifest(directory)
    if manifest is None:
        raise ModelIntegrityError(f"{directory} has no manifest, so nothing can be verified")
    listed, found = manifest.files, find_files(directory)
    if but:
        listed = {name: entry for name, entry in listed.items() if name not in but}
        found = {name: file for name, file in found.items() if name not in but}
    missing, resized, unlisted = _compare(listed, found, directory, extra)
    same_size = {name: found[name] for name in listed if name in found}
    for name in resized:
        del same_size[name]
    try:
        digests = hash_files(
            {name: file.path for name, file in same_size.items()},
            progress=progress,
            total=sum(file.size for file in same_size.values()),
            copies=copies,
        )
    except ModelIncompleteError as error:
        raise ModelIntegrityError(f"{directory} changed while it was verified") from error
    changed = [name for name, sha in digests.items() if sha != listed[name].sha256]
    if missing or resized or changed or unlisted:
        raise integrity_error(directory, missing, resized + changed, unlisted)
    return manifest


def _compare(
    listed: Mapping[str, FileEntry],
    found: Mapping[str, Found],
    directory: Path | str,
    extra: Extra,
) -> tuple[list[str], list[str], list[str]]:
    missing = [name for name in listed if name not in found]
    resized = [
        name for name, entry in listed.items() if name in found and found[name].size != entry.size
    ]
    unlisted = [name for name in found if name not in listed]
    added = set(_added_by_stores(directory, listed, found))
    if added:
        _logger.info("%s: files of a store are passed over: %s", directory, sorted(added))
        unlisted = [name for name in unlisted if name not in added]
    if unlisted and extra != "error":
        importable = tuple(_code_folders(directory, found))
        tolerated = [name for name in unlisted if not name.startswith(importable)]
        if extra == "warn" and tolerated:
            shown = ", ".join(tolerated[:10])
            warnings.warn(
                f"{directory}: {len(tolerated)} file(s) are not in the manifest: {shown}",
                PyfuncWarning,
                stacklevel=3,
            )
        unlisted = [name for name in unlisted if name.startswith(importable)]
    return missing, resized, unlisted


def find_additions(directory: Path | str, manifest: Manifest) -> list[str]:
    """Return the files of ``directory`` that were not saved, but are known to be added, sorted.

    Those in a folder of the model, or where loading imports code from, are no such files.

    Raises:
        ModelPathError: as :func:`find_files`.
        ModelIncompleteError: as :func:`find_files`.
    """
    return _added_by_stores(directory, manifest.files, find_files(directory))


def _added_by_stores(
    directory: Path | str, listed: Collection[str], found: Mapping[str, Found]
) -> list[str]:
    unlisted = [name for name in found if name not in listed]
    added = list(find_added_by_stores(directory, listed, unlisted))
    importable = tuple(_code_folders(directory, found)) if added else ()
    return [name for name in added if not name.startswith(importable)]


def _code_folders(directory: Path | str, found: Mapping[str, Found]) -> Iterator[str]:
    """Yield where loading may import from: starts of names, each empty or with a slash at its end.

    Models inside this one count.
    """
    yield _CODE_FOLDER
    yield from _code_folders_of(Path(directory, MLMODEL_FILE), "", found)
    for name, file in found.items():
        if name.endswith(f"/{MLMODEL_FILE}"):
            yield from _code_folders_of(Path(file.path), name.removesuffix(MLMODEL_FILE), found)


def _code_folders_of(mlmodel: Path, base: str, names: Collection[str]) -> set[str]:
    try:
        named = list(read_mlmodel(mlmodel).code_folders())
    except PyfuncError:
        # The file does not say it, so any folder that holds code is taken for one.
        inside = (name for name in names if name.startswith(base))
        return {name[: name.rfind("/") + 1] for name in inside if name.endswith(_CODE_SUFFIXES)}
    return {base if folder == "." else name_of(f"{base}{folder}/") for folder in named}


def integrity_error(
    directory: Path | str,
    missing: Sequence[str] = (),
    modified: Sequence[str] = (),
    extra: Sequence[str] = (),
) -> ModelIntegrityError:
    """Return the error that lists what differs from the manifest, and says what to do."""
    error = ModelIntegrityError(
        f"{directory} does not match its manifest",
        missing=missing,
        modified=modified,
        extra=extra,
    )
    hint = "if it was changed on purpose, as MLflow does, call pyfunc.refresh on it"
    if extra and not missing and not modified and all("__pycache__/" in name for name in extra):
        folders = sorted({name.rpartition("/")[0] for name in extra})
        hint = (
            "another reader, such as MLflow, left bytecode there, which is never run here: "
            f"remove {', '.join(folders)}, or call pyfunc.refresh"
        )
    pointers = [name for name in modified if holds_lfs_pointer(Path(directory, name))]
    if pointers:
        hint = f"{', '.join(pointers)} {POINTER_TEXT.replace(chr(10), ' ').replace('hint: ', '')}"
    error.hint = hint
    return error
