"""Infers what a saved model needs, by reading it: nothing is run, started or downloaded.

The modules that the pickles refer to and that the code imports are mapped to the installed
distributions that own them, pruned of what comes with another one, and pinned.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pyfunc.env.checking.severity import PICKLED_BY_REFERENCE
from pyfunc.env.inference.model_modules import Evidence, collect_modules
from pyfunc.env.installed.distributions import (
    find_distribution,
    find_requirements_of,
    installed_version,
)
from pyfunc.env.installed.module_owners import find_owners
from pyfunc.env.requirements.sources import pinned
from pyfunc.env.specification import MLFLOW_NAMES, OWN_NAME
from pyfunc.errors import PyfuncError
from pyfunc.files.locations import resolve_model
from pyfunc.variables import INFERENCE_RAISES

__all__ = [
    "InferredRequirement",
    "infer_or_defaults",
    "infer_requirements",
    "requirements_of_modules",
]

logger = logging.getLogger("pyfunc.env")

_TEST_TOOLS = frozenset(
    {
        "coverage",
        "hypothesis",
        "mock",
        "mypy",
        "nose",
        "nox",
        "pytest",
        "ruff",
        "tox",
    }
)
_NEVER = MLFLOW_NAMES | {OWN_NAME, "setuptools", "pip", "wheel"} | _TEST_TOOLS
_INPUT_REASON = "predict receives and returns pandas data"
_FIRST_PANDAS_WITH_NUMPY_BOUND = Version("2.1.2")


@dataclass(frozen=True, slots=True)
class InferredRequirement:
    """A requirement line and why it is there.

    Attributes:
        line: such as ``scikit-learn==1.9.1``.
        reasons: one text per place that needs it, sorted.
    """

    line: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.line}  # {'; '.join(self.reasons)}"


@overload
def infer_requirements(
    model_dir: str | os.PathLike[str], *, explain: Literal[False] = False, run: bool = False
) -> list[str]: ...
@overload
def infer_requirements(
    model_dir: str | os.PathLike[str], *, explain: Literal[True], run: bool = False
) -> list[InferredRequirement]: ...


def infer_requirements(
    model_dir: str | os.PathLike[str], *, explain: bool = False, run: bool = False
) -> list[str] | list[InferredRequirement]:
    """Return the pinned requirements of the model in ``model_dir``, sorted.

    Args:
        model_dir: may be half written: whatever files are there are looked at, with or
            without an MLmodel file.
        explain: return :class:`InferredRequirement` values instead of lines.
        run: load the model and predict its example in a child process as well, to see what
            is imported only then. This runs the model's code.

    Raises:
        ModelNotFoundError: there is no directory at ``model_dir``.
        ModelIncompleteError: ``run`` is asked for and the child process fails.
    """
    directory = resolve_model(model_dir)
    observed: Iterable[str] = ()
    if run:
        # Reached by name only: what runs a model stands above this package.
        from pyfunc.env.inference.observed_run import observe_modules

        observed = observe_modules(directory)
    found = _infer(directory, observed)
    return found if explain else [item.line for item in found]


def _infer(directory: Path, observed: Iterable[str]) -> list[InferredRequirement]:
    evidence = collect_modules(directory)
    for module in observed:
        evidence.setdefault(module, set()).add("imported while predicting")
    return requirements_of_modules(evidence)


def infer_or_defaults(
    model_dir: str | os.PathLike[str], defaults: Sequence[str], observed: Iterable[str] = ()
) -> list[str]:
    """Return what :func:`infer_requirements` does; if it fails, ``defaults`` and a log line.

    Args:
        model_dir: the model.
        defaults: the lines for when inference fails.
        observed: modules that the model has been seen to import.

    Raises:
        PyfuncError: inference failed, and ``MLFLOW_REQUIREMENTS_INFERENCE_RAISE_ERRORS`` is
            true; or that variable is not a boolean.
        OSError: the same, when a file cannot be read.
    """
    raises = INFERENCE_RAISES.read(default=False)
    try:
        return [item.line for item in _infer(resolve_model(model_dir), observed)]
    except (PyfuncError, OSError) as error:
        if raises:
            raise
        logger.warning(
            "Requirements could not be inferred (%s); only %s are recorded.", error, defaults
        )
        return list(defaults)


def requirements_of_modules(evidence: Evidence) -> list[InferredRequirement]:
    """Return one pinned requirement per distribution that the modules need, sorted by line."""
    reasons: dict[str, set[str]] = {"pandas": {_INPUT_REASON}}
    owners = find_owners(evidence)
    for module, distributions in owners.items():
        for distribution in distributions:
            where = {f"{module}: {place}" for place in evidence[module]}
            reasons.setdefault(distribution.key, set()).update(where)
    named = {key: why for key, why in reasons.items() if not _is_excluded(key)}
    kept = _prune(named)
    if "pandas" in kept and _needs_numpy_pin():
        kept.setdefault("numpy", {"this pandas sets no upper bound for numpy"})
    lines = [InferredRequirement(pinned(key), tuple(sorted(why))) for key, why in kept.items()]
    return sorted(lines, key=lambda item: item.line)


def _is_excluded(key: str) -> bool:
    return key in _NEVER or key.startswith("pytest-") or find_distribution(key) is None


def _needs_numpy_pin() -> bool:
    version = installed_version("pandas")
    try:
        return version is not None and Version(version) < _FIRST_PANDAS_WITH_NUMPY_BOUND
    except InvalidVersion:
        return False


def _prune(named: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Leave out what comes with another one, except where its exact version matters."""
    always = PICKLED_BY_REFERENCE | {
        canonicalize_name(r.name) for r in find_requirements_of(OWN_NAME)
    }
    kept = dict(named)
    closures = {key: _closure(key) for key in kept}
    for key in sorted(named):
        others = (other for other in kept if other != key)
        if key not in always and any(key in closures[other] for other in others):
            del kept[key]
    return kept


def _closure(key: str) -> set[str]:
    """Return all that installing ``key`` brings along, through the extras that are asked for."""
    found: set[str] = set()
    waiting: list[tuple[str, tuple[str, ...]]] = [(key, ())]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        name, extras = current
        needed = find_requirements_of(name)
        if extras:
            needed = [*needed, *find_requirements_of(name, extras)]
        for requirement in needed:
            child = canonicalize_name(requirement.name)
            found.add(child)
            waiting.append((child, tuple(sorted(requirement.extras))))
    return found
