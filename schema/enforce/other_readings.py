"""What data can mean besides what MLflow reads it as, for schemas that were inferred from it.

Tried only after the reading of MLflow has failed, and no wider than inference needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pyfunc.schema.casting.object_columns import is_empty, object_array
from pyfunc.schema.data_types import is_missing
from pyfunc.schema.enforce.containers import convert_to_frame, is_scalar
from pyfunc.schema.specs import ColSpec, can_be_key
from pyfunc.schema.types import AnyType, Array, ColumnType, DataType, Object

__all__ = ["Reading", "find_other_readings"]


@dataclass(frozen=True, slots=True)
class Reading:
    """A frame that the data may stand for.

    Attributes:
        frame: holds the values of the data themselves.
        nulls: names of required columns that may hold nulls.
    """

    frame: pd.DataFrame
    nulls: frozenset[object] = frozenset()


def find_other_readings(data: object, specs: Sequence[ColSpec]) -> Iterator[Reading]:
    """Yield the readings of ``data`` for which inference gives ``specs``, beside MLflow's.

    - A list of dicts may have NaN, NaT and NA, but not None, under required columns.
    - A list under one unnamed column is one row for each element, where it is a column of
      arrays or objects, or where all lists and dicts in it are empty.
    - None is a value of any type, a bare ``object()`` text; and so they are in a dict of one
      row, where empty lists and dicts are values of any type.
    """
    only = specs[0].type if len(specs) == 1 and specs[0].name is None else None
    if isinstance(data, list):
        if only is None:
            yield from _with_nulls(data, specs)
        elif data and _is_column(data, only):
            yield Reading(_hold([0], [data]))
    elif isinstance(data, dict):
        if data and only is None and _is_row(data, specs):
            yield Reading(_hold(list(data), [[value] for value in data.values()]))
    elif only is not None and _is_cell(data, only):
        yield Reading(_hold([0], [[data]]))


def _hold(labels: list[object], columns: list[list[object]]) -> pd.DataFrame:
    held = {position: object_array(values) for position, values in enumerate(columns)}
    frame: pd.DataFrame = pd.DataFrame(held, dtype=object)
    frame.columns = pd.Index(labels, tupleize_cols=False)
    return frame


def _with_nulls(rows: list[Any], specs: Sequence[ColSpec]) -> Iterator[Reading]:
    if set(map(type, rows)) != {dict}:
        return
    names = frozenset(
        spec.name
        for spec in specs
        if spec.required
        and can_be_key(spec.name)
        and _has_nulls_but_none([row.get(spec.name) for row in rows])
    )
    if names:
        yield Reading(convert_to_frame(rows, specs), names)


def _has_nulls_but_none(values: list[object]) -> bool:
    nulls = [is_missing(value) for value in values]
    return any(nulls) and not all(nulls) and not any(value is None for value in values)


def _is_column(values: list[object], dtype: ColumnType) -> bool:
    if isinstance(dtype, Array):
        return True
    if isinstance(dtype, Object):
        return set(map(type, values)) != {dict}
    containers = [value for value in values if isinstance(value, (list, dict, tuple, np.ndarray))]
    if not containers or not all(map(is_empty, containers)):
        return False
    scalars = len(values) - len(containers) - sum(map(is_missing, values))
    return bool(scalars) != isinstance(dtype, AnyType)


def _is_row(data: dict[object, object], specs: Sequence[ColSpec]) -> bool:
    by_name = {spec.name: spec.type for spec in specs if can_be_key(spec.name)}
    return all(
        value is None or is_scalar(value) or _is_cell(value, by_name.get(name))
        for name, value in data.items()
    )


def _is_cell(value: object, dtype: ColumnType | None) -> bool:
    if isinstance(dtype, AnyType):
        return value is None or is_empty(value)
    return dtype is DataType.string and type(value) is object
