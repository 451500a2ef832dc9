"""Tables of numbers as CSV, quickly: each text is the one that pandas writes."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pyfunc.schema.wire.json_numbers import FEW_CELLS, can_format, format_numbers

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as arrow

__all__ = ["format_csv"]

# Between these, arrow writes a float as numpy does, but for the ".0" of a whole number.
_ALIKE: dict[np.dtype[Any], tuple[float, float]] = {
    np.dtype("float64"): (1e-4, 1e9),
    np.dtype("float32"): (1e-3, 1e6),
}
_PLAIN = 1e-4, 1e16  # between these, a float is written without an exponent


def format_csv(frame: pd.DataFrame, *, header: bool = True) -> bytes:
    """Return what ``frame.to_csv(index=False, header=header)`` does, in UTF-8."""
    columns = _find_numbers(frame)
    if columns is None:
        return frame.to_csv(index=False, header=header).encode("utf-8")
    names = frame.iloc[:0].to_csv(index=False) if header else ""
    rows = _join(columns).replace(b"\n", os.linesep.encode())  # as pandas ends lines
    return names.encode("utf-8") + rows


def _find_numbers(frame: pd.DataFrame) -> list[npt.NDArray[Any]] | None:
    """Return the columns, None unless they hold numbers only and one in each row."""
    columns = []
    for i, dtype in enumerate(frame.dtypes):
        if not isinstance(dtype, np.dtype) or not (dtype.kind in "iu" or dtype in _ALIKE):
            return None
        column = frame.iloc[:, i].to_numpy()
        if dtype.kind == "f" and np.isnan(column).any():
            return None
        columns.append(column)
    return columns or None


def _join(columns: Sequence[npt.NDArray[Any]]) -> bytes:
    if len(columns) == 1 and (lines := _find_lines(columns[0])):
        return lines + b"\n"
    try:
        import pyarrow as arrow
        from pyarrow.csv import WriteOptions, write_csv
    except ImportError:
        rows = map(",".join, zip(*map(_texts, columns), strict=True))
        return "\n".join([*rows, ""]).encode("ascii")
    texts = {str(i): _arrow_texts(column) for i, column in enumerate(columns)}
    target = io.BytesIO()
    options = WriteOptions(include_header=False, quoting_style="none")
    write_csv(arrow.table(texts), target, options)
    return target.getvalue()


def _texts(numbers: npt.NDArray[Any]) -> list[str]:
    if numbers.dtype == np.float32:
        texts: list[str] = numbers.astype(str).tolist()
        return texts
    if lines := _find_lines(numbers):
        return lines.decode("ascii").split("\n")
    return list(map(repr, numbers.tolist()))


def _find_lines(numbers: npt.NDArray[Any]) -> bytes:
    """Return a number a line, as JSON has them; nothing where that is not what pandas writes.

    Nor is there anything where it would take longer: of few numbers, or of many with exponents.
    """
    if numbers.dtype == np.float32 or not can_format(numbers.dtype) or len(numbers) <= FEW_CELLS:
        return b""
    if numbers.dtype.kind == "f":
        size = np.abs(numbers)
        has_exponent = (size < _PLAIN[0]) & (size > 0) | (size >= _PLAIN[1])
        if np.isinf(size).any() or np.count_nonzero(has_exponent) > len(numbers) // 8:
            return b""
    return format_numbers(numbers, "null", between=b"\n")[1:-1]


def _arrow_texts(numbers: npt.NDArray[Any]) -> arrow.Array:
    import pyarrow as arrow
    from pyarrow import compute

    text = arrow.large_string()
    texts = arrow.array(numbers).cast(text)
    if numbers.dtype.kind != "f":
        return texts
    low, high = _ALIKE[numbers.dtype]
    size = np.abs(numbers)
    is_whole = size == np.trunc(size)
    if is_whole.any():
        ends = arrow.scalar(".0", text), arrow.scalar("", text)
        with_point = compute.binary_join_element_wise(texts, *ends)
        texts = compute.if_else(arrow.array(is_whole), with_point, texts)
    is_other = ~((size >= low) & (size < high) | (size == 0))
    if is_other.any():
        others = arrow.array(_texts(numbers[is_other]), text)
        texts = compute.replace_with_mask(texts, arrow.array(is_other), others)
    return texts
