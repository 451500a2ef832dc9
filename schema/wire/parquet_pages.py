"""The heads of the pages of a parquet file: what pyarrow goes by, whatever the footer says.

A head is a struct in Thrift's compact protocol. Only the few numbers that bound what a page
becomes are kept of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Page", "read_pages"]

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)
_DEEPEST = 8
_KIND, _EXPANDED, _LENGTH = 1, 2, 3  # fields of a head
_DATA, _DICTIONARY_PAGE, _DATA_V2 = 5, 7, 8  # the struct of each kind of page in a head
_VALUES, _ENCODING, _ENCODING_V2 = 1, 2, 4  # fields of those

_Fields = dict[int, "int | _Fields"]


class Page(NamedTuple):
    """What the head of a page says.

    Attributes:
        expanded: the bytes of the page once it is decompressed.
        values: how many it holds; 0 for a page that is no data of the column.
        entries: how many values a dictionary has; 0 for any other page.
        encoding: the number of the encoding of its values.
    """

    expanded: int
    values: int
    entries: int
    encoding: int


def read_pages(body: bytes, start: int, values: int) -> Iterator[Page]:
    """Yield the pages from ``start`` on until they have so many values.

    Raises:
        ValueError: something there is no page.
    """
    while values > 0:
        cursor = _Cursor(body, start)
        page, length = _page_of(cursor.read_struct())
        start = cursor.at + length
        if start > len(body):
            raise ValueError("a page ends behind the end of the file")
        values -= page.values
        yield page


def _page_of(head: _Fields) -> tuple[Page, int]:
    expanded, length = _number(head, _EXPANDED), _number(head, _LENGTH)
    data = _fields(head, _DATA if _DATA in head else _DATA_V2)
    dictionary = _fields(head, _DICTIONARY_PAGE)
    values = _number(data, _VALUES) if data else 0
    entries = _number(dictionary, _VALUES) if dictionary else 0
    encoding = _number(data, _ENCODING if _DATA in head else _ENCODING_V2) if data else 0
    if entries > expanded:
        raise ValueError("a dictionary has more entries than bytes")
    return Page(expanded, values, entries, encoding), length


def _fields(head: _Fields, key: int) -> _Fields:
    found = head.get(key, {})
    return found if isinstance(found, dict) else {}


def _number(fields: _Fields, key: int) -> int:
    found = fields.get(key)
    if not isinstance(found, int) or found < 0:
        raise ValueError("the head of a page is malformed")
    return found


class _Cursor:
    """Reads the compact protocol from a place on."""

    def __init__(self, body: bytes, at: int) -> None:
        self._body = body
        self.at = at

    def read_struct(self, depth: int = 0) -> _Fields:
        """Return the numbers and structs of a struct by their field."""
        if depth > _DEEPEST:
            raise ValueError("the head of a page is nested too deeply")
        fields: _Fields = {}
        key = 0
        while kind := self._byte():
            key = key + (kind >> 4) if kind >> 4 else self._integer()
            found = self._value(kind & 15, depth)
            if found is not None:
                fields[key] = found
        return fields

    def _value(self, kind: int, depth: int) -> int | _Fields | None:
        if kind in _INTEGERS:
            return self._integer()
        if kind == _STRUCT:
            return self.read_struct(depth + 1)
        if kind in (_LIST, _SET):
            self._skip_list(depth)
        elif kind not in (_TRUE, _FALSE):
            self._skip({_BYTE: 1, _DOUBLE: 8}.get(kind, 0) if kind != _BINARY else self._varint())
            if kind not in (_BYTE, _DOUBLE, _BINARY):
                raise ValueError("the head of a page is malformed")
        return None

    def _skip_list(self, depth: int) -> None:
        head = self._byte()
        length = head >> 4 if head >> 4 < 15 else self._varint()
        for _ in range(length):
            if head & 15 in (_TRUE, _FALSE):
                self._skip(1)
            else:
                self._value(head & 15, depth + 1)

    def _skip(self, length: int) -> None:
        self.at += length
        if self.at > len(self._body):
            raise ValueError("the head of a page ends behind the end of the file")

    def _byte(self) -> int:
        self._skip(1)
        return self._body[self.at - 1]

    def _varint(self) -> int:
        found = shift = 0
        while True:
            byte = self._byte()
            found |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return found
            if shift > 63:
                raise ValueError("the head of a page holds a number that is too long")

    def _integer(self) -> int:
        number = self._varint()
        return (number >> 1) ^ -(number & 1)
