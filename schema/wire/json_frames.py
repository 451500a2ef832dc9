"""Frames out of JSON rows or records, each column cast to what the schema declares.

One cast per group of columns of the same type, then one frame constructor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pyfunc.errors import BAD_REQUEST, InvalidArgumentError, Problem, SchemaError, shorten
from pyfunc.schema.casting.object_columns import object_array
from pyfunc.schema.data_types import FACTS, TYPE_OF_CLASS, DataType
from pyfunc.schema.enforce.layouts import make_index
from pyfunc.schema.enforce.memory import Block, join_columns, make_frame
from pyfunc.schema.schemas import Schema
from pyfunc.schema.specs import TensorSpec, match_specs
from pyfunc.schema.types import AnyType
from pyfunc.schema.wire.json_arrays import cast_tensor_cells
from pyfunc.schema.wire.json_cells import (
    CellError,
    cast_cells,
    is_required,
)
from pyfunc.schema.wire.json_nested import Restore, restorer
from pyfunc.schema.wire.json_text import bad_request

__all__ = ["FrameReader", "SchemaReader", "misfit", "pick_rows", "rename_keys"]

_BLOCK_TYPES = frozenset(member for member, facts in FACTS.items() if facts.numpy.kind in "bif")
_PLAIN: dict[type, DataType] = {cls: TYPE_OF_CLASS[cls] for cls in (bool, int, float)}
_LABEL_KINDS = frozenset({str, int, float, bool, type(None), tuple})


def misfit(problems: Iterable[Problem]) -> SchemaError:
    """Return the error for values of a request that do not fit what they are read as."""
    return SchemaError(
        list(problems), subject="the data of the request does not fit", error_code=BAD_REQUEST
    )


class SchemaReader:
    """What a reader looks up in a schema, if there is one."""

    def __init__(self, schema: Schema | None) -> None:
        self._specs: list[Any] = [] if schema is None else list(schema.inputs)
        self._named = schema is not None and schema.has_input_names()
        self._by_name = {spec.name: spec for spec in self._specs} if self._named else {}
        self._restore: dict[int, Restore | None] = {
            id(spec): restorer(spec.type) for spec in self._specs
        }


class FrameReader(SchemaReader):
    """Reads frames under one schema; built once, it may serve any number of threads.

    Columns that the schema does not know keep what pandas makes of them; columns that it
    knows but the data lacks stay absent. Both are for enforcement to judge.
    """

    def __init__(self, schema: Schema | None) -> None:
        super().__init__(schema)
        self._names = [spec.name for spec in self._specs] if self._named else []
        self._columns = self._prebuilt_columns()
        self._uniform = _uniform_type(self._specs)

    def from_rows(
        self, rows: list[list[Any]], labels: list[Any] | None, index: list[object] | None = None
    ) -> pd.DataFrame:
        """Return the frame of rows of cells.

        Args:
            rows: one list per row, all of the same length.
            labels: the column labels; None for 0, 1, 2 and so on.
            index: the row labels; None for 0, 1, 2 and so on.

        Raises:
            SchemaError: a cell does not fit its column; every such column is listed.
            InvalidArgumentError: with ``BAD_REQUEST``, rows or labels are not of one length.
        """
        width = _check_rows(rows, labels)
        if not rows and labels is None:
            width = len(self._names)
        row_index = _row_index(index, len(rows))
        frame: pd.DataFrame
        if self._columns is not None and labels == self._names:
            columns, specs = self._columns.view(), self._specs
        else:
            columns = pd.RangeIndex(width) if labels is None else _label_index(labels, "columns")
            specs = self._specs_for(labels, width)
        uniform = self._uniform if specs is self._specs else None
        if uniform is not None or not self._specs:
            cells = rows[0] if len(rows) == 1 else list(chain.from_iterable(rows))
            block = _plain_block(cells) if uniform is None else _block(cells, uniform)
            if block is not None:
                block = _lay_by_column(block, len(rows), width)
                frame = pd.DataFrame(block, index=row_index, columns=columns, copy=False)
                return frame
        if not self._specs:
            data = rows if width and rows else None
            frame = make_frame(data, index=row_index, columns=range(width))
            frame.columns = columns
            return frame
        by_position = list(zip(*rows, strict=True)) if rows else [()] * width
        # Arrays that are made of several blocks are new, so a model may write to its tensor.
        copy = not isinstance(self._specs[0], TensorSpec)
        blocks, others = self._cast(by_position, specs, labels)
        frame = join_columns(blocks, others, copy=copy)
        frame.index, frame.columns = row_index, columns
        return frame

    def _prebuilt_columns(self) -> pd.Index | None:
        try:
            return _label_index(self._names, "columns") if self._names else None
        except InvalidArgumentError:  # names that JSON cannot hold anyway
            return None

    def from_records(self, records: list[dict[str, object]]) -> pd.DataFrame:
        """Return the frame of one dict per row; a key that a row lacks counts as null.

        Raises:
            SchemaError: a cell does not fit its column; every such column is listed.
        """
        if not self._specs or not records:
            return make_frame(records)
        rows = pick_rows(records)
        if rows is not None:
            return self.from_rows(list(map(list, rows)), list(records[0]))
        labels = list(dict.fromkeys(chain.from_iterable(records)))
        return self.from_rows([[r.get(label) for label in labels] for r in records], labels)

    def _specs_for(self, labels: list[object] | None, width: int) -> list[object]:
        if not self._named and self._specs and isinstance(self._specs[0], TensorSpec):
            return self._specs * width
        names = list(range(width)) if labels is None else [_label(x) for x in labels]
        if self._named and names == self._names:
            return self._specs
        return match_specs(self._specs, names)

    def _cast(
        self, columns: Sequence[Sequence[object]], specs: list[object], labels: list[object] | None
    ) -> tuple[list[Block], dict[int, object]]:
        blocks, cast = _cast_groups(columns, specs)
        done = set(cast).union(*[places for places, _ in blocks])
        problems: list[Problem] = []
        for i, spec in enumerate(specs):
            if i in done:
                continue
            try:
                cast[i] = self._column(columns[i], spec)
            except CellError as error:
                name = i if labels is None else labels[i]
                path = f"inputs[{name!r}]"
                problems.append(Problem(path, error.expected, error.got, error.row))
        if problems:
            raise misfit(problems)
        return blocks, dict(sorted(cast.items()))

    def _column(self, values: Sequence[object], spec: Any) -> object:
        if spec is None or isinstance(spec.type, AnyType):
            return list(values)
        if isinstance(spec, TensorSpec):
            return cast_tensor_cells(values, spec.type)
        if isinstance(spec.type, DataType):
            return cast_cells(values, spec.type, is_required(spec))
        restore = self._restore[id(spec)]
        return object_array(values if restore is None else [restore(v) for v in values])


def rename_keys(value: Any, names: Mapping[str, object]) -> Any:
    """Return an object, or each of a list, with the ``names`` of the keys that have one."""
    if isinstance(value, list):
        return [rename_keys(item, names) for item in value] if names else value
    if not names or not isinstance(value, dict):
        return value
    return {names.get(key, key): item for key, item in value.items()}


def pick_rows(records: list[dict[str, Any]]) -> list[tuple[Any, ...]] | None:
    """Return each record's values in the order of the first one's keys, None if keys differ."""
    labels = list(records[0])
    if len(labels) < 2 or set(map(len, records)) != {len(labels)}:
        return None
    try:
        return list(map(itemgetter(*labels), records))
    except KeyError:
        return None


def _uniform_type(specs: list[Any]) -> DataType | None:
    kinds = {spec.type if isinstance(spec.type, DataType) else None for spec in specs}
    only = kinds.pop() if len(kinds) == 1 else None
    return only if only in _BLOCK_TYPES else None


def _block(values: list[object], dtype: DataType) -> npt.NDArray[Any] | None:
    """Return many columns' values as one array, None if a value needs a closer look."""
    try:
        cells = cast_cells(values, dtype)
    except CellError:
        return None
    # What stayed objects, has a time zone or another unit belongs to one column, not to all.
    is_plain = FACTS[dtype].numpy.kind in "US" or cells.dtype == FACTS[dtype].numpy
    return cells if is_plain and isinstance(cells, np.ndarray) else None


def _lay_by_column(cells: npt.NDArray[Any], height: int, width: int) -> npt.NDArray[Any]:
    """Return the cells of rows as a table whose columns are contiguous, as pandas keeps them.

    The order decides how BLAS adds up, so it shows in the last bit of a linear model.
    """
    if height == 1:  # both orders at once
        row: npt.NDArray[Any] = cells.reshape(width, 1).T
        return row
    return np.asfortranarray(cells.reshape(height, width))


def _plain_block(values: list[object]) -> npt.NDArray[Any] | None:
    """Return values of one class as the array that pandas would make of each column."""
    kinds = set(map(type, values))
    dtype = _PLAIN.get(kinds.pop()) if len(kinds) == 1 else None
    return None if dtype is None else _block(values, dtype)


def _cast_groups(
    columns: Sequence[Sequence[Any]], specs: list[Any]
) -> tuple[list[Block], dict[int, object]]:
    """Return the columns of each scalar type that has several, cast in one go.

    Those of text and bytes are single columns, as pandas holds them.
    """
    groups: dict[DataType, list[int]] = {}
    for i, spec in enumerate(specs):
        if spec is not None and isinstance(spec.type, DataType):
            groups.setdefault(spec.type, []).append(i)
    blocks: list[Block] = []
    cast: dict[int, object] = {}
    for dtype, places in groups.items():
        if len(places) == 1:
            continue
        cells = _block(list(chain.from_iterable([columns[i] for i in places])), dtype)
        length = len(columns[places[0]])
        if cells is not None and cells.dtype != object:
            blocks.append((places, cells.reshape(len(places), length)))
            continue
        block = _text_block(cells) if dtype is DataType.string else cells
        if block is not None:
            cast |= {at: block[i * length : (i + 1) * length] for i, at in enumerate(places)}
    return blocks, cast


def _text_block(cells: Any) -> Any:
    """Return texts as pandas holds a column of them, None if there is anything but text."""
    if cells is None or set(map(type, cells)) != {str}:
        return None
    return pd.Series(cells).array


def _check_rows(rows: list[Any], labels: list[object] | None) -> int:
    """Return the number of columns."""
    if not rows:
        return 0 if labels is None else len(labels)
    if set(map(type, rows)) != {list}:
        odd = next(i for i, row in enumerate(rows) if not isinstance(row, list))
        raise bad_request(f"row {odd} of the data must be a list, got {shorten(rows[odd])}")
    width = len(rows[0]) if labels is None else len(labels)
    if set(map(len, rows)) != {width}:
        odd = next(i for i, row in enumerate(rows) if len(row) != width)
        raise bad_request(f"row {odd} of the data has {len(rows[odd])} cells, expected {width}")
    return width


def _label_index(labels: list[Any], what: str) -> pd.Index:
    kinds = set(map(type, labels))
    if list in kinds:  # the labels of a multi-index
        labels = [_label(label) for label in labels]
        kinds = set(map(type, labels))
        if kinds == {tuple} and len(set(map(len, labels))) == 1 and _are_hashable(labels):
            levels: pd.Index = pd.MultiIndex.from_tuples(labels)
            return levels
    if not kinds <= _LABEL_KINDS or not _are_hashable(labels):
        raise bad_request(f"{what} must be texts or numbers, got {shorten(labels)}")
    return make_index(labels)


def _label(label: object) -> object:
    """Return a label as a frame has it: that of a multi-index is a tuple."""
    return tuple([_label(part) for part in label]) if isinstance(label, list) else label


def _are_hashable(labels: list[object]) -> bool:
    try:
        hash(tuple(labels))
    except TypeError:
        return False
    return True


def _row_index(index: list[object] | None, length: int) -> pd.Index:
    if index is None:
        numbers: pd.Index = pd.RangeIndex(length)
        return numbers
    if len(index) != length:
        raise bad_request(f"index has {len(index)} labels for {length} rows of data")
    return _label_index(index, "index")
