"""A schema compiled for enforcement, and the functions that enforce one directly."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pandas as pd

from pyfunc.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    Problem,
    PyfuncError,
    SchemaError,
    shorten,
)
from pyfunc.schema.casting.object_columns import PANDAS_ERRORS
from pyfunc.schema.enforce.containers import OneRowBuilder, convert_to_frame
from pyfunc.schema.enforce.frames import FrameEnforcer
from pyfunc.schema.enforce.other_readings import find_other_readings
from pyfunc.schema.enforce.spark_frames import check_spark_frame, is_spark_frame
from pyfunc.schema.enforce.tensors import TensorEnforcer
from pyfunc.schema.schemas import Schema

__all__ = ["Plan", "compile_plan", "enforce_schema", "validate_schema"]


class Plan:
    """A schema, compiled once and enforced many times, from any number of threads.

    It does not follow later changes of the schema.

    Attributes:
        schema: the schema that it was compiled from.
        coerce: None, or ``"safe"``.
    """

    __slots__ = ("_frames", "_one_row", "_tensors", "coerce", "schema")

    def __init__(self, schema: Schema, *, coerce: str | None = None) -> None:
        if not isinstance(schema, Schema):
            raise InvalidTypeError(f"schema must be a Schema, got {shorten(schema)}")
        if coerce not in (None, "safe"):
            raise InvalidArgumentError(f"coerce must be None or 'safe', got {shorten(coerce)}")
        self.schema = schema
        self.coerce = coerce
        self._tensors: TensorEnforcer | None = None
        self._frames: FrameEnforcer | None = None
        self._one_row: OneRowBuilder | None = None
        if schema.is_tensor_spec():
            self._tensors = TensorEnforcer(schema.inputs)
            return
        self._frames = FrameEnforcer(schema.inputs, coerce=coerce == "safe")
        if self._frames.labels is not None:
            builder = OneRowBuilder(schema.inputs, self._frames.labels)
            self._one_row = builder if builder.is_possible else None

    def enforce(self, data: object) -> Any:
        """Return ``data`` as the schema asks for it; ``data`` is never written to.

        A schema of columns gives a DataFrame, which is ``data`` itself if nothing had to change
        and may share memory with it otherwise. A schema of tensors gives an array or, if they
        have names, a new dict of arrays. A Spark frame gives a Spark frame whose values were not
        cast, see :func:`~pyfunc.schema.enforce.spark_frames.check_spark_frame`.

        Raises:
            SchemaError: with all problems; ``error_code`` is the one that MLflow has for a direct
                call, mostly ``INTERNAL_ERROR``. A loaded model raises
                :func:`~pyfunc.schema.casting.findings.as_predict_error` of it instead.
        """
        try:
            return self._enforce(data)
        except PyfuncError:
            raise
        except PANDAS_ERRORS as error:
            got = f"data that numpy or pandas cannot read: {shorten(str(error))}"
            raise SchemaError([Problem("inputs", "data that fits the schema", got)]) from error

    def _enforce(self, data: object) -> Any:
        if self._frames is None:
            assert self._tensors is not None
            return self._tensors.enforce(data)
        if isinstance(data, pd.DataFrame):
            return self._frames.enforce(data)
        if self._one_row is not None and type(data) is dict:
            frame = self._one_row.build(data)
            if frame is not None:
                return frame
        if is_spark_frame(data):
            return check_spark_frame(data, self._frames)
        return self._enforce_container(data, self._frames)

    def _enforce_container(self, data: object, frames: FrameEnforcer) -> object:
        try:
            return frames.enforce(convert_to_frame(data, frames.specs))
        except SchemaError:
            for reading in find_other_readings(data, frames.specs):
                with suppress(SchemaError):
                    return frames.enforce(reading.frame, nulls=reading.nulls)
            raise


def compile_plan(schema: Schema, *, coerce: str | None = None) -> Plan:
    """Return ``schema`` compiled for :meth:`Plan.enforce`.

    Args:
        schema: the columns or tensors.
        coerce: ``"safe"`` also casts where MLflow refuses although no value is lost.

    Raises:
        InvalidTypeError: ``schema`` is no Schema.
        InvalidArgumentError: ``coerce`` is another word.
    """
    return Plan(schema, coerce=coerce)


def enforce_schema(data: object, schema: Schema, *, coerce: str | None = None) -> Any:
    """Return ``data`` as ``schema`` asks for it, see :meth:`Plan.enforce`.

    Raises:
        SchemaError: with all problems.
    """
    return Plan(schema, coerce=coerce).enforce(data)


def validate_schema(data: object, schema: Schema) -> None:
    """Return None if ``data`` can be enforced.

    Raises:
        SchemaError: with all problems.
    """
    Plan(schema).enforce(data)
