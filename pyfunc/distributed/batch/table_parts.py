"""CSV read in parts, so that memory stays flat: each part is a CSV text of its own."""

from __future__ import annotations

import csv
import io
import re
import sys
from codecs import BOM_UTF8
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from pyfunc.errors import BAD_REQUEST, InvalidArgumentError

__all__ = ["csv_parts"]

_BLOCK = 1 << 20
_LINE_ENDS = re.compile(rb"[\r\n]*")
_BESIDE_QUOTES = np.isin(np.arange(256), [*b',"\r\n'])


def csv_parts(source: BinaryIO, rows: int) -> Iterator[bytes]:
    """Yield CSV texts of about ``rows`` rows, each with the first line of the whole.

    There is at least one, even of an empty source. A row is never cut, whatever its quoted
    cells hold: a part with line breaks in cells has fewer rows.
    """
    lines = _Lines(source)
    header = _take_header(lines)
    _check_separator(header)
    yield _completed(lines.take(rows, after=header), lines)
    while len(part := _completed(lines.take(rows, after=header), lines)) > len(header):
        if not _LINE_ENDS.fullmatch(part, len(header)):
            yield part
        del part  # before the next is there


class _Lines:
    """The lines of a source, taken many at a time without a look at each.

    No more is read than is asked for, but for the rest of a block that is there already.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._read = getattr(source, "read1", source.read)
        self._hold(b"")

    def take(self, count: int, *, after: bytes = b"") -> bytes:
        """Return the next ``count`` lines as one text, fewer where the source ends.

        They come ``after`` other lines.
        """
        taken = [after]
        while count > self._held:
            count -= self._held
            taken.append(self._block[self._begin :])
            if not self._hold(self._read(_BLOCK)):
                return b"".join(taken)
        taken.append(self._cut(count))
        return b"".join(taken)

    def _hold(self, block: bytes | None) -> bool:
        """Make it the block that lines are taken of; of most only how many it has is asked."""
        self._block, self._begin = block or b"", 0
        self._breaks = np.frombuffer(self._block, np.uint8) == ord("\n")
        self._held = int(np.count_nonzero(self._breaks))
        self._ends: npt.NDArray[np.intp] | None = None
        return bool(block)

    def _cut(self, count: int) -> bytes:
        if self._ends is None:
            self._ends = np.flatnonzero(self._breaks) + 1
        self._held -= count
        begin, self._begin = self._begin, int(self._ends[-1 - self._held])
        return self._block[begin : self._begin]


def _take_header(lines: _Lines) -> bytes:
    """Return the lines up to the end of the first record, without the mark before UTF-8."""
    header = line = lines.take(1).removeprefix(BOM_UTF8)
    while line and _LINE_ENDS.fullmatch(line):
        line = lines.take(1)
        header += line
    return _completed(header, lines)


def _check_separator(header: bytes) -> None:
    """Refuse a table whose columns other signs separate than commas."""
    for sign, name in ((b";", "semicolons"), (b"\t", "tabs")):
        if sign in header and not any(other in header for other in (b",", b'"')):
            raise InvalidArgumentError(
                f"the columns of the CSV are separated by {name}, not by commas\n"
                "hint: write it with commas, such as by pandas.DataFrame.to_csv",
                BAD_REQUEST,
            )


def _completed(taken: bytes, lines: _Lines) -> bytes:
    """Return ``taken`` with the lines after it that belong to its last record."""
    used = [taken]
    is_open = _ends_in_quotes(taken)
    while is_open and (line := lines.take(1)):
        used.append(line)
        is_open = _ends_in_quotes(line, begins_in_quotes=True)
    text = b"".join(used)
    return text if is_open is not None else _completed_by_reading(text, lines)


def _ends_in_quotes(text: bytes, *, begins_in_quotes: bool = False) -> bool | None:
    """Return whether lines end inside a quoted cell; None if a closer look has to say.

    Every second quote closes a cell, provided that each that opens one stands at its begin and
    each that closes one at its end; one that is doubled closes and opens it again.
    """
    if b'"' not in text:
        return begins_in_quotes
    codes = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(codes == ord('"'))
    opening, closing = quotes[begins_in_quotes::2], quotes[not begins_in_quotes :: 2]
    neighbours = np.concatenate([opening - 1, closing + 1])
    beside = codes.take(neighbours, mode="clip")  # beyond both ends is the quote itself
    return len(opening) + begins_in_quotes > len(closing) if _BESIDE_QUOTES[beside].all() else None


def _completed_by_reading(text: bytes, lines: _Lines) -> bytes:
    """Do the same for quotes that stand elsewhere, by Python's reader, which knows best.

    What it cannot read is not cut at all.
    """
    taken, used = io.BytesIO(text).readlines(), []

    def texts() -> Iterator[str]:
        for line in chain(taken, iter(partial(lines.take, 1), b"")):
            used.append(line)
            yield line.decode("latin-1")  # quotes and commas are what they are in UTF-8

    try:
        for _ in csv.reader(texts()):
            if len(used) >= len(taken):
                break
    except csv.Error:
        used += [*taken[len(used) :], lines.take(sys.maxsize)]
    return b"".join(used)
