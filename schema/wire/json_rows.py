"""Rows of numbers in the body of a request, read without a frame.

They are what clients send most, and making and taking apart a frame costs more than predicting
one row. Read here are the forms that clients send: the names of the signature in its order, and
numbers for each. What is read is what the careful way reads; whatever else comes is left to that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pyfunc.schema.wire.json_cells import cast_number_lists
from pyfunc.schema.wire.json_scan import count_quotes
from pyfunc.schema.wire.json_text import load_plain_object
from pyfunc.schema.wire.limits import RequestLimits

__all__ = ["RowReader"]

_FORMS = re.compile(rb'\s*{\s*"dataframe_')
_SPLIT = frozenset({"columns", "data", "index"})


class RowReader:
    """Reads rows of columns of one number type; safe to share between threads.

    Args:
        names: of the columns, in their order.
        dtype: floats or integers of 32 or 64 bits.
        limits: of a request.
    """

    def __init__(
        self, names: Sequence[str], dtype: np.dtype[np.generic], limits: RequestLimits
    ) -> None:
        self.names = list(names)
        self.dtype = dtype
        self.limits = limits

    def read(self, body: bytes) -> npt.NDArray[np.generic] | None:
        """Return the rows of a body in MLflow's forms of frames, each column contiguous.

        None if the careful way must read the body, which may then find it wrong. Looks at each
        byte and value but a few times, whatever the body holds.

        Raises:
            InvalidArgumentError: with ``PAYLOAD_TOO_LARGE``, as in the careful way.
        """
        self.limits.check_json(body)
        payload = load_plain_object(body) if _FORMS.match(body) else None
        if payload is None or len(payload) != 1:
            return None
        rows, strings = self._find_rows(payload)
        if 2 * strings != count_quotes(body):
            return None
        self.limits.check_table(len(rows), len(self.names))
        return self.cast(rows)

    def _find_rows(self, payload: dict[str, Any]) -> tuple[list[Any], int]:
        """Return the rows of an object, and how many strings it has if it has nothing else."""
        ((form, held),) = payload.items()
        if form == "dataframe_records":
            return self._find_records(held)
        if form != "dataframe_split" or type(held) is not dict or not held.keys() <= _SPLIT:
            return [], 0
        rows, index = held.get("data"), held.get("index")
        if type(rows) is not list or held.get("columns") != self.names:
            return [], 0
        if index is not None and not _are_labels(index, len(rows)):
            return [], 0
        return rows, 1 + len(held) + len(self.names)

    def _find_records(self, held: object) -> tuple[list[Any], int]:
        if type(held) is not list or set(map(type, held)) != {dict}:
            return [], 0
        if any(list(row) != self.names for row in held):
            return [], 0
        return [list(row.values()) for row in held], 1 + len(held) * len(self.names)

    def cast(self, rows: list[Any]) -> npt.NDArray[np.generic] | None:
        """Return rows of cells as an array, its columns contiguous as those of a frame are.

        None unless all are lists of as many values as there are columns, and all fit the dtype.
        """
        found = cast_number_lists(rows, len(self.names), self.dtype)
        return None if found is None else np.asfortranarray(found)


def _are_labels(index: object, rows: int) -> bool:
    """Whether an index is one that no model that takes arrays could tell from any other."""
    return type(index) is list and len(index) == rows and set(map(type, index)) == {int}
