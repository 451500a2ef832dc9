"""Requests of rows of numbers, read without a frame; see :mod:`pyfunc.schema.wire.json_rows`.

Read here are one tensor for each column of the signature, in its order and of its type, or one
of another name that holds the rows. All else is read in the careful way, to the same values.
"""

from __future__ import annotations

from itertools import chain
from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pyfunc.schema.wire.json_rows import MOST_ROW_BYTES, RowReader
from pyfunc.schema.wire.json_text import load_plain_object
from pyfunc.schema.wire.limits import RequestLimits
from pyfunc.serving.open_inference.tensors import datatype_of

__all__ = ["TensorRowReader", "TensorRows"]

_KEYS = frozenset({"name", "shape", "datatype", "data"})


class TensorRows(NamedTuple):
    """Rows, and the object of the request that they came in."""

    payload: dict[str, Any]
    cells: npt.NDArray[np.generic]


class TensorRowReader:
    """Reads rows out of tensors; safe to share between threads.

    Args:
        rows: makes arrays of cells.
        limits: of a request.
    """

    def __init__(self, rows: RowReader, limits: RequestLimits) -> None:
        self._rows = rows
        self._limits = limits
        self._datatype = datatype_of(rows.dtype)

    def read_row(self, body: bytes) -> TensorRows | None:
        """Return the row of a body, None if the careful way must read it; raises nothing."""
        found = self._load(body) if len(body) <= MOST_ROW_BYTES else None
        return None if found is None or len(found.cells) != 1 else found

    def read_table(self, body: bytes) -> TensorRows | None:
        """Return the rows of a body, None if the careful way must read it.

        Raises:
            InvalidArgumentError: with ``PAYLOAD_TOO_LARGE``, as in the careful way.
        """
        self._limits.check_json(body)
        found = self._load(body)
        if found is not None:
            shapes = [tuple(form["shape"]) for form in found.payload["inputs"]]
            self._limits.check_arrays(shapes)
        return found

    def _load(self, body: bytes) -> TensorRows | None:
        found = load_plain_object(body)
        if found is None:
            return None
        (payload, keys), forms = found, found[0].get("inputs")
        if type(forms) is not list or keys != len(payload) + len(_KEYS) * len(forms):
            return None
        if len(payload) > 1 and (len(payload) > 2 or type(payload.get("id")) is not str):
            return None
        if not all(map(self._is_plain, forms)):
            return None
        cells = self._cells_of(forms)
        rows = None if cells is None else self._rows.cast(cells)
        return None if rows is None else TensorRows(payload, rows)

    def _is_plain(self, form: Any) -> bool:
        """Return whether a tensor has no more than it must, and as many values as it says."""
        if type(form) is not dict or form.keys() != _KEYS or type(form["name"]) is not str:
            return False
        shape, data = form["shape"], form["data"]
        if type(shape) is not list or set(map(type, shape)) != {int} or type(data) is not list:
            return False
        is_one = form["datatype"] == self._datatype and min(shape) > 0
        return is_one and len(data) == prod(shape)

    def _cells_of(self, forms: list[dict[str, Any]]) -> list[object] | None:
        """Return the values of tensors row by row, None if they do not lie as rows do."""
        names, shape = self._rows.names, forms[0]["shape"] if forms else []
        if len(forms) == 1 and forms[0]["name"] not in names:
            cells: list[object] = forms[0]["data"]
            return cells if len(shape) == 2 and shape[1] == len(names) else None
        if [form["name"] for form in forms] != names or shape[1:] not in ([], [1]):
            return None
        if any(form["shape"] != shape for form in forms):
            return None
        columns = [form["data"] for form in forms]
        return list(chain.from_iterable(zip(*columns, strict=True)))
