"""Every recorded request to MLflow 3.17.2's server, against our parser and enforcement."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pyfunc.schema
from pyfunc.errors import PyfuncError, SchemaError
from pyfunc.schema import (
    ColSpec,
    DataType,
    ParamSchema,
    ParamSpec,
    ParsedRequest,
    Schema,
    enforce_params,
    enforce_schema,
    parse_csv,
    parse_request,
)

IS_NUMPY_2 = int(np.__version__.split(".")[0]) >= 2
ROWS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "data/conformance/serving.json").read_text()
)
NAMES = {
    **{name: getattr(pyfunc.schema, name) for name in pyfunc.schema.__all__},
    "np": np,
    "C": ColSpec,
    "D": DataType,
}
PARAMS = ParamSchema([ParamSpec("p", "long", 1)])
JSON_ROWS = [row for row in ROWS if "content_type" not in row]

# The rules of docs/differences.md, section "Serving JSON".
NOT_JSON = ("NaN", "Infinity")  # refused unless allow_nan
LOSSY = {  # payload -> the declared types under which the cast would change the value
    '{"dataframe_split":{"columns":["a"],"data":[[1.7]]}}',
    '{"inputs":{"a":[1.7]}}',
    '{"dataframe_split":{"columns":["a"],"data":[[3000000000]]}}',
    '{"dataframe_split":{"columns":["a"],"data":[[true],[null]]}}',
    '{"inputs":{"a":["x",""]}}',
    '{"inputs":{"x":[[1,2]],"y":[5.7]}}',
}
OPTIONAL_TAKES_NULL = '{"dataframe_split":{"columns":["a"],"data":[[1],[null]]}}'
BASE64_EVERYWHERE = '{"inputs":["AP8="]}'


def expected_status(row: dict[str, Any]) -> int:
    payload, schema = row["payload"], row["schema"] or ""
    if payload in LOSSY or any(token in payload for token in NOT_JSON):
        return 400
    if payload == OPTIONAL_TAKES_NULL and "required=False" in schema:
        return 200
    return int(row["http_status"])


def schema_of(row: dict[str, Any]) -> Schema | None:
    found: Schema | None = eval(row["schema"], dict(NAMES)) if row["schema"] else None
    return found


def parse(row: dict[str, Any], **options: Any) -> ParsedRequest:
    schema = schema_of(row)
    params = None if schema is None else PARAMS
    return parse_request(row["payload"], schema=schema, params_schema=params, **options)


def serve(row: dict[str, Any], **options: Any) -> Any:
    """Return what the model gets, as a server would make it."""
    schema, request = schema_of(row), parse(row, **options)
    if schema is None:
        return request.data
    enforce_params(request.params, PARAMS)
    return enforce_schema(request.data, schema)


def describe(value: Any) -> Any:
    """Return the form in which the rows hold a value."""
    if isinstance(value, pd.DataFrame):
        return {
            "type": "DataFrame",
            "columns": [repr(label) for label in value.columns],
            "index": repr(value.index.tolist()),
            "dtypes": [str(dtype) for dtype in value.dtypes],
            "records": repr(value.to_dict("records")),
        }
    if isinstance(value, dict):
        return {"type": "dict", "items": {key: describe(item) for key, item in value.items()}}
    if isinstance(value, np.ndarray):
        dtype = value.dtype.str if value.dtype.kind in "US" else str(value.dtype)
        shape = list(value.shape)
        return {"type": "ndarray", "dtype": dtype, "shape": shape, "values": repr(value.tolist())}
    return {"type": type(value).__name__, "repr": repr(value)}


def plain_text(records: str) -> str:
    records = re.sub(r"np\.str_\(('.*?')\)", r"\1", records).replace("None", "nan")
    if IS_NUMPY_2:
        return records
    return re.sub(r"np\.\w+\(([^()]*)\)", r"\1", records)  # numpy 1 writes no types


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


@pytest.mark.parametrize(
    "row", JSON_ROWS, ids=[f"{r['payload']} {r['schema']}" for r in JSON_ROWS]
)
def test_the_status_is_that_of_mlflow(row: dict[str, Any]) -> None:
    if expected_status(row) == 200:
        serve(row)
    else:
        with pytest.raises(PyfuncError):
            serve(row)


NOT_NUMBERS = [row for row in JSON_ROWS if any(token in row["payload"] for token in NOT_JSON)]


@pytest.mark.parametrize("row", NOT_NUMBERS, ids=[row["payload"] for row in NOT_NUMBERS])
def test_tokens_that_are_not_json_are_read_on_request(row: dict[str, Any]) -> None:
    found = serve(row, allow_nan=True)
    first = float(found["a"].iloc[0])
    assert np.isinf(first) if "Infinity" in row["payload"] else np.isnan(first)


PARSED = [
    row
    for row in JSON_ROWS
    if row.get("parse") == "ok"
    and expected_status(row) == row["http_status"] == 200
    and row["payload"] != BASE64_EVERYWHERE
]


@pytest.mark.parametrize("row", PARSED, ids=[f"{r['payload']} {r['schema']}" for r in PARSED])
def test_the_model_gets_what_it_gets_from_mlflow(row: dict[str, Any]) -> None:
    recorded = row.get("enforced", row["parsed"])
    found = describe(serve(row))
    if found["type"] == "DataFrame":
        # The rows were made on pandas 3 with pyarrow, where a column of text holds plain
        # texts and NaN. Elsewhere it is object, holds numpy's texts, or None.
        dtypes = [dtype.replace("str", "object") for dtype in found["dtypes"]]
        expected = [dtype.replace("str", "object") for dtype in recorded["dtypes"]]
        found = {**found, "dtypes": dtypes, "records": plain_text(found["records"])}
        recorded = {**recorded, "dtypes": expected, "records": plain_text(recorded["records"])}
    assert found == recorded
    if "params" in row:
        assert parse(row).params == row["params"]
        assert parse(row).unified == row["unified_llm"]


def test_base64_is_read_in_inputs_too() -> None:
    (row,) = [row for row in JSON_ROWS if row["payload"] == BASE64_EVERYWHERE]
    assert serve(row).tolist() == [b"\x00\xff"]


TABLES = [
    row
    for row in ROWS
    if row.get("content_type", "").startswith("text/csv") and "latin" not in row["content_type"]
]


@pytest.mark.parametrize("row", TABLES, ids=[row["payload"] for row in TABLES])
def test_csv_is_read_as_mlflow_reads_it(row: dict[str, Any]) -> None:
    payload = row["payload"]
    body = eval(payload) if payload.startswith("b'") else payload.encode()
    schema = Schema([ColSpec("double", "a"), ColSpec("string", "b")])
    if row["http_status"] == 200:
        frame = enforce_schema(parse_csv(body, schema=schema), schema)
        assert frame["a"].dtype == np.float64
    else:
        with pytest.raises(PyfuncError) as caught:
            parse_csv(body, schema=schema)
        assert caught.value.error_code == "BAD_REQUEST"


def test_all_misfits_are_listed_in_one_error() -> None:
    schema = Schema([ColSpec("long", "a"), ColSpec("boolean", "b"), ColSpec("string", "c")])
    body = {"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 1, "x"], [1.5, 2, "y"]]}}
    with pytest.raises(SchemaError) as caught:
        parse_request(body, schema=schema)
    assert [(p.path, p.got, p.row) for p in caught.value.problems] == [
        ("inputs['a']", "1.5", 1),
        ("inputs['b']", "2", 1),
    ]
    assert caught.value.error_code == "BAD_REQUEST"
