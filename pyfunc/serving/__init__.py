"""A loaded model behind HTTP: MLflow's scoring protocol, the Open Inference Protocol, a page."""

from __future__ import annotations

from pyfunc._lazy import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        ".app": ("create_app",),
        "..errors": ("ModelFailedError",),
        ".http.endpoint": ("Endpoint",),
        ".http.failures": ("status_of",),
        ".http.messages": ("Reply", "Request"),
        ".running": ("run",),
        ".service": ("ModelService",),
        ".settings": ("ServingSettings",),
    },
)
