"""Unpacking zip archives that may come from anybody: nothing is written outside.

Refused before a byte is written: names with ``..``, absolute names, links, devices, encrypted
entries, two entries of one name, and archives that are larger than they may be. What an archive
says of sizes is not believed: the bytes are counted while they are written.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from pyfunc.errors import ModelFormatError, ModelPathError, shorten
from pyfunc.files.paths import check_relative

__all__ = ["Limits", "extract_zip"]

_CHUNK = 1 << 20
_ENCRYPTED = 0x1
_UNIX = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """How large an archive may be.

    Attributes:
        entries: files and folders.
        total: bytes of all files.
        ratio: how many times larger than the archive the files may be ...
        free: ... unless they have together no more bytes than this.
    """

    entries: int = 20_000
    total: int = 2 << 30
    ratio: int = 200
    free: int = 16 << 20


def extract_zip(archive: Path, directory: Path, limits: Limits | None = None) -> None:
    """Unpack ``archive`` into the existing empty ``directory``.

    Raises:
        ModelPathError: a name leads outside, or an entry is no plain file or folder.
        ModelFormatError: it is no zip file, damaged, or larger than ``limits``.
    """
    limits = limits or Limits()
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            _check_entries(entries, archive, limits)
            allowed = min(limits.total, max(limits.free, archive.stat().st_size * limits.ratio))
            for entry in entries:
                allowed -= _extract(opened, entry, directory, allowed)
                if allowed < 0:
                    raise ModelFormatError(
                        "the archive holds more than it may",
                        path=archive,
                    )
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise ModelFormatError(f"cannot be unpacked: {error}", path=archive) from error


def _check_entries(entries: list[zipfile.ZipInfo], archive: Path, limits: Limits) -> None:
    if len(entries) > limits.entries:
        raise ModelFormatError(
            f"expected at most {limits.entries} entries, got {len(entries)}", path=archive
        )
    seen: set[str] = set()
    for entry in entries:
        name = entry.filename.rstrip("/")
        check_relative(name, key="entry", file=archive)
        kind = stat.S_IFMT(entry.external_attr >> 16) if entry.create_system == _UNIX else 0
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or entry.flag_bits & _ENCRYPTED:
            raise ModelPathError(
                f"expected plain files and folders, {shorten(name)} is a link, a device or "
                "encrypted",
                path=archive,
            )
        if name in seen:
            raise ModelPathError(f"two entries are called {shorten(name)}", path=archive)
        seen.add(name)


def _extract(
    opened: zipfile.ZipFile, entry: zipfile.ZipInfo, directory: Path, allowed: int
) -> int:
    """Write one entry and return its size; a size beyond ``allowed`` is where it stops."""
    target = directory.joinpath(*entry.filename.rstrip("/").split("/"))
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with opened.open(entry) as reader, open(target, "xb") as writer:
        while written <= allowed and (block := reader.read(_CHUNK)):
            written += writer.write(block)
    return written
