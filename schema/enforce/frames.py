"""Frames against the columns of a schema: take, cast by group, look at what values decide."""

from __future__ import annotations

import logging
from collections.abc import Container, Sequence

import numpy as np
import pandas as pd

from pyfunc.schema.casting.arrow_values import decode_nested
from pyfunc.schema.casting.coercion import cast_or_coerce
from pyfunc.schema.casting.dtype_rules import NULLABLE
from pyfunc.schema.casting.findings import Findings, Misfit, details_are_hidden
from pyfunc.schema.casting.nested import Checker, Place, compile_type, enforce_any_column
from pyfunc.schema.casting.object_columns import object_array
from pyfunc.schema.enforce.layouts import (
    Layout,
    Positions,
    describe_layout,
    list_dtypes,
    make_index,
)
from pyfunc.schema.enforce.memory import consolidate, join_parts
from pyfunc.schema.specs import ColSpec
from pyfunc.schema.types import AnyType, DataType

__all__ = ["FrameEnforcer", "warn_of_extra"]

_log = logging.getLogger("pyfunc.schema")
_MAX_LAYOUTS = 8
_MAX_NAMES = 20
_MASKED = tuple(NULLABLE.values())


class FrameEnforcer:
    """The columns of a schema, ready to be enforced on frames.

    It remembers the last layouts that it met; a frame of a known layout that needs nothing is
    returned after comparing its columns and dtypes. Safe to use from several threads.
    """

    def __init__(self, specs: Sequence[ColSpec], *, coerce: bool = False) -> None:
        self.specs = tuple(specs)
        self.is_named = specs[0].name is not None
        self.labels = make_index([spec.name for spec in specs]) if self.is_named else None
        self.coerce = coerce
        self._layouts: tuple[Layout, ...] = ()
        self._checkers: dict[int, Checker] = {
            id(spec): compile_type(spec.type, coerce=coerce)
            for spec in specs
            if not isinstance(spec.type, (DataType, AnyType))
        }

    def enforce(
        self, frame: pd.DataFrame, *, nulls: Container[object] = frozenset()
    ) -> pd.DataFrame:
        """Return a frame of just the columns of the schema, each of its type.

        ``frame`` itself is returned if it is that already; it is never written to. The result
        shares the memory of the columns that needed no cast. ``nulls`` has the names of required
        columns that may hold nulls all the same.

        Raises:
            SchemaError: a required column is missing, a name occurs twice, or values do not fit.
        """
        layout = self.find_layout(frame)
        if layout.conforms:
            return frame
        findings = Findings()
        self._report_layout(layout, findings)
        if layout.extra and self.is_named and not findings:
            warn_of_extra(layout.extra)
        if not layout.specs and not findings:
            empty: pd.DataFrame = pd.DataFrame()
            return empty
        kept = frame if layout.positions is None else frame.take(layout.positions, axis=1)
        result = self._cast(kept, layout, findings, nulls)
        if findings:
            raise findings.to_error()
        return result

    def find_layout(self, frame: pd.DataFrame) -> Layout:
        """Return the layout of ``frame``, from memory if it was met before."""
        columns, dtypes = frame.columns, list_dtypes(frame)
        for layout in self._layouts:
            if layout.fits(columns, dtypes):
                return layout
        layout = describe_layout(self.specs, self.labels, columns, dtypes)
        self._layouts = (layout, *self._layouts[: _MAX_LAYOUTS - 1])
        return layout

    def _report_layout(self, layout: Layout, findings: Findings) -> None:
        hint = ""
        if layout.extra:
            hint = f"the data has other columns: {_join(layout.extra)}"
        for spec in layout.missing:
            findings.add(self._path_of(spec), f"a column of {spec.type!r}", "no column", hint=hint)
        for name in layout.twice:
            findings.add(f"inputs[{name!r}]", "one column", "several columns of this name")
        for position in layout.refused:
            spec = layout.specs[position]
            column = position if layout.positions is None else layout.positions[position]
            if not self.coerce:
                findings.add(self._path_of(spec), repr(spec.type), str(layout.dtypes[int(column)]))

    def _path_of(self, spec: ColSpec) -> str:
        if self.is_named:
            return f"inputs[{spec.name!r}]"
        position = next(i for i, other in enumerate(self.specs) if other is spec)
        return f"inputs[{position}]"

    def _cast(
        self, kept: pd.DataFrame, layout: Layout, findings: Findings, nulls: Container[object]
    ) -> pd.DataFrame:
        """Return the cast columns; raise nothing, but add to ``findings``."""
        single = list(layout.looked_at)
        casts = list(layout.casts)
        for dtype, positions in layout.doubtful:
            fitting, others = _split_zero_or_one(kept, positions)
            single += others
            if len(fitting):
                casts.append((dtype, fitting))
        if self.coerce:
            single += layout.refused
        columns: dict[int, object] = {}
        for position in single:
            old = kept.iloc[:, position]
            new = self._enforce_column(old, layout.specs[position], findings, nulls)
            if new is not old:
                columns[position] = new
        if not columns and not casts:
            return _relabel(kept, layout)
        return kept if findings else _assemble(kept, layout, casts, columns)

    def _enforce_column(
        self, column: pd.Series, spec: ColSpec, findings: Findings, nulls: Container[object]
    ) -> pd.Series:
        # A column without a name cannot be declared optional, and inference ignores the nulls
        # of a list; these dtypes are what becomes of such a list.
        holds_nulls = not self.is_named and (column.dtype == object or column.dtype in _MASKED)
        optional = not spec.required or spec.name in nulls or holds_nulls
        if isinstance(spec.type, AnyType):
            return enforce_any_column(column)
        if isinstance(spec.type, DataType):
            try:
                return cast_or_coerce(column, spec.type, optional=optional, coerce=self.coerce)
            except Misfit as misfit:
                findings.add(
                    self._path_of(spec),
                    repr(spec.type),
                    misfit.got,
                    row=misfit.row,
                    hint=misfit.hint,
                )
                return column
        if isinstance(column.dtype, pd.ArrowDtype):
            column = decode_nested(column, spec.type)
        values = list(column)
        place = Place(self._path_of(spec), range(len(values)), findings)
        new = self._checkers[id(spec)].enforce(values, place, optional=optional)
        if new is values and column.dtype == object:
            return column
        return _hold_objects(new, column.index)


def _hold_objects(values: list[object], index: pd.Index) -> pd.Series:
    held = object_array(values)
    column: pd.Series = pd.Series(held, index=index, dtype=object)
    return column


def _split_zero_or_one(frame: pd.DataFrame, positions: Positions) -> tuple[Positions, list[int]]:
    """Return the positions of columns that hold only 0 and 1, and those of the others."""
    values = frame.take(positions, axis=1).to_numpy()
    fits = ((values == 0) | (values == 1)).all(axis=0)
    return positions[fits], positions[~fits].tolist()


def _relabel(kept: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """Return ``kept`` itself if it is the caller's whole frame, else with plain labels."""
    if layout.positions is None:
        return kept
    result = consolidate(pd.DataFrame(kept, copy=False))
    result.columns = layout.labels
    return result


def _assemble(
    kept: pd.DataFrame,
    layout: Layout,
    casts: list[tuple[np.dtype[np.generic], Positions]],
    columns: dict[int, object],
) -> pd.DataFrame:
    """Return a new frame: one astype for each group, one block for what is as it was."""
    width = len(layout.specs)
    if width > len(kept):  # pandas is slow by its blocks then, not by their cells
        kept = consolidate(kept)
    result: pd.DataFrame | None
    if not columns and len(casts) == 1 and len(casts[0][1]) == width:
        result = consolidate(pd.DataFrame(kept.astype(casts[0][0]), copy=False))
        result.columns = layout.labels
        return result
    untouched = np.ones(width, dtype=bool)
    parts, order = [], []
    for dtype, positions in casts:
        untouched[positions] = False
        parts.append(kept.take(positions, axis=1).astype(dtype))
        order.append(positions)
    if columns:
        looked_at = np.fromiter(columns, dtype=np.intp)
        untouched[looked_at] = False
        # As series, for pandas would infer a dtype for arrays of objects.
        parts.append(pd.DataFrame(columns, index=kept.index, copy=False))
        order.append(looked_at)
    if untouched.any():
        rest = np.flatnonzero(untouched)
        parts.append(kept.take(rest, axis=1))
        order.append(rest)
    result = _fill_block(parts, order)
    if result is None:
        result = join_parts(parts, order)
    result.columns = layout.labels
    return result


def _fill_block(parts: list[pd.DataFrame], order: list[Positions]) -> pd.DataFrame | None:
    """Return one block of contiguous columns, None unless all are of one number type."""
    dtypes = {dtype for part in parts for dtype in list_dtypes(part)}
    only = dtypes.pop() if len(dtypes) == 1 else None
    if not isinstance(only, np.dtype) or only.kind not in "iufb":
        return None
    cells = np.empty((len(parts[0]), sum(map(len, order))), dtype=only, order="F")
    for part, positions in zip(parts, order, strict=True):
        cells[:, positions] = part.to_numpy()
    filled: pd.DataFrame = pd.DataFrame(cells, index=parts[0].index, copy=False)
    return filled


def warn_of_extra(names: Sequence[object], kind: str = "columns") -> None:
    """Log that columns or tensors are dropped; their names only if details may be shown."""
    if details_are_hidden():
        _log.warning("%s that are not in the signature are dropped", kind)
    else:
        _log.warning("%s that are not in the signature are dropped: %s", kind, _join(names))


def _join(names: Sequence[object]) -> str:
    shown = ", ".join([repr(name)[:80] for name in names[:_MAX_NAMES]])
    return shown + (f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else "")
