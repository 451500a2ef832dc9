"""Parquet files by row group: read so that each group looks as it would among all, and joined."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any, BinaryIO

from pyfunc.distributed.batch.answers import check_columns
from pyfunc.distributed.batch.table_parts import rewritten
from pyfunc.errors import BAD_REQUEST, InvalidArgumentError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import pyarrow as arrow

__all__ = ["RowGroups", "write_joined"]


class RowGroups:
    """The row groups of an open parquet file that have rows.

    Attributes:
        sizes: the rows of each.
        starts: the number of the first row of each in the whole file.
    """

    def __init__(self, opened: Any) -> None:
        self._opened = opened
        metadata = opened.metadata
        rows = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        self._numbers = [number for number, count in enumerate(rows) if count]
        self.sizes: list[int] = [rows[number] for number in self._numbers]
        self.starts = [0, *accumulate(self.sizes)][: len(self.sizes)]

    def __len__(self) -> int:
        return len(self.sizes)

    def frames(
        self, group: int, parse: Callable[[bytes], pd.DataFrame], size: int | None
    ) -> Iterator[pd.DataFrame]:
        """Yield the rows of a group as tables of at most ``size`` rows.

        With None it is one table, whose columns have the types that they would have if the
        whole file were one: integers and booleans with a null in another group are what they
        are beside one.

        Raises:
            InvalidArgumentError: with ``BAD_REQUEST``, the file is damaged.
        """
        import pyarrow as arrow

        number = self._numbers[group]
        try:
            batches = self._opened.iter_batches(
                batch_size=size or self.sizes[group], row_groups=[number]
            )
            for part in rewritten(batches):
                frame = parse(part)
                yield frame if size is not None else self._as_in_whole(frame)
        except (arrow.ArrowException, OSError) as error:
            raise InvalidArgumentError(
                f"row group {number} of the parquet file cannot be read: {error}", BAD_REQUEST
            ) from error

    def _as_in_whole(self, frame: pd.DataFrame) -> pd.DataFrame:
        kinds = {"i": "float64", "u": "float64", "b": "object"}
        wider = {
            name: kinds[kind]
            for name in self._names_with_nulls
            if name in frame.columns
            and (kind := getattr(frame.dtypes[name], "kind", "")) in kinds
            and not hasattr(frame.dtypes[name], "na_value")
        }
        return frame.astype(wider) if wider else frame

    @cached_property
    def _names_with_nulls(self) -> set[str]:
        """The plain columns that have a null in some group, by the statistics of the file."""
        metadata = self._opened.metadata
        found = set()
        for number in self._numbers:
            group = metadata.row_group(number)
            for position in range(group.num_columns):
                column = group.column(position)
                statistics = column.statistics
                if statistics is None or not statistics.has_null_count or statistics.null_count:
                    found.add(column.path_in_schema)
        return found


def write_joined(paths: Sequence[Path], target: BinaryIO) -> None:
    """Write the rows of parquet files into one, a file at a time.

    A column has the narrowest type that holds those of all files.

    Raises:
        InvalidArgumentError: with ``BAD_REQUEST``, the files have other columns, or ones that no
            one type holds.
    """
    from pyarrow.parquet import ParquetFile, ParquetWriter, read_schema

    schema = _joined_schema([read_schema(path) for path in paths])
    with ParquetWriter(target, schema) as writer:
        for path in paths:
            with ParquetFile(path) as part:
                table = part.read()
            writer.write_table(table.cast(schema).replace_schema_metadata(schema.metadata))


def _joined_schema(schemas: Sequence[arrow.Schema]) -> arrow.Schema:
    import pyarrow as arrow

    if not schemas:
        return arrow.schema([])
    first = schemas[0]
    for schema in schemas[1:]:
        check_columns(first.names, schema.names)
    if all(schema.equals(first, check_metadata=True) for schema in schemas):
        return first
    try:
        return arrow.unify_schemas(
            [schema.remove_metadata() for schema in schemas], promote_options="permissive"
        )
    except arrow.ArrowException as error:
        raise InvalidArgumentError(
            f"the predictions for later rows are of another type than those before: {error}\n"
            "hint: let the model give each column one type",
            BAD_REQUEST,
        ) from error
