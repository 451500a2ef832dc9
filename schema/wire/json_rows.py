"""Rows of numbers in the body of a request, read without a frame.

They are what clients send most, and making and taking apart a frame costs more than predicting
one row. Read here is the form that clients send: the names of the signature in its order, and
numbers for each. What is read is what the careful way reads; whatever else comes is left to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from pyfunc.schema.wire.json_cells import CellError, cast_flat
from pyfunc.schema.wire.json_text import load_plain_object
from pyfunc.schema.wire.limits import RequestLimits

__all__ = ["MOST_ROW_BYTES", "RowReader"]

MOST_ROW_BYTES = 4096
"""Longer bodies are no single rows; no limit of a server that lets rows through is lower."""

_SPLIT = frozenset({"columns", "data"})


class RowReader:
    """Reads rows of columns of one number type; safe to share between threads.

    Args:
        names: of the columns, in their order.
        dtype: floats or integers of 32 or 64 bits.
    """

    def __init__(self, names: Sequence[str], dtype: np.dtype[np.generic]) -> None:
        self.names = list(names)
        self.dtype = dtype

    def read_row(self, body: bytes) -> npt.NDArray[np.generic] | None:
        """Return the row of a body in one of MLflow's forms, of shape (1, columns).

        None if the careful way must read the body, which may then find it wrong. Is brief
        whatever the body holds, and raises nothing.
        """
        found = load_plain_object(body) if len(body) <= MOST_ROW_BYTES else None
        if found is None or len(found[0]) != 1:
            return None
        (payload, keys), names = found, self.names
        rows = self._rows_of(payload, keys)
        if rows is not None:
            return self.cast_rows(rows) if len(rows) == 1 else None
        records = payload.get("dataframe_records")
        if type(records) is not list or len(records) != 1 or type(records[0]) is not dict:
            return None
        if keys != 1 + len(names) or list(records[0]) != names:
            return None
        return self.cast_rows([list(records[0].values())])

    def read_table(self, body: bytes, limits: RequestLimits) -> npt.NDArray[np.generic] | None:
        """Return the rows of a body in the form ``dataframe_split``, each column contiguous.

        None as in :meth:`read_row`.

        Raises:
            InvalidArgumentError: with ``PAYLOAD_TOO_LARGE``, as in the careful way.
        """
        limits.check_json(body)
        found = load_plain_object(body)
        rows = None if found is None or len(found[0]) != 1 else self._rows_of(*found)
        if rows is None:
            return None
        limits.check_table(len(rows), len(self.names))
        return self.cast_rows(rows)

    def _rows_of(self, payload: dict[str, Any], keys: int) -> list[Any] | None:
        split = payload.get("dataframe_split")
        if type(split) is not dict or keys != 3 or split.keys() != _SPLIT:
            return None
        rows = split["data"]
        return rows if type(rows) is list and split["columns"] == self.names else None

    def cast_rows(self, rows: list[Any]) -> npt.NDArray[np.generic] | None:
        """Return rows of cells as :meth:`cast` does, None too if they are not of one length."""
        if set(map(type, rows)) != {list} or set(map(len, rows)) != {len(self.names)}:
            return None
        return self.cast(rows[0] if len(rows) == 1 else list(chain.from_iterable(rows)))

    def cast(self, cells: list[Any]) -> npt.NDArray[np.generic] | None:
        """Return the cells of whole rows, one row after the other, as an array of rows.

        Its columns are contiguous, as those of a frame are. None unless all fit the dtype.
        """
        try:
            found = cast_flat(cells, self.dtype)
        except CellError:
            return None
        return np.asfortranarray(found.reshape(-1, len(self.names)))
