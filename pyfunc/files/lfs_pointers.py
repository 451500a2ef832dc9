"""Pointers of Git LFS: what a clone has in the place of large files that were not fetched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["POINTER_TEXT", "find_lfs_pointers", "holds_lfs_pointer", "is_lfs_pointer"]

_START = b"version https://git-lfs.github.com/spec/"
POINTER_TEXT = (
    "is a pointer of Git LFS, the file itself was not fetched\n"
    "hint: run `git lfs pull` in the repository, or download the model from its host again"
)
_MAX_BYTES = 1024  # as the specification of a pointer says


def is_lfs_pointer(content: bytes) -> bool:
    """Return whether ``content`` is a pointer."""
    return len(content) <= _MAX_BYTES and content.startswith(_START)


def find_lfs_pointers(path: Path | str) -> Iterator[Path]:
    """Yield ``path`` if it is a pointer; of a directory, every one below it."""
    if not os.path.isdir(path):
        if holds_lfs_pointer(path):
            yield Path(path)
        return
    for folder, _, names in os.walk(path):
        for name in sorted(names):
            if holds_lfs_pointer(file := Path(folder, name)):
                yield file


def holds_lfs_pointer(path: Path | str) -> bool:
    """Return whether ``path`` is a file that can be read and is a pointer."""
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > _MAX_BYTES:
            return False
        with open(path, "rb") as file:
            return is_lfs_pointer(file.read())
    except OSError:  # who reads it will say so
        return False
