"""Python values as JSON and raw buffers, for another process and without pickle.

A value becomes a tree of JSON values; arrays and other large contents lie beside it as
buffers, to which the tree refers by number. Only known types can be sent: what arrives is
built from the same closed list, so that neither side can make the other run code.
"""

from __future__ import annotations

import datetime
import decimal
import re
import uuid
from collections.abc import Callable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from pyfunc.errors import InvalidTypeError, shorten

__all__ = ["Buffers", "ValueReader", "ValueWriter"]

Buffers = list[Any]
"""Objects with the buffer protocol, contiguous."""

_PLAIN = frozenset({type(None), bool, int, float, str})
_UNSENDABLE_KINDS = "OV"
# Numbers, dates and text as numpy spells them; nothing whose bytes point elsewhere.
_DTYPE = re.compile(r"[<>|](?:[biufcSU]\d{1,9}|[mM]8(?:\[\d*[A-Za-z]{1,7}\])?)")


class ValueWriter:
    """Turns values into trees; ``buffers`` collects what the trees refer to."""

    def __init__(self) -> None:
        self.buffers: Buffers = []

    def write(self, value: Any) -> Any:
        """Return the tree of ``value``.

        Raises:
            InvalidTypeError: the value, or one inside it, is of a type that cannot be sent.
        """
        kind = type(value)
        if kind in _PLAIN:
            return value
        writer = _WRITERS.get(kind)
        if writer is not None:
            return writer(self, value)
        if isinstance(value, np.ndarray):
            return self.write_array(value)
        if isinstance(value, np.generic):
            return ["scalar", self.write_array(np.asarray(value))]
        return self._write_frame(value)

    def _write_frame(self, value: Any) -> Any:
        from pyfunc.processes.wire_frames import write_pandas

        tree = write_pandas(self, value)
        if tree is None:
            raise InvalidTypeError(
                f"a value of type {type(value).__module__}.{type(value).__qualname__} cannot be "
                f"sent to or from an isolated model: {shorten(value)}\nhint: use frames, "
                "arrays, or lists and dicts of plain values"
            )
        return tree

    def add_buffer(self, content: Any) -> int:
        """Keep ``content`` as a buffer and return its number."""
        self.buffers.append(content)
        return len(self.buffers) - 1

    def write_array(self, array: np.ndarray[Any, Any]) -> Any:
        """Return the tree of an array; numeric contents are not copied if contiguous."""
        if type(array) is np.ma.MaskedArray:
            mask = np.ma.getmaskarray(array)
            return ["masked", self.write_array(array.data), self.write_array(np.asarray(mask))]
        if array.dtype.kind in _UNSENDABLE_KINDS:
            if array.dtype.kind == "V":
                raise InvalidTypeError("a structured array cannot be sent to an isolated model")
            return ["objects", list(array.shape), self._write_items(array.ravel().tolist())]
        contiguous = np.ascontiguousarray(array)
        # Dates have no buffer protocol of their own.
        plain = contiguous.view("i8") if array.dtype.kind in "mM" else contiguous
        shape = list(array.shape)
        return ["array", array.dtype.str, shape, self.add_buffer(plain.reshape(-1).view("u1"))]

    def _write_items(self, values: Sequence[Any]) -> list[Any]:
        if _PLAIN.issuperset(map(type, values)):
            return list(values)
        return [self.write(value) for value in values]

    def _write_list(self, value: list[Any]) -> Any:
        return ["list", self._write_items(value)]

    def _write_tuple(self, value: tuple[Any, ...]) -> Any:
        return ["tuple", self._write_items(value)]

    def _write_set(self, value: set[Any]) -> Any:
        return ["set", self._write_items(list(value))]

    def _write_dict(self, value: dict[Any, Any]) -> Any:
        if all(type(key) is str for key in value):
            return {key: self.write(item) for key, item in value.items()}
        return ["dict", self._write_items(list(value)), self._write_items(list(value.values()))]

    def _write_bytes(self, value: bytes | bytearray) -> Any:
        return [type(value).__name__, self.add_buffer(value)]

    def _write_datetime(self, value: datetime.datetime) -> Any:
        key = getattr(value.tzinfo, "key", None)
        return ["datetime", value.isoformat(), value.fold, key]

    def _write_text(self, value: Any) -> Any:
        return [_TEXT_TYPES[type(value)], str(value)]

    def _write_timedelta(self, value: datetime.timedelta) -> Any:
        return ["timedelta", value.days, value.seconds, value.microseconds]

    def _write_complex(self, value: complex) -> Any:
        return ["complex", value.real, value.imag]


_TEXT_TYPES: dict[type, str] = {
    datetime.date: "date",
    datetime.time: "time",
    decimal.Decimal: "decimal",
    uuid.UUID: "uuid",
}

_WRITERS: dict[type, Callable[[ValueWriter, Any], Any]] = {
    list: ValueWriter._write_list,
    tuple: ValueWriter._write_tuple,
    set: ValueWriter._write_set,
    dict: ValueWriter._write_dict,
    bytes: ValueWriter._write_bytes,
    bytearray: ValueWriter._write_bytes,
    datetime.datetime: ValueWriter._write_datetime,
    datetime.timedelta: ValueWriter._write_timedelta,
    complex: ValueWriter._write_complex,
    **dict.fromkeys(_TEXT_TYPES, ValueWriter._write_text),
}


def _check_shape(shape: list[int]) -> list[int]:
    if not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError(f"no array has the shape {shorten(shape)}")
    return shape


def _check_at_most(numbers: np.ndarray[Any, Any], limit: int) -> None:
    if numbers.size and numbers.max() > limit:
        raise ValueError("an array holds bytes that are no value of its dtype")


class ValueReader:
    """Builds the values again from trees and ``buffers``."""

    def __init__(self, buffers: Sequence[Any]) -> None:
        self._buffers: list[Any] = list(buffers)

    def take_buffer(self, number: int) -> Any:
        """Return a buffer, once: many values of one large buffer are not what was written.

        Raises:
            ValueError: there is no such buffer, or it was taken.
        """
        if type(number) is not int or not 0 <= number < len(self._buffers):
            raise ValueError(f"there is no buffer {shorten(number)}")
        found, self._buffers[number] = self._buffers[number], None
        if found is None:
            raise ValueError(f"buffer {number} is named twice")
        return found

    def read(self, tree: Any) -> Any:
        """Return the value of ``tree``; arrays are writable and share no memory.

        Raises:
            ValueError: the tree was not written by a :class:`ValueWriter`.
        """
        kind = type(tree)
        if kind in _PLAIN:
            return tree
        if kind is dict:
            return {key: self.read(item) for key, item in tree.items()}
        reader = _READERS.get(tree[0])
        if reader is not None:
            return reader(self, *tree[1:])
        from pyfunc.processes.wire_frames import read_pandas

        return read_pandas(self, tree)

    def read_items(self, trees: list[Any]) -> list[Any]:
        """Return the values of a list of trees."""
        return [self.read(tree) if type(tree) in (list, dict) else tree for tree in trees]

    def read_array(self, tree: Any) -> np.ndarray[Any, Any]:
        """Return the array of a tree that :meth:`ValueWriter.write_array` wrote."""
        array = self.read(tree)
        if not isinstance(array, np.ndarray):
            raise ValueError(f"expected an array, got {type(array).__name__}")  # noqa: TRY004
        return array

    def _read_array(self, dtype: object, shape: list[int], buffer: int) -> np.ndarray[Any, Any]:
        if not isinstance(dtype, str) or not _DTYPE.fullmatch(dtype):
            raise ValueError(f"arrays of {shorten(dtype)} are not sent")
        array = np.frombuffer(bytearray(self.take_buffer(buffer)), np.dtype(dtype))
        if array.dtype.kind == "U":
            _check_at_most(array.view(f"{dtype[0]}u4"), 0x10FFFF)
        if array.dtype.kind == "b":
            _check_at_most(array.view("u1"), 1)
        return array.reshape(_check_shape(shape))

    def _read_objects(self, shape: list[int], trees: list[Any]) -> np.ndarray[Any, Any]:
        array = np.empty(len(trees), object)
        array[:] = self.read_items(trees)
        return array.reshape(_check_shape(shape))

    def _read_masked(self, data: Any, mask: Any) -> Any:
        return np.ma.MaskedArray(self.read_array(data), self.read_array(mask))

    def _read_scalar(self, tree: Any) -> Any:
        return self.read_array(tree)[()]

    def _read_list(self, trees: list[Any]) -> list[Any]:
        return self.read_items(trees)

    def _read_tuple(self, trees: list[Any]) -> tuple[Any, ...]:
        return tuple(self.read_items(trees))

    def _read_set(self, trees: list[Any]) -> set[Any]:
        return set(self.read_items(trees))

    def _read_dict(self, keys: list[Any], values: list[Any]) -> dict[Any, Any]:
        return dict(zip(self.read_items(keys), self.read_items(values), strict=True))

    def _read_bytes(self, buffer: int) -> bytes:
        return bytes(self.take_buffer(buffer))

    def _read_bytearray(self, buffer: int) -> bytearray:
        return bytearray(self.take_buffer(buffer))

    def _read_datetime(self, text: str, fold: int, key: str | None) -> datetime.datetime:
        value = datetime.datetime.fromisoformat(text).replace(fold=fold)
        return value if key is None else value.replace(tzinfo=ZoneInfo(key))

    def _read_date(self, text: str) -> datetime.date:
        return datetime.date.fromisoformat(text)

    def _read_time(self, text: str) -> datetime.time:
        return datetime.time.fromisoformat(text)

    def _read_timedelta(self, days: int, seconds: int, microseconds: int) -> datetime.timedelta:
        return datetime.timedelta(days, seconds, microseconds)

    def _read_decimal(self, text: str) -> decimal.Decimal:
        return decimal.Decimal(text)

    def _read_uuid(self, text: str) -> uuid.UUID:
        return uuid.UUID(text)

    def _read_complex(self, real: float, imaginary: float) -> complex:
        return complex(real, imaginary)


_READERS: dict[str, Callable[..., Any]] = {
    "array": ValueReader._read_array,
    "bytearray": ValueReader._read_bytearray,
    "bytes": ValueReader._read_bytes,
    "complex": ValueReader._read_complex,
    "date": ValueReader._read_date,
    "datetime": ValueReader._read_datetime,
    "decimal": ValueReader._read_decimal,
    "dict": ValueReader._read_dict,
    "list": ValueReader._read_list,
    "masked": ValueReader._read_masked,
    "objects": ValueReader._read_objects,
    "scalar": ValueReader._read_scalar,
    "set": ValueReader._read_set,
    "time": ValueReader._read_time,
    "timedelta": ValueReader._read_timedelta,
    "tuple": ValueReader._read_tuple,
    "uuid": ValueReader._read_uuid,
}
