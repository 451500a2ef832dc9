"""The functions that Spark calls, of Arrow columns where Spark has such, else of pandas'.

Spark reads the hints of these functions when they are made, so this module must not turn its
hints into text.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Iterator, Tuple, Union  # noqa: UP035 - the hints Spark knows

import pandas as pd
import pyarrow as pa

from pyfunc.distributed.spark.batches import Job, score_batches
from pyfunc.distributed.spark.pandas_columns import to_arrow
from pyfunc.errors import InvalidArgumentError
from pyfunc.schema.casting.arrow_values import masked_types

if TYPE_CHECKING:
    from pyspark.sql import Column
    from pyspark.sql.types import DataType

    from pyfunc.schema import Schema

__all__ = ["make_function"]


def make_function(
    job: Job, result: "DataType", schema: "Schema | None"
) -> "Callable[..., Column]":
    """Return a function of columns that does ``job`` and gives a column of ``result``.

    Args:
        job: is pickled with the function.
        result: the Spark type of ``job.answer.kind``.
        schema: of the input; says which numbers are integers where Spark makes them floats.
    """
    from pyspark.sql import functions

    if hasattr(functions, "arrow_udf"):
        return _make_arrow_function(job, result)
    return _make_pandas_function(job, result, schema)


def _make_arrow_function(job: Job, result: "DataType") -> "Callable[..., Column]":
    # Its name is that of the column, as in MLflow.
    from pyspark.sql.functions import arrow_udf

    def udf(batches: Iterator[Tuple[pa.Array, ...]]) -> Iterator[pa.Array]:  # noqa: UP006
        # Spark gives a single column as it is, and several as a tuple.
        columns = ((b,) if isinstance(b, pa.Array) else b for b in batches)
        yield from score_batches(job, columns)

    made: Callable[..., Column] = arrow_udf(udf, returnType=result)
    return made


def _make_pandas_function(
    job: Job, result: "DataType", schema: "Schema | None"
) -> "Callable[..., Column]":
    if _has_times_in_lists(job.answer.kind):
        raise InvalidArgumentError(
            f"result_type {result.simpleString()}: before Spark 4.1 times in an array come out "
            "in another time zone\nhint: ask for timestamp_ntz, or for text"
        )
    Batch = Tuple[Union[pd.Series, pd.DataFrame], ...]  # noqa: N806, UP006, UP007 - a hint
    Answer = pd.DataFrame if pa.types.is_struct(job.answer.kind) else pd.Series  # noqa: N806

    from pyspark.sql.functions import pandas_udf

    def udf(batches: Iterator[Batch]) -> Iterator[Answer]:  # type: ignore[valid-type]
        columns = (to_arrow(batch, schema) for batch in batches)
        for scored in score_batches(job, columns):
            yield _to_pandas(scored)

    made: Callable[..., Column] = pandas_udf(udf, returnType=result)
    return made


def _has_times_in_lists(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind):
        return "tz=" in str(kind.value_type)
    if pa.types.is_map(kind):
        return _has_times_in_lists(kind.item_type)
    return pa.types.is_struct(kind) and any(_has_times_in_lists(field.type) for field in kind)


def _to_pandas(scored: pa.Array) -> "pd.Series | pd.DataFrame":
    if not pa.types.is_struct(scored.type):
        return _to_series(scored)
    parts = zip(scored.type, scored.flatten(), strict=True)
    frame: pd.DataFrame = pd.DataFrame({f.name: _to_series(part) for f, part in parts})
    return frame


def _to_series(values: pa.Array) -> pd.Series:
    is_whole = pa.types.is_integer(values.type) or pa.types.is_boolean(values.type)
    mapper = masked_types().get if is_whole and values.null_count else None
    series: pd.Series = values.to_pandas(types_mapper=mapper, maps_as_pydicts="strict")
    return series
