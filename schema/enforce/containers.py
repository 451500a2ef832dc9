"""Everything that may be given for columns, as a frame: dicts, lists, scalars, arrays, tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pyfunc.errors import MissingDependencyError, SchemaError
from pyfunc.schema.casting.dtype_rules import NUMPY
from pyfunc.schema.casting.findings import Findings, name_type
from pyfunc.schema.casting.object_columns import PANDAS_ERRORS, infer_column
from pyfunc.schema.data_types import FACTS, DataType, is_arrow
from pyfunc.schema.enforce.memory import Block, consolidate, join_columns, make_frame
from pyfunc.schema.specs import ColSpec
from pyfunc.schema.types import Array, Object

__all__ = [
    "OneRowBuilder",
    "can_be_key",
    "convert_to_frame",
    "is_scalar",
    "read_arrow_table",
]

_EXPECTED = "a DataFrame, Series, dict, list, scalar, array or Arrow table"
_INFERRED_SCALARS = frozenset({dt.date, dt.datetime, bytearray, type(pd.NA), type(pd.NaT)})
"""Scalars for which inference has a type but that numpy does not call scalars."""

_NOT_OF_PYTHON = (np.dtype("float64"), np.dtype("uint64"))
_WIDENED_BY_NULLS = (DataType.integer, DataType.long, DataType.float)


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
        return read_arrow_table(data)
    raise _refuse(name_type(data))


def is_scalar(value: object) -> bool:
    """Return whether ``value`` counts as a scalar: numpy's, dates, bytearrays, NA and NaT."""
    return np.isscalar(value) or type(value) in _INFERRED_SCALARS


def _make_column(values: list[object], dtype: object = None) -> pd.DataFrame:
    column: pd.Series = pd.Series(values, dtype=object)
    if dtype is None:
        column = infer_column(column)
    return column.to_frame()


def _refuse(got: str) -> SchemaError:
    findings = Findings()
    findings.add("inputs", _EXPECTED, got)
    return findings.to_error()


def _build(construct: Callable[[], pd.DataFrame], data: object) -> pd.DataFrame:
    try:
        return construct()
    except (*PANDAS_ERRORS, Warning) as error:  # a warning, where those are errors
        text = str(error).partition("\n")[0][:80]
        raise _refuse(f"a {name_type(data)} of which pandas makes no frame ({text})") from error


def _convert_dict(data: dict[object, Any], specs: Sequence[ColSpec]) -> pd.DataFrame:
    if _is_one_row(data, specs):
        return _build(lambda: make_frame([data]), data)
    values = list(data.values())
    if values and all(
        isinstance(v, np.ndarray) and v.ndim == 0 and v.dtype.kind == "U" for v in values
    ):
        return _build(lambda: make_frame([{key: v.item() for key, v in data.items()}]), data)
    columns = {
        key: value.tolist() if isinstance(value, np.ndarray) and value.ndim > 1 else value
        for key, value in data.items()
    }
    frame = _build(lambda: make_frame(columns), data)
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
    frame = _build(lambda: make_frame(rows), data)
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
    restored: dict[int, list[Any]] = {}
    by_name = {spec.name: spec.type for spec in specs if can_be_key(spec.name)}
    for position, label in enumerate(frame.columns):
        target = by_name.get(label) if specs[0].name is not None else specs[0].type
        if target not in _WIDENED_BY_NULLS or frame.dtypes.iloc[position] not in _NOT_OF_PYTHON:
            continue
        values = find(label)
        if isinstance(values, list) and len(values) == len(frame):
            restored[position] = values
    if not restored:
        return frame
    frame = frame.copy(deep=False)
    for position, values in restored.items():
        frame.isetitem(position, pd.Series(values, index=frame.index, dtype=object))
    return frame


def can_be_key(name: object) -> bool:
    """Return whether a dict may have ``name`` as a key."""
    try:
        hash(name)
    except TypeError:
        return False
    return True


def read_arrow_table(data: Any) -> pd.DataFrame:
    """Return a frame whose columns are backed by arrow, so that no null changes a value.

    A column alone has the label that it has as a name, else 0.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        SchemaError: ``data`` is no table.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingDependencyError(
            "reading an Arrow table", "pip install 'pyfunc-format[arrow]'"
        ) from error

    def read() -> pd.DataFrame:
        frame: pd.DataFrame
        try:
            frame = pa.table(data).to_pandas(types_mapper=pd.ArrowDtype)
        except (TypeError, ValueError):  # a column, or nothing
            is_array = hasattr(data, "__arrow_c_array__")
            column = pa.chunked_array([pa.array(data)] if is_array else data)
            found = column.to_pandas(types_mapper=pd.ArrowDtype)
            frame = found.to_frame(getattr(data, "name", None) or 0)
        return frame

    return _build(read, data)


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
