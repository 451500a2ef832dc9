"""Finds the distribution that an imported module belongs to.

Reads only what is needed for the names asked for: the lists of top-level names, and the file
lists of distributions that have none. What was found is kept until the folder changes.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

from pyfunc.env.installed.distributions import (
    Distribution,
    Folder,
    Place,
    list_folders,
    read_file,
)

__all__ = ["find_owners", "find_source", "is_importable", "is_standard_library"]


def is_standard_library(module: str) -> bool:
    """Return whether the top-level part of ``module`` belongs to Python itself."""
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names or top == "__main__"


def find_owners(modules: Iterable[str]) -> dict[str, tuple[Distribution, ...]]:
    """Return the installed distributions that own each module.

    Args:
        modules: dotted names; of a name such as ``google.cloud.storage.blob`` the deepest part
            that a distribution has files for decides.

    Returns:
        One entry per name that is owned; names of the standard library, of local files and of
        modules that are not installed are left out.
    """
    wanted = sorted({name for name in modules if name and not is_standard_library(name)})
    found: dict[str, tuple[Distribution, ...]] = {}
    for folder in list_folders():
        open_names = [name for name in wanted if name not in found]
        if not open_names or not folder.entries:
            continue
        _search(folder, [name for name in open_names if name not in folder.owners])
        for name in open_names:
            owners = [folder.find(key) for key in folder.owners[name]]
            if any(owners) and not _is_shadowed(name, folder):
                found[name] = tuple(owner for owner in owners if owner is not None)
    for name in wanted:
        if name not in found and (owner := _find_editable_owner(name)) is not None:
            found[name] = (owner,)
    return found


def _is_shadowed(name: str, folder: Folder) -> bool:
    spec = _find_spec(name.partition(".")[0])
    if spec is None or not spec.origin:  # a namespace package, or served by a finder
        return False
    place = os.path.dirname(os.path.abspath(spec.origin))
    if spec.submodule_search_locations:
        place = os.path.dirname(place)
    if not folder.path or not os.path.exists(place):  # another finder's
        return False
    return not os.path.samefile(place, folder.path) and _is_local(spec.origin)


def _is_local(origin: str) -> bool:
    return not any(part in ("site-packages", "dist-packages") for part in Path(origin).parts)


def _find_spec(top: str) -> ModuleSpec | None:
    module = sys.modules.get(top)
    spec = getattr(module, "__spec__", None)
    if isinstance(spec, ModuleSpec):
        return spec
    try:
        return PathFinder.find_spec(top)
    except (ImportError, ValueError):
        return None


def is_importable(module: str) -> bool:
    """Return whether there is a top-level module of that name; nothing is imported."""
    return _find_spec(module) is not None


def find_source(module: str) -> list[tuple[str, Path]]:
    """Return the source files that importing a module runs: its parents' and its own.

    Nothing is imported. A dotted name whose last part is no module, such as a class, gives
    the files of the part that is one. Each file comes with its dotted module name.
    """
    parts = module.split(".")
    spec = _find_spec(parts[0])
    if spec is None:
        return []
    if not spec.submodule_search_locations:
        origin = Path(spec.origin or "")
        is_source = origin.suffix == ".py" and origin.is_file()
        return [(parts[0], origin)] if is_source else []
    folder = Path(next(iter(spec.submodule_search_locations)))
    found = []
    for depth in range(1, len(parts) + 1):
        here = folder.joinpath(*parts[1:depth])
        name = ".".join(parts[:depth])
        for path in (here / "__init__.py", here.with_suffix(".py")):
            if (path.name == "__init__.py" or depth > 1) and path.is_file():
                found.append((name, path))
                break
    return found


def _search(folder: Folder, names: list[str]) -> None:
    """Fill ``folder.owners`` for ``names``; a name that nobody here owns gets ``()``."""
    if not names:
        return
    by_top: dict[str, list[str]] = {}
    for name in names:
        by_top.setdefault(name.partition(".")[0], []).append(name)
    candidates = _find_candidates(folder, by_top.keys())
    for top, dotted in by_top.items():
        for name in dotted:
            folder.owners[name] = _choose(folder, name, candidates.get(top, ()))


def _find_candidates(folder: Folder, tops: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the keys of the distributions with files or names of each top-level module."""
    found: dict[str, tuple[str, ...]] = {}
    for top in tops:
        key: str = canonicalize_name(top)
        if key in folder.entries and _owns_package(folder.entries[key], top):
            found[top] = (key,)
    left = [top for top in tops if top not in found]
    if not left:
        return found
    collected: dict[str, list[str]] = {top: [] for top in left}
    for entry, place in folder.entries.items():
        for top in _tops_of(place, left):
            collected[top].append(entry)
    return found | {top: tuple(keys) for top, keys in collected.items()}


def _owns_package(place: Place, top: str) -> bool:
    """Return whether the distribution has the one ``__init__.py`` (or file) of ``top``."""
    record = read_file(place, "RECORD")
    return _has_file(record, f"{top}/__init__.py") or _has_file(record, f"{top}.py")


def _tops_of(place: Place, tops: list[str]) -> list[str]:
    names = read_file(place, "top_level.txt")
    if names.strip():
        present = {line.strip() for line in names.decode("utf-8", "replace").splitlines()}
        return [top for top in tops if top in present]
    listed = (read_file(place, name) for name in ("RECORD", "installed-files.txt", "SOURCES.txt"))
    record = next(filter(None, listed), b"")
    return [top for top in tops if _has_file(record, top, f"(?:/|{_MODULE})")]


def _choose(folder: Folder, name: str, candidates: tuple[str, ...]) -> tuple[str, ...]:
    if len(candidates) < 2:
        return candidates
    records = {key: read_file(folder.entries[key], "RECORD") for key in candidates}
    parts = name.split(".")
    for depth in range(len(parts), 0, -1):
        prefix = "/".join(parts[:depth])
        end = f"(?:/__init__[.]py|{_MODULE})" if depth == 1 else f"(?:/|{_MODULE})"
        owners = tuple(key for key in candidates if _has_file(records[key], prefix, end))
        if owners:
            return owners
    return ()


# What is behind the name of a module in a list of files: one of its suffixes, and the end.
_MODULE = r"(?:[.]pyc?|(?:[.][^/,\r\n]*)?[.](?:so|pyd))(?=[\",\r\n]|$)"


def _has_file(record: bytes, start: str, end: str = r"(?=[\",\r\n]|$)") -> bool:
    """Return whether a list of files names one of that start and end, quoted or not."""
    if start.encode() not in record:
        return False
    lead = rb"(?:^|[\r\n])\"?(?:[.]{1,2}/)*" + re.escape(start.encode())
    return re.search(lead + end.encode(), record) is not None


def _find_editable_owner(name: str) -> Distribution | None:
    """Return the distribution installed in editable mode whose folder holds the module."""
    sources = find_source(name)
    if not sources:
        return None
    source = sources[0][1]
    for folder in list_folders():
        for entry, place in folder.entries.items():
            root = _editable_root(place)
            if root is not None and source.is_relative_to(root):
                return folder.find(entry)
    return None


def _editable_root(place: Place) -> Path | None:
    text = read_file(place, "direct_url.json")
    if b'"editable"' not in text:
        return None
    try:
        described = json.loads(text)
        if not described["dir_info"]["editable"]:
            return None
        return Path(unquote(urlsplit(described["url"]).path))
    except (ValueError, KeyError, TypeError):
        return None
