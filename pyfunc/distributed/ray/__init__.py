"""Predicting for datasets of Ray: Arrow batches through a pool of actors that hold the model."""

from __future__ import annotations

from pyfunc._lazy import face

__getattr__, __dir__, __all__ = face(
    __name__, {".actors": ("BatchPredictor",), ".entry": ("predict",)}
)
