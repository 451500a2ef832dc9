"""Every recorded request to MLflow 3.17.2's server, sent to the application."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyfunc.schema
from pyfunc.schema import ColSpec, DataType, ParamSchema, ParamSpec, Schema

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
TABLE = Schema([ColSpec("double", "a"), ColSpec("string", "b")])

# The rules of docs/differences.md, "Serving JSON".
NOT_JSON = ("NaN", "Infinity")
LOSSY = {
    '{"dataframe_split":{"columns":["a"],"data":[[1.7]]}}',
    '{"inputs":{"a":[1.7]}}',
    '{"dataframe_split":{"columns":["a"],"data":[[3000000000]]}}',
    '{"dataframe_split":{"columns":["a"],"data":[[true],[null]]}}',
    '{"inputs":{"a":["x",""]}}',
    '{"inputs":{"x":[[1,2]],"y":[5.7]}}',
}
OPTIONAL_TAKES_NULL = '{"dataframe_split":{"columns":["a"],"data":[[1],[null]]}}'


def expected_status(row: dict[str, Any]) -> int:
    payload, schema = row["payload"], row.get("schema") or ""
    if "content_type" not in row:
        if payload in LOSSY or any(token in payload for token in NOT_JSON):
            return 400
        if payload == OPTIONAL_TAKES_NULL and "required=False" in schema:
            return 200
    return int(row["http_status"])


def body_of(row: dict[str, Any]) -> bytes:
    payload: str = row["payload"]
    return bytes(eval(payload)) if payload.startswith("b'") else payload.encode()


def ident(row: dict[str, Any]) -> str:
    return f"{row['payload']} {row.get('schema')} {row.get('content_type')}"


@pytest.mark.parametrize("row", ROWS, ids=[ident(row) for row in ROWS])
def test_the_status_is_that_of_mlflow(
    row: dict[str, Any], ask: Callable[..., Any], app_of: Callable[..., Any]
) -> None:
    is_table = row.get("content_type", "").startswith("text/csv")
    schema = TABLE if is_table else eval(row["schema"], dict(NAMES)) if row.get("schema") else None
    params = None if schema is None or is_table else PARAMS
    app = app_of(lambda data, params: [0], schema, params=params)
    content_type = row.get("content_type", "application/json")
    response = ask(app, body=body_of(row), content_type=content_type)
    assert response.status_code == expected_status(row)
