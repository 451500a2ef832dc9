"""What a model needs to run: environment files, inference, mismatches, isolated environments."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyfunc.env.dependencies import get_model_dependencies
    from pyfunc.env.inference import InferredRequirement, infer_requirements
    from pyfunc.env.mismatch import check
    from pyfunc.env.report import Mismatch, Report
    from pyfunc.env.specification import EnvironmentSpec

__all__ = [
    "EnvironmentSpec",
    "InferredRequirement",
    "Mismatch",
    "Report",
    "check",
    "get_model_dependencies",
    "infer_requirements",
]

_HOME = {
    "EnvironmentSpec": "pyfunc.env.specification",
    "InferredRequirement": "pyfunc.env.inference",
    "Mismatch": "pyfunc.env.report",
    "Report": "pyfunc.env.report",
    "check": "pyfunc.env.mismatch",
    "get_model_dependencies": "pyfunc.env.dependencies",
    "infer_requirements": "pyfunc.env.inference",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # the next access skips this function
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
