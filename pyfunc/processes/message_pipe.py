"""Messages between two processes over a pair of pipes: one JSON header, then raw buffers."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Sequence
from typing import Any

__all__ = ["MessagePipe"]

_LENGTHS = struct.Struct("<QQ")
_CHUNK = 1 << 20


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
        """
        length, total = _LENGTHS.unpack(self._read(_LENGTHS.size))
        header, sizes = json.loads(bytes(self._read(length)))
        content = self._read(total)
        buffers = []
        at = 0
        for size in sizes:
            buffers.append(content[at : at + size])
            at += size
        return header, buffers

    def _read(self, size: int) -> memoryview:
        content = memoryview(bytearray(size))
        at = 0
        while at < size:
            count = os.readv(self._readable, [content[at : at + _CHUNK]])
            if not count:
                raise EOFError("the other process has closed its end")
            at += count
        return content

    def close(self) -> None:
        """Close both descriptors; the other side sees the end of its input."""
        if not self._closed:
            self._closed = True
            os.close(self._readable)
            os.close(self._writable)
