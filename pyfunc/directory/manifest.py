"""The list of every file of a model with its size and SHA-256, in ``.pyfunc/manifest.json``.

MLflow ignores that folder. The manifest alone proves that nothing changed by accident; who
wants to know that nobody changed both pins :attr:`Manifest.digest` or signs the file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from pyfunc.errors import (
    InvalidArgumentError,
    ModelFormatError,
    shorten,
)
from pyfunc.files.paths import (
    MANIFEST_PATH,
    find_problem_of_relative,
    open_regular_file,
    read_at_most,
)

__all__ = [
    "MANIFEST_PATH",
    "SIGNATURE_PATH",
    "UNLISTED",
    "FileEntry",
    "Manifest",
    "encode_manifest",
    "entry_of",
    "find_clash",
    "name_of",
    "parse_manifest",
    "read_manifest",
]

SIGNATURE_PATH = ".pyfunc/model.sig"
# A manifest can list neither itself nor what is made from it.
UNLISTED = frozenset((MANIFEST_PATH, SIGNATURE_PATH))

_VERSION = 1
_ALGORITHM = "sha256"
_MAX_BYTES = 32 << 20
_MAX_FILES = 100_000
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """Size in bytes and SHA-256 (64 lower-case hex digits) of one file."""

    size: int
    sha256: str


@dataclass(frozen=True)
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

    @cached_property
    def digest(self) -> str:
        """SHA-256 of :meth:`to_bytes` as hex: one value that stands for the whole model."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def replacing(self, entries: Mapping[str, FileEntry]) -> Manifest:
        """Return the manifest with ``entries`` in place of those of their names, or on top."""
        return Manifest(MappingProxyType({**self.files, **entries}))


def entry_of(content: bytes) -> FileEntry:
    """Return the entry of a file that holds ``content``."""
    return FileEntry(len(content), hashlib.sha256(content).hexdigest())


def name_of(relative: str) -> str:
    """Return the name that a manifest gives to the file at the POSIX path ``relative``."""
    return relative if relative.isascii() else unicodedata.normalize("NFC", relative)


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the bytes of the file, which :func:`parse_manifest` accepts.

    Raises:
        InvalidArgumentError: it would not, so nobody could load the model.
    """
    data = manifest.to_bytes()
    try:
        parse_manifest(data)
    except ModelFormatError as error:
        raise InvalidArgumentError(
            f"nothing could read the model back: {error}\n"
            "hint: pack files that belong together into one"
        ) from error
    return data


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


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice")
    return result


def _check_files(files: object, path: Path | str) -> dict[str, FileEntry]:
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
    clash = find_clash(entries) or _find_parent_clash(entries)
    if clash is not None:
        raise ModelFormatError(clash, path=path, key="files")
    return entries


def _find_problem_of_name(name: str) -> str | None:
    problem = find_problem_of_relative(name)
    if problem is None and (name in UNLISTED or any(p in ("", ".") for p in name.split("/"))):
        problem = "the path is not normalised or names the manifest itself"
    if problem is None and not unicodedata.is_normalized("NFC", name):
        problem = "the path is not in Unicode form NFC"
    return problem


def _find_problem_of_entry(entry: object) -> str | None:
    if not isinstance(entry, dict) or entry.keys() != {"sha256", "size"}:
        return "expected an object with 'sha256' and 'size'"
    size, sha256 = entry["size"], entry["sha256"]
    if type(size) is not int or not 0 <= size < 1 << 63:
        return f"expected a size in bytes, got {shorten(size)}"
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        return f"expected 64 lower-case hex digits, got {shorten(sha256)}"
    return None


def find_clash(names: Collection[str]) -> str | None:
    """Return what is wrong if two names are one on a system that ignores case."""
    folded: dict[str, str] = {}
    for name in names:
        other = folded.setdefault(name.lower() if name.isascii() else name.casefold(), name)
        if other is not name:
            return f"the names {shorten(other)} and {shorten(name)} differ in case only"
    return None


def _find_parent_clash(names: Collection[str]) -> str | None:
    for name in names:
        cut = name.rfind("/")
        while cut > 0:
            if name[:cut] in names:
                return f"{shorten(name[:cut])} is listed as a file and as a directory"
            cut = name.rfind("/", 0, cut)
    return None
