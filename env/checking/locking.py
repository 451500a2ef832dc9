"""Locks the whole running environment beside a model, and holds an environment against that."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pyfunc.directory.editing import editing
from pyfunc.env.checking.lock_file import (
    LOCK_PATH,
    LockedPackage,
    parse_lock,
    read_lock,
    write_lock_text,
)
from pyfunc.env.checking.report import Mismatch
from pyfunc.env.installed.distributions import Distribution, iter_distributions
from pyfunc.env.installed.interpreters import find_uv
from pyfunc.env.requirements.credentials import without_credentials
from pyfunc.env.requirements.sources import Source, line_of, read_source
from pyfunc.errors import ModelFormatError
from pyfunc.files.locations import local_directory

__all__ = ["compare_lock", "lock", "locked_packages"]

logger = logging.getLogger("pyfunc.env")

_RESOLVE_SECONDS = 120


def lock(path: str | os.PathLike[str], *, resolve: bool = True) -> Path:
    """Write a lock of the running environment beside the model; return the file's path.

    The file is ``.pyfunc/pylock.toml`` (PEP 751); MLflow's own files stay as they are, and the
    manifest, if there is one, is brought up to date.

    Args:
        path: the model directory.
        resolve: ask uv, if it is installed, for the files and hashes that an index has for the
            installed versions. Without it, or for packages that no index knows, only what the
            installer recorded is known: packages from a URL have a source, others do not.

    Raises:
        ModelNotFoundError: ``path`` is not a directory.
        ModelIntegrityError: files of the model are not those that were saved.
    """
    directory = local_directory(path)
    minor = f"{sys.version_info[0]}.{sys.version_info[1]}"
    text = write_lock_text(locked_packages(resolve=resolve), requires_python=f"=={minor}.*")
    with editing(directory) as edit:
        edit.contents[LOCK_PATH] = text.encode()
    return directory / LOCK_PATH


def locked_packages(*, resolve: bool = True) -> list[LockedPackage]:
    """Return every installed distribution with what is known about its source."""
    found = {d.key: _recorded(d) for d in iter_distributions()}
    open_names = {name: p.version for name, p in found.items() if not p.source and not p.line}
    if resolve and open_names:
        for package in _ask_uv(open_names):
            if open_names.get(package.name) == package.version and package.source:
                found[package.name] = package
    return list(found.values())


def _recorded(distribution: Distribution) -> LockedPackage:
    """Return the package with what the installer recorded of its source (PEP 610)."""
    name, version = distribution.key, distribution.version
    source = read_source(distribution)
    if source is None:
        return LockedPackage(name, version, {})
    keys = _keys_of(source)
    return LockedPackage(name, version, keys, "" if keys else line_of(name, version, source))


def _keys_of(source: Source) -> dict[str, object]:
    """Return the keys of the standard for a source; empty where it has none."""
    where = {"subdirectory": source.subdirectory} if source.subdirectory else {}
    if source.kind == "vcs" and source.commit:
        place = {"type": source.vcs, "url": source.url, "commit-id": source.commit}
        return {"vcs": {**place, **where}}
    if source.kind == "directory":
        editable = {"editable": True} if source.editable else {}
        return {"directory": {"path": source.url.removeprefix("file://"), **editable, **where}}
    if source.kind == "archive" and source.hashes:
        return {"archive": {"url": source.url, "hashes": dict(source.hashes), **where}}
    return {}


def _ask_uv(versions: Mapping[str, str]) -> list[LockedPackage]:
    """Return what uv finds for exact versions; nothing if it cannot."""
    uv = find_uv()
    if uv is None:
        logger.info("uv is not installed, so the lock has no hashes of packages from an index.")
        return []
    known: dict[str, str] = dict(versions)
    for _ in range(len(versions)):
        packages, unknown = _compile(uv, known)
        if not unknown & known.keys():
            return packages
        for name in unknown:  # not on an index: a local build
            known.pop(name, None)
    return []


def _compile(uv: str, versions: Mapping[str, str]) -> tuple[list[LockedPackage], set[str]]:
    """Return the packages, or the names that uv says no index has in that version."""
    with tempfile.TemporaryDirectory(prefix="pyfunc-lock-") as folder:
        source, target = Path(folder, "requirements.in"), Path(folder, "pylock.toml")
        lines = (f"{name}=={version}\n" for name, version in versions.items())
        source.write_text("".join(lines), encoding="utf-8")
        command = [uv, "pip", "compile", "--quiet", "--no-deps", "--format", "pylock.toml"]
        command += ["--python", sys.executable, "--output-file", str(target), str(source)]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_RESOLVE_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            logger.warning("The lock has no hashes of packages from an index: %s", error)
            return [], set()
        if done.returncode == 0:
            return _parse_compiled(target), set()
        message = done.stderr.decode("utf-8", "replace")
    unknown = {name for name in versions if _is_blamed(name, message)}
    if not unknown:
        logger.warning("The lock has no hashes of packages from an index: %s", message.strip())
    return [], unknown


def _parse_compiled(path: Path) -> list[LockedPackage]:
    try:
        packages = parse_lock(path.read_bytes(), path=path)
    except (ModelFormatError, OSError) as error:
        logger.warning("The lock has no hashes of packages from an index: %s", error)
        return []
    return [LockedPackage(p.name, p.version, _tidy(p.source)) for p in packages]


def _tidy(source: Mapping[str, object]) -> dict[str, object]:
    """Leave out upload times, which only uv writes, and credentials in URLs."""

    def clean(value: object) -> object:
        if isinstance(value, Mapping):
            return {k: clean(v) for k, v in value.items() if k != "upload-time"}
        if isinstance(value, list):
            return [clean(item) for item in value]
        return without_credentials(value) if isinstance(value, str) else value

    return {key: clean(value) for key, value in source.items()}


def _is_blamed(name: str, message: str) -> bool:
    blamed = (
        f"no version of {name}==",
        f"{name} was not found",
        f"there are no versions of {name}",
    )
    lowered = " ".join(message.lower().split())
    return any(text in lowered for text in blamed)


def compare_lock(directory: Path) -> tuple[list[Mismatch], int]:
    """Return how the running environment differs from a model's lock, and the lock's length.

    Raises:
        ModelIncompleteError: the model has no lock.
        ModelFormatError: the lock cannot be read.
    """
    locked = read_lock(directory / LOCK_PATH)
    return list(_compare_packages(locked, iter_distributions())), len(locked)


def _compare_packages(
    locked: Iterable[LockedPackage], installed: Iterable[Distribution]
) -> Iterator[Mismatch]:
    here = {distribution.key: distribution for distribution in installed}
    for package in locked:
        required = f"{package.name}=={package.version}"
        found = here.pop(package.name, None)
        if found is None:
            yield Mismatch(package.name, required, None, "lock", "likely", "locked")
        elif package.version and found.version != package.version:
            yield Mismatch(package.name, required, found.version, "lock", "likely", "locked")
        elif vcs := package.source.get("vcs"):
            yield from _compare_commit(package, vcs, found)
    for name, distribution in sorted(here.items()):
        yield Mismatch(name, name, distribution.version, "lock", "info", "not in the lock")


def _compare_commit(
    package: LockedPackage, vcs: Mapping[str, object], found: Distribution
) -> Iterator[Mismatch]:
    wanted, source = str(vcs.get("commit-id", "")), read_source(found)
    commit = None if source is None else source.commit
    if commit != wanted:
        remark = f"locked at another commit; here: {commit or 'of an index or a folder'}"
        required = f"{package.name}=={package.version} at {wanted}"
        yield Mismatch(package.name, required, found.version, "lock", "likely", remark)
