"""Values as short text for the log: a few elements of each container, the start of each string."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import numpy as np

__all__ = ["shortened"]

_ELEMENTS = 10
_CHARACTERS = 500
_DEPTH = 20


def shortened(value: Any, depth: int = 0) -> str:
    """Return ``value`` as text: at most 10 elements per container, 500 characters per string."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, str):
        return f'"{_cut(value)}"'
    if depth < _DEPTH:
        if isinstance(value, Mapping):
            pairs = (
                f"{shortened(key, depth + 1)}: {shortened(item, depth + 1)}"
                for key, item in value.items()
            )
            return "{" + _joined(pairs, len(value)) + "}"
        if isinstance(value, (list, tuple, set, frozenset)):
            items = (shortened(item, depth + 1) for item in value)
            return "[" + _joined(items, len(value)) + "]"
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= _CHARACTERS else text[:_CHARACTERS] + "..."


def _joined(items: Iterable[str], count: int) -> str:
    shown = list(islice(items, _ELEMENTS))
    if count > _ELEMENTS:
        shown.append("...")
    return ", ".join(shown)
