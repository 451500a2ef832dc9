"""Values, arrays and frames as trees of plain JSON values, in MLflow's form.

Bytes become base64 text with line breaks, dates ISO 8601 text, ``datetime64[ns]`` arrays
integers. Unlike MLflow's, the result is always strict JSON: what is missing becomes null.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, shorten
from pyfunc.schema.enforce.layouts import list_dtypes
from pyfunc.schema.infer.value_types import is_pydantic
from pyfunc.schema.text_forms import encode_bytes

__all__ = [
    "NonFinite",
    "has_default_columns",
    "is_of_numbers",
    "table_columns",
    "table_tree",
    "value_tree",
]

NonFinite = Literal["null", "string", "infinity"]
"""What becomes of a float that JSON lacks: null; the texts ``"NaN"`` and ``"Infinity"``; or
null for NaN but text for infinities, which a typed reader turns back into the same value."""

_DEEPEST = 200  # beyond this a value is taken to contain itself


def value_tree(value: object, nonfinite: NonFinite = "infinity") -> Any:
    """Return ``value`` as a tree of dicts, lists, texts, numbers, booleans and None.

    Args:
        value: what a model takes or gives, apart from frames; never changed.
        nonfinite: what becomes of NaN and infinities.

    Raises:
        InvalidTypeError: a part of the value has no JSON form; the message names the place.
        InvalidArgumentError: it is nested too deeply, or contains itself.
    """
    return to_tree(value, nonfinite, Place("value"))


class Place(NamedTuple):
    """Where a value stands, linked to the place around it; only errors spell it out."""

    name: str
    keys: tuple[object, ...] = ()

    def at(self, key: object) -> Place:
        """Return the place of the item ``key``."""
        return Place(self.name, (*self.keys, key))

    def __str__(self) -> str:
        return self.name + "".join([f"[{key!r}]" for key in self.keys])


_PLAIN = frozenset({type(None), bool, int, str})


def to_tree(value: Any, nonfinite: NonFinite, place: Place) -> object:  # noqa: PLR0911 - one per kind
    """Return the tree of ``value``, which stands at ``place``."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is float:
        return value if math.isfinite(value) else _nonfinite(value, nonfinite)
    if len(place.keys) > _DEEPEST:
        raise InvalidArgumentError(f"the value is nested deeper than {_DEEPEST} levels")
    if isinstance(value, Mapping):
        return {
            _key(key, place): to_tree(item, nonfinite, place.at(key))
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        if _PLAIN.issuperset(map(type, value)):
            return list(value)
        return [to_tree(item, nonfinite, place.at(i)) for i, item in enumerate(value)]
    if isinstance(value, np.ndarray):
        return _array_tree(value, nonfinite, place)
    if isinstance(value, pd.api.extensions.ExtensionArray):
        return column_cells(pd.Series(value), nonfinite, place)
    return _scalar_tree(value, nonfinite, place)


def _key(key: object, place: Place) -> object:
    if isinstance(key, str):
        return str.__str__(key)
    if key is None or isinstance(key, int) or (isinstance(key, float) and math.isfinite(key)):
        return key
    raise InvalidTypeError(f"{place} has a key that JSON cannot hold: {shorten(key)}")


def _nonfinite(value: float, nonfinite: NonFinite) -> str | None:
    if nonfinite == "null" or (nonfinite == "infinity" and math.isnan(value)):
        return None
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _scalar_tree(  # noqa: PLR0911 - one per kind
    value: Any, nonfinite: NonFinite, place: Place
) -> object:
    if value is pd.NaT or (value is pd.NA and nonfinite != "infinity"):
        return None
    if isinstance(value, (dt.date, dt.time)):  # datetime and Timestamp are dates
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return encode_bytes(value)
    if isinstance(value, np.generic):
        plain = value.item()
        if not isinstance(plain, np.generic):  # a long double stays one
            return to_tree(plain, nonfinite, place.at("item"))
    if isinstance(value, str):
        return str.__str__(value)  # not what the members of an enum call themselves
    for base in (int, float):
        if isinstance(value, base):
            return to_tree(base(value), nonfinite, place)
    if is_pydantic(value):
        return to_tree(value.model_dump(), nonfinite, place)
    raise InvalidTypeError(
        f"{place} is of type {type(value).__name__}, which has no JSON form: {shorten(value)}"
    )


def _array_tree(array: npt.NDArray[np.generic], nonfinite: NonFinite, place: Place) -> Any:
    if array.dtype.kind in "iubU":
        return array.tolist()
    if array.dtype.kind == "f" and array.dtype.itemsize <= 8:
        return _float_tree(array, nonfinite)
    return to_tree(array.tolist(), nonfinite, place)


def _float_tree(array: npt.NDArray[np.generic], nonfinite: NonFinite) -> object:
    odd = ~np.isfinite(array)
    if not odd.any():
        return array.tolist()
    cells = array.astype(object)
    cells[odd] = [_nonfinite(float(item), nonfinite) for item in array[odd]]
    return cells.tolist()


def table_tree(frame: pd.DataFrame, nonfinite: NonFinite = "infinity") -> dict[str, object]:
    """Return ``{"columns": [...], "data": [[...], ...]}``; the index is not kept.

    ``columns`` is left out when the columns are those that pandas gives by itself.

    Raises:
        InvalidTypeError: a cell or a label has no JSON form; the message names the column.
    """
    rows = table_rows(frame, nonfinite)
    if has_default_columns(frame):
        return {"data": rows}
    labels = [to_tree(label, nonfinite, Place("a column label")) for label in frame.columns]
    return {"columns": labels, "data": rows}


def table_rows(frame: pd.DataFrame, nonfinite: NonFinite) -> list[list[object]]:
    """Return the rows of a frame as lists of plain values."""
    dtypes = set(list_dtypes(frame))
    if len(dtypes) == 1 and is_of_numbers(dtypes.pop()):  # without a Series for each column
        rows: list[list[object]] = _array_tree(frame.to_numpy(), nonfinite, Place("the frame"))
        return rows
    columns = table_columns(frame, nonfinite)
    if not columns:
        return [[] for _ in range(len(frame))]
    return [list(row) for row in zip(*columns, strict=True)]


def table_columns(frame: pd.DataFrame, nonfinite: NonFinite) -> list[list[object]]:
    """Return the columns of a frame as lists of plain values."""
    return [
        column_cells(column, nonfinite, Place(f"column {label!r}"))
        for label, column in frame.items()
    ]


def column_cells(column: pd.Series, nonfinite: NonFinite, place: Place) -> list[object]:
    """Return the cells of one column as plain values; ``place`` names it in errors."""
    if is_of_numbers(column.dtype):
        cells: list[object] = _array_tree(column.to_numpy(), nonfinite, place)
        return cells
    items = column.tolist()
    if _PLAIN.issuperset(map(type, items)):
        return items
    return [
        None if item is pd.NA else to_tree(item, nonfinite, place.at(row))
        for row, item in enumerate(items)
    ]


def is_of_numbers(dtype: object) -> bool:
    """Return whether ``dtype`` is one of numpy for numbers or truths of at most 64 bits."""
    return isinstance(dtype, np.dtype) and dtype.kind in "iubf" and dtype.itemsize <= 8


def has_default_columns(frame: pd.DataFrame) -> bool:
    """Return whether the column labels are 0, 1, 2 and so on."""
    columns = frame.columns
    if isinstance(columns, pd.MultiIndex) or columns.dtype.kind != "i":
        return len(columns) == 0 and isinstance(columns, pd.RangeIndex)
    return bool(np.array_equal(columns.to_numpy(), np.arange(len(columns))))
