"""How the columns of a frame lie in memory, which a model can tell by the last bit of a sum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from pyfunc.errors import SchemaError
from pyfunc.schema.casting.findings import Findings, name_type
from pyfunc.schema.casting.object_columns import LARGE, PANDAS_ERRORS, infer_column

__all__ = [
    "Block",
    "build_frame",
    "consolidate",
    "has_large",
    "join_columns",
    "join_parts",
    "make_frame",
    "refuse",
    "replace_columns",
]

Block: TypeAlias = "tuple[Sequence[int], npt.NDArray[np.generic]]"
"""The positions of columns of one dtype, and their cells: one row for each column."""

try:
    from pandas.api.internals import create_dataframe_from_blocks as _frame_from_blocks
except ImportError:  # before pandas 3
    _frame_from_blocks = None

_EXPECTED = "a DataFrame, Series, dict, list, scalar, array or Arrow table"
_NARROW = 16  # columns up to which pandas is quickest with each alone


def make_frame(content: Any, **options: Any) -> pd.DataFrame:
    """Return the frame that pandas makes of ``content``, half a surrogate pair in it or not."""
    frame: pd.DataFrame
    try:
        frame = pd.DataFrame(content, **options)
    except UnicodeEncodeError:  # arrow's texts cannot hold it, objects can
        held = pd.DataFrame(content, **{**options, "dtype": object})
        columns = {i: infer_column(held.iloc[:, i]) for i in range(held.shape[1])}
        frame = pd.DataFrame(columns, index=held.index)
        frame.columns = held.columns
    return frame


def build_frame(construct: Callable[[], pd.DataFrame], data: object) -> pd.DataFrame:
    """Return the frame that is made of ``data``.

    Raises:
        SchemaError: pandas can make none.
    """
    try:
        return construct()
    except (*PANDAS_ERRORS, Warning) as error:  # a warning, where those are errors
        text = str(error).partition("\n")[0][:80]
        raise refuse(f"a {name_type(data)} of which pandas makes no frame ({text})") from error


def refuse(got: str) -> SchemaError:
    """Return the error for data of which no frame is made."""
    findings = Findings()
    findings.add("inputs", _EXPECTED, got)
    return findings.to_error()


def replace_columns(frame: pd.DataFrame, columns: Mapping[int, Any]) -> pd.DataFrame:
    """Return ``frame`` with other columns at some positions, itself if at none."""
    if not columns:
        return frame
    replaced: pd.DataFrame = frame.copy(deep=False)
    for position, column in columns.items():
        replaced.isetitem(position, column)
    return replaced


def has_large(frame: pd.DataFrame) -> bool:
    """Return whether a double in ``frame`` may have been made of another integer."""
    blocks: Any = getattr(getattr(frame, "_mgr", None), "blocks", ())
    arrays = [block.values for block in blocks if block.values.dtype == np.float64]
    return any(bool((cells >= LARGE).any() or (cells <= -LARGE).any()) for cells in arrays)


def consolidate(frame: pd.DataFrame) -> pd.DataFrame:
    """Return ``frame`` itself if it lies in memory as MLflow hands it over, else such a copy.

    All columns of a dtype are one block, and the cells of each lie side by side. Pandas takes
    evenly spaced columns as a view with strides, and older releases keep the rows of an array
    together; numpy hands either to BLAS in another order. Pandas itself sums up several
    blocks in another order than one.
    """
    blocks: Any = getattr(getattr(frame, "_mgr", None), "blocks", ())
    arrays = [block.values for block in blocks if isinstance(block.values, np.ndarray)]
    result: pd.DataFrame
    if all(values.flags.c_contiguous for values in arrays):
        if len({values.dtype for values in arrays}) == len(arrays):
            return frame
        result = frame.copy()
    elif len(blocks) == 1:
        cells = np.asfortranarray(frame.to_numpy())
        result = pd.DataFrame(cells, index=frame.index, dtype=cells.dtype, copy=False)
    else:
        columns = {i: frame.iloc[:, i] for i in range(frame.shape[1])}
        result = pd.DataFrame(columns, index=frame.index, copy=True)
    result.columns = frame.columns
    return result


def join_columns(
    blocks: Sequence[Block], columns: dict[int, object], *, copy: bool
) -> pd.DataFrame:
    """Return the frame of all columns, labelled 0, 1, 2 and so on.

    The columns of a block are not made one by one where there are many, which costs pandas far
    more than their cells.

    Args:
        blocks: columns of numbers or moments, those of a dtype together.
        columns: the other columns by position.
        copy: put the columns of a dtype together where there are few, too.
    """
    if not blocks or len(columns) + sum([len(places) for places, _ in blocks]) <= _NARROW:
        every: dict[int, Any] = dict(columns)
        for places, cells in blocks:
            every |= zip(places, cells, strict=True)
        return make_frame(dict(sorted(every.items())), copy=copy)
    joined = _join_blocks(blocks, [([i], cells) for i, cells in columns.items()])
    if joined is not None:
        return joined
    parts = [pd.DataFrame(cells.T, copy=False) for _, cells in blocks]
    order: list[Sequence[int]] = [places for places, _ in blocks]
    if columns:
        parts.append(pd.DataFrame(columns, copy=False))
        order.append(list(columns))
    return join_parts(parts, order)


def join_parts(
    parts: Sequence[pd.DataFrame], order: Sequence[Sequence[int] | npt.NDArray[np.intp]]
) -> pd.DataFrame:
    """Return the columns of all parts, each at its position in ``order``."""
    joined = _join_blocks(
        [
            (np.asarray(places)[block.mgr_locs.as_array], block.values)
            for part, places in zip(parts, order, strict=True)
            for block in getattr(getattr(part, "_mgr", None), "blocks", ())
        ]
    )
    if joined is not None:
        joined.index = parts[0].index
        return joined
    joined = parts[0] if len(parts) == 1 else pd.concat(parts, axis=1, ignore_index=True)
    return consolidate(joined.take(np.argsort(np.concatenate(order)), axis=1))


def _join_blocks(
    blocks: Sequence[tuple[Any, Any]], own: Sequence[tuple[Any, Any]] = ()
) -> pd.DataFrame | None:
    """Return the frame of blocks, None if pandas cannot make it of them.

    To join frames pandas slices each of their columns, twice. The blocks are copied, but for
    those that are the frame's ``own``.
    """
    if _frame_from_blocks is None or not all(_is_block(cells) for _, cells in (*blocks, *own)):
        return None
    length = blocks[0][1].shape[-1]
    held = [*((places, cells.copy()) for places, cells in blocks), *own]
    placed = [(cells, np.asarray(places, dtype=np.intp)) for places, cells in held]
    width = sum([len(places) for _, places in placed])
    return consolidate(_frame_from_blocks(placed, pd.RangeIndex(length), pd.RangeIndex(width)))


def _is_block(cells: object) -> bool:
    """Return whether these are plain numbers, one row for each column, or one column of text."""
    if isinstance(cells, np.ndarray):
        return cells.ndim == 2 and cells.dtype.kind in "biuf"
    return isinstance(cells, pd.api.extensions.ExtensionArray) and cells.ndim == 1
