"""The types that a column, an element or a parameter can have, as MLflow writes them.

Values only: constructors check their arguments, ``to_dict`` gives the JSON form and the ``read_``
functions take it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import total_ordering
from typing import Any, TypeAlias, Union

from pyfunc.errors import (
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    InvalidArgumentError,
    find_repeated,
    shorten,
)
from pyfunc.schema.data_types import DataType, parse_data_type

__all__ = [
    "MAX_DEPTH",
    "NESTED_WORDS",
    "AnyType",
    "Array",
    "BaseType",
    "ColumnType",
    "DataType",
    "Map",
    "Object",
    "Property",
    "SparkMLVector",
    "merge_types",
    "read_array",
    "read_map",
    "read_object",
    "read_property",
    "read_required",
    "read_type",
]

MAX_DEPTH = 128
"""How deep types may be nested; deeper ones could not be walked without a stack overflow."""

MAX_NODES = 1 << 20
"""How many types one type may consist of; parts that are shared count each time."""


class BaseType:
    """What all nested types share: equality by content, no hash."""

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form as a new dict."""
        raise NotImplementedError

    def __repr__(self) -> str:
        raise NotImplementedError

    def _merge(self, other: object) -> object:
        return merge_types(self, other)


ColumnType: TypeAlias = Union[DataType, "Array", "Object", "Map", "AnyType"]
"""What a column, an element or a property can be."""


def check_dtype(dtype: object, argument: str, error_code: str) -> ColumnType:
    """Return ``dtype`` as a type, a name of a scalar type replaced by the member.

    Raises:
        InvalidArgumentError: an unknown name (``INTERNAL_ERROR``, as MLflow has it), another
            object (``error_code``), or types nested deeper than :data:`MAX_DEPTH`.
    """
    if isinstance(dtype, str):
        return parse_data_type(dtype)
    if isinstance(dtype, DataType):
        return dtype
    if not isinstance(dtype, (Array, Object, Map, AnyType)):
        raise InvalidArgumentError(
            f"{argument} must be a DataType or its name, Array, Object, Map or AnyType, "
            f"got {shorten(dtype)}",
            error_code,
        )
    depth, nodes = measure(dtype)
    if depth > MAX_DEPTH or nodes > MAX_NODES:
        raise InvalidArgumentError(
            f"the type is too large: {depth} levels (at most {MAX_DEPTH}), {nodes} parts "
            f"(at most {MAX_NODES})"
        )
    return dtype


def measure(dtype: object) -> tuple[int, int]:
    """Return how many nested types ``dtype`` is deep, 0 for a scalar, and of how many it is."""
    if not isinstance(dtype, BaseType):
        return 0, 1
    found: tuple[int, int] = dtype.__dict__.get("_measure", (1, 1))
    return found


def _measure_around(inner: object) -> tuple[int, int]:
    depth, nodes = measure(inner)
    return depth + 1, nodes + 1


@total_ordering
class Property(BaseType):
    """A named member of an :class:`Object`, ordered by name."""

    def __init__(self, name: str, dtype: ColumnType | str, required: bool = True) -> None:
        self.name = name
        self.dtype = dtype
        self.required = required

    @property
    def name(self) -> str:
        """The key."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        if not isinstance(name, str):
            raise InvalidArgumentError(
                f"the name of a property must be a string, got {shorten(name)}"
            )
        self._name = name

    @property
    def dtype(self) -> ColumnType:
        """The type of the values."""
        return self._dtype

    @dtype.setter
    def dtype(self, dtype: ColumnType | str) -> None:
        self._dtype = check_dtype(dtype, "the dtype of a property", INTERNAL_ERROR)
        self._measure = measure(self._dtype)

    @property
    def required(self) -> bool:
        """Whether the key must be present."""
        return self._required

    @required.setter
    def required(self, required: bool) -> None:
        self._required = required

    def to_dict(self) -> dict[str, object]:
        """Return ``{name: {"type": ..., "required": ...}}``."""
        return {self.name: {**type_dict(self.dtype), "required": self.required}}

    def __repr__(self) -> str:
        return f"{self.name}: {self.dtype!r} ({'required' if self.required else 'optional'})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Property) and (
            (self.name, self.dtype, self.required) == (other.name, other.dtype, other.required)
        )

    def __lt__(self, other: object) -> bool:
        return self.name < other.name if isinstance(other, Property) else NotImplemented

    @classmethod
    def from_json_dict(cls, /, **kwargs: object) -> BaseType:
        """Return the property of ``name={"type": ..., "required": ...}``, the only argument.

        A type of ``sparkml_vector`` gives the bare vector, as in MLflow.
        """
        found = read_property(kwargs)
        return found.dtype if isinstance(found.dtype, SparkMLVector) else found


class Object(BaseType):
    """A dict with known string keys, its properties sorted by name."""

    def __init__(self, properties: list[Property]) -> None:
        self.properties = properties

    @property
    def properties(self) -> list[Property]:
        """The properties, sorted by name."""
        return self._properties

    @properties.setter
    def properties(self, properties: list[Property]) -> None:
        self._properties = sorted(_check_properties(properties))
        depths, nodes = zip(*map(measure, properties), strict=True)
        self._measure = 1 + max(depths), 1 + sum(nodes)

    def to_dict(self) -> dict[str, object]:
        """Return ``{"type": "object", "properties": {...}}``."""
        merged: dict[str, object] = {}
        for prop in self.properties:
            merged.update(prop.to_dict())
        return {"type": "object", "properties": merged}

    def __repr__(self) -> str:
        return "{" + ", ".join([repr(p) for p in self.properties]) + "}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Object) and self.properties == other.properties

    @classmethod
    def from_json_dict(cls, /, **kwargs: object) -> Object:
        """Return the object of ``type="object", properties={...}``."""
        return read_object(kwargs)


def _check_properties(properties: object) -> list[Property]:
    if not isinstance(properties, list):
        raise InvalidArgumentError(
            f"the properties of an Object must be a list, got {type(properties).__name__}"
        )
    if not properties:
        raise InvalidArgumentError("an Object needs at least one property")
    for prop in properties:
        if not isinstance(prop, Property):
            raise InvalidArgumentError(
                f"the properties of an Object must be Property instances, got {shorten(prop)}"
            )
    names = [prop.name for prop in properties]
    if len(set(names)) != len(names):
        twice = sorted(find_repeated(names))
        raise InvalidArgumentError(f"an Object has properties of the same name: {twice}")
    return properties


class Array(BaseType):
    """A list of values of one type."""

    def __init__(self, dtype: ColumnType | str) -> None:
        self._dtype = check_dtype(dtype, "the dtype of an Array", INTERNAL_ERROR)
        self._measure = _measure_around(self._dtype)

    @property
    def dtype(self) -> ColumnType:
        """The type of the elements."""
        return self._dtype

    def to_dict(self) -> dict[str, object]:
        """Return ``{"type": "array", "items": {...}}``."""
        return {"type": "array", "items": type_dict(self.dtype)}

    def __repr__(self) -> str:
        return f"Array({self.dtype!r})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Array)
            and isinstance(self, SparkMLVector) == isinstance(other, SparkMLVector)
            and self.dtype == other.dtype
        )

    @classmethod
    def from_json_dict(cls, /, **kwargs: object) -> Array:
        """Return the array of ``type="array", items={...}``."""
        return read_array(kwargs)


class SparkMLVector(Array):
    """A vector of Spark ML: an array of doubles with a type word of its own."""

    def __init__(self) -> None:
        super().__init__(DataType.double)

    def to_dict(self) -> dict[str, object]:
        """Return ``{"type": "sparkml_vector"}``."""
        return {"type": "sparkml_vector"}

    def __repr__(self) -> str:
        return "SparkML vector"

    @classmethod
    def from_json_dict(cls, /, **kwargs: object) -> SparkMLVector:
        """Return the type; the arguments are not looked at."""
        return cls()


class Map(BaseType):
    """A dict with arbitrary string keys and values of one type."""

    def __init__(self, value_type: ColumnType | str) -> None:
        self._value_type = check_dtype(
            value_type, "the value type of a Map", INVALID_PARAMETER_VALUE
        )
        self._measure = _measure_around(self._value_type)

    @property
    def value_type(self) -> ColumnType:
        """The type of the values."""
        return self._value_type

    def to_dict(self) -> dict[str, object]:
        """Return ``{"type": "map", "values": {...}}``."""
        return {"type": "map", "values": type_dict(self.value_type)}

    def __repr__(self) -> str:
        return f"Map(str -> {self.value_type!s})"  # MLflow's form: a member as DataType.long

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Map) and self.value_type == other.value_type

    @classmethod
    def from_json_dict(cls, /, **kwargs: object) -> BaseType:
        """Return the map of ``type="map", values={...}``.

        Values of type ``sparkml_vector`` give the bare vector, as in MLflow.
        """
        found = read_map(kwargs)
        return found.value_type if isinstance(found.value_type, SparkMLVector) else found


class AnyType(BaseType):
    """A value of which nothing is known or checked."""

    def to_dict(self) -> dict[str, object]:
        """Return ``{"type": "any"}``."""
        return {"type": "any"}

    def __repr__(self) -> str:
        return "Any"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnyType)


def type_dict(dtype: ColumnType) -> dict[str, Any]:
    """Return the JSON form of a type; ``{"type": "long"}`` for a scalar."""
    return {"type": dtype.name} if isinstance(dtype, DataType) else dtype.to_dict()


NESTED_WORDS = frozenset({"array", "object", "map", "any", "sparkml_vector"})
"""The values of ``type`` that do not name a scalar type."""


def read_type(form: Mapping[str, Any], depth: int = 0) -> ColumnType:
    """Return the type whose JSON object is ``form``; other keys are not looked at.

    Args:
        form: a JSON object with the key ``type``.
        depth: how many types it stands in.

    Raises:
        InvalidArgumentError: a key is missing or has a value of the wrong kind, or types are
            nested too deeply.
    """
    if depth > MAX_DEPTH:
        raise InvalidArgumentError(f"types are nested deeper than {MAX_DEPTH} levels")
    word = form["type"]
    if word == "array":
        return read_array(form, depth)
    if word == "object":
        return read_object(form, depth)
    if word == "map":
        return read_map(form, depth)
    if word == "any":
        return AnyType()
    if word == "sparkml_vector":
        return SparkMLVector()
    return check_dtype(word, "type", INTERNAL_ERROR)


def read_property(form: Mapping[str, Any], depth: int = 0) -> Property:
    """Return the property of ``{name: {"type": ..., "required": ...}}``.

    A missing ``required`` means True; the old ``optional`` is its opposite.
    """
    if len(form) != 1:
        raise InvalidArgumentError(
            f"the JSON of a property needs one key, its name; got {shorten(list(form))}",
            INTERNAL_ERROR,
        )
    [(name, body)] = form.items()
    _check_is_typed(body, f"property {name!r}")
    return Property(name, read_type(body, depth), required=read_required(body, True))


def read_required(form: Mapping[str, object], default: bool | None) -> Any:
    """Return the ``required`` flag of a JSON object, which old files write as ``optional``."""
    if "required" in form:
        return form["required"]
    return not form["optional"] if "optional" in form else default


def read_object(form: Mapping[str, object], depth: int = 0) -> Object:
    """Return the object of ``{"type": "object", "properties": {...}}``."""
    properties = _read_part(form, "object", "properties")
    return Object([read_property({name: body}, depth + 1) for name, body in properties.items()])


def read_array(form: Mapping[str, object], depth: int = 0) -> Array:
    """Return the array of ``{"type": "array", "items": {...}}``."""
    items = _read_part(form, "array", "items")
    _check_is_typed(items, "items of an array")
    return Array(read_type(items, depth + 1))


def read_map(form: Mapping[str, object], depth: int = 0) -> Map:
    """Return the map of ``{"type": "map", "values": {...}}``."""
    values = _read_part(form, "map", "values")
    _check_is_typed(values, "values of a map")
    return Map(read_type(values, depth + 1))


def _read_part(form: Mapping[str, object], word: str, key: str) -> dict[str, object]:
    """Return the dict under ``key`` of a JSON object whose ``type`` is ``word``."""
    missing = {"type", key} - form.keys()
    if missing:
        raise InvalidArgumentError(
            f"the JSON of type {word!r} lacks {sorted(missing)}", INTERNAL_ERROR
        )
    if form["type"] != word:
        raise InvalidArgumentError(
            f"expected type {word!r}, got {shorten(form['type'])}", INTERNAL_ERROR
        )
    part = form[key]
    if not isinstance(part, dict):
        raise InvalidArgumentError(
            f"{key!r} of type {word!r} must be a JSON object, got {shorten(part)}", INTERNAL_ERROR
        )
    return part


def _check_is_typed(form: object, subject: str) -> None:
    if not isinstance(form, dict) or "type" not in form:
        raise InvalidArgumentError(
            f"{subject}: expected a JSON object with the key 'type', got {shorten(form)}",
            INTERNAL_ERROR,
        )


def merge_types(left: object, right: object) -> Any:  # noqa: PLR0911 - one return per kind
    """Return the type of a list that holds values of both types; neither is changed.

    ``AnyType`` gives way to the other type, whose properties become optional; of two objects
    the keys that one of them lacks become optional.

    Raises:
        InvalidArgumentError: no type covers both.
    """
    if isinstance(left, SparkMLVector):
        if not isinstance(right, SparkMLVector):
            raise _conflict(left, right)
        return left
    if isinstance(left, AnyType):
        return _loosened(right)
    if isinstance(right, AnyType):
        return _loosened(left)
    if isinstance(left, Object) and isinstance(right, Object):
        return _merge_objects(left, right)
    if isinstance(left, Array) and isinstance(right, Array):
        return left if left.dtype == right.dtype else Array(merge_types(left.dtype, right.dtype))
    if isinstance(left, Map) and isinstance(right, Map):
        return Map(merge_types(left.value_type, right.value_type))
    if isinstance(left, Property) and isinstance(right, Property):
        return _merge_properties(left, right)
    if isinstance(left, DataType) and left == right:
        return left
    raise _conflict(left, right)


def _loosened(other: Any) -> Any:
    """Return ``other`` as it reads when some of the values are missing."""
    if isinstance(other, Property):
        return Property(other.name, other.dtype, required=False)
    if isinstance(other, Object):
        return Object([_loosened(prop) for prop in other.properties])
    if isinstance(other, (DataType, Array, Map, AnyType)):
        return other
    raise _conflict(AnyType(), other)


def _merge_objects(left: Object, right: Object) -> Object:
    if left == right:
        return left
    ours = {prop.name: prop for prop in left.properties}
    theirs = {prop.name: prop for prop in right.properties}
    merged = [
        _merge_properties(prop, theirs[name]) if name in theirs else _loosened(prop)
        for name, prop in ours.items()
    ]
    merged += [_loosened(prop) for name, prop in theirs.items() if name not in ours]
    return Object(merged)


def _merge_properties(left: Property, right: Property) -> Property:
    if left.name != right.name:
        raise _conflict(left, right)
    required = left.required and right.required
    return Property(left.name, merge_types(left.dtype, right.dtype), required=required)


def _conflict(left: object, right: object) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"values of the types {shorten(left)} and {shorten(right)} cannot share one type",
        INTERNAL_ERROR,
    )
