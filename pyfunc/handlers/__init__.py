"""Functions of the user around a model: before it for requests, after it for answers."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyfunc.handlers.attaching import add_handler
    from pyfunc.handlers.loading import RequestHandler
    from pyfunc.handlers.mounting import mount_project
    from pyfunc.handlers.samples import samples_of
    from pyfunc.handlers.signatures import HandlerSignature, SignatureField
    from pyfunc.serving.samples.routes import handler_routes

__all__ = [
    "HandlerSignature",
    "RequestHandler",
    "SignatureField",
    "add_handler",
    "handler_routes",
    "mount_project",
    "samples_of",
]

_HOME = {
    "HandlerSignature": "pyfunc.handlers.signatures",
    "RequestHandler": "pyfunc.handlers.loading",
    "SignatureField": "pyfunc.handlers.signatures",
    "add_handler": "pyfunc.handlers.attaching",
    "handler_routes": "pyfunc.serving.samples.routes",
    "mount_project": "pyfunc.handlers.mounting",
    "samples_of": "pyfunc.handlers.samples",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # the next access skips this function
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
