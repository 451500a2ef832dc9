"""Which distributions are installed, in which version, and which one a module belongs to.

Looks at the names of the metadata folders on ``sys.path`` and at the few files that matter;
each folder is listed once per process and again only when it has changed on disk.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

__all__ = [
    "Distribution",
    "Folder",
    "Place",
    "declared_requirements",
    "find_distribution",
    "find_requirements_of",
    "installed_version",
    "iter_distributions",
    "list_folders",
    "read_file",
]

Place = str | importlib.metadata.Distribution
"""Where metadata is: a folder, also inside a zip file, a file, or what a finder gives."""


def read_file(place: Place, name: str) -> bytes:
    """Return the content of a file of the metadata at ``place``, empty if there is none."""
    if not isinstance(place, str):
        return (place.read_text(name) or "").encode()
    path = os.path.join(place, name) if name else place
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        archive = os.path.dirname(place)
        return _read_zipped(archive, path) if os.path.isfile(archive) else b""


def _read_zipped(archive: str, path: str) -> bytes:
    inside = os.path.relpath(path, archive).replace(os.sep, "/")
    try:
        with zipfile.ZipFile(archive) as file:
            return file.read(inside)
    except (OSError, KeyError, zipfile.BadZipFile):
        return b""


@dataclass(frozen=True, slots=True)
class Distribution:
    """An installed distribution.

    Attributes:
        key: the canonical name (PEP 503).
        name: the name as its metadata folder spells it.
        version: the version, as text.
        place: its metadata folder (``.dist-info``) or metadata file (old ``.egg-info``).
    """

    key: str
    name: str
    version: str
    place: Place

    def read_text(self, name: str) -> str | None:
        """Return the text of a file of the metadata folder, None if there is none."""
        return read_file(self.place, name).decode("utf-8", "replace") or None

    def read_metadata(self) -> str:
        """Return the core metadata (``METADATA`` or ``PKG-INFO``), empty if unreadable."""
        if isinstance(self.place, str) and os.path.isfile(self.place):
            return read_file(self.place, "").decode("utf-8", "replace")
        return self.read_text("METADATA") or self.read_text("PKG-INFO") or ""


@dataclass(slots=True)
class Folder:
    """The metadata folders in one entry of ``sys.path``."""

    path: str
    stamp: int
    entries: Mapping[str, Place]  # by canonical name
    found: dict[str, Distribution | None] = field(default_factory=dict)
    owners: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def find(self, key: str) -> Distribution | None:
        """Return the distribution of that canonical name, None if it is not here."""
        if key not in self.found:
            place = self.entries.get(key)
            self.found[key] = None if place is None else _read_distribution(key, place)
        return self.found[key]


_folders: dict[str, Folder] = {}


def list_folders() -> list[Folder]:
    """Return the folders of ``sys.path`` that exist, in its order, freshly listed if changed.

    Zip files count as folders; behind them comes what other finders of distributions know.
    """
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
    foreign = _ask_other_finders()
    return [*result, Folder("", 0, foreign)] if foreign else result


def _list_metadata(path: str) -> dict[str, Place] | None:
    try:
        names = _list_zip(path) if os.path.isfile(path) else os.listdir(path)
    except (OSError, zipfile.BadZipFile):
        return None
    candidates: dict[str, list[str]] = {}
    for name in sorted(names):
        if name.endswith((".dist-info", ".egg-info")) and not name.startswith("~"):
            candidates.setdefault(_key_of(name), []).append(os.path.join(path, name))
        elif name == "EGG-INFO" and path.endswith(".egg"):
            key = _key_of(os.path.basename(path))
            candidates.setdefault(key, []).append(os.path.join(path, name))
    return {
        key: places[0] if len(places) == 1 else max(places, key=_completeness)
        for key, places in candidates.items()
    }


def _list_zip(path: str) -> set[str]:
    with zipfile.ZipFile(path) as file:
        return {name.partition("/")[0] for name in file.namelist()}


def _completeness(place: str) -> tuple[bool, bool, float]:
    """Return how much speaks for one of several metadata folders of the same package."""
    has_metadata = any(read_file(place, name) for name in ("METADATA", "PKG-INFO"))
    written = os.stat(place).st_mtime if os.path.exists(place) else 0.0
    return has_metadata or os.path.isfile(place), bool(read_file(place, "RECORD")), written


def _ask_other_finders() -> dict[str, Place]:
    """Return the distributions of finders that do not look at folders of ``sys.path``."""
    found: dict[str, Place] = {}
    nowhere = importlib.metadata.DistributionFinder.Context(path=[])
    for finder in sys.meta_path:
        if getattr(finder, "__name__", "") == "PathFinder":
            continue
        find = getattr(finder, "find_distributions", None)
        try:
            for distribution in find(nowhere) if find is not None else ():
                found.setdefault(canonicalize_name(distribution.metadata["Name"]), distribution)
        except (ImportError, LookupError, OSError, TypeError, ValueError):
            # The finder of the backport ``importlib_metadata``, once that is imported, has its
            # own errors for a distribution whose metadata is not there or has no version.
            continue
    return found


@lru_cache(maxsize=8192)
def _key_of(file_name: str) -> str:
    stem, _, kind = file_name.rpartition(".")
    name = stem.rpartition("-")[0] if kind == "dist-info" else stem.partition("-")[0]
    return canonicalize_name(name or stem)


def _read_distribution(key: str, place: Place) -> Distribution | None:
    if not isinstance(place, str):
        return Distribution(key, place.metadata["Name"], str(place.version), place)
    if os.path.basename(place) == "EGG-INFO":
        stem, _, kind = os.path.basename(os.path.dirname(place)).rpartition(".")
    else:
        stem, _, kind = os.path.basename(place).rpartition(".")
    if kind == "dist-info":
        name, _, version = stem.rpartition("-")
    else:
        name, _, rest = stem.partition("-")
        version = rest.partition("-py")[0]
    found = Distribution(key, name or stem, version, place)
    if kind == "dist-info" and not read_file(place, "METADATA"):
        return None  # what an interrupted uninstall leaves behind
    try:
        return Distribution(key, found.name, str(Version(version)), place)
    except InvalidVersion:
        text = _read_header(found.read_metadata(), "Version")
        return Distribution(key, found.name, text, place) if text else None


def _read_header(metadata: str, header: str) -> str | None:
    for line in metadata.splitlines():
        if not line:
            return None
        name, _, value = line.partition(":")
        if name.lower() == header.lower():
            return value.strip()
    return None


def find_distribution(name: str, folders: Iterable[Folder] | None = None) -> Distribution | None:
    """Return the installed distribution ``name`` (any spelling), None if there is none.

    Who looks for many of them gives the ``folders`` of :func:`list_folders`.
    """
    key = canonicalize_name(name)
    for folder in list_folders() if folders is None else folders:
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


def _stamp(place: Place) -> int:
    """Return when the metadata were written, or the zip file that they are in."""
    for path in (place, os.path.dirname(place)) if isinstance(place, str) else ():
        if os.path.exists(path):
            return os.stat(path).st_mtime_ns
    return 0


def declared_requirements(name: str) -> list[Requirement]:
    """Return what the metadata of the installed distribution ``name`` say, markers and all."""
    distribution = find_distribution(name)
    if distribution is None:
        return []
    return list(_requires(distribution, _stamp(distribution.place)))


def find_requirements_of(name: str, extras: Iterable[str] = ()) -> list[Requirement]:
    """Return what the installed distribution ``name`` requires here.

    Args:
        name: any spelling; a distribution that is not installed requires nothing.
        extras: only what these extras add is returned; without any, what is always required.
    """
    distribution = find_distribution(name)
    if distribution is None:
        return []
    wanted = [{"extra": extra} for extra in extras]
    found = []
    for requirement in _requires(distribution, _stamp(distribution.place)):
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
    return None if found is None else found.version
