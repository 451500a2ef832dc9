"""A model of an importable module: its pickle holds names only."""

from __future__ import annotations

from typing import Any


class Constant:
    """Predicts one value for each input."""

    def __init__(self, value: float) -> None:
        self.value = value

    def predict(self, context: Any, model_input: list[float]) -> list[float]:
        """Return the value as often as there are inputs."""
        return [self.value] * len(model_input)
