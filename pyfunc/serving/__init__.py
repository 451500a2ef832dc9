"""A loaded model behind HTTP: MLflow's scoring protocol, the Open Inference Protocol, a page."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyfunc.serving.app import create_app
    from pyfunc.serving.http.failures import ModelFailedError, status_of
    from pyfunc.serving.http.messages import Reply, Request
    from pyfunc.serving.http.settings import ServingSettings
    from pyfunc.serving.running import run
    from pyfunc.serving.service import Endpoint, ModelService

__all__ = [
    "Endpoint",
    "ModelFailedError",
    "ModelService",
    "Reply",
    "Request",
    "ServingSettings",
    "create_app",
    "run",
    "status_of",
]

_HOME = {
    "Endpoint": "pyfunc.serving.service",
    "ModelFailedError": "pyfunc.serving.http.failures",
    "ModelService": "pyfunc.serving.service",
    "Reply": "pyfunc.serving.http.messages",
    "Request": "pyfunc.serving.http.messages",
    "ServingSettings": "pyfunc.serving.http.settings",
    "create_app": "pyfunc.serving.app",
    "run": "pyfunc.serving.running",
    "status_of": "pyfunc.serving.http.failures",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # the next access skips this function
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
