"""Messages between two processes over a pair of pipes: one JSON header, then raw buffers."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Sequence
from typing import Any

__all__ = ["MAX_CONTENT", "MAX_HEADER", "MessagePipe"]

_LENGTHS = struct.Struct("<QQ")
_CHUNK = 1 << 20

MAX_HEADER = 1 << 30
"""Bytes of the header of one message."""

MAX_CONTENT = 1 << 40
"""Bytes of all buffers of one message; memory is taken for what arrives, not for what is said."""


class MessagePipe:
    """Two file descriptors, one to read from and one to write to; it owns both."""

    def __init__(self, readable: int, writable: int) -> None:
        self._readable = readable
        self._writable = writable
        self._closed = False

    def send(self, header: dict[str, Any], buffers: Sequence[Any] = ()) -> None:
        """Write one message.

        Raises:
            OSError: the other side is gone.
        """
        views = [memoryview(buffer).cast("B") for buffer in buffers]
        text = json.dumps([header, [len(view) for view in views]]).encode()
        total = sum(len(view) for view in views)
        for view in (memoryview(_LENGTHS.pack(len(text), total) + text), *views):
            self._write(view)

    def _write(self, view: memoryview) -> None:
        while view:
            view = view[os.write(self._writable, view[:_CHUNK]) :]

    def receive(self) -> tuple[dict[str, Any], list[memoryview]]:
        """Return the next message, waiting for it.

        Raises:
            EOFError: the other side is gone.
            ValueError: what arrived is no message.
        """
        length, total = _LENGTHS.unpack(self._read(_LENGTHS.size))
        if length > MAX_HEADER or total > MAX_CONTENT:
            raise ValueError(f"a message of {length} and {total} bytes is too large")
        header, sizes = _parse_header(self._read(length), total)
        content = memoryview(self._read(total))
        buffers = []
        at = 0
        for size in sizes:
            buffers.append(content[at : at + size])
            at += size
        return header, buffers

    def _read(self, size: int) -> bytearray:
        content = bytearray()
        while len(content) < size:
            at = len(content)
            # Doubled, so that what has arrived is copied a few times only.
            content.extend(bytes(min(size - at, max(at, _CHUNK))))
            self._fill(memoryview(content)[at:])
        return content

    def _fill(self, view: memoryview) -> None:
        while view:
            count = os.readv(self._readable, [view[:_CHUNK]])
            if not count:
                raise EOFError("the other process has closed its end")
            view = view[count:]

    def close(self) -> None:
        """Close both descriptors; the other side sees the end of its input."""
        if not self._closed:
            self._closed = True
            os.close(self._readable)
            os.close(self._writable)


def _parse_header(text: bytearray, total: int) -> tuple[dict[str, Any], list[int]]:
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("a header is nested too deeply") from error
    match found:
        case [dict(header), list(sizes)] if all(type(n) is int and n >= 0 for n in sizes):
            if sum(sizes) == total:
                return header, sizes
    raise ValueError("a header is not of an object and the sizes of what follows")
