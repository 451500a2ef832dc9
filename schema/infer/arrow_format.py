"""Read the C structures behind Arrow's PyCapsule interface: types, names and null counts.

Only what the interface's specification fixes is used, so that no Arrow library is needed.
Values are never read; every structure is released, also after an error.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pyfunc.errors import InvalidArgumentError

__all__ = ["ArrowField", "ArrowTable", "read_arrow"]

_NULLABLE = 2
_MAX_DEPTH = 64


class _CSchema(ctypes.Structure):
    pass


class _CArray(ctypes.Structure):
    pass


class _CStream(ctypes.Structure):
    pass


_CSchema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_void_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(_CSchema))),
    ("dictionary", ctypes.POINTER(_CSchema)),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(_CSchema))),
    ("private_data", ctypes.c_void_p),
]
_CArray._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_CArray))),
    ("dictionary", ctypes.POINTER(_CArray)),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(_CArray))),
    ("private_data", ctypes.c_void_p),
]
_CStream._fields_ = [
    ("get_schema", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_CStream), ctypes.c_void_p)),
    ("get_next", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_CStream), ctypes.c_void_p)),
    ("get_last_error", ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.POINTER(_CStream))),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(_CStream))),
    ("private_data", ctypes.c_void_p),
]


@dataclass(frozen=True, slots=True)
class ArrowField:
    """One field of an Arrow schema.

    Attributes:
        name: empty for the top of a column without a name.
        format: the type, as a format string of the C data interface.
        nullable: whether the schema allows nulls.
        children: the fields of a struct, list or map.
        dictionary: the field of the values if this one holds indices into them.
    """

    name: str
    format: str
    nullable: bool
    children: tuple[ArrowField, ...]
    dictionary: ArrowField | None


@dataclass(frozen=True, slots=True)
class ArrowTable:
    """What a capsule tells: its field, the number of rows and which columns have nulls.

    Attributes:
        field: a struct for a table, another type for a single column.
        length: rows over all batches.
        nulls: the number of nulls of each child of a struct, or of the single column.
    """

    field: ArrowField
    length: int
    nulls: tuple[int, ...]


def read_arrow(value: Any) -> ArrowTable:
    """Return what the capsule of a table or column says; one pass over its batches.

    Raises:
        InvalidArgumentError: the producer reports an error.
    """
    if hasattr(value, "__arrow_c_stream__"):
        return _read_stream(value.__arrow_c_stream__())
    schema_capsule, array_capsule = value.__arrow_c_array__()
    schema = _pointer(schema_capsule, b"arrow_schema", _CSchema).contents
    array = _pointer(array_capsule, b"arrow_array", _CArray).contents
    field = _read_field(schema, 0)
    # The capsules' own destructors release both structures.
    return ArrowTable(field, array.length, tuple(_count_nulls(array, field)))


def _pointer(capsule: object, name: bytes, structure: Any) -> Any:
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return ctypes.cast(get(capsule, name), ctypes.POINTER(structure))


def _read_stream(capsule: object) -> ArrowTable:
    stream = _pointer(capsule, b"arrow_array_stream", _CStream)
    with _released(_CSchema()) as schema:
        _check(stream, stream.contents.get_schema(stream, ctypes.addressof(schema)))
        field = _read_field(schema, 0)
    length, nulls = 0, [0] * max(1, len(field.children) if field.format == "+s" else 1)
    for batch in _batches(stream):
        length += batch.length
        nulls = [a + b for a, b in zip(nulls, _count_nulls(batch, field), strict=False)]
    return ArrowTable(field, length, tuple(nulls))


def _batches(stream: Any) -> Iterator[Any]:
    while True:
        with _released(_CArray()) as batch:
            _check(stream, stream.contents.get_next(stream, ctypes.addressof(batch)))
            if not batch.release:
                return
            yield batch


@contextmanager
def _released(structure: Any) -> Iterator[Any]:
    try:
        yield structure
    finally:
        if structure.release:
            structure.release(ctypes.byref(structure))


def _check(stream: Any, code: int) -> None:
    if code:
        detail = stream.contents.get_last_error(stream) or b""
        raise InvalidArgumentError(
            f"the Arrow stream cannot be read, error {code}: {detail.decode('utf-8', 'replace')}"
        )


def _read_field(schema: Any, depth: int) -> ArrowField:
    if depth > _MAX_DEPTH:
        raise InvalidArgumentError(f"Arrow types are nested deeper than {_MAX_DEPTH} levels")
    children = [
        _read_field(schema.children[i].contents, depth + 1) for i in range(schema.n_children)
    ]
    dictionary = _read_field(schema.dictionary.contents, depth + 1) if schema.dictionary else None
    return ArrowField(
        name=(schema.name or b"").decode("utf-8", "replace"),
        format=(schema.format or b"").decode("utf-8", "replace"),
        nullable=bool(schema.flags & _NULLABLE),
        children=tuple(children),
        dictionary=dictionary,
    )


def _count_nulls(array: Any, field: ArrowField) -> list[int]:
    """Return the nulls of each child of a struct, else those of the array itself."""
    if field.format != "+s":
        return [_nulls(array, field.format)]
    return [
        _nulls(array.children[i].contents, child.format, array.offset, array.length)
        for i, child in enumerate(field.children)
    ]


def _nulls(array: Any, word: str, offset: int = 0, length: int | None = None) -> int:
    """Return the number of nulls in ``length`` values from ``offset`` on."""
    length = array.length if length is None else length
    if word == "n":
        return int(length)
    if array.null_count == 0 or not array.n_buffers or not array.buffers[0]:
        return 0
    if array.null_count > 0 and length == array.length:
        return int(array.null_count)
    start = array.offset + offset
    size = (start + length + 7) // 8
    bits = int.from_bytes(ctypes.string_at(array.buffers[0], size), "little") >> start
    return int(length - (bits & ((1 << length) - 1)).bit_count())
