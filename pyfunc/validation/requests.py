"""The example of a model as a request of each protocol that can carry it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pandas as pd

from pyfunc.errors import PyfuncError
from pyfunc.schema import InputExample
from pyfunc.serving.open_inference.tensors import form_of, json_data_of
from pyfunc.serving.open_inference.values import output_tensors

if TYPE_CHECKING:
    from pyfunc.schema import Schema

__all__ = ["inference_body", "stream_body", "table_text"]


def table_text(example: object, params: Mapping[str, object] | None) -> bytes | None:
    """Return the example as CSV, None if a table of plain cells cannot say it."""
    if not isinstance(example, pd.DataFrame) or params or not example.shape[1]:
        return None
    cells = (cell for name in example for cell in example[name].tolist())
    if any(isinstance(cell, (list, dict, tuple, bytes, np.ndarray)) for cell in cells):
        return None
    try:
        return example.to_csv(index=False).encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return None


def inference_body(
    example: object, params: Mapping[str, object] | None, schema: Schema | None
) -> bytes | None:
    """Return the example as a request of the Open Inference Protocol, None if it is no tensors."""
    if isinstance(example, dict) and schema is not None and not schema.is_tensor_spec():
        example = pd.DataFrame([example])  # one row, whose cells may be lists
    try:
        tensors = output_tensors(example, schema)
        inputs = [
            {**form_of(name, array), "data": json_data_of(array)}
            for name, array in tensors.items()
        ]
        body = {"inputs": inputs, "parameters": dict(params or {})}
        return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    except (PyfuncError, TypeError, ValueError):
        return None


def stream_body(example: object, params: dict[str, object] | None) -> bytes:
    """Return the first row or element of the example as a request: streams take one at a time."""
    first = example
    if isinstance(example, pd.DataFrame):
        first = example.iloc[:1]
    elif isinstance(example, (list, np.ndarray)):
        first = example[:1]
    given = InputExample.from_value((first, params) if params else first)
    return given.serving_json.encode()
