"""The types that a column, an element or a parameter can have, as MLflow writes them.

Values only: constructors check their arguments, ``to_dict`` gives the JSON form. Reading
JSON is the work of :mod:`pyfunc.schema.type_json`, merging that of
:mod:`pyfunc.schema.infer.type_merging`.
"""

from __future__ import annotations

import builtins
import datetime as dt
from enum import Enum
from functools import total_ordering
from typing import Any, TypeAlias, Union

import numpy as np

from pyfunc.errors import (
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    InvalidArgumentError,
    MissingDependencyError,
    shorten,
)

__all__ = [
    "MAX_DEPTH",
    "AnyType",
    "Array",
    "BaseType",
    "ColumnType",
    "DataType",
    "Map",
    "Object",
    "Property",
    "SparkMLVector",
]

MAX_DEPTH = 128
"""How deep types may be nested; deeper ones could not be walked without a stack overflow."""

MAX_NODES = 1 << 20
"""How many types one type may consist of; parts that are shared count each time."""


class DataType(Enum):
    """A scalar type; the members' values are MLflow's and are what pickles hold."""

    boolean = 1
    integer = 2
    long = 3
    float = 4
    double = 5
    string = 6
    binary = 7
    datetime = 8

    def __repr__(self) -> str:
        return self.name

    def to_numpy(self) -> np.dtype[Any]:
        """Return the numpy dtype; text and bytes have no fixed width."""
        return _NUMPY[self]

    def to_pandas(self) -> np.dtype[Any] | type:
        """Return the dtype of a pandas column; ``object`` for text and bytes."""
        return _PANDAS.get(self, _NUMPY[self])

    def to_python(self) -> type:
        """Return the Python class of one value."""
        return _PYTHON[self]

    def to_spark(self) -> Any:
        """Return an instance of the Spark type.

        Raises:
            MissingDependencyError: pyspark is not installed.
        """
        return getattr(import_spark_types(), _SPARK[self])()

    @classmethod
    def all_types(cls) -> list[DataType]:
        """Return all members in declared order."""
        return list(cls)

    @classmethod
    def check_type(cls, data_type: DataType, value: object) -> bool:
        """Return whether ``value`` is of ``data_type``, by its exact class."""
        return type(value) in _ACCEPTED[data_type]

    @classmethod
    def from_numpy_type(cls, np_type: object) -> DataType | None:
        """Return the first member whose numpy dtype equals ``np_type``, or None."""
        return next((member for member, dtype in _NUMPY.items() if dtype == np_type), None)

    @classmethod
    def get_spark_types(cls) -> list[Any]:
        """Return an instance of the Spark type of each member, in declared order."""
        return [member.to_spark() for member in cls]


_NUMPY: dict[DataType, np.dtype[Any]] = {
    DataType.boolean: np.dtype("bool"),
    DataType.integer: np.dtype("int32"),
    DataType.long: np.dtype("int64"),
    DataType.float: np.dtype("float32"),
    DataType.double: np.dtype("float64"),
    DataType.string: np.dtype("str"),
    DataType.binary: np.dtype("bytes"),
    DataType.datetime: np.dtype("datetime64[ns]"),
}
_PANDAS: dict[DataType, type] = {DataType.string: object, DataType.binary: object}
_PYTHON: dict[DataType, type] = {
    DataType.boolean: bool,
    DataType.integer: int,
    DataType.long: int,
    DataType.float: builtins.float,
    DataType.double: builtins.float,
    DataType.string: str,
    DataType.binary: bytes,
    DataType.datetime: dt.date,
}
_ACCEPTED: dict[DataType, frozenset[type]] = {
    DataType.boolean: frozenset({bool, np.bool_}),
    DataType.integer: frozenset({int, np.int32}),
    DataType.long: frozenset({int, np.int64}),
    DataType.float: frozenset({builtins.float, np.float32}),
    DataType.double: frozenset({builtins.float, np.float64}),
    DataType.string: frozenset({str, np.str_, object}),
    DataType.binary: frozenset({bytes, np.bytes_, bytearray, object}),
    DataType.datetime: frozenset({dt.date, dt.datetime, np.datetime64}),
}
_SPARK: dict[DataType, str] = {
    DataType.boolean: "BooleanType",
    DataType.integer: "IntegerType",
    DataType.long: "LongType",
    DataType.float: "FloatType",
    DataType.double: "DoubleType",
    DataType.string: "StringType",
    DataType.binary: "BinaryType",
    DataType.datetime: "TimestampType",
}


def accepted_classes(data_type: DataType) -> frozenset[type]:
    """Return the exact classes whose instances are values of ``data_type``."""
    return _ACCEPTED[data_type]


def import_spark_types() -> Any:
    """Return the module with Spark's types.

    Raises:
        MissingDependencyError: pyspark is not installed.
    """
    try:
        import pyspark.sql.types  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise MissingDependencyError(
            "a Spark schema", "pip install 'pyfunc-format[spark]'"
        ) from error
    return pyspark.sql.types


class BaseType:
    """What all nested types share: equality by content, no hash."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form as a new dict."""
        raise NotImplementedError

    def __repr__(self) -> str:
        raise NotImplementedError

    def _merge(self, other: Any) -> Any:
        from pyfunc.schema.infer.type_merging import merge_types

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


def parse_data_type(name: str) -> DataType:
    """Return the scalar type called ``name``.

    Raises:
        InvalidArgumentError: there is none.
    """
    try:
        return DataType[name]
    except KeyError:
        names = ", ".join(DataType.__members__)
        raise InvalidArgumentError(
            f"unknown type {shorten(name)}, expected one of {names}", INTERNAL_ERROR
        ) from None


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

    def to_dict(self) -> dict[str, Any]:
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
    def from_json_dict(cls, /, **kwargs: Any) -> BaseType:
        """Return the property of ``name={"type": ..., "required": ...}``, the only argument.

        A type of ``sparkml_vector`` gives the bare vector, as in MLflow.
        """
        from pyfunc.schema.type_json import read_property

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

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"type": "object", "properties": {...}}``."""
        merged: dict[str, Any] = {}
        for prop in self.properties:
            merged.update(prop.to_dict())
        return {"type": "object", "properties": merged}

    def __repr__(self) -> str:
        return "{" + ", ".join([repr(p) for p in self.properties]) + "}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Object) and self.properties == other.properties

    @classmethod
    def from_json_dict(cls, /, **kwargs: Any) -> Object:
        """Return the object of ``type="object", properties={...}``."""
        from pyfunc.schema.type_json import read_object

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
        twice = sorted({name for name in names if names.count(name) > 1})
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

    def to_dict(self) -> dict[str, Any]:
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
    def from_json_dict(cls, /, **kwargs: Any) -> Array:
        """Return the array of ``type="array", items={...}``."""
        from pyfunc.schema.type_json import read_array

        return read_array(kwargs)


class SparkMLVector(Array):
    """A vector of Spark ML: an array of doubles with a type word of its own."""

    def __init__(self) -> None:
        super().__init__(DataType.double)

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"type": "sparkml_vector"}``."""
        return {"type": "sparkml_vector"}

    def __repr__(self) -> str:
        return "SparkML vector"

    @classmethod
    def from_json_dict(cls, /, **kwargs: Any) -> SparkMLVector:
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

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"type": "map", "values": {...}}``."""
        return {"type": "map", "values": type_dict(self.value_type)}

    def __repr__(self) -> str:
        return f"Map(str -> {self.value_type!s})"  # MLflow's form: a member as DataType.long

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Map) and self.value_type == other.value_type

    @classmethod
    def from_json_dict(cls, /, **kwargs: Any) -> BaseType:
        """Return the map of ``type="map", values={...}``.

        Values of type ``sparkml_vector`` give the bare vector, as in MLflow.
        """
        from pyfunc.schema.type_json import read_map

        found = read_map(kwargs)
        return found.value_type if isinstance(found.value_type, SparkMLVector) else found


class AnyType(BaseType):
    """A value of which nothing is known or checked."""

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"type": "any"}``."""
        return {"type": "any"}

    def __repr__(self) -> str:
        return "Any"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnyType)


def type_dict(dtype: ColumnType) -> dict[str, Any]:
    """Return the JSON form of a type; ``{"type": "long"}`` for a scalar."""
    return {"type": dtype.name} if isinstance(dtype, DataType) else dtype.to_dict()
