"""Tables read in parts, so that memory stays flat: each part is a table in the same format."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, BinaryIO

from pyfunc.errors import BAD_REQUEST, InvalidArgumentError

__all__ = ["csv_parts", "open_parquet", "parquet_parts", "rewritten"]

_LINE_ENDS = b"\r\n"


def csv_parts(source: BinaryIO, rows: int) -> Iterator[bytes]:
    """Yield CSV texts of about ``rows`` rows, each with the first line of the whole.

    There is at least one, even of an empty source. A row is never cut, whatever its quoted
    cells hold: a part with line breaks in cells has fewer rows.
    """
    lines = iter(source)
    header = _take_record(lines)
    _check_separator(header)
    part = _take_rows(lines, rows)
    yield header + b"".join(part)
    while part := _take_rows(lines, rows):
        if any(line.strip(_LINE_ENDS) for line in part):
            yield header + b"".join(part)


def _check_separator(header: bytes) -> None:
    """Refuse a table whose columns other signs separate than commas."""
    for sign, name in ((b";", "semicolons"), (b"\t", "tabs")):
        if sign in header and not any(other in header for other in (b",", b'"')):
            raise InvalidArgumentError(
                f"the columns of the CSV are separated by {name}, not by commas\n"
                "hint: write it with commas, such as by pandas.DataFrame.to_csv",
                BAD_REQUEST,
            )


def _take_record(lines: Iterator[bytes]) -> bytes:
    """Return the lines up to the end of the first record."""
    taken: list[bytes] = []
    for line in lines:
        taken.append(line)
        if line.strip(_LINE_ENDS):
            break
    return b"".join(_completed(taken, lines) if taken else [])


def _take_rows(lines: Iterator[bytes], count: int) -> list[bytes]:
    return _completed(list(islice(lines, count)), lines)


def _completed(taken: list[bytes], lines: Iterator[bytes]) -> list[bytes]:
    """Return ``taken`` with the lines after it that belong to its last record.

    Which those are depends on where cells are quoted, which Python's reader knows best. What it
    cannot read is not cut at all.
    """
    if not any(b'"' in line for line in taken):
        return taken
    used: list[bytes] = []

    def texts() -> Iterator[str]:
        for line in chain(taken, lines):
            used.append(line)
            yield line.decode("latin-1")  # quotes and commas are what they are in UTF-8

    try:
        for _ in csv.reader(texts()):
            if len(used) >= len(taken):
                break
    except csv.Error:
        return [*used, *taken[len(used) :], *lines]
    return used


def parquet_parts(source: BinaryIO, rows: int) -> Iterator[bytes]:
    """Yield parquet files of at most ``rows`` rows; there is at least one.

    A source that is no parquet file is yielded as it is, for its reader to say so.

    Raises:
        InvalidArgumentError: with ``BAD_REQUEST``, the file is damaged further on.
    """
    file = source if source.seekable() else io.BytesIO(source.read())
    opened = open_parquet(file)
    if opened is None or opened.metadata.num_rows <= rows:
        file.seek(0)
        yield file.read()
        return
    import pyarrow as arrow

    try:
        yield from rewritten(opened.iter_batches(batch_size=rows))
    except (arrow.ArrowException, OSError) as error:
        raise InvalidArgumentError(
            f"the parquet file cannot be read: {error}", BAD_REQUEST
        ) from error


def open_parquet(file: BinaryIO) -> Any:
    """Return pyarrow's reader of a file; None if there is no pyarrow or no parquet in it."""
    try:
        import pyarrow as arrow
        from pyarrow.parquet import ParquetFile
    except ImportError:
        return None
    try:
        return ParquetFile(file)
    except (arrow.ArrowException, OSError):
        return None


def rewritten(batches: Iterable[Any]) -> Iterator[bytes]:
    """Yield each batch of a parquet file as a parquet file of its own."""
    import pyarrow as arrow
    from pyarrow.parquet import write_table

    for batch in batches:
        buffer = io.BytesIO()
        write_table(arrow.Table.from_batches([batch]), buffer, compression="none")
        yield buffer.getvalue()
