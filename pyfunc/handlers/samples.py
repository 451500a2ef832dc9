"""The samples in the data of a whole request: one for each row or element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["samples_of"]


def samples_of(data: Any) -> list[Any]:
    """Return the samples in ``data``, made of what JSON can hold, and dates: no arrays.

    A frame has one for each row, a dict of its cells; a series, an array, a list and a tuple have
    one for each element. Anything else, a dict among them, is one sample. Missing cells are None,
    in columns of floats NaN.
    """
    if isinstance(data, pd.DataFrame):
        cells = zip(*(_cells(data.iloc[:, i]) for i in range(data.shape[1])), strict=True)
        return [dict(zip(data.columns, row, strict=True)) for row in cells]
    if isinstance(data, pd.Series):
        return _cells(data)
    if isinstance(data, np.ndarray) and data.ndim:
        return [to_plain(value) for value in data.tolist()]
    if isinstance(data, (list, tuple)):
        return [to_plain(value) for value in data]
    return [to_plain(data)]


def _cells(column: pd.Series[Any]) -> list[Any]:
    cells = [to_plain(value) for value in column.tolist()]
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "f":
        return cells
    return [None if gone else cell for cell, gone in zip(cells, column.isna(), strict=True)]


def to_plain(value: Any) -> Any:
    """Return a value with lists for arrays and numbers of Python for those of NumPy."""
    if isinstance(value, np.ndarray):
        return to_plain(value.tolist())
    if isinstance(value, (np.number, np.bool_, np.str_, np.bytes_)):
        return value.item()
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    return value
