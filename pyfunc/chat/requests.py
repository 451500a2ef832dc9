"""From what ``predict`` is given to the one request in it, as plain values of Python."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import pandas as pd

from pyfunc.chat.signatures import loosened
from pyfunc.errors import Problem, SchemaError
from pyfunc.handlers.samples import to_plain
from pyfunc.schema import Schema, as_predict_error, compile_plan

__all__ = ["RequestForm"]

_logger = logging.getLogger("pyfunc.predict")


class RequestForm:
    """Reads requests by the signature of a model; serves any number of threads."""

    def __init__(self, schema: Schema) -> None:
        self._plan = compile_plan(loosened(schema))
        self._optional = frozenset(c.name for c in schema.inputs if not c.required)

    def read(self, data: object) -> dict[str, object]:
        """Return the request: a dict, the first row of a frame, or the one dict in a list.

        What is null counts as not given, where it may be missing. ``data`` is not changed.

        Raises:
            SchemaError: it is no request, or does not fit; says every problem.
        """
        single = _single(data)
        if isinstance(single, Mapping):
            single = {key: value for key, value in single.items() if not self._is_null(key, value)}
        try:
            frame = self._plan.enforce(single)
        except SchemaError as error:
            raise as_predict_error(error) from error.__cause__
        return {str(name): to_plain(frame[name].iloc[0]) for name in frame.columns}

    def _is_null(self, name: object, value: object) -> bool:
        if name not in self._optional:
            return False
        return value is None or value is pd.NA or (isinstance(value, float) and pd.isna(value))


def _single(data: object) -> object:
    """Return the one request in ``data`` where there is a first one."""
    if isinstance(data, list) and len(data) == 1 and isinstance(data[0], dict):
        return data[0]
    if not isinstance(data, pd.DataFrame):
        return data
    if not len(data):
        problem = Problem("inputs", "one row, a request", "a frame without rows")
        raise as_predict_error(SchemaError([problem]))
    if len(data) > 1:
        _logger.warning(
            "a chat takes one request: rows after the first of %d are ignored", len(data)
        )
    return {name: data.iloc[0, at] for at, name in enumerate(data.columns)}
