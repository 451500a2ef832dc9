"""The type of Python values: scalars, dicts, lists and arrays, nested as they come.

Lists are looked at as a whole: the set of the classes of their elements decides, so a long
list of scalars costs one pass in C. Nothing here reads a DataFrame.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from pyfunc.errors import INTERNAL_ERROR, InvalidArgumentError, shorten
from pyfunc.schema.data_types import TYPE_OF_CLASS, DataType, is_missing, missing_classes
from pyfunc.schema.types import (
    MAX_DEPTH,
    AnyType,
    Array,
    ColumnType,
    Object,
    Property,
    merge_types,
)

__all__ = [
    "PydanticDataError",
    "has_no_type",
    "infer_elements_type",
    "infer_value_type",
    "is_pydantic",
]

_FLOATS = frozenset({float, np.float64})
_SHARED_FROM = 8
"""From this depth on containers are remembered: they may be shared or contain themselves."""


class PydanticDataError(InvalidArgumentError):
    """The data holds pydantic objects, whose schema is to be taken from a type hint."""


def is_pydantic(value: object) -> bool:
    """Return whether ``value`` is an instance of a pydantic model; never imports pydantic."""
    pydantic = sys.modules.get("pydantic")
    model = getattr(pydantic, "BaseModel", None)
    return model is not None and isinstance(value, model)


def has_no_type(value: object) -> bool:
    """Return whether ``value`` is missing and its class says no type either.

    A NaN of numpy's narrower floats and a NaT of numpy are values of their types, as in MLflow.
    """
    return is_missing(value) and (isinstance(value, float) or not isinstance(value, np.generic))


def infer_value_type(value: object) -> ColumnType:
    """Return the type of one value.

    Raises:
        InvalidArgumentError: the value, or one inside it, has no type, values of a list
            disagree, or it contains itself.
    """
    return infer_elements_type([value])


def infer_elements_type(values: Sequence[object]) -> ColumnType:
    """Return the type that all ``values`` share; missing ones are passed over.

    Raises:
        InvalidArgumentError: as in :func:`infer_value_type`.
    """
    return _Walk().determined(values, 0)


class _Walk:
    """One inference; remembers deep containers so that shared ones are looked at once."""

    def __init__(self) -> None:
        self._missing = missing_classes()
        # The containers are kept beside their ids, so that no id is used twice.
        self._known: dict[frozenset[int], tuple[list[object], ColumnType | None]] = {}
        self._begun: set[frozenset[int]] = set()

    def determined(self, values: Sequence[object], depth: int) -> ColumnType:
        found = self.elements(values, depth)
        if found is None:
            raise InvalidArgumentError(
                f"an empty array has no type, got {shorten(values)}; add an element",
                INTERNAL_ERROR,
            )
        return found

    def elements(self, values: Sequence[object], depth: int) -> ColumnType | None:
        """Return the shared type, None if there are only empty arrays."""
        if depth > MAX_DEPTH:
            raise InvalidArgumentError(f"values are nested deeper than {MAX_DEPTH} levels")
        kinds = set(map(type, values))
        types = _scalar_types(values, kinds)
        if kinds <= TYPE_OF_CLASS.keys() | self._missing:
            return _single(types, values)
        containers = [v for v in values if type(v) not in TYPE_OF_CLASS and not has_no_type(v)]
        found = self._containers(containers, depth)
        if len(containers) < len(values) and _has_missing(values):
            found.append(AnyType())
        found += types
        return _merged(found, values) if found else None

    def _containers(self, values: list[object], depth: int) -> list[ColumnType]:
        """Return the types of dicts, of lists and of arrays; empty arrays have none."""
        dicts, lists, found = [], [], []
        for value in {id(v): v for v in values}.values():
            if isinstance(value, dict):
                dicts.append(value)
            elif isinstance(value, list):
                lists.append(value)
            elif isinstance(value, np.ndarray):
                dtype = self._array(value, depth)
                found += [] if dtype is None else [dtype]
            else:
                raise _unsupported(value)
        for group, infer in ((dicts, self._objects), (lists, self._lists)):
            filled = [value for value in group if len(value)]
            if len(filled) < len(group):
                found.append(AnyType())
            dtype = self._once(filled, infer, depth) if filled else None
            found += [] if dtype is None else [dtype]
        return found

    def _once(
        self, values: list[Any], infer: Callable[[list[Any], int], ColumnType | None], depth: int
    ) -> ColumnType | None:
        """Return ``infer(values)``; deep down from memory, and never of a value in itself."""
        if depth < _SHARED_FROM:
            return infer(values, depth)
        key = frozenset(map(id, values))
        if key not in self._known:
            if key in self._begun:
                raise InvalidArgumentError("a value contains itself, it has no type")
            self._begun.add(key)
            self._known[key] = values, infer(values, depth)
        return self._known[key][1]

    def _lists(self, lists: list[list[object]], depth: int) -> ColumnType | None:
        found = self.elements(_flat(lists), depth + 1)
        return None if found is None else Array(found)

    def _array(self, array: npt.NDArray[np.generic], depth: int) -> ColumnType | None:
        if array.ndim == 0:
            raise InvalidArgumentError("an array without dimensions has no type", INTERNAL_ERROR)
        if not array.size:
            return None
        flat = np.asarray(array).reshape(-1)
        found: ColumnType | None
        if array.dtype == np.dtype(object):
            found = self.elements(flat.tolist(), depth + 1)
            if found is None:
                raise InvalidArgumentError("an array of empty arrays has no type", INTERNAL_ERROR)
        elif array.dtype.type not in TYPE_OF_CLASS:
            raise _unsupported(flat[0])
        elif array.dtype == np.float64 and np.isnan(flat).all():
            found = AnyType()
        else:
            found = TYPE_OF_CLASS[array.dtype.type]
        return reduce(lambda inner, _: Array(inner), range(array.ndim), found)

    def _objects(self, dicts: list[dict[object, object]], depth: int) -> ColumnType:
        names = dict.fromkeys(chain.from_iterable(dicts))
        return Object([self._property(name, dicts, depth) for name in names])

    def _property(self, name: object, dicts: list[dict[object, object]], depth: int) -> Property:
        if not isinstance(name, str):
            raise InvalidArgumentError(f"the keys of a dict must be strings, got {shorten(name)}")
        values = [each[name] for each in dicts if name in each]
        if any(isinstance(v, np.ndarray) and not v.size for v in values):
            raise InvalidArgumentError(
                f"an empty array has no type, got one at key {name!r}", INTERNAL_ERROR
            )
        dtype = self.determined(values, depth + 1)
        required = len(values) == len(dicts) and not any(map(_is_untyped, values))
        return Property(name, dtype, required=required)


def _is_untyped(value: object) -> bool:
    return has_no_type(value) or (isinstance(value, (list, dict)) and not value)


def _scalar_types(values: Sequence[object], kinds: set[type]) -> list[ColumnType]:
    """Return the different types of the scalars; NaN is no value."""
    types: set[DataType] = {TYPE_OF_CLASS[kind] for kind in kinds & TYPE_OF_CLASS.keys() - _FLOATS}
    if kinds & _FLOATS and any(type(v) in _FLOATS and v == v for v in values):  # noqa: PLR0124
        types.add(DataType.double)
    return list(types)


def _single(types: list[ColumnType], values: Sequence[object]) -> ColumnType:
    if len(types) > 1:
        raise _conflict(types, values)
    return types[0] if types else AnyType()


def _merged(types: list[ColumnType], values: Sequence[object]) -> ColumnType:
    try:
        found: ColumnType = reduce(merge_types, types)
    except InvalidArgumentError as error:
        raise _conflict(types, values) from error
    return found


def _has_missing(values: Iterable[object]) -> bool:
    return any(map(has_no_type, values))


def _flat(lists: list[list[object]]) -> list[object]:
    return lists[0] if len(lists) == 1 else list(chain.from_iterable(lists))


def _conflict(types: Sequence[object], values: Sequence[object]) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"values of a list must share one type, got {shorten(sorted(map(repr, types)))} in "
        f"{shorten(values)}; a signature with Array(AnyType()) allows any"
    )


def _unsupported(value: object) -> InvalidArgumentError:
    if is_pydantic(value):
        return PydanticDataError(
            "no schema can be inferred from pydantic objects; give predict a type hint such as "
            f"list[{type(value).__name__}] and the schema is taken from it"
        )
    return InvalidArgumentError(
        f"a {type(value).__name__} has no type in a schema, got {shorten(value)}"
    )
