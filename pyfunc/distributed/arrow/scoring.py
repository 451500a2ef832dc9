"""One batch of Arrow columns through a model, in whatever process it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from pyfunc.distributed.arrow.inputs import build_input
from pyfunc.distributed.arrow.results import convert_prediction

if TYPE_CHECKING:
    import pyarrow as pa

    from pyfunc.schema import Schema

__all__ = ["Predictor", "score_columns", "score_table"]


class Predictor(Protocol):
    """What is used of a loaded model."""

    @property
    def input_schema(self) -> Schema | None:
        """What its input is held against, or None."""

    def predict(self, data: object, params: Mapping[str, object] | None = None) -> object:
        """Return its predictions."""


def score_columns(
    model: Predictor,
    columns: Sequence[pa.Array],
    params: Mapping[str, object] | None,
    kind: pa.DataType,
    zone: str,
) -> pa.Array:
    """Return the predictions for ``columns``, one value of ``kind`` per row.

    Raises:
        ModelFailedError: the answer does not have one value of ``kind`` per row.
        Exception: what the model raises.
    """
    data = build_input(columns, model.input_schema)
    prediction = model.predict(data, params=params)
    return convert_prediction(prediction, len(columns[0]), kind, zone)


def score_table(
    model: Predictor,
    table: pa.Table,
    result: pa.Table,
    params: Mapping[str, object] | None,
    zone: str,
) -> pa.Table:
    """Return the predictions for the columns of ``table`` in a table of one column.

    For another process, where nothing but tables crosses: the empty table ``result`` says by its
    one column what type is wanted.
    """
    import pyarrow as pa

    columns = [column.combine_chunks() for column in table.columns]
    field = result.schema.field(0)
    array = score_columns(model, columns, params, field.type, zone)
    return pa.Table.from_arrays([array], schema=result.schema)
