"""Predicting with a pipeline of transformers that takes texts, one answer per text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from pyfunc.errors import InvalidTypeError, shorten
from pyfunc.schema import ColSpec, DataType, ModelSignature, Schema

__all__ = ["TASKS", "TextPredictor", "signature_of_task"]


def _labels(found: list[Any]) -> object:
    return pd.DataFrame([item[0] if isinstance(item, list) else item for item in found])


def _entities(found: list[Any]) -> object:
    return [",".join(word.get("entity", word.get("entity_group")) for word in f) for f in found]


def _first_token(found: list[Any]) -> object:
    return [item[0]["token_str"] for item in found]


_STRING = (ColSpec(DataType.string),)
_LABEL = (ColSpec(DataType.string, "label"), ColSpec(DataType.double, "score"))

# Task -> what becomes of the pipeline's output, and the schema of that.
TASKS: Mapping[str, tuple[Callable[[list[Any]], object], Schema]] = {
    "text-classification": (_labels, Schema(list(_LABEL))),
    "sentiment-analysis": (_labels, Schema(list(_LABEL))),
    "token-classification": (_entities, Schema(list(_STRING))),
    "ner": (_entities, Schema(list(_STRING))),
    "fill-mask": (_first_token, Schema(list(_STRING))),
}


def signature_of_task(task: str) -> ModelSignature:
    """Return the signature of a task in :data:`TASKS`: strings in, its answers out."""
    return ModelSignature(Schema([ColSpec(DataType.string)]), TASKS[task][1])


class TextPredictor:
    """A pipeline behind the interface that every loaded model has.

    Attributes:
        pipeline: the ``transformers.Pipeline``.
    """

    def __init__(self, pipeline: Any, model_config: Mapping[str, object] | None) -> None:
        self.pipeline = pipeline
        self._options = dict(model_config or {})
        self._answers = TASKS[pipeline.task][0]

    def predict(self, data: object, params: Mapping[str, object] | None = None) -> object:
        """Return one answer per text.

        Args:
            data: a text, a list of texts, or a frame of one column of texts.
            params: keyword arguments of the call, over those of the configuration.

        Raises:
            InvalidTypeError: ``data`` is nothing of this.
        """
        if isinstance(data, pd.DataFrame) and data.shape[1] == 1:
            data = data.iloc[:, 0].tolist()
        texts = [data] if isinstance(data, str) else data
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise InvalidTypeError(f"expected a text or a list of texts, got {shorten(data)}")
        found = self.pipeline(texts, **{**self._options, **(params or {})})
        if self.pipeline.task == "fill-mask" and found and isinstance(found[0], dict):
            found = [found]  # the library leaves the outer list out for one text
        return self._answers(found)

    def get_raw_model(self) -> object:
        """Return the pipeline."""
        return self.pipeline
