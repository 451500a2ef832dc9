"""Predicting with pipelines of transformers: one answer per input, whatever the task."""

from __future__ import annotations

__all__: list[str] = []
