"""What a model needs to run: environment files, inference, mismatches, isolated environments."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyfunc.env.checking.locking import lock
    from pyfunc.env.checking.mismatch import check
    from pyfunc.env.checking.report import Mismatch, Report
    from pyfunc.env.creating.environments import Environment, prepare_environment
    from pyfunc.env.inference.entry import InferredRequirement, infer_requirements
    from pyfunc.env.requirements.dependencies import get_model_dependencies
    from pyfunc.env.specification import EnvironmentSpec
    from pyfunc.env.updating import update_requirements

__all__ = [
    "Environment",
    "EnvironmentSpec",
    "InferredRequirement",
    "Mismatch",
    "Report",
    "check",
    "get_model_dependencies",
    "infer_requirements",
    "lock",
    "prepare_environment",
    "update_requirements",
]

_HOME = {
    "Environment": "pyfunc.env.creating.environments",
    "EnvironmentSpec": "pyfunc.env.specification",
    "InferredRequirement": "pyfunc.env.inference.entry",
    "Mismatch": "pyfunc.env.checking.report",
    "Report": "pyfunc.env.checking.report",
    "check": "pyfunc.env.checking.mismatch",
    "get_model_dependencies": "pyfunc.env.requirements.dependencies",
    "infer_requirements": "pyfunc.env.inference.entry",
    "lock": "pyfunc.env.checking.locking",
    "prepare_environment": "pyfunc.env.creating.environments",
    "update_requirements": "pyfunc.env.updating",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # the next access skips this function
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
