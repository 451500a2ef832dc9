"""Spark frames under a schema of columns: checked by their own types, never cast or collected.

Knows Spark's objects by what they offer and so needs no pyspark.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyfunc.errors import InvalidArgumentError
from pyfunc.schema.enforce.frames import FrameEnforcer, warn_of_extra
from pyfunc.schema.infer.spark_inference import infer_spark_type

__all__ = ["check_spark_frame", "is_spark_frame"]

_ROWS = 10  # as many as MLflow looks at


def is_spark_frame(data: Any) -> bool:
    """Return whether ``data`` is a Spark DataFrame, classic or of Spark Connect."""
    kind = type(data)
    return kind.__name__ == "DataFrame" and kind.__module__.startswith("pyspark.sql.")


def check_spark_frame(data: Any, frames: FrameEnforcer) -> object:
    """Return the columns of the schema, in its order and not cast.

    A column whose Spark type is the declared one passes unseen, nulls included, since inference
    calls every column of Spark required. Of the others the first rows are enforced.

    Raises:
        SchemaError: a required column is missing, or the first rows do not fit.
    """
    fields = list(data.schema)
    if not frames.is_named:
        frames.enforce(data.limit(_ROWS).toPandas())
        return _select(data, [field.name for field in fields[: len(frames.specs)]])
    types = {field.name: _type_of(field) for field in fields}
    others = [spec for spec in frames.specs if types.get(spec.name) != spec.type]
    fitting = {spec.name for spec in frames.specs} - {spec.name for spec in others}
    unseen = [name for name in types if name not in fitting]
    if others:
        sample = _select(data, unseen).limit(_ROWS).toPandas()
        FrameEnforcer(others, coerce=frames.coerce).enforce(sample)
    elif unseen:
        warn_of_extra(unseen)
    return _select(data, [spec.name for spec in frames.specs if spec.name in types])


def _type_of(field: object) -> object:
    try:
        return infer_spark_type(field)
    except InvalidArgumentError:
        return None


def _select(data: Any, names: Sequence[str]) -> Any:
    """Return the columns; quoted, for a dot in a bare name leads into a struct."""
    return data.select(*["`" + str(name).replace("`", "``") + "`" for name in names])
