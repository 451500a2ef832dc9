"""Which distributions are installed, in which version, and which one a module belongs to.

Looks at the names of the metadata folders on ``sys.path`` and at the few files that matter;
each folder is listed once per process and again only when it has changed on disk.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

__all__ = [
    "Distribution",
    "find_distribution",
    "find_requirements_of",
    "installed_version",
    "iter_distributions",
    "list_folders",
    "pinned",
]

logger = logging.getLogger("pyfunc.env")


@dataclass(frozen=True, slots=True)
class Distribution:
    """An installed distribution.

    Attributes:
        key: the canonical name (PEP 503).
        name: the name as its metadata folder spells it.
        version: the version, as text.
        path: its metadata folder (``.dist-info``) or metadata file (old ``.egg-info``).
    """

    key: str
    name: str
    version: str
    path: str

    def read_text(self, name: str) -> str | None:
        """Return the text of a file of the metadata folder, None if there is none."""
        try:
            return Path(self.path, name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None

    def read_metadata(self) -> str:
        """Return the core metadata (``METADATA`` or ``PKG-INFO``), empty if unreadable."""
        if os.path.isfile(self.path):
            return Path(self.path).read_text(encoding="utf-8", errors="replace")
        return self.read_text("METADATA") or self.read_text("PKG-INFO") or ""


@dataclass(slots=True)
class Folder:
    """The metadata folders in one entry of ``sys.path``."""

    path: str
    stamp: int
    entries: dict[str, str]  # canonical name -> metadata folder
    found: dict[str, Distribution | None] = field(default_factory=dict)
    owners: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def find(self, key: str) -> Distribution | None:
        """Return the distribution of that canonical name, None if it is not here."""
        if key not in self.found:
            path = self.entries.get(key)
            self.found[key] = None if path is None else _read_distribution(key, path)
        return self.found[key]


_folders: dict[str, Folder] = {}


def list_folders() -> list[Folder]:
    """Return the folders of ``sys.path`` that exist, in its order, freshly listed if changed."""
    result = []
    for entry in dict.fromkeys(sys.path):
        try:
            path = entry or os.getcwd()
            stamp = os.stat(path).st_mtime_ns
        except OSError:  # also where the working directory has been removed
            continue
        known = _folders.get(path)
        if known is None or known.stamp != stamp:
            entries = _list_metadata(path)
            if entries is None:
                continue
            known = _folders[path] = Folder(path, stamp, entries)
        result.append(known)
    return result


def _list_metadata(path: str) -> dict[str, str] | None:
    try:
        names = os.listdir(path)
    except OSError:
        return None
    entries: dict[str, str] = {}
    for name in sorted(names):
        if name.endswith((".dist-info", ".egg-info")) and not name.startswith("~"):
            entries[_key_of(name)] = os.path.join(path, name)
    return entries


@lru_cache(maxsize=8192)
def _key_of(file_name: str) -> str:
    stem, _, kind = file_name.rpartition(".")
    name = stem.rpartition("-")[0] if kind == "dist-info" else stem.partition("-")[0]
    return canonicalize_name(name or stem)


def _read_distribution(key: str, path: str) -> Distribution | None:
    stem, _, kind = os.path.basename(path).rpartition(".")
    if kind == "dist-info":
        name, _, version = stem.rpartition("-")
    else:
        name, _, rest = stem.partition("-")
        version = rest.partition("-py")[0]
    found = Distribution(key, name or stem, version, path)
    if kind == "dist-info" and not os.path.exists(os.path.join(path, "METADATA")):
        return None  # what an interrupted uninstall leaves behind
    try:
        return Distribution(key, found.name, str(Version(version)), path)
    except InvalidVersion:
        text = _read_header(found.read_metadata(), "Version")
        return Distribution(key, found.name, text, path) if text else None


def _read_header(metadata: str, header: str) -> str | None:
    for line in metadata.splitlines():
        if not line:
            return None
        name, _, value = line.partition(":")
        if name.lower() == header.lower():
            return value.strip()
    return None


def find_distribution(name: str) -> Distribution | None:
    """Return the installed distribution ``name`` (any spelling), None if there is none."""
    key = canonicalize_name(name)
    for folder in list_folders():
        found = folder.find(key)
        if found is not None:
            return found
    return None


@lru_cache(maxsize=4096)
def _requires(distribution: Distribution, stamp: int) -> tuple[Requirement, ...]:
    del stamp  # part of the key only: a reinstalled distribution is read again
    found = []
    for line in distribution.read_metadata().splitlines():
        if not line:
            break
        name, _, value = line.partition(":")
        if name == "Requires-Dist":
            try:
                found.append(Requirement(value.strip()))
            except InvalidRequirement:
                continue
    return tuple(found)


def find_requirements_of(name: str, extras: Iterable[str] = ()) -> list[Requirement]:
    """Return what the installed distribution ``name`` requires here.

    Args:
        name: any spelling; a distribution that is not installed requires nothing.
        extras: only what these extras add is returned; without any, what is always required.
    """
    distribution = find_distribution(name)
    if distribution is None:
        return []
    try:
        stamp = os.stat(distribution.path).st_mtime_ns
    except OSError:
        return []
    wanted = [{"extra": extra} for extra in extras]
    found = []
    for requirement in _requires(distribution, stamp):
        marker = requirement.marker
        always = marker is None or marker.evaluate({"extra": ""})
        if always != bool(wanted) and (
            always or any(marker is not None and marker.evaluate(extra) for extra in wanted)
        ):
            found.append(requirement)
    return found


def iter_distributions() -> list[Distribution]:
    """Return all installed distributions, the first of each name, sorted by name."""
    found: dict[str, Distribution] = {}
    for folder in list_folders():
        for key in folder.entries:
            distribution = folder.find(key)
            if distribution is not None:
                found.setdefault(key, distribution)
    return [found[key] for key in sorted(found)]


def installed_version(name: str) -> str | None:
    """Return the version of the installed distribution ``name``, None if there is none."""
    found = find_distribution(name)
    if found is not None:
        return found.version
    if not _has_other_finders():
        return None
    try:
        # Distributions inside zip files or served by a finder of their own.
        return importlib.metadata.version(name)
    except (ImportError, LookupError, OSError, ValueError):
        # The finder of the backport ``importlib_metadata``, once that is imported, has its own
        # errors for a distribution whose metadata is not there or has no version.
        return None


def _has_other_finders() -> bool:
    finders = {
        finder
        for finder in sys.meta_path
        if hasattr(finder, "find_distributions")
        and getattr(finder, "__name__", "") != "PathFinder"
    }
    return bool(finders) or any(entry.endswith((".zip", ".egg")) for entry in sys.path)


def pinned(name: str, *, extras: str = "") -> str:
    """Return ``name==version`` for an installed distribution, ``name`` if it has no version.

    The local label of a version (``2.7.1+cu128``) is left out, with one log line: no public
    index serves it.
    """
    version = installed_version(name)
    suffix = f"[{extras}]" if extras else ""
    if version is None:
        return name + suffix
    public, plus, label = version.partition("+")
    if plus:
        logger.warning(
            "%s is installed as version %s; its label +%s is left out of the requirement so "
            "that an index can serve it. Give it in pip_requirements to keep it.",
            name,
            version,
            label,
        )
    return f"{name}{suffix}=={public}"
