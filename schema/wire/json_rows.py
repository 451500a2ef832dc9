"""One row of numbers in the body of a request, read without a frame.

It is what clients send most, and making and taking apart a frame costs as much as predicting it.
Read here is the form that clients send: the names of the signature in its order, and a number
for each. What is read is what the careful way reads; whatever else comes is left to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pyfunc.schema.wire.json_cells import CellError, cast_flat
from pyfunc.schema.wire.json_text import load_plain_object

__all__ = ["MOST_ROW_BYTES", "RowReader"]

MOST_ROW_BYTES = 4096
"""Longer bodies are not looked at; no limit of a server that lets a row through is lower."""

_SPLIT = frozenset({"columns", "data"})
_NUMBERS = {"f": frozenset({int, float}), "i": frozenset({int})}


class RowReader:
    """Reads rows of columns of one number type; safe to share between threads.

    Args:
        names: of the columns, in their order.
        dtype: floats or integers of 32 or 64 bits.
    """

    def __init__(self, names: Sequence[str], dtype: np.dtype[np.generic]) -> None:
        self.names = list(names)
        self.dtype = dtype
        self._kinds = _NUMBERS[dtype.kind]

    def read(self, body: bytes) -> npt.NDArray[np.generic] | None:
        """Return the row of a body in one of MLflow's forms, of shape (1, columns).

        None if the careful way must read the body, which may then find it wrong.
        """
        found = load_plain_object(body) if len(body) <= MOST_ROW_BYTES else None
        if found is None or len(found[0]) != 1:
            return None
        (payload, keys), names = found, self.names
        split = payload.get("dataframe_split")
        if type(split) is dict:
            is_plain = keys == 3 and split.keys() == _SPLIT and split["columns"] == names
            return self.cast(_only(split["data"], list)) if is_plain else None
        record = _only(payload.get("dataframe_records"), dict)
        if record is None or keys != 1 + len(names) or list(record) != names:
            return None
        return self.cast(list(record.values()))

    def cast(self, cells: list[Any] | None) -> npt.NDArray[np.generic] | None:
        """Return the cells of a row as an array, None unless each is a number of the type."""
        if (
            cells is None
            or len(cells) != len(self.names)
            or not set(map(type, cells)) <= self._kinds
        ):
            return None
        try:
            return cast_flat(cells, self.dtype).reshape(1, -1)
        except CellError:
            return None


def _only(items: object, kind: type) -> Any:
    """Return what a list of one item holds, None unless it is of that kind."""
    if type(items) is list and len(items) == 1 and type(items[0]) is kind:
        return items[0]
    return None
