"""Tables and columns of Arrow, and files of them, as frames in which no null changes a value."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from pyfunc.errors import (
    BAD_REQUEST,
    InvalidArgumentError,
    MissingDependencyError,
    find_repeated,
    shorten,
)
from pyfunc.schema.casting.arrow_values import exact_column, is_nested, may_change, nested_column
from pyfunc.schema.enforce.memory import build_frame, replace_columns
from pyfunc.schema.specs import ColSpec, TensorSpec, match_specs
from pyfunc.schema.types import ColumnType, DataType

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["check_parquet_names", "import_arrow", "read_arrow_table", "read_parquet"]

_Convert = Callable[["pa.ChunkedArray", "ColumnType | None"], "pd.Series | None"]


def import_arrow(what: str) -> Any:
    """Return pyarrow.

    Raises:
        MissingDependencyError: it is not installed; ``what`` needs it.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise MissingDependencyError(what, "pip install 'pyfunc-format[arrow]'") from error
    return pyarrow


def read_arrow_table(data: Any, specs: Sequence[ColSpec | TensorSpec] = ()) -> pd.DataFrame:
    """Return a frame whose columns are backed by arrow, lists and dicts where they are nested.

    A column alone has the label that it has as a name, else 0.

    Args:
        data: a table, or a column.
        specs: what the schema says of its columns.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        SchemaError: ``data`` is no table.
    """
    pa = import_arrow("reading an Arrow table")

    def read() -> pd.DataFrame:
        label: object = None
        try:
            table = pa.table(data)
        except (TypeError, ValueError):  # a column, or nothing
            parts = [pa.array(data)] if hasattr(data, "__arrow_c_array__") else data
            label = getattr(data, "name", None) or 0
            table = pa.table({str(label): pa.chunked_array(parts)})
        frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
        if label is not None:
            frame.columns = pd.Index([label])
        return _restore(frame, table, specs, _convert_column)

    return build_frame(read, data)


def _convert_column(column: pa.ChunkedArray, dtype: ColumnType | None) -> pd.Series | None:
    if is_nested(column.type):
        return nested_column(column, dtype)
    if dtype is not DataType.double or not column.null_count or not may_change(column.type):
        return None
    exact = exact_column(column, dtype)
    floats: pd.Series | None = column.to_pandas() if exact is None else None
    return floats


def check_parquet_names(names: Sequence[str]) -> None:
    """Check that no two columns of a parquet file have one name.

    Raises:
        InvalidArgumentError: with ``BAD_REQUEST``, they have.
    """
    if twice := sorted(find_repeated(names)):
        raise InvalidArgumentError(
            f"the parquet file has several columns named {shorten(twice)}", BAD_REQUEST
        )


def read_parquet(body: bytes, specs: Sequence[ColSpec | TensorSpec] = ()) -> pd.DataFrame:
    """Return the frame that pandas reads, with the very values of the file.

    Integers beside nulls keep their value and maps are dicts, where the schema asks for such or
    floats do not hold the integers.

    Args:
        body: the content of the file.
        specs: what the schema says of its columns.

    Raises:
        InvalidArgumentError: with ``BAD_REQUEST``, two columns have one name.
        ValueError, OSError, TypeError, KeyError, NotImplementedError: it is not a parquet file.
    """
    from pyarrow import parquet

    file = parquet.ParquetFile(io.BytesIO(body))
    check_parquet_names(file.schema_arrow.names)
    frame: pd.DataFrame = pd.read_parquet(io.BytesIO(body), engine="pyarrow")
    kinds = {str(name): dtype.kind for name, dtype in frame.dtypes.items()}
    doubtful = [
        field.name
        for field in file.schema_arrow
        if kinds.get(field.name, "") in ("f", "O") and may_change(field.type)
    ]
    return _restore(frame, file.read(columns=doubtful), specs, exact_column) if doubtful else frame


def _restore(
    frame: pd.DataFrame, table: pa.Table, specs: Sequence[Any], convert: _Convert
) -> pd.DataFrame:
    """Return ``frame`` with the columns that ``convert`` makes of those of its table."""
    found: dict[int, pd.Series] = {}
    labels = list(frame.columns)
    for position, spec in enumerate(match_specs(specs, labels)):
        if table.column_names.count(str(labels[position])) != 1:
            continue
        dtype = spec.type if isinstance(spec, ColSpec) else None
        column = convert(table.column(str(labels[position])), dtype)
        if column is not None:
            found[position] = column.set_axis(frame.index)
    return replace_columns(frame, found)
