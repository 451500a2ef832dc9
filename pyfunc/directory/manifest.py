"""The list of every file of a model with its size and SHA-256, in ``.pyfunc/manifest.json``.

MLflow ignores that folder. The manifest alone proves that nothing changed by accident; who
wants to know that nobody changed both pins :attr:`Manifest.digest` or signs the file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import threading
import unicodedata
import warnings
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pyfunc.errors import (
    ModelFormatError,
    ModelIncompleteError,
    ModelIntegrityError,
    ModelPathError,
    PyfuncWarning,
    shorten,
)
from pyfunc.files.paths import (
    confine,
    describe_type,
    find_problem_of_relative,
    open_regular_file,
    read_at_most,
)
from pyfunc.files.publishing import write_file_atomically

__all__ = [
    "MANIFEST_PATH",
    "SIGNATURE_PATHS",
    "Extra",
    "FileEntry",
    "Found",
    "Manifest",
    "Progress",
    "build_manifest",
    "check_listing",
    "find_files",
    "hash_files",
    "parse_manifest",
    "read_manifest",
    "refresh_manifest",
    "verify_files",
    "write_manifest",
]

MANIFEST_PATH = ".pyfunc/manifest.json"
SIGNATURE_PATHS = (".pyfunc/signature.json", ".pyfunc/model.sig")

Extra = Literal["error", "warn", "ignore"]
Progress = Callable[[int, int], None]

_EXCLUDED = frozenset((MANIFEST_PATH, *SIGNATURE_PATHS))
_CODE = "code/"
_VERSION = 1
_ALGORITHM = "sha256"
_MAX_BYTES = 32 << 20
_MAX_FILES = 100_000
_CHUNK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Below this, threads cost more than they bring; hashing releases the interpreter's lock.
_THREADED_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class FileEntry:
    """Size in bytes and SHA-256 (64 lower-case hex digits) of one file."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a model by relative POSIX path in Unicode form NFC."""

    files: Mapping[str, FileEntry]

    def to_bytes(self) -> bytes:
        """Return the canonical JSON: the same bytes for the same files, always."""
        files = {
            name: {"sha256": entry.sha256, "size": entry.size}
            for name, entry in self.files.items()
        }
        content = {"algorithm": _ALGORITHM, "files": files, "version": _VERSION}
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        return text.encode("utf-8")

    @property
    def digest(self) -> str:
        """SHA-256 of :meth:`to_bytes` as hex: one value that stands for the whole model."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def total_size(self) -> int:
        """Sum of the sizes of all files in bytes."""
        return sum(entry.size for entry in self.files.values())


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
    """
    root = os.fspath(directory)
    found: dict[str, Found] = {}
    pending = [""]
    for below in pending:  # grows while it is walked
        with os.scandir(os.path.join(root, below)) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                relative = below + entry.name
                if stat.S_ISDIR(status.st_mode):
                    pending.append(relative + "/")
                elif not stat.S_ISREG(status.st_mode):
                    kind = describe_type(status.st_mode)
                    raise ModelPathError(f"expected a file, got {kind}", path=entry.path)
                elif relative not in _EXCLUDED:
                    _add_found(found, relative, Found(entry.path, status.st_size))
    clash = _find_clash(found)
    if clash:
        raise ModelPathError(clash, path=root)
    return dict(sorted(found.items()))


def _add_found(found: dict[str, Found], relative: str, file: Found) -> None:
    problem = find_problem_of_relative(relative)
    name = relative
    if not relative.isascii():
        name = unicodedata.normalize("NFC", relative)
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            problem = "the name of the file is not valid Unicode"
    if problem is None and name in found:
        problem = f"two files are called {shorten(name)} in different Unicode forms"
    if problem is not None:
        raise ModelPathError(problem, path=file.path)
    found[name] = file


def _find_clash(names: Collection[str]) -> str | None:
    """Return what is wrong if two names are one on a system that ignores case."""
    folded: dict[str, str] = {}
    for name in names:
        other = folded.setdefault(name.lower() if name.isascii() else name.casefold(), name)
        if other is not name:
            return f"the names {shorten(other)} and {shorten(name)} differ in case only"
    return None


def hash_files(
    files: Mapping[str, str], *, progress: Progress | None = None, total: int = 0
) -> dict[str, str]:
    """Return the SHA-256 of each file as hex; ``files`` maps names to paths.

    Each file is read once; links are not followed. Threads are used for many large bytes.

    Args:
        files: what to hash.
        progress: called with the bytes done so far and ``total``, from any thread.
        total: the size of all files in bytes, 0 if unknown.

    Raises:
        ModelPathError: something is not an ordinary file (any more).
        ModelIncompleteError: something is missing or cannot be opened.
    """
    meter = _Meter(progress, total)
    if total < _THREADED_BYTES or len(files) == 1:
        return {name: _hash_file(path, meter) for name, path in files.items()}
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        digests = pool.map(lambda path: _hash_file(path, meter), files.values())
        return dict(zip(files, digests, strict=True))


class _Meter:
    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        if self._progress is not None:
            with self._lock:
                self._done += count
                self._progress(self._done, self._total)


def _hash_file(path: str, meter: _Meter) -> str:
    digest = hashlib.sha256()
    with open_regular_file(path, follow=False) as file:
        while block := file.read(_CHUNK):
            digest.update(block)
            meter.add(len(block))
    return digest.hexdigest()


def build_manifest(directory: Path | str, *, progress: Progress | None = None) -> Manifest:
    """Return the manifest of the files that are below ``directory`` now."""
    found = find_files(directory)
    digests = hash_files(
        {name: file.path for name, file in found.items()},
        progress=progress,
        total=sum(file.size for file in found.values()),
    )
    entries = {name: FileEntry(file.size, digests[name]) for name, file in found.items()}
    return Manifest(MappingProxyType(entries))


def write_manifest(directory: Path | str, *, progress: Progress | None = None) -> Manifest:
    """Write the manifest of ``directory`` into it, as the last step of a save; return it."""
    manifest = build_manifest(directory, progress=progress)
    path = os.path.join(directory, MANIFEST_PATH)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(manifest.to_bytes())
    return manifest


def refresh_manifest(directory: Path | str, *, progress: Progress | None = None) -> Manifest:
    """Declare the files that are in a published model now to be right; return the manifest.

    For use after MLflow changed a file, such as a signature or requirements. A reader sees
    the old manifest or the new one.

    Raises:
        ModelIncompleteError: ``directory`` has no ``MLmodel``.
    """
    root = Path(directory)
    confine(root, "MLmodel", key="MLmodel", file=root, kind="file")
    confine(root, MANIFEST_PATH, key=MANIFEST_PATH, file=root, kind="file", must_exist=False)
    manifest = build_manifest(root, progress=progress)
    path = root / MANIFEST_PATH
    path.parent.mkdir(exist_ok=True)
    write_file_atomically(path, manifest.to_bytes())
    return manifest


def read_manifest(directory: Path | str) -> Manifest | None:
    """Return the manifest that lies in ``directory``, or None if it has none.

    Raises:
        ModelFormatError: the manifest is malformed.
        ModelPathError: the manifest is not an ordinary file.
    """
    path = os.path.join(directory, MANIFEST_PATH)
    if not os.path.lexists(path):
        return None
    with open_regular_file(path, follow=False) as file:
        # One byte more than allowed tells a file that is too large, however it grows.
        return parse_manifest(read_at_most(file, _MAX_BYTES + 1), path=path)


def parse_manifest(data: bytes, *, path: Path | str = MANIFEST_PATH) -> Manifest:
    """Return the manifest that the JSON ``data`` holds.

    Raises:
        ModelFormatError: anything about it is not as :meth:`Manifest.to_bytes` writes it, but
            for order and white space; names that leave the directory, are absolute, clash or
            are not normalised are refused as well.
    """
    if len(data) > _MAX_BYTES:
        raise ModelFormatError(f"the manifest is larger than {_MAX_BYTES} bytes", path=path)
    # Parsing is slow; each file takes three colons, and a name has hardly ever one.
    if data.count(b":") > 4 * _MAX_FILES:
        raise ModelFormatError(f"the manifest lists more than {_MAX_FILES} files", path=path)
    try:
        content = json.loads(data.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ModelFormatError(f"not a JSON manifest: {error}", path=path) from error
    expected = {"version": _VERSION, "algorithm": _ALGORITHM, "files": None}
    if not isinstance(content, dict) or content.keys() != expected.keys():
        raise ModelFormatError(
            "expected an object with 'algorithm', 'files' and 'version'", path=path
        )
    for key in ("version", "algorithm"):
        value = content[key]
        if type(value) is not type(expected[key]) or value != expected[key]:
            raise ModelFormatError(
                f"expected {expected[key]!r}, got {shorten(value)}", path=path, key=key
            )
    return Manifest(MappingProxyType(_check_files(content["files"], path)))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice")
    return result


def _check_files(files: Any, path: Path | str) -> dict[str, FileEntry]:
    if not isinstance(files, dict) or len(files) > _MAX_FILES:
        raise ModelFormatError(
            f"expected an object with at most {_MAX_FILES} entries", path=path, key="files"
        )
    entries = {}
    for name, entry in sorted(files.items()):
        problem = _find_problem_of_name(name) or _find_problem_of_entry(entry)
        if problem is not None:
            raise ModelFormatError(problem, path=path, key=f"files[{shorten(name)}]")
        entries[name] = FileEntry(entry["size"], entry["sha256"])
    clash = _find_clash(entries) or _find_parent_clash(entries)
    if clash is not None:
        raise ModelFormatError(clash, path=path, key="files")
    return entries


def _find_problem_of_name(name: str) -> str | None:
    problem = find_problem_of_relative(name)
    if problem is None and (name in _EXCLUDED or any(p in ("", ".") for p in name.split("/"))):
        problem = "the path is not normalised or names the manifest itself"
    if problem is None and not unicodedata.is_normalized("NFC", name):
        problem = "the path is not in Unicode form NFC"
    return problem


def _find_problem_of_entry(entry: Any) -> str | None:
    if not isinstance(entry, dict) or entry.keys() != {"sha256", "size"}:
        return "expected an object with 'sha256' and 'size'"
    size, sha256 = entry["size"], entry["sha256"]
    if type(size) is not int or not 0 <= size < 1 << 63:
        return f"expected a size in bytes, got {shorten(size)}"
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        return f"expected 64 lower-case hex digits, got {shorten(sha256)}"
    return None


def _find_parent_clash(names: Collection[str]) -> str | None:
    for name in names:
        cut = name.rfind("/")
        while cut > 0:
            if name[:cut] in names:
                return f"{shorten(name[:cut])} is listed as a file and as a directory"
            cut = name.rfind("/", 0, cut)
    return None


def check_listing(
    directory: Path | str, manifest: Manifest, found: Mapping[str, Found], *, extra: Extra
) -> None:
    """Check names and sizes of ``found`` against ``manifest``; nothing is read.

    Raises:
        ModelIntegrityError: files are missing, of another size, or extra. An extra file below
            ``code/`` always counts, since it would be importable; elsewhere ``extra`` says.
    """
    missing, resized, unlisted = _compare(manifest, found, directory, extra)
    if missing or resized or unlisted:
        raise _integrity_error(directory, missing, resized, unlisted)


def verify_files(
    directory: Path | str,
    manifest: Manifest | None = None,
    *,
    extra: Extra = "error",
    progress: Progress | None = None,
) -> Manifest:
    """Check every file of ``directory`` against its manifest; return the manifest.

    Args:
        directory: a model directory.
        manifest: what to check against; None reads the one in ``directory``.
        extra: what a file that is not listed means. Below ``code/`` it is always an error.
        progress: called with the bytes hashed so far and the bytes to hash.

    Raises:
        ModelIntegrityError: files are missing, modified or extra; all of them are listed. Or
            there is no manifest.
        ModelFormatError: the manifest is malformed.
        ModelPathError: something in the directory is neither a file nor a directory.
    """
    if manifest is None:
        manifest = read_manifest(directory)
    if manifest is None:
        raise ModelIntegrityError(f"{directory} has no manifest, so nothing can be verified")
    found = find_files(directory)
    missing, resized, unlisted = _compare(manifest, found, directory, extra)
    same_size = {name: found[name] for name in manifest.files if name in found}
    for name in resized:
        del same_size[name]
    try:
        digests = hash_files(
            {name: file.path for name, file in same_size.items()},
            progress=progress,
            total=sum(file.size for file in same_size.values()),
        )
    except ModelIncompleteError as error:
        raise ModelIntegrityError(f"{directory} changed while it was verified") from error
    changed = [name for name, sha in digests.items() if sha != manifest.files[name].sha256]
    if missing or resized or changed or unlisted:
        raise _integrity_error(directory, missing, resized + changed, unlisted)
    return manifest


def _compare(
    manifest: Manifest, found: Mapping[str, Found], directory: Path | str, extra: Extra
) -> tuple[list[str], list[str], list[str]]:
    files = manifest.files
    missing = [name for name in files if name not in found]
    resized = [
        name for name, entry in files.items() if name in found and found[name].size != entry.size
    ]
    unlisted = [name for name in found if name not in files]
    if extra != "error":
        tolerated = [name for name in unlisted if not name.startswith(_CODE)]
        if extra == "warn" and tolerated:
            shown = ", ".join(tolerated[:10])
            warnings.warn(
                f"{directory}: {len(tolerated)} file(s) are not in the manifest: {shown}",
                PyfuncWarning,
                stacklevel=3,
            )
        unlisted = [name for name in unlisted if name.startswith(_CODE)]
    return missing, resized, unlisted


def _integrity_error(
    directory: Path | str, missing: list[str], modified: list[str], extra: list[str]
) -> ModelIntegrityError:
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
    error.hint = hint
    return error
