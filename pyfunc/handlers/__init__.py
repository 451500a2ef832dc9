"""Functions of the user around a model: before it for requests, after it for answers."""

from __future__ import annotations

from pyfunc._lazy import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        ".attaching": ("add_handler",),
        ".loading": ("RequestHandler",),
        ".mounting": ("mount_project",),
        ".samples": ("samples_of",),
        ".signatures": ("HandlerSignature", "SignatureField"),
        "..serving.samples.routes": ("handler_routes",),
    },
)
