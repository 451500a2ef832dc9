"""Functions of the user around a model: before it for requests, after it for answers."""

from __future__ import annotations

from pyfunc.handlers.loading import RequestHandler
from pyfunc.handlers.signatures import HandlerSignature, SignatureField

__all__ = ["HandlerSignature", "RequestHandler", "SignatureField"]
