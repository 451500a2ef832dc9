"""A request of one row of numbers, read without a frame; see :mod:`pyfunc.schema.wire.json_rows`.

Read here are one tensor for each column of the signature, in its order and of its type, or one
of another name that holds the row. All else is read in the careful way, to the same values.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pyfunc.schema.wire.json_rows import MOST_ROW_BYTES, RowReader
from pyfunc.schema.wire.json_text import load_plain_object
from pyfunc.serving.open_inference.tensors import datatype_of

__all__ = ["TensorRow", "TensorRowReader"]

_KEYS = frozenset({"name", "shape", "datatype", "data"})
_ONE_ROW = ([1], [1, 1])


class TensorRow(NamedTuple):
    """A row, and the object of the request that it came in."""

    payload: dict[str, Any]
    cells: npt.NDArray[np.generic]


class TensorRowReader:
    """Reads rows out of tensors; safe to share between threads.

    Args:
        rows: makes arrays of cells.
    """

    def __init__(self, rows: RowReader) -> None:
        self._rows = rows
        self._datatype = datatype_of(rows.dtype)

    def read(self, body: bytes) -> TensorRow | None:
        """Return the row of a body, None if the careful way must read it."""
        found = load_plain_object(body) if len(body) <= MOST_ROW_BYTES else None
        if found is None:
            return None
        (payload, keys), forms = found, found[0].get("inputs")
        if type(forms) is not list or keys != len(payload) + len(_KEYS) * len(forms):
            return None
        if len(payload) > 1 and (len(payload) > 2 or type(payload.get("id")) is not str):
            return None
        if not all(type(form) is dict and form.keys() == _KEYS for form in forms):
            return None
        cells = self._rows.cast(self._cells_of(forms))
        return None if cells is None else TensorRow(payload, cells)

    def _cells_of(self, forms: list[dict[str, Any]]) -> list[object] | None:
        names = self._rows.names
        if len(forms) == 1 and type(forms[0]["name"]) is str and forms[0]["name"] not in names:
            return self._data_of(forms[0], ([1, len(names)],))
        if [form["name"] for form in forms] != names:
            return None
        data = [self._data_of(form, _ONE_ROW) for form in forms]
        return [cells[0] for cells in data if cells is not None and len(cells) == 1]

    def _data_of(self, form: dict[str, Any], shapes: tuple[list[int], ...]) -> list[object] | None:
        shape, data = form["shape"], form["data"]
        is_known = type(shape) is list and shape in shapes and set(map(type, shape)) == {int}
        is_plain = is_known and form["datatype"] == self._datatype and type(data) is list
        return data if is_plain else None
