"""A loaded model behind HTTP: MLflow's scoring protocol, the Open Inference Protocol, a page."""

from __future__ import annotations

from pyfunc._lazy import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        ".app": ("create_app",),
        ".http.failures": ("ModelFailedError", "status_of"),
        ".http.messages": ("Reply", "Request"),
        ".http.settings": ("ServingSettings",),
        ".running": ("run",),
        ".service": ("Endpoint", "ModelService"),
    },
)
