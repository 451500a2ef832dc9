"""The object of a library behind the interface that every loaded model has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["NativePredictor"]


class NativePredictor:
    """Predicts with the ``predict`` of the library's own object.

    Attributes:
        model: the object of the library.
        mlflow_wrapper: MLflow's module and class that predicts with the same object, as pickles
            name it; absent where MLflow's cannot be pickled.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def wrapped(self) -> tuple[object, ...]:
        """Return what MLflow's wrapper is made of."""
        return (self.model,)

    def predict(self, data: object, params: Mapping[str, object] | None = None) -> Any:
        """Return what the model predicts for ``data``; ``params`` are ignored, as in MLflow."""
        return self.model.predict(data)

    def get_raw_model(self) -> Any:
        """Return the object of the library."""
        return self.model
