"""The scalar types: one row of facts for each, and what counts as no value at all."""

from __future__ import annotations

import datetime as dt
import importlib
import sys
from dataclasses import dataclass
from enum import Enum
from types import ModuleType

import numpy as np

from pyfunc.errors import INTERNAL_ERROR, InvalidArgumentError, MissingDependencyError, shorten

__all__ = [
    "FACTS",
    "TYPE_OF_CLASS",
    "DataType",
    "TypeFacts",
    "import_spark_types",
    "is_arrow",
    "is_missing",
    "missing_classes",
    "parse_data_type",
]


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

    def to_numpy(self) -> np.dtype[np.generic]:
        """Return the numpy dtype; text and bytes have no fixed width."""
        return FACTS[self].numpy

    def to_pandas(self) -> np.dtype[np.generic] | type:
        """Return the dtype of a pandas column; ``object`` for text and bytes."""
        return object if FACTS[self].numpy.kind in "US" else FACTS[self].numpy

    def to_python(self) -> type:
        """Return the Python class of one value."""
        return FACTS[self].python

    def to_spark(self) -> object:
        """Return an instance of the Spark type.

        Raises:
            MissingDependencyError: pyspark is not installed.
        """
        return getattr(import_spark_types(), FACTS[self].spark)()

    @classmethod
    def all_types(cls) -> list[DataType]:
        """Return all members in declared order."""
        return list(cls)

    @classmethod
    def check_type(cls, data_type: DataType, value: object) -> bool:
        """Return whether ``value`` is of ``data_type``, by its exact class."""
        return type(value) in FACTS[data_type].classes

    @classmethod
    def from_numpy_type(cls, np_type: object) -> DataType | None:
        """Return the first member whose numpy dtype equals ``np_type``, or None."""
        return next((member for member in cls if FACTS[member].numpy == np_type), None)

    @classmethod
    def get_spark_types(cls) -> list[object]:
        """Return an instance of the Spark type of each member, in declared order."""
        return [member.to_spark() for member in cls]


@dataclass(frozen=True, slots=True)
class TypeFacts:
    """What is true of one scalar type.

    Attributes:
        numpy: the dtype of an array of it.
        nullable: pandas' dtype for a column with nulls, where numpy's has none.
        python: the class of one value as plain Python.
        classes: the exact classes whose instances are values; inference goes by them.
        element: the class that every element of a list has after enforcement; None for
            datetimes, which become Timestamps of pandas.
        params: the exact classes that a parameter takes; none for datetimes, which numpy reads,
            and for bytes, which no parameter has.
        spark: the name of the type in ``pyspark.sql.types``.
    """

    numpy: np.dtype[np.generic]
    nullable: str | None
    python: type
    classes: frozenset[type]
    element: type | None
    params: frozenset[type]
    spark: str


_INTEGERS = frozenset({int, np.int32})
_LONGS = _INTEGERS | {np.int64, np.longlong}
_SINGLES = frozenset({float, np.float32})
_DOUBLES = frozenset({float, np.float64})
_FLOATS = _LONGS | _SINGLES
_BYTES = frozenset({bytes, np.bytes_, bytearray, object})
_DATES = frozenset({dt.date, dt.datetime, np.datetime64})

_TRUTHS = frozenset({bool, np.bool_})
_TEXTS = frozenset({str, np.str_})

# numpy, nullable, python, classes, element, params, spark
FACTS: dict[DataType, TypeFacts] = {
    DataType.boolean: TypeFacts(
        np.dtype("bool"), "boolean", bool, _TRUTHS, bool, _TRUTHS, "BooleanType"
    ),
    DataType.integer: TypeFacts(
        np.dtype("int32"), "Int32", int, _INTEGERS, np.int32, _INTEGERS, "IntegerType"
    ),
    DataType.long: TypeFacts(
        np.dtype("int64"), "Int64", int, frozenset({int, np.int64}), int, _LONGS, "LongType"
    ),
    DataType.float: TypeFacts(
        np.dtype("float32"), None, float, _SINGLES, np.float32, _FLOATS, "FloatType"
    ),
    DataType.double: TypeFacts(
        np.dtype("float64"), None, float, _DOUBLES, float, _FLOATS | _DOUBLES, "DoubleType"
    ),
    DataType.string: TypeFacts(
        np.dtype("str"), None, str, _TEXTS | {object}, str, _TEXTS, "StringType"
    ),
    DataType.binary: TypeFacts(
        np.dtype("bytes"), None, bytes, _BYTES, bytes, frozenset(), "BinaryType"
    ),
    DataType.datetime: TypeFacts(
        np.dtype("datetime64[ns]"), None, dt.date, _DATES, None, frozenset(), "TimestampType"
    ),
}

TYPE_OF_CLASS: dict[type, DataType] = {
    **{cls: member for member in DataType for cls in FACTS[member].classes},
    object: DataType.string,
}
"""The type of a value by its exact class; Python numbers get the widest type that has them."""


_PRESENT = frozenset({str, int, bool, bytes, dict, list, tuple, np.ndarray})


def missing_classes() -> frozenset[type]:
    """Return the classes of None and, if pandas is loaded, of its NA and NaT."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not hasattr(pandas, "NaT"):
        return frozenset({type(None)})
    return frozenset({type(None), type(pandas.NA), type(pandas.NaT)})


def is_missing(value: object) -> bool:
    """Return whether ``value`` stands for no value: None, NA, NaT, or NaN of any float class."""
    kind = type(value)
    if kind in _PRESENT:  # the usual case, and the loops over elements are long
        return False
    if isinstance(value, (float, np.floating, np.datetime64)):
        return bool(value != value)  # noqa: PLR0124 - the test for NaN and numpy's NaT
    return kind in missing_classes()


def is_arrow(data: object) -> bool:
    """Return whether ``data`` is a table or a column by the Arrow PyCapsule interface."""
    kind = type(data)  # a class has its methods, too, but no data
    return hasattr(kind, "__arrow_c_stream__") or hasattr(kind, "__arrow_c_array__")


def import_spark_types() -> ModuleType:
    """Return the module with Spark's types.

    Raises:
        MissingDependencyError: pyspark is not installed.
    """
    try:
        return importlib.import_module("pyspark.sql.types")
    except ImportError as error:
        raise MissingDependencyError(
            "a Spark schema", "pip install 'pyfunc-format[spark]'"
        ) from error


def parse_data_type(name: str, error_code: str = INTERNAL_ERROR) -> DataType:
    """Return the scalar type called ``name``.

    Raises:
        InvalidArgumentError: there is none; with ``error_code``.
    """
    try:
        return DataType[name]
    except KeyError:
        names = ", ".join(DataType.__members__)
        raise InvalidArgumentError(
            f"unknown type {shorten(name)}, expected one of {names}", error_code
        ) from None
