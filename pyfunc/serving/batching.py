"""Requests of one row that wait at the same time, answered by one ``predict``.

No request waits for others: a thread that becomes free takes what has gathered meanwhile. A
model need not treat rows independently, and sums over a batch may differ in the last bit, so
nothing is taken on trust: batches of each size must first give the very bytes that the rows
give one by one, a share of them is compared for ever, and one difference ends it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from pyfunc.errors import PyfuncError
from pyfunc.schema import ParsedRequest
from pyfunc.serving.http.messages import Reply, Request
from pyfunc.serving.scoring import Scoring
from pyfunc.serving.service import as_model_error

__all__ = ["ScoringBatcher", "split_rows", "stack_rows"]

logger = logging.getLogger("pyfunc.serving")

TRIALS = 4
"""How often batches of one size must agree with single rows before they are relied on."""

RECHECK = 64
"""Every so many batches, one is compared again."""

Outcome = Reply | BaseException

T = TypeVar("T")
R = TypeVar("R")


class ScoringBatcher:
    """Answers requests together where that gives the same bytes; safe to share by threads.

    Args:
        scoring: answers single requests.
        predict: the model's predict function.
        max_size: how many requests at most are answered together.
    """

    def __init__(
        self, scoring: Scoring, predict: Callable[[Any, None], object], max_size: int
    ) -> None:
        self.max_size = max_size
        self._scoring = scoring
        self._predict = predict
        self._agreed = [0] * (max_size + 1)
        self._batches = 0
        self._lock = Lock()
        self.is_off = False

    def run_together(self, items: Sequence[Request]) -> list[Outcome]:
        """Return the reply to each request, or the error that is its outcome."""
        outcomes: list[Outcome | None] = [None] * len(items)
        groups: dict[Any, list[tuple[int, ParsedRequest]]] = {}
        for position, request in enumerate(items):
            parsed = _attempt(self._scoring.parse, request)
            if isinstance(parsed, ParsedRequest):
                key = None if self.is_off else row_key(parsed)
                groups.setdefault(position if key is None else key, []).append((position, parsed))
            else:
                outcomes[position] = parsed
        for members in groups.values():
            found = self._answer([parsed for _, parsed in members])
            for (position, _), outcome in zip(members, found, strict=True):
                outcomes[position] = outcome
        return [outcome for outcome in outcomes if outcome is not None]

    def _answer(self, rows: list[ParsedRequest]) -> list[Outcome]:
        if len(rows) == 1:
            return self._answer_singly(rows)
        compared = self._must_compare(len(rows))
        together = self._answer_at_once(rows)
        if together is None:
            return self._answer_singly(rows)
        if not compared:
            return together
        singly = self._answer_singly(rows)
        self._note(len(rows), together == singly)
        return singly

    def _answer_singly(self, rows: list[ParsedRequest]) -> list[Outcome]:
        return [_attempt(self._scoring.answer, row) for row in rows]

    def _answer_at_once(self, rows: list[ParsedRequest]) -> list[Outcome] | None:
        """Return the replies, None where only single predictions can tell them."""
        try:
            parts = split_rows(self._predict(stack_rows([r.data for r in rows]), None), len(rows))
        except Exception:
            return None
        if parts is None:
            self._turn_off("its prediction is not one row for each row of input")
            return None
        return [_attempt(self._scoring.format, part) for part in parts]

    def _must_compare(self, size: int) -> bool:
        with self._lock:
            self._batches += 1
            return self._agreed[size] < TRIALS or self._batches % RECHECK == 0

    def _note(self, size: int, agreed: bool) -> None:
        if not agreed:
            self._turn_off(f"{size} rows together gave another answer than one by one")
            return
        with self._lock:
            self._agreed[size] += 1

    def _turn_off(self, reason: str) -> None:
        self.is_off = True
        logger.warning("requests are no longer answered together: %s", reason)


def _attempt(call: Callable[[T], R], item: T) -> R | PyfuncError:
    try:
        return call(item)
    except Exception as error:
        return as_model_error(error)


def row_key(parsed: ParsedRequest) -> tuple[Any, ...] | None:
    """Return what must be equal for requests to share a batch, None for one that may not."""
    data = parsed.data
    if parsed.params or parsed.unified:
        return None
    if type(data) is pd.DataFrame:
        plain = isinstance(data.index, pd.RangeIndex) and data.index.start == 0
        if len(data) != 1 or not plain or data.columns.nlevels != 1:
            return None
        return ("frame", tuple(data.columns), tuple(data.dtypes))
    if type(data) is np.ndarray and data.ndim >= 1 and len(data) == 1:
        return ("array", data.shape, data.dtype)
    return None


def stack_rows(rows: list[Any]) -> Any:
    """Return frames or arrays of one row and the same dtypes as one of all rows."""
    if isinstance(rows[0], np.ndarray):
        return np.concatenate(rows)
    first = rows[0]
    dtypes = set(first.dtypes)
    if len(dtypes) == 1 and isinstance(only := dtypes.pop(), np.dtype) and only.kind in "iufb":
        cells = np.concatenate([row.to_numpy() for row in rows])
        return pd.DataFrame(cells, columns=first.columns, copy=False)
    return pd.concat(rows, ignore_index=True)


def split_rows(value: object, length: int) -> list[Any] | None:
    """Return the rows of a prediction, each as the model gives it for one row.

    None if the prediction is not made of that many rows.
    """
    if isinstance(value, (pd.DataFrame, pd.Series)) and len(value) == length:
        return [value.iloc[i : i + 1] for i in range(length)]
    if isinstance(value, np.ndarray) and value.ndim and len(value) == length:
        return [value[i : i + 1] for i in range(length)]
    if type(value) is list and len(value) == length:
        return [[part] for part in value]
    return None
