"""How much one request may become, looked at in its bytes before anything is made of them.

A body is small and what it stands for may be large: rows of many different keys, a dictionary in
a parquet file, a header of many names over short lines. What a form can become is bounded here,
once for each form; reading the values is the work of the modules beside this one.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from pyfunc.errors import InvalidArgumentError
from pyfunc.schema.wire.json_cells import MOST_TEXT_BYTES
from pyfunc.schema.wire.json_scan import LOWER, chunks_of
from pyfunc.schema.wire.json_text import bad_request

__all__ = ["TOO_LARGE", "RequestLimits", "check_values"]

TOO_LARGE = "PAYLOAD_TOO_LARGE"
"""The code of the error for a request that is well-formed and would become too large."""

_ARRAYS = frozenset({"inputs", "instances"})  # the forms whose texts become arrays
_CHARACTER = 4  # bytes in an array of text


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What one request may become.

    Attributes:
        max_cells: its values. In JSON a list and an object count as one more, in a table the
            cells count that rows do not have, too.
        max_names: the different names of its columns.
        max_rows: its rows, or the length of the first axis of an array.
        max_expanded_bytes: what its compressed and repeated values take once they are written
            out.
    """

    max_cells: int
    max_names: int
    max_rows: int
    max_expanded_bytes: int

    def check_json(self, body: bytes | str) -> None:
        """Refuse a JSON text of too many values.

        Raises:
            InvalidArgumentError: with ``PAYLOAD_TOO_LARGE``.
        """
        check_values(body, self.max_cells)

    def check_texts(self, texts: Iterable[bytes | str]) -> None:
        """Refuse JSON texts of too many values together.

        Raises:
            InvalidArgumentError: with ``PAYLOAD_TOO_LARGE``.
        """
        check_values(b",".join(map(_to_bytes, texts)), self.max_cells)

    def check_table(self, rows: int, names: int) -> None:
        """Refuse a table of that many rows and columns if it is too large.

        Raises:
            InvalidArgumentError: with ``PAYLOAD_TOO_LARGE``.
        """
        self._check("rows", rows, self.max_rows)
        self._check("names", names, self.max_names)
        self._check("cells", rows * names, self.max_cells)

    def check_arrays(self, shapes: Sequence[tuple[int, ...]]) -> None:
        """Refuse named arrays of these shapes if they are too large; an axis of 0 counts as 1.

        Raises:
            InvalidArgumentError: with ``PAYLOAD_TOO_LARGE``.
        """
        self._check("rows", max([shape[0] for shape in shapes if shape], default=0), self.max_rows)
        self._check("names", len(shapes), self.max_names)
        self.check_cells(sum([prod([size or 1 for size in shape]) for shape in shapes]))

    def check_cells(self, cells: int) -> None:
        """Refuse an array of that many cells if those are too many.

        Raises:
            InvalidArgumentError: with ``PAYLOAD_TOO_LARGE``.
        """
        self._check("cells", cells, self.max_cells)

    def check_expanded(self, size: int) -> None:
        """Refuse what takes that many bytes once it is written out, if those are too many.

        Raises:
            InvalidArgumentError: with ``PAYLOAD_TOO_LARGE``.
        """
        self._check("expanded_bytes", size, self.max_expanded_bytes)

    def check_payload(
        self, payload: Mapping[str, object], *, is_data: bool, has_columns: bool
    ) -> None:
        """Refuse a request in JSON that would become too large, by the shape of its values.

        Args:
            payload: the decoded object of the request.
            is_data: it has no forms but is itself the data of the model.
            has_columns: the data becomes a frame, where single values are repeated in each row.

        Raises:
            InvalidArgumentError: with ``PAYLOAD_TOO_LARGE``.
        """
        self._check("names", len(payload), self.max_names)
        if is_data:
            self._check_columns(payload, repeated=has_columns)
        for form, value in payload.items():
            if form == "dataframe_split":
                self._check_split(value)
            elif isinstance(value, list):
                self._check_rows(value)
            elif isinstance(value, dict):
                self._check_columns(value, repeated=has_columns)
            if form in _ARRAYS:
                self.check_expanded(_widths_of(value))

    def _check_columns(self, columns: Mapping[str, object], *, repeated: bool) -> None:
        rows = _longest(columns.values())
        self.check_table(rows, 1)
        self.check_table(rows if repeated else 1, len(columns))

    def _check_split(self, value: object) -> None:
        if not isinstance(value, dict):
            return
        labels, rows = value.get("columns"), value.get("data")
        height = len(rows) if isinstance(rows, list) else 0
        first = rows[:1] if isinstance(rows, list) else []
        width = len(labels) if isinstance(labels, list) else _longest(first)
        self.check_table(height, width)

    def _check_rows(self, rows: list[Any]) -> None:
        self._check("rows", len(rows), self.max_rows)
        if rows and isinstance(rows[0], dict):
            records = [row for row in rows if isinstance(row, dict)]
            self.check_table(len(rows), len(set().union(*records)))

    def check_csv(self, raw: bytes, names: int) -> None:
        """Refuse a CSV in UTF-8 of so many names in its first line if it would become too large.

        Raises:
            InvalidArgumentError: with ``PAYLOAD_TOO_LARGE``; or, with ``BAD_REQUEST``, its rows
                cannot be told.
        """
        rows = raw.count(b"\n") + raw.count(b"\r")
        if rows > self.max_rows or rows * names > self.max_cells:  # quoted lines may be among them
            rows = self._count_rows(raw, names)
        self.check_table(rows, names)

    def _count_rows(self, raw: bytes, names: int) -> int:
        most = min(self.max_rows, self.max_cells // max(names, 1))
        found = -1  # the first line
        try:
            for row in csv.reader(io.TextIOWrapper(io.BytesIO(raw), "utf-8", newline="")):
                found += bool(row)
                if found > most:
                    break
        except csv.Error as error:
            raise bad_request(f"the CSV cannot be read as a table: {error}", error) from None
        return found

    def _check(self, what: str, found: int, most: int) -> None:
        if found > most:
            raise _too_large(what, most)


def check_values(body: bytes | str, max_cells: int) -> None:
    """Refuse a JSON text of more values, where a list and an object count as one more.

    Raises:
        InvalidArgumentError: with ``PAYLOAD_TOO_LARGE``.
    """
    if len(body) <= max_cells:  # each value but the first has a character before it
        return
    if _count_values(_to_bytes(body), max_cells) > max_cells:
        raise _too_large("cells", max_cells)


def _to_bytes(text: bytes | str) -> bytes:
    return text.encode("utf-8", "replace") if isinstance(text, str) else text


def _too_large(what: str, most: int) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"the request becomes more than {most} {what.replace('_', ' ')} "
        f"(max_{what} of the server)\nhint: send it in several requests",
        TOO_LARGE,
    )


def _longest(values: Collection[object]) -> int:
    return max([len(value) if isinstance(value, list) else 1 for value in values], default=0)


def _widths_of(value: object) -> int:
    """Return the bytes of all fixed-width text arrays that the values of a form may become."""
    if isinstance(value, dict):
        return sum([_width_of(item) for item in value.values()])
    if isinstance(value, list) and value and isinstance(value[0], dict):
        cells = [item for row in value if isinstance(row, dict) for item in row.values()]
        return sum([_width_of(item) for item in cells if isinstance(item, list)])
    return _width_of(value)


def _width_of(value: object) -> int:
    level = value if isinstance(value, list) else []
    texts, longest = 0, 0
    while level:
        kinds = set(map(type, level))
        if str in kinds:
            found = [len(item) for item in level if type(item) is str]
            texts, longest = texts + len(found), max(longest, *found)
        inner = [item for item in level if type(item) is list] if list in kinds else []
        level = [item for part in inner for item in part]
    size = texts * longest * _CHARACTER
    return size if size <= MOST_TEXT_BYTES else 0


def _count_values(raw: bytes, enough: int) -> int:
    """Return how many values a JSON text can have at most; lists and objects count as one more.

    What stands in strings counts, too, unless it would make more than ``enough`` of them.
    """
    found = sum(int(np.count_nonzero(_separators(codes))) for codes in chunks_of(raw))
    return found if found <= enough else _count_outside_strings(raw)


def _count_outside_strings(raw: bytes) -> int:
    if b"\\" in raw:  # quotes that remain begin or end a string
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    found, inside = 0, np.uint8(0)
    for codes in chunks_of(raw):
        within = np.bitwise_xor.accumulate((codes == ord('"')).view(np.uint8)) ^ inside
        found += int(np.count_nonzero(_separators(codes) & (within == 0)))
        inside = within[-1]
    return found


def _separators(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    is_opening = (codes | LOWER) == ord("{")
    found: npt.NDArray[np.bool_] = (codes == ord(",")) | is_opening
    return found
