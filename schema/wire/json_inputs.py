"""The ``inputs`` and ``instances`` of a request as what a model takes: arrays and dicts of them.

The containers are MLflow's, so that enforcement sees the same kinds of values: a dict of
columns, a list of rows, one array, or one scalar.
"""

from __future__ import annotations

import math
from contextlib import suppress
from operator import itemgetter
from typing import Any

import numpy as np

from pyfunc.errors import Problem, shorten
from pyfunc.schema.casting.dtype_rules import NULLABLE
from pyfunc.schema.casting.object_columns import object_array
from pyfunc.schema.schemas import Schema
from pyfunc.schema.specs import TensorSpec
from pyfunc.schema.types import AnyType, Array, DataType, Map, Object
from pyfunc.schema.wire.json_arrays import cast_tensor, fit_array
from pyfunc.schema.wire.json_cells import (
    CellError,
    Cells,
    cast_cells,
    cast_flat,
    cast_numbers,
    cast_texts,
    is_required,
    may_be_nan,
)
from pyfunc.schema.wire.json_frames import SchemaReader, misfit, pick_rows
from pyfunc.schema.wire.json_nested import Restore, pack_array
from pyfunc.schema.wire.json_text import bad_request

__all__ = ["InputReader"]

_PLAIN = frozenset({DataType.double, DataType.long, DataType.string})


class InputReader(SchemaReader):
    """Reads ``inputs`` and ``instances`` under one schema; safe to share between threads."""

    def __init__(self, schema: Schema | None) -> None:
        super().__init__(schema)
        self._has_columns = self._named and not isinstance(self._specs[0], TensorSpec)

    def read_inputs(self, value: object) -> object:
        """Return the data of ``{"inputs": value}``.

        Without a schema, arrays of the dtype that fits. Under one, each value cast to what
        its column or tensor declares, exactly or not at all.

        Raises:
            SchemaError: with ``BAD_REQUEST``; every column that does not fit is listed.
            InvalidArgumentError: with ``BAD_REQUEST``, a dict for inputs without names.
        """
        if isinstance(value, dict):
            if self._specs and not self._named:
                raise bad_request(
                    "the signature has no names, so inputs must be a list or a single value, "
                    "got an object"
                )
            return self._convert_dict(value, "inputs")
        if isinstance(value, list):
            kinds = set(map(type, value))
            if kinds == {dict} or (not kinds and not self._specs):
                return self._convert_rows(value)
            if not kinds and not self._named and not isinstance(self._specs[0], TensorSpec):
                return value  # no rows, which enforcement judges
            if self._specs and not self._named and _is_nested(self._specs[0]):
                restore = self._restore[id(self._specs[0])]
                return value if restore is None else [restore(item) for item in value]
            if len(self._by_name) == 1 and dict not in kinds:
                (name,) = self._by_name
                return self._convert_dict({name: value}, "inputs")
        try:
            return self._convert(value, self._specs[0] if self._specs else None)
        except CellError as error:
            raise misfit([Problem("inputs", error.expected, error.got, error.row)]) from error

    def read_instances(self, value: object) -> object:
        """Return the data of ``{"instances": value}``: rows of objects become columns.

        Raises:
            SchemaError: as in :meth:`read_inputs`.
            InvalidArgumentError: with ``BAD_REQUEST``, rows with different keys, columns of
                different lengths, or rows with a column of arrays or objects, which a dict
                of columns cannot tell from one row.
        """
        if isinstance(value, list) and value and isinstance(value[0], dict):
            columns = _columns_of(value)
            for name, cells in columns.items():
                spec = self._by_name.get(name)
                if spec is not None and isinstance(spec.type, (Array, Object)):
                    raise bad_request(
                        f"instances cannot hold the column {spec!r}\n"
                        "hint: send the rows as inputs or dataframe_records"
                    )
                if spec is not None and isinstance(spec.type, AnyType):
                    columns[name] = object_array(cells)
            return self._convert_dict(columns, "instances")
        if isinstance(value, dict):
            _check_lengths(value, repeats_scalars=self._has_columns)
        return self.read_inputs(value)

    def _convert_rows(self, rows: list[dict[str, Any]]) -> list[dict[str, object]]:
        """Return the rows with each value cast, by column where all its values are plain."""
        found = [dict(row) for row in rows]
        left = set[str]().union(*rows)
        for key in tuple(left):
            cells = _plain_cells(rows, key, self._by_name.get(key))
            if cells is not None:
                left.remove(key)
                for row, cell in zip(found, cells, strict=True):
                    row[key] = cell
        if left:
            for at, row in enumerate(rows):
                rest = {key: value for key, value in row.items() if key in left}
                found[at] |= self._convert_dict(rest, "inputs", at)
        return found

    def _convert_dict(
        self, values: dict[str, object], name: str, row: int | None = None
    ) -> dict[str, object]:
        found: dict[str, object] = {}
        problems: list[Problem] = []
        for key, value in values.items():
            spec = self._by_name.get(key)
            if row is not None and value is None and may_be_nan(spec):
                found[key] = math.nan
                continue
            try:
                found[key] = self._convert(value, spec)
            except CellError as error:
                at = error.row if row is None else row
                problems.append(Problem(f"{name}[{key!r}]", error.expected, error.got, at))
        if problems:
            raise misfit(problems)
        return found

    def _convert(self, value: Any, spec: Any) -> object:
        if spec is None:
            return fit_array(value)
        if isinstance(spec, TensorSpec):
            return cast_tensor(value, spec.type, spec.shape)
        if isinstance(spec.type, AnyType):
            return value
        if isinstance(spec.type, DataType):
            return _convert_column(value, spec.type, is_required(spec), is_bare=spec.name is None)
        if value is None:  # enforcement says whether it may be
            return None
        return _convert_nested(value, spec.type, self._restore[id(spec)])


def _plain_cells(rows: list[dict[str, Any]], key: str, spec: Any) -> list[Any] | None:
    """Return one column's values as :meth:`InputReader._convert` makes each, None if in doubt."""
    if spec is None or not isinstance(spec.type, DataType) or spec.type not in _PLAIN:
        return None
    try:
        values = list(map(itemgetter(key), rows))
    except KeyError:
        return None
    if spec.type is DataType.string:
        return list(map(np.str_, values)) if set(map(type, values)) == {str} else None
    numbers = cast_numbers(values, spec.type.to_numpy())
    return None if numbers is None else list(numbers)


def _is_nested(spec: Any) -> bool:
    return isinstance(spec.type, (Array, Object, Map))


def _convert_nested(value: object, dtype: object, restore: Restore | None) -> object:
    change: Restore = restore or (lambda v: v)
    if isinstance(dtype, Array):
        if not isinstance(value, list):
            raise CellError(None, "a list", shorten(value))
        return pack_array(change(value), dtype)
    if isinstance(value, list):
        return object_array([change(item) for item in value])
    if not isinstance(value, dict):
        raise CellError(None, "an object", shorten(value))
    return change(value)


def _columns_of(rows: list[Any]) -> dict[str, Any]:
    picked = pick_rows(rows) if set(map(type, rows)) == {dict} else None
    if picked is not None:
        return dict(zip(rows[0], map(list, zip(*picked, strict=True)), strict=True))
    for row, instance in enumerate(rows):
        if not isinstance(instance, dict):
            raise bad_request(f"instance {row} must be an object, got {shorten(instance)}")
        if instance.keys() != rows[0].keys():
            odd = sorted(instance.keys() ^ rows[0].keys())
            raise bad_request(
                f"instances must all have the same keys, {shorten(odd)} differ at instance {row}\n"
                "hint: send rows with missing keys as dataframe_records"
            )
    return {key: [instance[key] for instance in rows] for key in rows[0]}


def _check_lengths(columns: dict[str, object], *, repeats_scalars: bool) -> None:
    lengths = {k: len(v) if isinstance(v, list) else None for k, v in columns.items()}
    found = set(lengths.values())
    if len(found - {None}) > 1 or (None in found and not repeats_scalars):
        raise bad_request(
            f"instances must be lists of the same length, got the lengths {shorten(lengths)}"
        )


def _convert_column(value: object, dtype: DataType, required: bool, *, is_bare: bool) -> object:
    if isinstance(value, list):
        numbers = cast_numbers(value, dtype.to_numpy())
        if numbers is not None:
            return numbers
        if not value or list in set(map(type, value)):
            return cast_tensor(value, dtype.to_numpy())
        if is_bare and dtype in NULLABLE and None in value:
            return value  # no array holds the null; enforcement takes such a list
        return _cast_column(value, dtype, required)
    if value is None and (not required or dtype is DataType.string):
        return None
    cell: object = _cast_column([value], dtype, required)[0]
    return np.str_(cell) if type(cell) is str else cell


def _cast_column(values: list[object], dtype: DataType, required: bool) -> Cells:
    """Return one column: texts of a fixed width if that holds them, UTC offsets as UTC."""
    if dtype in (DataType.string, DataType.datetime) and not (
        dtype is DataType.string and None in values
    ):
        with suppress(CellError):
            return cast_flat(values, dtype.to_numpy())
    return cast_texts(values) if dtype is DataType.string else cast_cells(values, dtype, required)
