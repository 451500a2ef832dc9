"""Predicting for more than one request: whole files, part by part, and columns of Spark."""

from __future__ import annotations

from pyfunc._lazy import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        ".batch.entry": ("predict_file",),
        ".spark.environments": ("build_model_env",),
    },
)
