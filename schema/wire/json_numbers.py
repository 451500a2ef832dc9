"""Arrays and tables of numbers as JSON texts, quickly: each is what ``json.dumps`` writes.

orjson writes a double with the same digits, but not always the same exponent, and no spaces. What
it would write otherwise, most numbers from 1e-9 to 1e-4 and from 1e16, is written by ``json`` and
put into its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from json.encoder import encode_basestring_ascii

import numpy as np
import numpy.typing as npt
import pandas as pd

from pyfunc.schema.wire.json_codec import NonFinite, Place, column_cells, is_of_numbers, value_tree
from pyfunc.schema.wire.json_text import dump_json

try:
    import orjson
except ImportError:
    _HAS_ORJSON = False
else:
    _HAS_ORJSON = True

__all__ = ["FEW_CELLS", "can_format", "format_numbers", "format_records"]

FEW_CELLS = 16
"""So many are written as quickly in the plain way."""

_CHUNK = 2**11  # cells at a time, whose text the memory at hand holds


def can_format(dtype: object) -> bool:
    """Return whether :func:`format_numbers` takes arrays of ``dtype``: none without orjson."""
    return _HAS_ORJSON and is_of_numbers(dtype)


def format_numbers(
    array: npt.NDArray[np.generic], nonfinite: NonFinite, *, between: bytes = b", "
) -> bytes:
    """Return the JSON text of an array of one dimension or more, of a dtype that it can format.

    ``nonfinite`` is what becomes of NaN and infinities, and ``between`` stands between values.
    """
    if array.dtype.kind != "f":
        native = array.astype(array.dtype.newbyteorder("="), order="C", copy=False)
        return _dump(native, between)
    cells = array.astype(np.float64, order="C", copy=False)
    size = np.abs(cells)
    odd = ~((size >= 1e-4) & (size < 1e16) | (size < 1e-9))
    if not odd.any():
        return _dump(cells, between)
    texts = iter(dump_json(value_tree(cells[odd], nonfinite))[1:-1].encode().split(b", "))

    def fill(text: bytes) -> bytes:  # the pieces of the text take their share in order
        first, *others = text.split(b"null")
        filled = [part for after, put in zip(others, texts, strict=False) for part in (put, after)]
        return b"".join([first, *filled])

    return _dump(np.where(odd, np.nan, cells), between, fill)


def _dump(
    cells: npt.NDArray[np.generic],
    between: bytes,
    fill: Callable[[bytes], bytes] = lambda text: text,
) -> bytes:
    """Return the text of cells, in pieces so that what holds them is used again."""
    step = max(1, _CHUNK * len(cells) // max(1, cells.size))
    parts: list[bytes] = []
    for start in range(0, len(cells), step):
        text = orjson.dumps(cells[start : start + step], option=orjson.OPT_SERIALIZE_NUMPY)
        parts += [between, fill(text[1:-1].replace(b",", between))]
    return b"".join([b"[", *parts[1:], b"]"])


def format_records(
    frame: pd.DataFrame, names: Sequence[str], nonfinite: NonFinite
) -> bytes | None:
    """Return the JSON text of a list of one object a row, None unless all is text or number.

    Args:
        frame: a table of one column or more.
        names: the keys of the objects, one for each column.
        nonfinite: what becomes of NaN and infinities.
    """
    columns: list[Sequence[bytes]] = []
    for i in range(frame.shape[1]):
        column = frame.iloc[:, i]
        if can_format(column.dtype):
            columns.append(format_numbers(column.to_numpy(), nonfinite)[1:-1].split(b", "))
            continue
        cells = column_cells(column, nonfinite, Place(f"column {frame.columns[i]!r}"))
        texts = [encode_basestring_ascii(cell).encode() for cell in cells if type(cell) is str]
        if len(texts) != len(cells):
            return None
        columns.append(texts)
    keys = [encode_basestring_ascii(name).replace("%", "%%") for name in names]
    record = "{" + ", ".join([f"{key}: %b" for key in keys]) + "}"
    return b"[" + b", ".join(map(record.encode().__mod__, zip(*columns, strict=True))) + b"]"
