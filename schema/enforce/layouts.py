"""What a frame of given columns and dtypes needs; worked out once for each such layout."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pyfunc.schema.casting.dtype_rules import NUMPY, Action, find_action
from pyfunc.schema.specs import ColSpec
from pyfunc.schema.types import DataType

__all__ = ["Layout", "Positions", "describe_layout", "list_dtypes", "make_index", "make_key"]

Positions = npt.NDArray[np.intp]


def list_dtypes(frame: pd.DataFrame) -> list[object]:
    """Return the dtypes of all columns in order.

    ``DataFrame.dtypes`` builds a Series, which takes longer than all the rest of a check that
    finds nothing to do; the manager's list behind it is the same.
    """
    manager: object = getattr(frame, "_mgr", None)
    if hasattr(manager, "get_dtypes"):
        return list(manager.get_dtypes().tolist())
    return list(frame.dtypes)


def make_index(names: Sequence[Hashable]) -> pd.Index:
    """Return the names as a flat index, tuples included."""
    index: pd.Index
    try:
        index = pd.Index(list(names), tupleize_cols=False)
    except UnicodeEncodeError:  # half a surrogate pair, which arrow's texts cannot hold
        index = pd.Index(list(names), dtype=object, tupleize_cols=False)
    return index


def make_key(name: object) -> Hashable:
    """Return what to look a name up by; NaN is equal to nothing, not even to itself."""
    try:
        hash(name)
    except TypeError:
        return repr(name)
    return name if name == name else ("a name that is not equal to itself",)  # noqa: PLR0124


@dataclass(frozen=True, slots=True)
class Layout:
    """The work that a frame with these columns and dtypes needs.

    Positions count the columns of the result, which are those of the schema that are present.

    Attributes:
        columns: the columns of the frame.
        dtypes: their dtypes.
        specs: the specs that have a column, in schema order.
        positions: the column of the frame for each spec, None if they are all, in order.
        labels: the columns of the result.
        casts: dtype and positions of the columns that one astype of that dtype casts.
        doubtful: the same for integers that must be 0 or 1.
        looked_at: positions of the columns whose values decide.
        refused: positions of the columns that cannot fit.
        missing: required specs without a column.
        extra: names of columns without a spec.
        twice: names of the schema that several columns have.
    """

    columns: pd.Index
    dtypes: list[object]
    specs: tuple[ColSpec, ...]
    positions: Positions | None
    labels: pd.Index
    casts: tuple[tuple[np.dtype[np.generic], Positions], ...] = ()
    doubtful: tuple[tuple[np.dtype[np.generic], Positions], ...] = ()
    looked_at: tuple[int, ...] = ()
    refused: tuple[int, ...] = ()
    missing: tuple[ColSpec, ...] = ()
    extra: tuple[object, ...] = ()
    twice: tuple[object, ...] = ()
    conforms: bool = field(default=False)

    def fits(self, columns: pd.Index, dtypes: list[object]) -> bool:
        """Return whether this is the layout of a frame with ``columns`` and ``dtypes``."""
        return (columns is self.columns or columns.equals(self.columns)) and dtypes == self.dtypes


def describe_layout(
    specs: Sequence[ColSpec],
    names: pd.Index | None,
    columns: pd.Index,
    dtypes: list[object],
) -> Layout:
    """Return the layout of a frame with ``columns`` and ``dtypes`` under ``specs``.

    ``names`` are the names of the specs, None if they go by position.
    """
    labels = list(columns)
    extra: list[object] = []
    twice: list[object] = []
    if names is None or (columns.equals(names) and columns.is_unique):
        found = list(range(min(len(labels), len(specs))))
        missing = list(specs[len(labels) :])
    else:
        found, missing, extra, twice = _match_names(specs, labels)
    present = [spec for spec, position in zip(specs, found, strict=False) if position >= 0]
    positions = [position for position in found if position >= 0]
    is_all = positions == list(range(len(labels)))
    casts, doubtful, looked_at, refused = _group(present, [dtypes[p] for p in positions])
    return Layout(
        columns=columns,
        dtypes=dtypes,
        specs=tuple(present),
        positions=None if is_all else np.array(positions, dtype=np.intp),
        labels=columns[: len(present)] if names is None else _labels_of(present, names),
        casts=casts,
        doubtful=doubtful,
        looked_at=looked_at,
        refused=refused,
        missing=tuple(missing),
        extra=tuple(extra),
        twice=tuple(twice),
        conforms=is_all
        and bool(positions)
        and not (casts or doubtful or looked_at or refused or missing or twice),
    )


def _labels_of(present: list[ColSpec], names: pd.Index) -> pd.Index:
    is_all = len(present) == len(names)
    return names if is_all else make_index([spec.name for spec in present])


def _match_names(
    specs: Sequence[ColSpec], labels: list[object]
) -> tuple[list[int], list[ColSpec], list[object], list[object]]:
    """Return positions by spec (-1 if absent), missing specs, extra and repeated names."""
    by_key: dict[Hashable, int] = {}
    repeated: dict[Hashable, object] = {}
    for position, label in enumerate(labels):
        key = make_key(label)
        if by_key.setdefault(key, position) != position:
            repeated[key] = label
    keys = [make_key(spec.name) for spec in specs]
    last = {key: position for position, key in enumerate(keys)}  # of two equal names the later
    found = [by_key.get(k, -1) if last[k] == i else -1 for i, k in enumerate(keys)]
    missing = [
        spec for spec, key in zip(specs, keys, strict=True) if spec.required and key not in by_key
    ]
    extra = [label for label in labels if make_key(label) not in last]
    return found, missing, extra, [label for key, label in repeated.items() if key in last]


def _group(specs: Sequence[ColSpec], dtypes: list[Any]) -> tuple[Any, Any, Any, Any]:
    """Return casts, doubtful casts, columns to look at and refused columns."""
    casts: dict[np.dtype[np.generic], list[int]] = {}
    doubtful: dict[np.dtype[np.generic], list[int]] = {}
    looked_at: list[int] = []
    refused: list[int] = []
    for position, (spec, dtype) in enumerate(zip(specs, dtypes, strict=True)):
        action = _find_action(spec, dtype)
        if action is Action.CAST and isinstance(spec.type, DataType):
            casts.setdefault(NUMPY[spec.type], []).append(position)
        elif action is Action.ZERO_OR_ONE and isinstance(spec.type, DataType):
            doubtful.setdefault(NUMPY[spec.type], []).append(position)
        elif action is Action.LOOK:
            looked_at.append(position)
        elif action is Action.REFUSE:
            refused.append(position)
    return _freeze(casts), _freeze(doubtful), tuple(looked_at), tuple(refused)


def _find_action(spec: ColSpec, dtype: object) -> Action:
    if not isinstance(spec.type, DataType):
        return Action.LOOK
    action = find_action(dtype, spec.type)
    return Action.LOOK if action is Action.REFUSE and not spec.required else action


def _freeze(groups: dict[np.dtype[np.generic], list[int]]) -> tuple[object, ...]:
    return tuple((dtype, np.array(found, dtype=np.intp)) for dtype, found in groups.items())
