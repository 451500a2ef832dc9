"""Everything that may be given for columns, as a frame: dicts, lists, scalars, arrays, tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pyfunc.schema.casting.dtype_rules import NUMPY
from pyfunc.schema.casting.findings import name_type
from pyfunc.schema.casting.object_columns import infer_column
from pyfunc.schema.data_types import FACTS, DataType, is_arrow
from pyfunc.schema.enforce.arrow_tables import read_arrow_table
from pyfunc.schema.enforce.layouts import list_dtypes
from pyfunc.schema.enforce.memory import (
    Block,
    build_frame,
    consolidate,
    has_large,
    join_columns,
    make_frame,
    refuse,
    replace_columns,
)
from pyfunc.schema.specs import ColSpec, match_specs
from pyfunc.schema.types import Array, Object

__all__ = [
    "OneRowBuilder",
    "convert_to_frame",
    "is_scalar",
]

_INFERRED_SCALARS = frozenset({dt.date, dt.datetime, bytearray, type(pd.NA), type(pd.NaT)})
"""Scalars for which inference has a type but that numpy does not call scalars."""

_FEW = 64  # rows, of which it is quicker to look at the values than at the columns
_NOT_OF_PYTHON = (np.dtype("float64"), np.dtype("uint64"))
_NUMBERS = (DataType.integer, DataType.long, DataType.float, DataType.double)


def convert_to_frame(data: object, specs: Sequence[ColSpec]) -> pd.DataFrame:
    """Return ``data`` as MLflow reads it for a schema of columns.

    A Series is a column. A dict is one row if the schema has an array or object, or if all its
    values are scalars or lists of text; else its values are columns. A list of dicts is rows,
    any other list or array what pandas makes of it.

    Raises:
        SchemaError: ``data`` is of another kind, or pandas cannot build a frame of it.
    """
    if isinstance(data, pd.Series):
        return data.to_frame()
    if is_scalar(data):
        return _restore_values(_make_column([data]), specs, lambda _: [data])
    if isinstance(data, dict):
        return _convert_dict(data, specs)
    if isinstance(data, (list, np.ndarray)):
        return _convert_rows(data, specs)
    if is_arrow(data):
        return read_arrow_table(data, specs)
    raise refuse(name_type(data))


def is_scalar(value: object) -> bool:
    """Return whether ``value`` counts as a scalar: numpy's, dates, bytearrays, NA and NaT."""
    return np.isscalar(value) or type(value) in _INFERRED_SCALARS


def _make_column(values: list[object], dtype: object = None) -> pd.DataFrame:
    column: pd.Series = pd.Series(values, dtype=object)
    if dtype is None:
        column = infer_column(column)
    return column.to_frame()


def _convert_dict(data: dict[object, Any], specs: Sequence[ColSpec]) -> pd.DataFrame:
    if _is_one_row(data, specs):
        return build_frame(lambda: make_frame([data]), data)
    values = list(data.values())
    if values and all(
        isinstance(v, np.ndarray) and v.ndim == 0 and v.dtype.kind == "U" for v in values
    ):
        return build_frame(lambda: make_frame([{key: v.item() for key, v in data.items()}]), data)
    columns = {
        key: value.tolist() if isinstance(value, np.ndarray) and value.ndim > 1 else value
        for key, value in data.items()
    }
    frame = build_frame(lambda: make_frame(columns), data)
    return _restore_values(frame, specs, columns.get)


def _is_one_row(data: dict[object, object], specs: Sequence[ColSpec]) -> bool:
    if any(isinstance(spec.type, (Array, Object)) for spec in specs):
        return True
    return all(
        value is None
        or is_scalar(value)
        or (isinstance(value, list) and all(isinstance(item, str) for item in value))
        for value in data.values()
    )


def _convert_rows(data: Any, specs: Sequence[ColSpec]) -> pd.DataFrame:
    only = specs[0].type if len(specs) == 1 and specs[0].name is None else None
    if only is DataType.string and isinstance(data, list) and not data:
        return _make_column([], dtype=object)
    if isinstance(data, list) and any(isinstance(value, bytearray) for value in data):
        return _make_column(data, dtype=object)  # pandas takes one for a list
    rows = _pad(data) if isinstance(data, list) else data
    frame = build_frame(lambda: make_frame(rows), data)
    if not isinstance(data, list) or not data:
        return consolidate(frame)
    if set(map(type, data)) == {dict}:
        return _restore_values(frame, specs, lambda name: [row.get(name) for row in data])
    if only is not None and frame.shape[1] == 1:
        return _restore_values(frame, specs, lambda name: data)
    return frame


def _pad(rows: list[Any]) -> list[object]:
    """Return rows of equal length, as pandas makes them, but without its warning."""
    if not set(map(type, rows)) <= {list, tuple}:
        return rows
    lengths = set(map(len, rows))
    if len(lengths) < 2:
        return rows
    width = max(lengths)
    return [[*row, *[None] * (width - len(row))] for row in rows]


def _restore_values(
    frame: pd.DataFrame, specs: Sequence[ColSpec], find: Callable[[object], object]
) -> pd.DataFrame:
    """Return ``frame`` with the given values where pandas made other numbers of integers.

    A null among integers turns a column into float64, which cannot hold every int64; integers
    beyond int64 become uint64, which no type of a schema is.
    """
    restored: dict[int, pd.Series] = {}
    labels, dtypes = list(frame.columns), list_dtypes(frame)
    may_be_rounded = len(frame) <= _FEW or has_large(frame)
    for position, spec in enumerate(match_specs(specs, labels)):
        if spec is None or spec.type not in _NUMBERS or dtypes[position] not in _NOT_OF_PYTHON:
            continue
        if spec.type is DataType.double and not may_be_rounded:
            continue
        values: Any = find(labels[position])
        if not isinstance(values, list) or len(values) != len(frame):
            continue
        if spec.type is not DataType.double or int in set(map(type, values)):
            restored[position] = pd.Series(values, index=frame.index, dtype=object)
    return replace_columns(frame, restored)


class OneRowBuilder:
    """Builds the frame of one dict of scalars whose classes are just those of the columns."""

    def __init__(self, specs: Sequence[ColSpec], labels: pd.Index) -> None:
        self._labels = labels
        self._groups: list[tuple[DataType, type | None, Any, npt.NDArray[np.generic]]] = []
        names = [spec.name for spec in specs]
        self.is_possible = len(set(map(str, names))) == len(names)
        by_type: dict[DataType, list[int]] = {}
        for position, spec in enumerate(specs):
            if isinstance(spec.type, DataType) and FACTS[spec.type].element:
                by_type.setdefault(spec.type, []).append(position)
            else:
                self.is_possible = False
        for target, positions in by_type.items():
            chosen = [names[position] for position in positions]
            getter = itemgetter(*chosen) if len(chosen) > 1 else _single(chosen[0])
            self._groups.append(
                (target, FACTS[target].element, getter, np.array(positions, dtype=np.intp))
            )

    def build(self, data: dict[object, object]) -> pd.DataFrame | None:
        """Return a frame of one row in which every column is of its type.

        None if a name is missing or not alone, or a value is of another class.
        """
        if len(data) != len(self._labels):
            return None
        parts: list[tuple[npt.NDArray[np.generic], object]] = []
        try:
            for target, kind, getter, positions in self._groups:
                values = getter(data)
                if set(map(type, values)) != {kind}:
                    return None
                parts.append((positions, _make_cells(values, target)))
        except (KeyError, OverflowError, UnicodeError):
            return None
        return self._join(parts)

    def _join(self, parts: list[tuple[npt.NDArray[np.generic], Any]]) -> pd.DataFrame:
        if len(parts) == 1 and isinstance(parts[0][1], np.ndarray):
            frame: pd.DataFrame = pd.DataFrame(parts[0][1], columns=self._labels, copy=False)
            return frame
        blocks: list[Block] = []
        texts: dict[int, object] = {}
        for positions, cells in parts:
            if isinstance(cells, np.ndarray):
                blocks.append((positions.tolist(), cells.T))
            else:
                texts |= {at: cells[i : i + 1] for i, at in enumerate(positions.tolist())}
        frame = join_columns(blocks, texts, copy=False)
        frame.columns = self._labels
        return frame


def _single(name: object) -> Callable[[dict[object, object]], tuple[object]]:
    return lambda data: (data[name],)


def _make_cells(values: Any, target: DataType) -> object:
    """Return one row of cells; text as an array of the dtype that pandas gives text."""
    if target is DataType.string:
        return pd.Series(list(values)).array
    if target is DataType.binary:
        cells = np.empty((1, len(values)), dtype=object)
        cells[0, :] = values
        return cells
    return np.array([values], dtype=NUMPY[target])
