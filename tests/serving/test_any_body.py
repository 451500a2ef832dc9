"""Whatever is sent, a server answers with one of the intended statuses and in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfunc.schema import ColSpec, DataType, Schema

FORMS = ["dataframe_split", "dataframe_records", "instances", "inputs", "params", "prompt"]
TYPES = [*("application/json", "text/csv", "application/vnd.apache.parquet"), "x/y; z", ""]
INTENDED = {200, 400, 408, 413, 415, 503, 504}


def to_json(tree: Any) -> bytes:
    return json.dumps(tree).encode()


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from(["a", "t", "2020-01-02", "data", "columns", 2**70, "AA=="]),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["a", "t", "data", "columns", "index", "name", "shape", "datatype"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=8,
)
bodies = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(str.encode),
    st.dictionaries(st.sampled_from(FORMS), trees, max_size=2).map(
        lambda t: json.dumps(t).encode()
    ),
    trees.map(to_json),
)


@pytest.fixture(scope="module")
def apps(app_of: Callable[..., Any]) -> list[Any]:
    """Return applications of models with and without a signature."""
    schema = Schema([ColSpec(dtype, f"a{i}") for i, dtype in enumerate(DataType)])
    one = Schema([ColSpec("long", "a"), ColSpec("datetime", "t", required=False)])
    return [app_of(lambda data, params: [1], found) for found in (None, one, schema)]


@given(body=bodies, content_type=st.sampled_from(TYPES), which=st.integers(0, 2))
def test_any_body_is_answered(
    apps: list[Any], ask: Callable[..., Any], body: bytes, content_type: str, which: int
) -> None:
    response = ask(apps[which], body=body, content_type=content_type)
    assert response.status_code in INTENDED
    response.json()


tensors = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["a", "t", 5]),
        "datatype": st.sampled_from(["FP64", "INT8", "BYTES", "BOOL", None]),
        "shape": st.one_of(st.lists(st.integers(-1, 3), max_size=3), leaves),
        "data": st.lists(leaves, max_size=3) | trees,
        "parameters": st.fixed_dictionaries({"binary_data_size": leaves}) | leaves,
    },
)
infer_bodies = st.one_of(
    bodies,
    st.fixed_dictionaries(
        {"inputs": st.lists(tensors, max_size=3)},
        optional={"outputs": trees, "parameters": trees, "id": leaves},
    ).map(to_json),
)


@given(body=infer_bodies, length=st.none() | st.integers(0, 70), which=st.integers(0, 2))
def test_any_body_of_the_open_protocol_is_answered(
    apps: list[Any], ask: Callable[..., Any], body: bytes, length: int | None, which: int
) -> None:
    headers = {} if length is None else {"Inference-Header-Content-Length": str(length)}
    response = ask(apps[which], "/v2/models/toy/infer", body, headers=headers)
    assert response.status_code in INTENDED
