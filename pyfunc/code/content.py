"""What the modules of a folder consist of: their files, compared by content and never run."""

from __future__ import annotations

import hashlib
import importlib.machinery
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

__all__ = ["digest_of", "files_below", "files_of", "files_of_module", "mentioned", "same_content"]

Read = Callable[[Path], bytes]
Files = Mapping[str, Path]

_WORD = re.compile(rb"[^\W\d]\w*")
_LEFT_OUT = (".pyc", ".pyo")
_SOURCES = tuple(importlib.machinery.SOURCE_SUFFIXES)
_MODULES = (*_SOURCES, *importlib.machinery.EXTENSION_SUFFIXES)


def files_of(name: str, directories: Iterable[str]) -> Files:
    """Return the files that the top-level module ``name`` has: path inside -> file.

    The first directory with a module or a package of that name counts, as for an import; a
    folder without ``__init__.py`` is made of the folders of all directories.
    """
    portions: dict[str, Path] = {}
    for directory in map(Path, directories):
        folder = directory / name
        if (folder / "__init__.py").is_file():
            return dict(files_below(folder))
        for suffix in _MODULES:
            file = directory / f"{name}{suffix}"
            if file.is_file():
                return {file.name: file}
        if folder.is_dir():
            portions.update((r, f) for r, f in files_below(folder) if r not in portions)
    return portions


def files_of_module(module: ModuleType) -> Files:
    """Return the files that an imported or found top-level module has; empty if it has none."""
    file = getattr(module, "__file__", None)
    folders = [str(folder) for folder in getattr(module, "__path__", None) or ()]
    if folders:
        found: dict[str, Path] = {}
        for folder in folders:
            found.update((r, f) for r, f in files_below(Path(folder)) if r not in found)
        return found
    return {Path(file).name: Path(file)} if isinstance(file, str) else {}


def files_below(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the path inside ``folder`` and the file, of all files but bytecode, sorted."""
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if "__pycache__" in relative.parts or path.suffix in _LEFT_OUT or not path.is_file():
            continue
        yield relative.as_posix(), path


def same_content(one: Files, read_one: Read, other: Files, read_other: Read) -> bool:
    """Return whether both have the same files; what cannot be read is like nothing else."""
    if not one or one.keys() != other.keys():
        return False
    try:
        return all(read_one(one[name]) == read_other(other[name]) for name in one)
    except OSError:
        return False


def mentioned(files: Files, read: Read) -> set[str]:
    """Return every word in the sources among ``files``: no module is imported without one."""
    words: set[str] = set()
    for name, path in files.items():
        if name.endswith(_SOURCES):
            words.update(word.decode("utf-8", "replace") for word in _WORD.findall(read(path)))
    return words


def digest_of(directories: Iterable[str], read: Read) -> str:
    """Return a digest of all files below ``directories``, wherever those are."""
    total = hashlib.sha256()
    for number, directory in enumerate(directories):
        for relative, path in files_below(Path(directory)):
            content = hashlib.sha256(read(path)).hexdigest()
            total.update(f"{number} {content} {relative}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()[:24]
