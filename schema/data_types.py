"""The scalar types, and what each of them is called elsewhere: one table a question."""

from __future__ import annotations

import builtins
import datetime as dt
from enum import Enum
from typing import Any

import numpy as np

from pyfunc.errors import INTERNAL_ERROR, InvalidArgumentError, MissingDependencyError, shorten

__all__ = ["DataType", "accepted_classes", "import_spark_types", "parse_data_type"]


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
