"""The samples in the data of a whole request: one for each row or element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["samples_of", "to_plain"]

_FINER = ("ns", "ps", "fs", "as")  # than Python's own dates and durations


def samples_of(data: Any) -> list[Any]:
    """Return the samples in ``data``, made of what JSON can hold, and dates: no arrays.

    A frame has one for each row, a dict of its cells; a series, an array, a list and a tuple have
    one for each element. Anything else, a dict among them, is one sample. Missing cells are None,
    in columns of floats NaN.
    """
    if isinstance(data, pd.DataFrame):
        if not data.shape[1]:
            return [{} for _ in range(len(data))]
        cells = zip(*(_cells(data.iloc[:, i]) for i in range(data.shape[1])), strict=True)
        return [dict(zip(data.columns, row, strict=True)) for row in cells]
    if isinstance(data, pd.Series):
        return _cells(data)
    if isinstance(data, np.ndarray) and data.ndim:
        return [to_plain(value) for value in _elements(data)]
    if isinstance(data, (list, tuple)):
        return [to_plain(value) for value in data]
    return [to_plain(data)]


def _cells(column: pd.Series[Any]) -> list[Any]:
    cells = [to_plain(value) for value in column.tolist()]
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "f":
        return cells
    return [None if gone else cell for cell, gone in zip(cells, column.isna(), strict=True)]


def _elements(array: np.ndarray[Any, Any]) -> Any:
    if array.dtype.kind in "mM" and np.datetime_data(array.dtype)[0] in _FINER:
        array = array.astype(f"{array.dtype.kind}8[us]")  # as integers they would mean nothing
    if array.dtype.char in "gG":  # of more digits than Python has, left as they are by tolist
        array = array.astype(array.dtype.char.replace("g", "d").replace("G", "D"))
    return array.tolist()


def to_plain(value: Any) -> Any:
    """Return a value with lists for arrays and numbers of Python for those of NumPy."""
    if isinstance(value, (np.ndarray, np.generic)):
        plain = _elements(np.asarray(value))
        return to_plain(plain) if value.dtype.hasobject or isinstance(plain, list) else plain
    if isinstance(value, (pd.DataFrame, pd.Series)):
        return samples_of(value)
    if isinstance(value, Mapping):
        return {_plain_key(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    return None if value is pd.NA or value is pd.NaT else value


def _plain_key(key: Any) -> Any:
    return key.item() if isinstance(key, np.generic) else key
