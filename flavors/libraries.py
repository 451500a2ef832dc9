"""The library of a flavor: imported when it is needed, with one error where it is missing."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from pyfunc.env.installed.module_owners import find_owners
from pyfunc.env.requirements.environment_files import default_conda_env
from pyfunc.env.requirements.sources import pinned
from pyfunc.env.specification import python_version, runtime_requirement
from pyfunc.errors import MissingDependencyError

__all__ = ["conda_env_of", "import_library", "requirements_of_modules"]


def import_library(module: str, *, extra: str, feature: str | None = None) -> ModuleType:
    """Return the module ``module``, imported now.

    Args:
        module: dotted name.
        extra: the extra of this distribution that installs the library.
        feature: what needs it, for the message; by default a model of that extra.

    Raises:
        MissingDependencyError: the library is not installed; names the pip command.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            feature or f"a model of the flavor {extra}", f"pip install 'pyfunc-format[{extra}]'"
        ) from error


def requirements_of_modules(modules: Iterable[str]) -> list[str]:
    """Return a pinned requirement for each module, of the distribution that provides it here.

    ``xgboost`` may come from ``xgboost`` or ``xgboost-cpu``; a module that is not installed gives
    a line without a version.
    """
    modules = list(modules)
    owners = find_owners(modules)
    return [
        pinned(owners[module][0].key if module in owners else _DISTRIBUTIONS.get(module, module))
        for module in modules
    ]


_DISTRIBUTIONS = {"sklearn": "scikit-learn", "sentence_transformers": "sentence-transformers"}


def conda_env_of(requirements: list[str]) -> dict[str, Any]:
    """Return the conda environment of requirements beside this library."""
    return default_conda_env([runtime_requirement("pyfunc"), *requirements], python_version())
