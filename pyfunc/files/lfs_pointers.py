"""Pointers of Git LFS: what a clone has in the place of large files that were not fetched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["POINTER_START", "POINTER_TEXT", "find_lfs_pointers"]

POINTER_START = b"version https://git-lfs.github.com/spec/"
POINTER_TEXT = (
    "is a pointer of Git LFS, the file itself was not fetched\n"
    "hint: run `git lfs pull` in the repository, or download the model from its host again"
)
_MAX_BYTES = 1024  # as the specification of a pointer says


def find_lfs_pointers(path: Path | str) -> Iterator[Path]:
    """Yield ``path`` if it is a pointer; of a directory, every one below it."""
    if not os.path.isdir(path):
        if _is_pointer(path):
            yield Path(path)
        return
    for folder, _, names in os.walk(path):
        yield from (
            Path(folder, name) for name in sorted(names) if _is_pointer(Path(folder, name))
        )


def _is_pointer(path: Path | str) -> bool:
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > _MAX_BYTES:
            return False
        with open(path, "rb") as file:
            return file.read(len(POINTER_START)) == POINTER_START
    except OSError:  # who reads it will say so
        return False
