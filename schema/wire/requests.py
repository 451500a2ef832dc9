"""The body of a request to a model server as the data and parameters that ``predict`` takes.

The forms are those of MLflow's server. What it would bend to fit (1.7 for a whole number,
``"false"`` for true) is refused here, so a model gets over HTTP what it gets in Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pyfunc.errors import InvalidArgumentError, PyfuncError, find_repeated, shorten
from pyfunc.schema.casting.object_columns import PANDAS_ERRORS
from pyfunc.schema.schemas import ParamSchema, Schema
from pyfunc.schema.wire.json_frames import FrameReader, rename_keys
from pyfunc.schema.wire.json_inputs import InputReader
from pyfunc.schema.wire.json_nested import HINTED, restorer
from pyfunc.schema.wire.json_text import MAX_DEPTH, bad_request, check_depth, load_json
from pyfunc.schema.wire.limits import RequestLimits
from pyfunc.schema.wire.tables import parse_csv, parse_parquet

__all__ = ["ParsedRequest", "RequestReader", "parse_csv", "parse_parquet", "parse_request"]

_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_UNIFIED = frozenset({"messages", "prompt", "input"})


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """What a request asks a model to do.

    Attributes:
        data: the first argument of ``predict``, not yet enforced.
        params: the parameters as sent, not yet enforced; None when the request has none.
        unified: the request is in the form of chat and completion models, so the response
            is the bare prediction instead of ``{"predictions": ...}``.
    """

    data: Any
    params: dict[str, object] | None
    unified: bool = False


class RequestReader:
    """Reads requests to one model; built once, it may serve any number of threads.

    Args:
        schema: what the model takes; None when its signature does not say.
        params_schema: its parameters, by which those of a unified request are told apart.
        from_type_hint: the signature was made from a type hint, which itself checks the
            data, so the value of ``inputs`` is passed on as JSON has it, but for bytes and
            datetimes, which JSON has as text.
        as_sent: pass the values of ``inputs`` and ``instances`` on as JSON has them.
        allow_nan: accept the tokens ``NaN`` and ``Infinity``, as MLflow does.
        max_depth: how deep the JSON may be nested.
        limits: how much a request may become; None for any amount, as of a file of one's own.
    """

    def __init__(
        self,
        schema: Schema | None,
        params_schema: ParamSchema | None = None,
        *,
        from_type_hint: bool = False,
        as_sent: bool = False,
        allow_nan: bool = False,
        max_depth: int = MAX_DEPTH,
        limits: RequestLimits | None = None,
    ) -> None:
        self._schema = schema
        self._params = {spec.name for spec in params_schema} if params_schema else set()
        self._from_type_hint = from_type_hint
        self._as_sent = as_sent
        self._allow_nan = allow_nan
        self._max_depth = max_depth
        self._limits = limits
        self._has_columns = (
            schema is not None and schema.has_input_names() and not schema.is_tensor_spec()
        )
        self._names = {} if schema is None else schema.names_by_text()
        self._frames = FrameReader(schema)
        self._inputs = InputReader(schema)
        self._restore = None
        if from_type_hint and schema is not None and not schema.is_tensor_spec():
            self._restore = restorer(schema.inputs[0].type, HINTED)

    def parse_json(self, body: bytes | str | Mapping[str, object]) -> ParsedRequest:
        """Return the request of a JSON body, or of the object that one holds.

        Raises:
            InvalidArgumentError: the body is not strict JSON or not a request.
                With ``PAYLOAD_TOO_LARGE``, it is beyond the limits.
            SchemaError: its values cannot be what the schema declares.
        """
        payload = self._load(body)
        is_unified = not _UNIFIED.isdisjoint(payload)
        if self._limits is not None:
            self._limits.check_payload(payload, is_data=is_unified, has_columns=self._has_columns)
        if is_unified:
            params = {k: v for k, v in payload.items() if k in self._params}
            data = {k: v for k, v in payload.items() if k not in self._params}
            return ParsedRequest(data, params, unified=True)
        if self._from_type_hint:
            return ParsedRequest(self._hinted_inputs(payload), _params_of(payload))
        form = _form_of(payload)
        try:
            return ParsedRequest(self._read(form, payload[form]), _params_of(payload))
        except PyfuncError:
            raise
        except PANDAS_ERRORS as error:
            raise bad_request(f"the data of {form} cannot be read: {error}", error) from None

    def _hinted_inputs(self, payload: dict[str, object]) -> object:
        if "inputs" not in payload:
            raise InvalidArgumentError(
                "the model takes what its type hint says, so the body must have the key inputs, "
                f"got the keys {shorten(sorted(payload))}"
            )
        found = payload["inputs"]
        if self._restore is None or not isinstance(found, list):
            return found
        return [self._restore(item) for item in found]

    def parse_csv(self, body: bytes | str) -> ParsedRequest:
        """Return the request of a CSV body; see :func:`pyfunc.schema.wire.tables.parse_csv`."""
        frame = parse_csv(body, schema=self._schema, limits=self._limits)
        return ParsedRequest(frame, None)

    def parse_parquet(self, body: bytes) -> ParsedRequest:
        """Return the request of a parquet body."""
        frame = parse_parquet(body, schema=self._schema, limits=self._limits)
        return ParsedRequest(frame, None)

    def _load(self, body: bytes | str | Mapping[str, object]) -> dict[str, object]:
        if isinstance(body, Mapping):
            payload: object = dict(body)
            check_depth(payload, self._max_depth)
        else:
            if self._limits is not None:
                self._limits.check_json(body)
            payload = load_json(body, allow_nan=self._allow_nan, max_depth=self._max_depth)
        if not isinstance(payload, dict):
            raise bad_request(
                f"the body must be a JSON object with one of {_listed(_FORMS)}, "
                f"got {_json_kind(payload)}"
            )
        return payload

    def _read(self, form: str, value: object) -> object:
        if self._as_sent and form in ("inputs", "instances"):
            return value
        if form != "dataframe_split":
            value = rename_keys(value, self._names)
        if form == "inputs":
            return self._inputs.read_inputs(value)
        if form == "instances":
            return self._inputs.read_instances(value)
        if form == "dataframe_split":
            return read_split(value, self._frames)
        if not isinstance(value, list) or not set(map(type, value)) <= {dict}:
            raise bad_request(f"dataframe_records must be a list of objects, got {shorten(value)}")
        return self._frames.from_records(value)


def parse_request(
    body: bytes | str | Mapping[str, object],
    *,
    schema: Schema | None,
    params_schema: ParamSchema | None = None,
    from_type_hint: bool = False,
    allow_nan: bool = False,
    max_depth: int = MAX_DEPTH,
) -> ParsedRequest:
    """Return the request of one JSON body; see :class:`RequestReader` for the arguments.

    Raises:
        InvalidArgumentError: the body is not strict JSON or not a request.
        SchemaError: its values cannot be what the schema declares.
    """
    reader = RequestReader(
        schema,
        params_schema,
        from_type_hint=from_type_hint,
        allow_nan=allow_nan,
        max_depth=max_depth,
    )
    return reader.parse_json(body)


def read_split(value: object, frames: FrameReader, *, unique: bool = True) -> pd.DataFrame:
    """Return the frame of ``{"columns": [...], "index": [...], "data": [[...], ...]}``.

    Args:
        value: the object; all but ``data`` may be missing or null.
        frames: casts the columns.
        unique: refuse two columns of the same label.

    Raises:
        InvalidArgumentError: with ``BAD_REQUEST``, the object is malformed.
        SchemaError: with ``BAD_REQUEST``, a column does not fit the schema.
    """
    if not isinstance(value, dict) or "data" not in value:
        raise bad_request(f"dataframe_split must be an object with data, got {shorten(value)}")
    if not value.keys() <= {"data", "columns", "index"}:
        odd = sorted(value.keys() - {"data", "columns", "index"})
        raise bad_request(f"dataframe_split has data, columns and index only, got {shorten(odd)}")
    labels, index, rows = value.get("columns"), value.get("index"), value["data"]
    for key, part in (("columns", labels), ("index", index), ("data", rows)):
        if not isinstance(part, list) and (part is not None or key == "data"):
            raise bad_request(f"{key} of dataframe_split must be a list, got {shorten(part)}")
    if labels is not None and len(labels) == 1 and not set(map(type, rows)) & {list, dict}:
        rows = [[cell] for cell in rows]  # one column may be written flat
    if unique and labels is not None:
        _check_unique(labels)
    return frames.from_rows(rows, labels, index)


def _check_unique(labels: list[object]) -> None:
    names = [repr(label) if isinstance(label, (list, dict)) else label for label in labels]
    if len(set(names)) != len(names):
        twice = find_repeated(names)
        raise bad_request(f"dataframe_split has several columns named {shorten(twice)}")


def _form_of(payload: dict[str, object]) -> str:
    found = [form for form in _FORMS if form in payload]
    if len(found) != 1:
        raise bad_request(
            f"the body must have exactly one of {_listed(_FORMS)}, "
            f"got the keys {shorten(sorted(payload))}"
        )
    return found[0]


def _params_of(payload: dict[str, object]) -> dict[str, object] | None:
    params = payload.get("params")
    if params is None or isinstance(params, dict):
        return params
    raise InvalidArgumentError(f"params must be an object, got {_json_kind(params)}")


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(words)


def _json_kind(value: object) -> str:
    if isinstance(value, list):
        return "a list"
    return "an object" if isinstance(value, dict) else shorten(value)
