"""Compares what a model requires with what is installed here."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pyfunc.directory.mlmodel import read_mlmodel_if_any
from pyfunc.directory.opened import ModelFiles
from pyfunc.env.checking.report import Mismatch, Report, Severity
from pyfunc.env.checking.severity import judge_version
from pyfunc.env.installed.distributions import (
    Distribution,
    find_distribution,
    find_requirements_of,
    list_folders,
)
from pyfunc.env.installed.module_owners import find_owners, is_importable, is_standard_library
from pyfunc.env.requirements.credentials import without_credentials
from pyfunc.env.requirements.deduplication import admits
from pyfunc.env.requirements.lines import check_line, is_by_hand, parse_requirement
from pyfunc.env.requirements.of_model import read_requirements
from pyfunc.env.requirements.sources import Source, read_source
from pyfunc.env.specification import MLFLOW_NAMES, OWN_NAME, python_version
from pyfunc.errors import InvalidArgumentError
from pyfunc.files.locations import resolve_model

__all__ = ["check", "check_requirements", "compare", "compare_python"]

_RUNTIMES = MLFLOW_NAMES | {OWN_NAME}
_IGNORED = frozenset({"databricks-feature-lookup", "databricks-agents"})

_parse = lru_cache(maxsize=4096)(parse_requirement)

Lookup = Callable[[str], "str | None"]
SourceLookup = Callable[[str], "Source | None"]
Finder = Callable[[str], "Distribution | None"]


def check(path: str | os.PathLike[str], *, lock: bool = False) -> Report:
    """Return how the running environment differs from what the model at ``path`` requires.

    Nothing of the model is run and nothing is written.

    Args:
        path: the model, as for ``load_model``.
        lock: compare the whole environment with the lock that :func:`pyfunc.env.lock` wrote,
            instead of comparing the requirements.

    Raises:
        ModelNotFoundError: ``path`` is not a directory.
        ModelIncompleteError: ``lock`` is asked for and the model has none.
        ModelFormatError: the MLmodel file or the lock cannot be read.
    """
    directory = resolve_model(path)
    python = read_mlmodel_if_any(directory).python_version
    if not lock:
        return check_requirements(directory, python=python)
    from pyfunc.env.checking.locking import compare_lock

    found, count = compare_lock(directory)
    mismatches = (*compare_python(python), *found)
    return Report(str(directory), mismatches, python, python_version(), count)


def check_requirements(
    directory: Path, *, python: str | None, files: ModelFiles | None = None
) -> Report:
    """Return the report for a model whose Python version is known already.

    ``files`` reads the model's files and checks what it reads; by default nothing is checked.

    Never raises for what the model's files hold: a line or file that cannot be read is a
    mismatch of kind ``unreadable``.
    """
    lines, unreadable = read_requirements(directory, files)
    find = partial(find_distribution, folders=list_folders())
    here, source_here = partial(_version_here, find), partial(_source_here, find)
    mismatches = [*compare_python(python), *compare(lines, here, source_here)]
    mismatches += [
        Mismatch(item.line, item.line, None, "unreadable", "likely", item.reason)
        for item in unreadable
    ]
    return Report(str(directory), tuple(mismatches), python, python_version(), len(lines))


def _version_here(find: Finder, name: str) -> str | None:
    """Return the version of a distribution, else of the one that owns a module of that name."""
    distribution = find(name)
    # To search all that is installed for the owner of a name that is none takes a while each.
    if distribution is None and name.isidentifier() and is_importable(name):
        owners = find_owners([name]).get(name)
        distribution = owners[0] if owners else None
    return None if distribution is None else distribution.version


def _source_here(find: Finder, name: str) -> Source | None:
    distribution = find(name)
    return None if distribution is None else read_source(distribution)


def compare_python(required: str | None) -> Iterator[Mismatch]:
    """Yield a mismatch if the model's Python differs in its major or minor version."""
    current = python_version()
    if required is None:
        yield Mismatch(
            "python", "python", current, "python", "info", "the model names no Python version"
        )
        return
    try:
        wanted: tuple[int, ...] = Version(required).release[:2]
    except InvalidVersion:
        remark = "not a Python version"
        yield Mismatch("python", f"python=={required}", current, "python", "cosmetic", remark)
        return
    if wanted != sys.version_info[:2]:
        yield Mismatch("python", f"python=={required}", current, "python", "likely")


def compare(
    lines: Iterable[str], installed: Lookup, sources: SourceLookup = lambda _: None
) -> Iterator[Mismatch]:
    """Yield one :class:`Mismatch` per unmet line, in the order of ``lines``.

    ``installed`` gives the version of a package here, or None, and ``sources`` where it came
    from, None for an index. Each line is judged on its
    own: one that cannot be read does not keep the others from being compared. Lines whose
    marker is false and installer options are skipped.
    """
    for line in lines:
        requirement = _parse(line)
        if requirement is not None:
            shown = str(requirement) if is_by_hand(line) else line
            yield from _compare_requirement(requirement, shown, installed, sources)
        elif not line.startswith("-"):
            yield from _compare_place(line)


def _compare_place(line: str) -> Iterator[Mismatch]:
    try:
        check_line(line, source="requirements")
    except InvalidArgumentError as error:
        yield Mismatch(line, line, None, "unreadable", "cosmetic", str(error).splitlines()[0])
    else:
        yield Mismatch(line, line, None, "url", "info", "cannot be compared")


def _compare_requirement(
    requirement: Requirement, line: str, installed: Lookup, sources: SourceLookup
) -> Iterator[Mismatch]:
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return
    name = canonicalize_name(requirement.name)
    if name in _IGNORED:
        return
    found = installed(requirement.name)
    mismatch = _judge(requirement, line, found)
    is_met = mismatch is None and name not in _RUNTIMES  # the version of those is enough
    if found is not None and (is_met or requirement.url):
        mismatch = _judge_source(requirement, line, found, sources(requirement.name))
    if mismatch is not None and name in _RUNTIMES:
        remark = "the library that loads the model"
        yield Mismatch(mismatch.name, mismatch.required, found, "runtime", "info", remark)
    elif mismatch is not None:
        yield mismatch
    elif requirement.extras and found is not None and name not in _RUNTIMES:
        yield from _compare_extras(requirement, installed)


def _judge(requirement: Requirement, line: str, found: str | None) -> Mismatch | None:
    if found is None and is_standard_library(requirement.name):
        remark = "a module of the standard library, not a package"
        return Mismatch(requirement.name, line, None, "missing", "cosmetic", remark)
    if found is None:
        return Mismatch(requirement.name, line, None, "missing", "breaks")
    if requirement.url or admits(requirement.specifier, found):
        return None
    return Mismatch(requirement.name, line, found, "version", judge_version(requirement, found))


def _judge_source(
    requirement: Requirement, line: str, found: str, source: Source | None
) -> Mismatch | None:
    """Return how the place that ``found`` came from differs from the one that is required."""
    wanted = requirement.url
    if wanted is None and (source is None or is_by_hand(line)):
        return None
    if source is None:
        remark = "installed from an index, so the source cannot be compared"
        return Mismatch(requirement.name, line, found, "url", "info", remark)
    if wanted is not None and source.reference == without_credentials(wanted):
        return None
    other_commit = wanted is not None and source.kind == "vcs" and source.commit not in wanted
    remark = source.told + (f": {source.reference}" if source.reference else "")
    severity: Severity = "likely" if other_commit else "info"
    return Mismatch(requirement.name, line, found, "url", severity, remark)


def _compare_extras(requirement: Requirement, installed: Lookup) -> Iterator[Mismatch]:
    for needed in find_requirements_of(requirement.name, requirement.extras):
        mismatch = _judge(needed, str(needed), installed(needed.name))
        if mismatch is not None and mismatch.severity != "info":
            remark = f"needed by {requirement.name}[{','.join(sorted(requirement.extras))}]"
            yield Mismatch(
                mismatch.name,
                mismatch.required,
                mismatch.current,
                mismatch.kind,
                "likely",
                remark,
            )
