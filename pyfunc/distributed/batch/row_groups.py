"""Parquet files by row group: read one by one, and joined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, BinaryIO

from pyfunc.distributed.batch.answers import check_columns
from pyfunc.distributed.batch.parquet_rows import ParquetRows, Parse
from pyfunc.distributed.batch.shards import Shard, parse_shard
from pyfunc.errors import BAD_REQUEST, InvalidArgumentError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import pyarrow as arrow
    from pyarrow.parquet import ParquetFile

__all__ = ["RowGroups", "shard_of", "write_joined"]

_SHARD = "pyfunc.shard"


class RowGroups:
    """The row groups of an open parquet file that have rows.

    Attributes:
        sizes: the rows of each.
        starts: the number of the first row of each in the whole file.
    """

    def __init__(self, opened: ParquetFile) -> None:
        self._rows = ParquetRows(opened)
        metadata = opened.metadata
        rows = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        self._numbers = [number for number, count in enumerate(rows) if count]
        self.sizes: list[int] = [rows[number] for number in self._numbers]
        self.starts = [0, *accumulate(self.sizes)][: len(self.sizes)]

    def __len__(self) -> int:
        return len(self.sizes)

    def frames(self, group: int, parse: Parse, size: int | None) -> Iterator[pd.DataFrame]:
        """Yield the rows of a group as tables of at most ``size`` rows, or as one.

        Raises:
            InvalidArgumentError: with ``BAD_REQUEST``, the file is damaged.
        """
        return self._rows.frames(size or self.sizes[group], parse, self._numbers[group])


def shard_of(opened: ParquetFile | None) -> Shard | None:
    """Return the share that :func:`write_joined` wrote into a file, if it is one."""
    said = opened and (opened.metadata.metadata or {}).get(_SHARD.encode())
    return parse_shard(said.decode()) if said else None


def write_joined(paths: Sequence[Path], target: BinaryIO, shard: Shard | None = None) -> None:
    """Write the rows of parquet files into one, a file at a time.

    A column has the narrowest type that holds those of all files. The metadata of the file say
    which share it is.

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
        if shard is not None:
            writer.add_key_value_metadata({_SHARD: str(shard)})


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
