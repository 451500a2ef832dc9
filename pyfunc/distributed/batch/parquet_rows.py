"""Rows of parquet files as tables whose columns have the types of those of the whole file."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO

from pyfunc.errors import BAD_REQUEST, InvalidArgumentError
from pyfunc.schema.enforce.arrow_tables import check_parquet_names

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as arrow
    from pyarrow.parquet import ParquetFile

__all__ = ["ParquetRows", "Parse", "open_parquet", "parquet_frames"]

Parse = Callable[[bytes], "pd.DataFrame"]


def parquet_frames(source: BinaryIO, size: int, parse: Parse) -> Iterator[pd.DataFrame]:
    """Yield the rows of a parquet file as tables of at most ``size``; there is at least one.

    A source that is no parquet file goes to ``parse`` as it is, which says so.

    Raises:
        InvalidArgumentError: with ``BAD_REQUEST``, the file is damaged further on.
    """
    file = source if source.seekable() else io.BytesIO(source.read())
    opened = open_parquet(file)
    if opened is None or opened.metadata.num_rows <= size:
        file.seek(0)
        yield parse(file.read())
        return
    yield from ParquetRows(opened).frames(size, parse)


def open_parquet(file: BinaryIO) -> ParquetFile | None:
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


class ParquetRows:
    """The rows of an open parquet file.

    By itself a part of them would have other types: pandas makes floats of integers where one is
    null, unless one is too large for it, and objects of booleans. So each part is read after two
    rows that have what the whole file has somewhere, and which are then left out.

    Raises:
        InvalidArgumentError: with ``BAD_REQUEST``, two columns have one name.
    """

    def __init__(self, opened: ParquetFile) -> None:
        check_parquet_names(opened.schema_arrow.names)
        self._opened = opened

    def frames(self, size: int, parse: Parse, group: int | None = None) -> Iterator[pd.DataFrame]:
        """Yield all rows, or those of a row group, as tables of at most ``size`` rows.

        Raises:
            InvalidArgumentError: with ``BAD_REQUEST``, the file is damaged.
        """
        import pyarrow as arrow

        groups = None if group is None else [group]
        try:
            cells = self._cells
            for batch in self._opened.iter_batches(batch_size=size, row_groups=groups):
                yield _parsed(batch, cells, parse)
        except (arrow.ArrowException, OSError) as error:
            where = "" if group is None else f"row group {group} of "
            raise InvalidArgumentError(
                f"{where}the parquet file cannot be read: {error}", BAD_REQUEST
            ) from error

    @cached_property
    def _cells(self) -> dict[int, arrow.Array]:
        """By the place of a column, two values that make those after them what they should be."""
        fields = enumerate(self._opened.schema_arrow)
        found = {place: self._cell(field) for place, field in fields}
        return {place: cell for place, cell in found.items() if cell is not None}

    def _cell(self, field: arrow.Field) -> arrow.Array | None:
        import pyarrow as arrow

        if arrow.types.is_dictionary(field.type):
            return self._category(field)
        leaf: arrow.DataType = field.type
        while _is_list(leaf):
            leaf = leaf.value_type
        is_whole = arrow.types.is_integer(leaf)
        if not (is_whole or arrow.types.is_boolean(leaf)) or not self._may_have_nulls(field):
            return None
        known = [_null_and_extreme(column) for column in self._columns(field.name)]
        if not any(has_null for has_null, _ in known):
            return None
        values = [None, max((value for _, value in known), key=abs) if is_whole else True]
        return arrow.array([_in_lists(value, field.type) for value in values], field.type)

    def _category(self, field: arrow.Field) -> arrow.Array | None:
        """Return values with the categories of all row groups."""
        import pyarrow as arrow

        kind = field.type
        known = arrow.DictionaryArray.from_arrays(
            arrow.array([], kind.index_type),
            arrow.array([], kind.value_type),
            ordered=kind.ordered,
        )
        for column in self._columns(field.name):
            joined = arrow.chunked_array([known, column]).unify_dictionaries()
            known = joined.chunk(0)
        if not len(known.dictionary):
            return None
        return arrow.DictionaryArray.from_arrays(
            arrow.array([0, 0], known.type.index_type),
            known.dictionary,
            ordered=field.type.ordered,
        )

    def _may_have_nulls(self, field: arrow.Field) -> bool:
        """Return whether the file does not rule out a null, or a list that is one."""
        return any(count is None or count for count in self._null_counts(field))

    def _null_counts(self, field: arrow.Field) -> Iterator[int | None]:
        """Yield how many nulls each row group has in a column; None if the file does not say."""
        metadata = self._opened.metadata
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            for column in map(group.column, range(group.num_columns)):
                path = column.path_in_schema
                if path == field.name or (_is_list(field.type) and path.startswith(field.name)):
                    known = column.statistics
                    is_known = known is not None and known.has_null_count
                    yield known.null_count if is_known else None

    def _columns(self, name: str) -> Iterator[arrow.Array]:
        for batch in self._opened.iter_batches(columns=[name]):
            yield batch.column(batch.schema.get_field_index(name))


def _parsed(batch: arrow.RecordBatch, cells: dict[int, arrow.Array], parse: Parse) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as arrow

    if not cells:
        return parse(_written([batch]))
    twice = arrow.array([0, 0])
    columns = [cells.get(place, column.take(twice)) for place, column in enumerate(batch.columns)]
    first = arrow.RecordBatch.from_arrays(columns, schema=batch.schema)
    frame: pd.DataFrame = parse(_written([first, batch]))[len(twice) :]
    return frame.reset_index(drop=True) if isinstance(frame.index, pd.RangeIndex) else frame


def _written(batches: Sequence[arrow.RecordBatch]) -> bytes:
    """Return a parquet file with a row group for each batch."""
    from pyarrow.parquet import ParquetWriter

    buffer = io.BytesIO()
    with ParquetWriter(buffer, batches[0].schema, compression="none") as writer:
        for batch in batches:
            writer.write_batch(batch)
    return buffer.getvalue()


def _is_list(kind: arrow.DataType) -> bool:
    import pyarrow as arrow

    tests = (arrow.types.is_list, arrow.types.is_large_list, arrow.types.is_fixed_size_list)
    return any(test(kind) for test in tests)


def _in_lists(value: object, kind: arrow.DataType) -> object:
    """Return a value in as many lists as a type has."""
    if not _is_list(kind):
        return value
    return [_in_lists(value, kind.value_type)] * getattr(kind, "list_size", 1)


def _null_and_extreme(column: arrow.Array) -> tuple[bool, int]:
    """Return whether a column, or a list in it, has a null; and its number farthest from zero."""
    from pyarrow import compute

    while _is_list(column.type):
        column = column.flatten()
    bounds = compute.min_max(column).as_py()
    return bool(column.null_count), max(bounds["min"] or 0, bounds["max"] or 0, key=abs)
