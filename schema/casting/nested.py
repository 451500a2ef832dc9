"""Columns of arrays, objects, maps and anything: all rows of a column at once.

The values of a property or of all lists of a column are gathered, checked together and put back;
no Series is built per value. Nothing that the caller passed is written to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

import numpy as np
import pandas as pd

from pyfunc.errors import INTERNAL_ERROR, INVALID_PARAMETER_VALUE
from pyfunc.schema.casting.findings import Findings, Misfit, name_type
from pyfunc.schema.casting.nested_lists import (
    all_conform,
    array_oddity,
    cast_around_empty,
    cast_list,
)
from pyfunc.schema.casting.nested_scalars import cast_scalars
from pyfunc.schema.casting.object_columns import PANDAS_ERRORS, is_empty
from pyfunc.schema.data_types import is_missing
from pyfunc.schema.types import AnyType, Array, ColumnType, DataType, Map, Object

__all__ = ["Checker", "Place", "compile_type", "enforce_any_column"]

_CONTAINERS = (list, dict, tuple, np.ndarray)
_MAX_ROUNDS = 4  # UInt64 becomes uint64 and then int64; more than two are not known
_NO_NULLS = frozenset({dict, list, np.ndarray, type(None)})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list of values is.

    Attributes:
        path: the column and the way into it, for problems.
        rows: the row of the frame that each value belongs to.
        findings: gets the problems.
    """

    path: str
    rows: Sequence[int]
    findings: Findings

    def inside(self, suffix: str, rows: Sequence[int]) -> Place:
        """Return the place of what is one step further in."""
        return Place(self.path + suffix, rows, self.findings)

    def report(
        self, position: int, expected: str, got: str, *, hint: str = "", code: str = INTERNAL_ERROR
    ) -> None:
        """Add a problem of the value at ``position``."""
        row = self.rows[position]
        self.findings.add(self.path, expected, got, row=row, hint=hint, code=code)


class Checker(Protocol):
    """Enforces one type on many values."""

    def enforce(self, values: list[object], place: Place, *, optional: bool) -> list[Any]:
        """Return the enforced values, the very list if nothing had to change.

        Neither ``values`` nor what is in it is written to. Values with a problem are in the
        result as they were. ``optional`` says whether a missing value is allowed.
        """
        ...


def compile_type(
    dtype: ColumnType, *, scalar_code: str | None = None, coerce: bool = False
) -> Checker:
    """Return what enforces ``dtype`` on the values of a column.

    Args:
        dtype: the type of one value.
        scalar_code: error code of scalar values, which depends on what is around them.
        coerce: whether casts that lose nothing are made where MLflow refuses.
    """
    if isinstance(dtype, DataType):
        return _ScalarChecker(dtype, scalar_code or INTERNAL_ERROR, coerce)
    if isinstance(dtype, Array):
        if isinstance(dtype.dtype, DataType):
            return _ListChecker(dtype.dtype, coerce)
        element = compile_type(dtype.dtype, scalar_code=scalar_code, coerce=coerce)
        return _ArrayChecker(element, isinstance(dtype.dtype, AnyType))
    if isinstance(dtype, Object):
        return _ObjectChecker(
            {
                p.name: _Member(
                    compile_type(p.dtype, scalar_code=INTERNAL_ERROR, coerce=coerce),
                    bool(p.required),
                    repr(p.dtype),
                )
                for p in dtype.properties
            }
        )
    if isinstance(dtype, Map):
        code = scalar_code or INVALID_PARAMETER_VALUE
        value = compile_type(dtype.value_type, scalar_code=code, coerce=coerce)
        return _MapChecker(value, isinstance(dtype.value_type, AnyType))
    return _AnyChecker()


class _AnyChecker:
    def enforce(self, values: list[object], place: Place, *, optional: bool) -> list[Any]:
        return values


@dataclass(frozen=True, slots=True)
class _ScalarChecker:
    """Scalars that are properties of objects or values of maps."""

    target: DataType
    code: str
    coerce: bool

    def enforce(self, values: list[object], place: Place, *, optional: bool) -> list[Any]:
        def report(position: int, misfit: Misfit) -> None:
            place.report(position, self.target.name, misfit.got, hint=misfit.hint, code=self.code)

        def cast(some: list[object]) -> list[object]:
            return cast_scalars(
                some, self.target, optional=optional, coerce=self.coerce, report=report
            )

        if optional and any(map(is_empty, values)) and _has_scalars(values):
            nothing_kept = [None if is_empty(value) else value for value in values]
            return [
                value if is_empty(value) else new
                for value, new in zip(values, cast(nothing_kept), strict=True)
            ]
        return cast(values)


@dataclass(frozen=True, slots=True)
class _ListChecker:
    """Lists and arrays of scalars; null elements are kept, as inference ignores them."""

    target: DataType
    coerce: bool

    def enforce(self, values: list[Any], place: Place, *, optional: bool) -> list[Any]:
        if all_conform(values, self.target):
            return values
        values = _clear_nulls(values) if optional else values
        chosen = _choose(values, (list, np.ndarray), place, may_miss=optional)
        elements = place.inside("[]", place.rows)
        new = []
        cast = cast_list
        if _has_scalars(chain.from_iterable([values[position] for position in chosen])):
            cast = cast_around_empty
        for position in chosen:
            value = values[position]
            try:
                new.append(cast(value, self.target, coerce=self.coerce))
            except Misfit as misfit:
                elements.report(position, self.target.name, misfit.got, hint=misfit.hint)
                new.append(value)
        return _replace(values, chosen, new)


@dataclass(frozen=True, slots=True)
class _ArrayChecker:
    """Arrays of anything but scalars; null elements are kept."""

    element: Checker
    takes_anything: bool

    def enforce(self, values: list[Any], place: Place, *, optional: bool) -> list[Any]:
        may_miss = optional or self.takes_anything
        values = _clear_nulls(values) if optional else values
        chosen = _choose(values, (list, np.ndarray), place, may_miss=may_miss)
        if self.takes_anything:
            return values
        lists = [list(values[position]) for position in chosen]
        flat: list[object] = []
        rows: list[int] = []
        for position, elements in zip(chosen, lists, strict=True):
            present = [element for element in elements if not is_missing(element)]
            flat += present
            rows += [place.rows[position]] * len(present)
        enforced = self.element.enforce(flat, place.inside("[]", rows), optional=optional)
        if enforced is flat:
            return values
        source = iter(enforced)
        new = [
            _like(values[position], [e if is_missing(e) else next(source) for e in elements])
            for position, elements in zip(chosen, lists, strict=True)
        ]
        return _replace(values, chosen, new)


def _like(original: object, elements: list[object]) -> object:
    """Return ``elements`` as a list or, if ``original`` is an array, as an array."""
    if not isinstance(original, np.ndarray):
        return elements
    if original.dtype.kind != "O":
        return np.array(elements)
    result = np.empty(len(elements), dtype=object)
    for position, element in enumerate(elements):
        result[position] = element
    return result


@dataclass(frozen=True, slots=True)
class _Member:
    checker: Checker
    required: bool
    text: str


class _ObjectChecker:
    """Dicts with known keys; results are new dicts, so that the caller's stay as they are."""

    __slots__ = ("_members", "_required")

    def __init__(self, members: dict[str, _Member]) -> None:
        self._members = members
        self._required = {name for name, member in members.items() if member.required}

    def enforce(self, values: list[Any], place: Place, *, optional: bool) -> list[Any]:
        if any(issubclass(kind, tuple) for kind in set(map(type, values))):
            values = [_from_spark_row(value) for value in values]
        values = _clear_nulls(values) if optional else values
        chosen = _choose(values, dict, place, may_miss=optional)
        if optional:
            chosen = [position for position in chosen if values[position]]
        dicts = [values[position] for position in chosen]
        inner = place.inside("", [place.rows[position] for position in chosen])
        has_all_keys = self._check_keys(dicts, inner)
        changes = self._enforce_members(dicts, inner, has_all_keys)
        if not changes:
            return values
        new = [dict(value) for value in dicts]
        for name, positions, cast in changes:
            for position, value in zip(positions, cast, strict=True):
                new[position][name] = value
        return new if len(new) == len(values) else _replace(values, chosen, new)

    def _check_keys(self, dicts: list[Any], place: Place) -> bool:
        """Report missing and unknown keys; return whether all dicts have just the keys."""
        keys = self._members.keys()
        odd = [position for position, value in enumerate(dicts) if value.keys() != keys]
        for position in odd:
            found = dicts[position].keys()
            for name in sorted(self._required - found):
                missing = place.inside(f".{name}", place.rows)
                missing.report(position, self._members[name].text, "no such property")
            for key in found - keys:
                place.inside(f".{str(key)[:80]}", place.rows).report(
                    position,
                    "no property of this name",
                    name_type(dicts[position][key]),
                    hint="an object has no properties but those of the signature",
                )
        return not odd

    def _enforce_members(
        self, dicts: list[Any], place: Place, has_all_keys: bool
    ) -> list[tuple[str, Sequence[int], list[object]]]:
        changes: list[tuple[str, Sequence[int], list[object]]] = []
        for name, member in self._members.items():
            positions: Sequence[int] = range(len(dicts))
            rows = place.rows
            if not has_all_keys:
                positions = [i for i, value in enumerate(dicts) if name in value]
                rows = [rows[i] for i in positions]
            found = [dicts[i][name] for i in positions]
            cast = member.checker.enforce(
                found, place.inside(f".{name}", rows), optional=not member.required
            )
            if cast is not found:
                changes.append((name, positions, cast))
        return changes


def _from_spark_row(value: object) -> object:
    return value.asDict(True) if isinstance(value, tuple) and hasattr(value, "asDict") else value


@dataclass(frozen=True, slots=True)
class _MapChecker:
    value: Checker
    takes_anything: bool

    def enforce(self, values: list[Any], place: Place, *, optional: bool) -> list[Any]:
        may_miss = optional or self.takes_anything
        values = _clear_nulls(values) if optional else values
        chosen = _choose(values, dict, place, may_miss=may_miss)
        dicts = [values[position] for position in chosen]
        for position, mapping in zip(chosen, dicts, strict=True):
            if not all(isinstance(key, str) for key in mapping):
                place.report(position, "text as keys", "other keys")
        flat = list(chain.from_iterable([mapping.values() for mapping in dicts]))
        rows = [place.rows[p] for p in chosen for _ in range(len(values[p]))]
        cast = self.value.enforce(flat, place.inside("[]", rows), optional=optional)
        if cast is flat:
            return values
        source = iter(cast)
        new = [{key: next(source) for key in mapping} for mapping in dicts]
        return _replace(values, chosen, new)


def _has_scalars(values: Iterable[Any]) -> bool:
    """Return whether there is a value that inference finds a scalar type for."""
    return not all(isinstance(value, _CONTAINERS) or is_missing(value) for value in values)


def _clear_nulls(values: list[Any]) -> list[Any]:
    """Return ``values`` with None for NaN, NaT and NA, the same list if there is none."""
    if set(map(type, values)) <= _NO_NULLS or not any(map(is_missing, values)):
        return values
    return [None if is_missing(value) else value for value in values]


def _choose(
    values: list[Any], kinds: type | tuple[type, ...], place: Place, *, may_miss: bool
) -> list[int]:
    """Return the positions of the values of ``kinds``; report the others but allowed Nones.

    An empty list or dict of the other kind is no problem beside a value that is not empty, as
    inference takes it for a value of any type.
    """
    if set(map(type, values)) <= {dict if kinds is dict else list}:
        return list(range(len(values)))
    chosen = [
        position
        for position, value in enumerate(values)
        if isinstance(value, kinds) and not array_oddity(value)
    ]
    if len(chosen) == len(values):
        return chosen
    expected = "a dict" if kinds is dict else "a list or array"
    takes_empty = any(len(values[position]) for position in chosen)
    fitting = set(chosen)
    for position, value in enumerate(values):
        if position in fitting or (may_miss and value is None):
            continue
        if takes_empty and is_empty(value):
            continue
        hint = "" if value is not None else "only an optional column may hold None"
        place.report(position, expected, array_oddity(value) or name_type(value), hint=hint)
    return chosen


def _replace(values: list[object], positions: Iterable[int], new: list[Any]) -> list[object]:
    """Return ``values`` with ``new`` at ``positions``, the same list if all are the same."""
    result = list(values)
    changed = False
    for position, value in zip(positions, new, strict=True):
        if result[position] is not value:
            result[position] = value
            changed = True
    return result if changed else values


def enforce_any_column(column: pd.Series) -> pd.Series:
    """Return ``column`` with the dtype that pandas infers from its values alone.

    MLflow rebuilds such a column from its Python values, so small integers become int64 and
    categories the dtype of their values; a column that has the inferred dtype is returned itself.
    """
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and len(column):
        if dtype.kind in "bc" or dtype in (np.int64, np.float64) or dtype == "datetime64[ns]":
            return column
        if dtype.kind == "f" and dtype.itemsize < 8:
            return column.astype(np.float64)
        if dtype.kind == "i" or (dtype.kind == "u" and dtype.itemsize < 8):
            return column.astype(np.int64)
    return _settle(column)


def _settle(column: pd.Series) -> pd.Series:
    """Return ``column`` rebuilt from its values until its dtype stays; itself if it does."""
    dtype_if_empty = None if len(column) else object
    for _ in range(1 if column.dtype == object else _MAX_ROUNDS):
        rebuilt = column
        with suppress(*PANDAS_ERRORS):
            rebuilt = pd.Series(list(column), index=column.index, dtype=dtype_if_empty)
        if rebuilt.dtype == column.dtype:
            break
        column = rebuilt
    return column
