"""One batch of a dataset through a model: an Arrow table in, an Arrow table out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyfunc.distributed.arrow.inputs import build_input
from pyfunc.distributed.arrow.scoring import Predictor
from pyfunc.distributed.batch.answers import Answer, frame_of_answer
from pyfunc.distributed.batch.prediction import called
from pyfunc.errors import BAD_REQUEST, InvalidArgumentError, shorten

if TYPE_CHECKING:
    import pyarrow as pa

    from pyfunc.schema import Schema

__all__ = ["predict_batch"]


def predict_batch(
    model: Predictor,
    batch: pa.Table,
    params: Mapping[str, object] | None = None,
    keep: Sequence[str] = (),
) -> pa.Table:
    """Return the predictions for the rows of ``batch``, after those of its columns to keep.

    Raises:
        InvalidArgumentError: a column to keep is not there or is also a prediction, or the
            predictions are no table with one row per row; says what came.
        ModelFailedError: the model failed.
        SchemaError: the batch does not fit the signature.
    """
    import pyarrow as pa

    missing = [name for name in keep if name not in batch.column_names]
    if missing:
        raise InvalidArgumentError(
            f"keep: no column {shorten(missing)} among {shorten(batch.column_names)}"
        )
    rows = batch.num_rows
    value = called(model.predict, _input(batch, model.input_schema), params)
    answer = _table_of(value, rows)
    twice = [name for name in keep if name in answer.column_names]
    if twice:
        raise InvalidArgumentError(
            f"keep: {shorten(twice)} are columns of the predictions too\nhint: rename them before"
        )
    columns = [*map(batch.column, keep), *answer.columns]
    return pa.Table.from_arrays(columns, names=[*keep, *answer.column_names])


def _input(batch: pa.Table, schema: Schema | None) -> object:
    """Return what the model is given: columns by their names, or the one array it takes."""
    import pyarrow as pa

    plain = [_plain(column.combine_chunks()) for column in batch.columns]
    is_array = schema is not None and schema.is_tensor_spec()
    if is_array and schema is not None and schema.has_input_names():
        names = [name for name in schema.input_names() if name in batch.column_names]
        if len(names) == len(schema):
            return build_input([plain[batch.column_names.index(name)] for name in names], schema)
    if is_array and len(plain) == 1:
        return build_input(plain, schema)
    return build_input([pa.StructArray.from_arrays(plain, names=batch.column_names)], schema)


def _plain(column: pa.Array) -> pa.Array:
    """Return a column of tensors, for which Ray has a type of its own, as lists in lists."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):  # an older pyarrow, of no rows
        column = pa.concat_arrays(column.chunks or [pa.array([], column.type)])
    if not isinstance(column.type, pa.BaseExtensionType):
        return column
    shape = getattr(column.type, "shape", None)
    if shape is None:
        return column.storage
    values = column.storage.flatten()
    for length in reversed(shape):
        ends = pa.array(range(0, len(values) + 1, length), pa.int32())
        values = pa.ListArray.from_arrays(ends, values)
    return values


def _table_of(value: object, rows: int) -> pa.Table:
    """Return what a model answered for ``rows`` rows as a table of that many.

    Raises:
        InvalidArgumentError: it cannot be one.
    """
    import pyarrow as pa

    out: object = "unknown"
    try:
        frame = frame_of_answer(Answer(value, rows, "table"))
        out = len(frame)
        if out == rows:
            named = frame.set_axis([str(name) for name in frame.columns], axis=1)
            return pa.Table.from_pandas(named, preserve_index=False).replace_schema_metadata()
        why = "one row per row"
    except (pa.ArrowException, InvalidArgumentError, ValueError, TypeError) as error:
        why = f"a table: {str(error).partition(chr(10))[0]}"
    raise InvalidArgumentError(
        f"the model's answer cannot be used: rows in {rows}, rows out {out}, "
        f"came {type(value).__name__} {shorten(value)}, expected {why}",
        BAD_REQUEST,
    )
