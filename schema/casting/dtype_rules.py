"""Which dtype may become which type, decided by dtype alone: one table of kind and width.

The rule is MLflow's: a cast may only widen. What depends on the values of a column is the work
of the modules of the columns.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Any

import numpy as np

from pyfunc.schema.data_types import FACTS, DataType

__all__ = ["NULLABLE", "NUMPY", "Action", "find_action", "is_widening"]

NUMPY = {member: facts.numpy for member, facts in FACTS.items()}
"""The dtype of a column of each type; text and bytes are object columns in a frame."""

NULLABLE = {member: facts.nullable for member, facts in FACTS.items() if facts.nullable}
"""The dtype of an optional column with nulls, where numpy has no null."""

_TEXT = frozenset({DataType.string, DataType.binary})


class Action(Enum):
    """What a column of a dtype needs to become a column of a type."""

    KEEP = "it is one"
    CAST = "one astype, whatever the values"
    ZERO_OR_ONE = "one astype, if all values are 0 or 1"
    LOOK = "its values decide"
    REFUSE = "nothing helps"


def is_widening(kind: str, itemsize: int, target: DataType) -> bool:
    """Return whether every value of a dtype of ``kind`` and ``itemsize`` fits ``target``."""
    goal = NUMPY[target]
    if target in _TEXT or target is DataType.datetime:
        return False
    if kind == goal.kind:
        return itemsize <= goal.itemsize
    if kind == "u" and goal.kind == "i":
        return itemsize < goal.itemsize
    return kind in "iu" and target is DataType.double and itemsize <= 6


@lru_cache(maxsize=1024)
def _find_numpy_action(dtype: np.dtype[np.generic], target: DataType) -> Action:  # noqa: PLR0911 - by case
    if dtype == NUMPY[target]:
        return Action.KEEP
    if dtype.kind == "O":
        return Action.KEEP if target in _TEXT else Action.LOOK
    if dtype.kind == NUMPY[target].kind and target in _TEXT:
        return Action.LOOK  # of a fixed width, which a column of objects does not have
    if is_widening(dtype.kind, dtype.itemsize, target):
        return Action.CAST
    if dtype == np.int64 and target in (DataType.float, DataType.double):
        return Action.ZERO_OR_ONE
    if target is DataType.datetime and dtype.kind == "M":
        return Action.LOOK  # values may lie outside the range of nanoseconds
    if dtype.kind == "f" and target in (DataType.integer, DataType.long):
        return Action.LOOK  # for the hint about missing values
    return Action.REFUSE


def find_action(dtype: Any, target: DataType) -> Action:
    """Return what a column of ``dtype``, numpy's or an extension's, needs."""
    if isinstance(dtype, np.dtype):
        return _find_numpy_action(dtype, target)
    # pandas' own text dtypes are instances of one class, whose instances are all called "string"
    # or "str"; they hold text and nothing else.
    if target in _TEXT and dtype.name in ("string", "str"):
        return Action.KEEP
    return Action.LOOK
