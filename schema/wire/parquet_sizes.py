"""What the columns of a parquet file take once they are written out, before they are.

The footer says how many values there are and how long they are, but it can lie; what pyarrow goes
by are the heads of the pages. A dictionary repeats its entries: where that may come to much, the
columns are read without writing the repeated values out, and counted.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from pyfunc.schema.wire.json_text import bad_request
from pyfunc.schema.wire.limits import RequestLimits
from pyfunc.schema.wire.parquet_pages import Page, read_pages

if TYPE_CHECKING:
    from pyarrow.parquet import ColumnChunkMetaData

__all__ = ["check_parquet"]

_MAGIC = b"PAR1"
_PER_NAME = 4  # elements that the schema has for a column, with those that it is nested in
_LEAST_ELEMENTS = 1000
_COUNTED = {  # encodings whose texts are there in full, or as entries of a dictionary
    *(0, 2, 3, 4, 8),  # PLAIN, PLAIN_DICTIONARY, RLE, BIT_PACKED, RLE_DICTIONARY
    *(5, 9),  # DELTA_BINARY_PACKED, BYTE_STREAM_SPLIT
}


def check_parquet(body: bytes, limits: RequestLimits) -> None:
    """Return if the parquet file stays within the limits once it is read.

    Raises:
        InvalidArgumentError: with ``PAYLOAD_TOO_LARGE``, it does not. With ``BAD_REQUEST``, it has
            an encoding of which that cannot be told.
        ValueError: it is malformed.
        OSError: pyarrow cannot read it.
    """
    from pyarrow import parquet

    elements = max(_PER_NAME * limits.max_names, _LEAST_ELEMENTS)
    footer = parquet.ParquetFile(io.BytesIO(body), thrift_container_size_limit=elements).metadata
    groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
    rows = max(footer.num_rows, sum([max(group.num_rows, 0) for group in groups]))
    limits.check_table(rows, footer.num_columns)
    total = _Total(limits)
    for group in groups:
        for i in range(group.num_columns):
            total.add(body, group.column(i), max(footer.schema.column(i).length, 0))
    if total.most > limits.max_expanded_bytes:
        columns = sorted(total.repeated)
        file = parquet.ParquetFile(io.BytesIO(body), read_dictionary=columns)
        table = file.read(columns=columns, use_threads=False)
        written = [_written_size(part) for column in table.columns for part in column.chunks]
        limits.check_expanded(total.size + sum(written))


class _Total:
    """What the columns come to.

    Attributes:
        size: the bytes of all pages.
        most: a bound of what they take with repeated entries written out.
        repeated: the paths of the columns of text that have dictionaries.
    """

    def __init__(self, limits: RequestLimits) -> None:
        self._limits = limits
        self._cells = 0
        self.size = 0
        self.most = 0
        self.repeated: set[str] = set()

    def add(self, body: bytes, chunk: ColumnChunkMetaData, width: int) -> None:
        """Count a column of one group of rows, whose values have a fixed width or 0."""
        if chunk.num_values < 0:
            raise ValueError("a column has less than no values")
        self._cells += chunk.num_values
        self._limits.check_cells(self._cells)
        longest = 0
        for page in read_pages(body, _start_of(chunk), chunk.num_values):
            _check_encoding(page)
            self.size += page.expanded
            self._limits.check_expanded(self.size)
            if page.entries:
                longest = max(longest, page.expanded)
        if chunk.physical_type == "BYTE_ARRAY" and longest:
            self.repeated.add(chunk.path_in_schema)
            self.most += longest * chunk.num_values
        self.size += width * chunk.num_values
        self._limits.check_expanded(self.size)


def _start_of(chunk: ColumnChunkMetaData) -> int:
    """Return where pyarrow begins to read a column."""
    start: int = chunk.data_page_offset
    entries = chunk.dictionary_page_offset if chunk.has_dictionary_page else None
    if entries is not None and 0 < entries < start:
        start = entries
    if start < len(_MAGIC):
        raise ValueError("a column begins before the file does")
    return start


def _check_encoding(page: Page) -> None:
    if page.values and page.encoding not in _COUNTED:
        raise bad_request(
            f"the parquet file has the encoding {page.encoding}, of which nothing says how large "
            "its values are\nhint: write it with dictionaries, or plain"
        )


def _written_size(array: Any) -> int:
    """Return the bytes of the texts in an array, those of dictionaries once for each value."""
    from pyarrow import compute, types

    if types.is_dictionary(array.type):
        lengths = compute.binary_length(array.dictionary)
        return compute.sum(lengths.take(array.indices)).as_py() or 0
    if types.is_struct(array.type):
        return sum([_written_size(field) for field in array.flatten()])
    if types.is_map(array.type):
        return _written_size(array.keys) + _written_size(array.items)
    if types.is_nested(array.type):
        return _written_size(array.flatten())
    return 0
