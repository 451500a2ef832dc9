"""What a model answered as the body of a response, and back; and data as a request's body.

Everything written here is strict JSON: numbers that JSON lacks are null, or text on request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, find_repeated, shorten
from pyfunc.schema.schemas import Schema
from pyfunc.schema.wire.json_codec import (
    NonFinite,
    Place,
    table_rows,
    table_tree,
    to_tree,
    value_tree,
)
from pyfunc.schema.wire.json_frames import FrameReader, rename_keys
from pyfunc.schema.wire.json_inputs import InputReader
from pyfunc.schema.wire.json_numbers import (
    FEW_CELLS,
    can_format,
    format_numbers,
    format_records,
)
from pyfunc.schema.wire.json_text import bad_request, dump_json, load_json

__all__ = [
    "encode_predictions",
    "format_predictions",
    "format_request",
    "parse_predictions",
    "request_of_tree",
    "request_tree",
]

_DENSE_CELLS = 10_000_000


def format_predictions(
    value: object, *, nan: Literal["null", "string"] = "null", unified: bool = False
) -> str:
    """Return the JSON text that a model server answers with.

    Args:
        value: what ``predict`` returned. A frame becomes a list of records, a series one of
            records with its name (``"0"`` if it has none), an array nested lists; the index
            of a frame is not kept. Never changed.
        nan: what NaN and infinities become: null, or the texts ``"NaN"`` and ``"Infinity"``.
        unified: write the bare value instead of ``{"predictions": value}``, as for a request
            in the form of chat and completion models.

    Raises:
        InvalidTypeError: a part of the value has no JSON form.
        InvalidArgumentError: a frame has two columns of the same name.
    """
    return encode_predictions(value, nan=nan, unified=unified).decode("ascii")


def encode_predictions(
    value: object, *, nan: Literal["null", "string"] = "null", unified: bool = False
) -> bytes:
    """Return the text of :func:`format_predictions` in ASCII."""
    text = _encode_value(value, nan)
    return text if unified else b"".join([b'{"predictions": ', text, b"}"])


def _encode_value(value: object, nonfinite: NonFinite) -> bytes:
    if isinstance(value, pd.Series):
        value = value.to_frame("0" if value.name is None else value.name)
    if isinstance(value, pd.DataFrame):
        return _encode_records(value, nonfinite)
    place = Place("value")
    if type(value) is not dict or set(map(type, value)) != {str}:
        return _encode_part(value, nonfinite, place)
    texts = [_encode_part(item, nonfinite, place.at(key)) for key, item in value.items()]
    keys = [_encode_tree(key) for key in value]
    return b"{" + b", ".join(map(b": ".join, zip(keys, texts, strict=True))) + b"}"


def _encode_part(value: object, nonfinite: NonFinite, place: Place) -> bytes:
    array = value
    if type(value) is list and len(value) > FEW_CELLS and set(map(type, value)) == {float}:
        array = np.array(value)
    if type(array) is np.ndarray and array.dtype.kind in "iuf" and array.dtype.itemsize <= 8:
        if can_format(array.dtype) and array.size > FEW_CELLS:
            return format_numbers(array, nonfinite)
        text = repr(array.tolist())  # what JSON writes too, but for nan and inf
        if "n" not in text:
            return text.encode("ascii")
    return _encode_tree(to_tree(value, nonfinite, place))


def _encode_tree(tree: object) -> bytes:
    return dump_json(tree).encode("ascii")


def _encode_records(frame: pd.DataFrame, nonfinite: NonFinite) -> bytes:
    names = [_record_key(label) for label in frame.columns]
    if len(set(names)) != len(names):
        twice = sorted(find_repeated(names))
        raise InvalidArgumentError(
            f"the prediction has several columns named {shorten(twice)}, a record only one"
        )
    text = format_records(frame, names, nonfinite) if frame.size > FEW_CELLS else None
    if text is not None:
        return text
    rows = table_rows(frame, nonfinite)
    return _encode_tree([dict(zip(names, row, strict=True)) for row in rows])


def _record_key(label: object) -> str:
    plain = label.item() if isinstance(label, np.generic) else label
    if isinstance(plain, str):
        return plain
    if plain is None:
        return "null"
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, (int, float)):
        return repr(plain)
    raise InvalidTypeError(f"a record cannot have the key {shorten(label)}")


def parse_predictions(body: bytes | str, schema: Schema | None = None) -> Any:
    """Return the predictions of a response, cast to an output schema if there is one.

    A list of records becomes a frame under a schema of named columns; without a schema the
    JSON value is returned as it stands.

    Raises:
        InvalidArgumentError: the body is not a response of a model server.
        SchemaError: the predictions do not fit the schema.
    """
    payload = load_json(body, max_depth=200)
    if not isinstance(payload, dict) or "predictions" not in payload:
        raise bad_request(f"a response has the key predictions, got {shorten(payload)}")
    value = payload["predictions"]
    if schema is None:
        return value
    is_table = isinstance(value, list) and set(map(type, value)) <= {dict}
    if is_table and schema.has_input_names() and not schema.is_tensor_spec():
        return FrameReader(schema).from_records(rename_keys(value, schema.names_by_text()))
    return InputReader(schema).read_inputs(value)


def format_request(
    data: object, params: Mapping[str, object] | None = None, *, indent: int | None = None
) -> str:
    """Return the JSON text of a request for ``data``, which :func:`parse_request` reads back.

    A frame is written as ``dataframe_split``, a dict for a chat or completion model as it is,
    anything else as ``inputs``. Infinities become text, so they survive under a schema.

    Raises:
        InvalidTypeError: a part of the data has no JSON form.
        InvalidArgumentError: a sparse matrix is too large to be written out.
    """
    return dump_json(request_tree(data, params), indent=indent)


def request_tree(data: object, params: Mapping[str, object] | None = None) -> dict[str, object]:
    """Return the object of a request for ``data``."""
    if isinstance(data, pd.DataFrame):
        return request_of_tree(table_tree(data), data, params)
    return request_of_tree(value_tree(_dense(data)), data, params)


def request_of_tree(
    tree: Any, data: object, params: Mapping[str, object] | None
) -> dict[str, object]:
    """Return the object of a request for ``data``, whose tree is ``tree``."""
    extra = None if params is None else value_tree(params)
    if is_unified(data):
        return {**tree, **(extra or {})}
    body = {"dataframe_split" if isinstance(data, pd.DataFrame) else "inputs": tree}
    return body if params is None else {**body, "params": extra}


def is_unified(data: object) -> bool:
    """Return whether ``data`` is a dict in the form of chat and completion models."""
    if not isinstance(data, dict) or not data.keys() & {"messages", "prompt", "input"}:
        return False
    return not all(isinstance(value, np.ndarray) for value in data.values())


def _dense(data: Any) -> object:
    if not hasattr(data, "toarray"):
        return data
    if data.shape[0] * data.shape[1] > _DENSE_CELLS:
        raise InvalidArgumentError(
            f"a sparse matrix of shape {data.shape} cannot be written out for a request\n"
            "hint: take a few of its rows"
        )
    return data.toarray()
