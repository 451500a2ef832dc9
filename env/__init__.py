"""What a model needs to run: environment files, inference, mismatches, isolated environments."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyfunc.env.dependencies import get_model_dependencies
    from pyfunc.env.environments import Environment, prepare_environment
    from pyfunc.env.inference import InferredRequirement, infer_requirements
    from pyfunc.env.locking import lock
    from pyfunc.env.mismatch import check
    from pyfunc.env.report import Mismatch, Report
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
    "Environment": "pyfunc.env.environments",
    "EnvironmentSpec": "pyfunc.env.specification",
    "InferredRequirement": "pyfunc.env.inference",
    "Mismatch": "pyfunc.env.report",
    "Report": "pyfunc.env.report",
    "check": "pyfunc.env.mismatch",
    "get_model_dependencies": "pyfunc.env.dependencies",
    "infer_requirements": "pyfunc.env.inference",
    "lock": "pyfunc.env.locking",
    "prepare_environment": "pyfunc.env.environments",
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
