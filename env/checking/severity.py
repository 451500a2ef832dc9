"""How much a difference between required and installed version matters."""

from __future__ import annotations

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pyfunc.env.checking.report import Severity

__all__ = ["PICKLED_BY_REFERENCE", "judge_version"]

# Objects of these are pickled by reference to private modules, which move between major
# versions (numpy.core became numpy._core in 2.0).
PICKLED_BY_REFERENCE = frozenset(
    {
        "catboost",
        "cloudpickle",
        "lightgbm",
        "numpy",
        "pandas",
        "pyarrow",
        "scikit-learn",
        "scipy",
        "tensorflow",
        "torch",
        "transformers",
        "xgboost",
    }
)


def judge_version(requirement: Requirement, current: str) -> Severity:
    """Return how much it matters that ``current`` does not meet ``requirement``."""
    wanted = _pinned_version(requirement)
    try:
        found = Version(current)
    except InvalidVersion:
        return "likely"
    if wanted is None:
        return "likely"
    by_reference = canonicalize_name(requirement.name) in PICKLED_BY_REFERENCE
    if (wanted.epoch, wanted.major) != (found.epoch, found.major):
        return "breaks" if by_reference else "likely"
    if wanted.minor != found.minor:
        return "likely" if by_reference or wanted.major == 0 else "cosmetic"
    return "cosmetic"


def _pinned_version(requirement: Requirement) -> Version | None:
    for specifier in requirement.specifier:
        if specifier.operator in ("==", "~=", "==="):
            try:
                return Version(specifier.version.removesuffix(".*"))
            except InvalidVersion:
                return None
    return None
