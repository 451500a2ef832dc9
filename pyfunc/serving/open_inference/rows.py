"""Requests of rows of numbers, read without a frame; see :mod:`pyfunc.schema.wire.json_rows`.

Read here are one tensor for each column of the signature, in its order and of its type, or one
of another name that holds the rows. All else is read in the careful way, to the same values.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from pyfunc.schema.wire.json_cells import cast_number_lists
from pyfunc.schema.wire.json_rows import RowReader
from pyfunc.schema.wire.json_scan import count_quotes
from pyfunc.schema.wire.json_text import load_plain_object
from pyfunc.serving.open_inference.tensors import datatype_of

__all__ = ["TensorRowReader", "TensorRows"]

_KEYS = frozenset({"name", "shape", "datatype", "data"})
_STRINGS = len(_KEYS) + 2  # of a tensor


@dataclass(frozen=True, slots=True)
class TensorRows:
    """Rows, and the object of the request that they came in."""

    payload: dict[str, Any]
    cells: npt.NDArray[np.generic]

    def __len__(self) -> int:
        return len(self.cells)


class TensorRowReader:
    """Reads rows out of tensors; safe to share between threads.

    Args:
        rows: reads them in other forms.
    """

    def __init__(self, rows: RowReader) -> None:
        self._rows = rows
        self._datatype = datatype_of(rows.dtype)
        self._mark = f'"{self._datatype}"'.encode()

    def read(self, body: bytes) -> TensorRows | None:
        """Return the rows of a body, None if the careful way must read it.

        Raises:
            InvalidArgumentError: with ``PAYLOAD_TOO_LARGE``, as in the careful way.
        """
        limits = self._rows.limits
        limits.check_json(body)
        payload = load_plain_object(body) if self._mark in body else None
        forms = None if payload is None else payload.get("inputs")
        if payload is None or type(forms) is not list or not forms:
            return None
        if not all(map(self._is_plain, forms)):
            return None
        if len(payload) > 1 and (len(payload) > 2 or type(payload.get("id")) is not str):
            return None
        strings = 2 * len(payload) - 1 + _STRINGS * len(forms)
        if 2 * strings != count_quotes(body):
            return None
        limits.check_arrays([tuple(form["shape"]) for form in forms])
        cells = self._cells_of(forms)
        return None if cells is None else TensorRows(payload, cells)

    def _is_plain(self, form: Any) -> bool:
        """Return whether a tensor has no more than it must, and as many values as it says."""
        if type(form) is not dict or form.keys() != _KEYS or type(form["name"]) is not str:
            return False
        shape, data = form["shape"], form["data"]
        if type(shape) is not list or set(map(type, shape)) != {int} or type(data) is not list:
            return False
        if len(shape) > 2:  # nor are many multiplied
            return False
        is_one = form["datatype"] == self._datatype and min(shape) > 0
        return is_one and len(data) == prod(shape)

    def _cells_of(self, forms: list[dict[str, Any]]) -> npt.NDArray[np.generic] | None:
        """Return the values of tensors as an array of rows, None if they do not lie as rows do."""
        names, dtype, shape = self._rows.names, self._rows.dtype, forms[0]["shape"]
        if len(forms) == 1 and forms[0]["name"] not in names:
            if len(shape) != 2 or shape[1] != len(names):
                return None
            cells = cast_number_lists([forms[0]["data"]], prod(shape), dtype)
            return None if cells is None else np.asfortranarray(cells.reshape(shape))
        if [form["name"] for form in forms] != names or shape[1:] not in ([], [1]):
            return None
        if any(form["shape"] != shape for form in forms):
            return None
        columns = cast_number_lists([form["data"] for form in forms], shape[0], dtype)
        return None if columns is None else columns.T
