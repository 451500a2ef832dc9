"""Finding the source files of one's own that a model imports, by reading and never running."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from pyfunc.code.source_imports import imports_of_source
from pyfunc.pickles.walking import walk_pickle

__all__ = ["find_imported_files", "modules_of_pickle", "modules_of_source"]


def modules_of_pickle(data: bytes) -> set[str]:
    """Return the modules that a pickle refers to, or that code inside it may import."""
    report = walk_pickle(data)
    return {*report.modules, *report.imported_names}


def modules_of_source(path: Path) -> set[str]:
    """Return the modules that the source file ``path`` imports anywhere."""
    return imports_of_source(path.read_bytes())


def find_imported_files(modules: Iterable[str], root: Path) -> dict[Path, str]:
    """Return the files below ``root`` that importing ``modules`` leads to.

    Args:
        modules: dotted names; those that are not below ``root`` are ignored.
        root: the working directory. Modules are looked for there and in the entries of
            ``sys.path`` below it, installed packages excepted.

    Returns:
        Source file -> its POSIX path relative to the entry that it is importable from.
    """
    entries = _entries_below(root.resolve())
    found: dict[Path, str] = {}
    waiting = list(modules)
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for file, relative in _files_of(name, entries):
            if file not in found:
                found[file] = relative
                package = relative.removesuffix("/__init__.py").removesuffix(".py")
                if not relative.endswith("__init__.py"):
                    package = package.rpartition("/")[0]
                waiting += imports_of_source(file.read_bytes(), package=package.replace("/", "."))
    return dict(sorted(found.items()))


def _entries_below(root: Path) -> list[Path]:
    installed = Path(sys.prefix).resolve()
    entries = [root]
    for text in sys.path:
        entry = Path(text or ".").resolve()
        if root in entry.parents and not (entry == installed or installed in entry.parents):
            entries.append(entry)
    return entries


def _files_of(name: str, entries: Iterable[Path]) -> list[tuple[Path, str]]:
    """Return the file of module ``name`` and those of the packages above it."""
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):
        return []
    if parts[0] in sys.stdlib_module_names:
        return []
    for entry in entries:
        files: list[tuple[Path, str]] = []
        for depth in range(1, len(parts) + 1):
            stem = "/".join(parts[:depth])
            for relative in (f"{stem}/__init__.py", f"{stem}.py"):
                if (entry / relative).is_file():
                    files.append((entry / relative, relative))
                    break
        if files:
            return files
    return []
