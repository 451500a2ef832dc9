"""Bodies made to break a parser: each is refused in words, none crashes or hangs."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from pyfunc.errors import InvalidArgumentError, MissingDependencyError, PyfuncError
from pyfunc.schema import (
    AnyType,
    Array,
    ColSpec,
    DataType,
    Map,
    ParamSchema,
    ParamSpec,
    Schema,
    TensorSpec,
    enforce_schema,
    parse_csv,
    parse_parquet,
    parse_request,
)
from pyfunc.schema.wire.json_text import load_json

LONG = Schema([ColSpec("long", "a")])
DEEP = 100_000


def nested(depth: int) -> str:
    """Return a body whose value is nested ``depth`` deep, the outer object counted."""
    return '{"inputs": ' + "[" * (depth - 1) + "]" * (depth - 1) + "}"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not json", id="words"),
        pytest.param(b'{"inputs": [1]} x', id="trailing-text"),
        pytest.param(b'{"inputs": [1]}{"inputs": [2]}', id="two-values"),
        pytest.param(b'\xef\xbb\xbf{"inputs": [1]}', id="byte-order-mark"),
        pytest.param('{"inputs": [1]}'.encode("utf-16"), id="utf-16"),
        pytest.param(b'{"inputs": ["\xff"]}', id="not-utf-8"),
        pytest.param(b'{"inputs": [1], "inputs": [2]}', id="duplicate-key"),
        pytest.param(b'{"inputs": [{"a": 1, "b": 2, "a": 3}]}', id="duplicate-key-inside"),
        pytest.param(b'{"inputs": ["\\ud800"]}', id="lone-surrogate"),
        pytest.param(b'{"inputs": {"\\uDFFF": 1}}', id="lone-surrogate-in-a-key"),
        pytest.param(b'{"inputs": [NaN]}', id="nan"),
        pytest.param(b'{"inputs": [-Infinity]}', id="infinity"),
        pytest.param(b'{"inputs": [1e999]}', id="beyond-a-double"),
        pytest.param(b'{"inputs": [-1E+0400]}', id="beyond-a-double-negative"),
        pytest.param(
            b'{"inputs": [' + b"9" * 400 + b".5]}", id="beyond-a-double-without-exponent"
        ),
        pytest.param(b'{"inputs": [' + b"9" * 5000 + b"]}", id="integer-of-5000-digits"),
        pytest.param(nested(33).encode(), id="33-deep"),
        pytest.param(nested(DEEP).encode(), id="100000-deep"),
        pytest.param(b'{"inputs": ' + b"[" * DEEP, id="100000-deep-unclosed"),
        pytest.param(b'{"a":' * DEEP, id="100000-objects-unclosed"),
        pytest.param(b"[1]", id="list"),
        pytest.param(b"null", id="null"),
        pytest.param(b"{}", id="no-form"),
        pytest.param(b'{"inputs": [1], "instances": [1]}', id="two-forms"),
        pytest.param(b'{"dataframe_split": [[1]]}', id="split-is-a-list"),
        pytest.param(b'{"dataframe_split": {"columns": ["a"]}}', id="split-without-data"),
        pytest.param(b'{"dataframe_split": {"data": {"a": [1]}}}', id="split-data-is-an-object"),
        pytest.param(b'{"dataframe_split": {"data": 5}}', id="split-data-is-a-number"),
        pytest.param(b'{"dataframe_split": {"data": [[1], [1, 2]]}}', id="split-ragged"),
        pytest.param(b'{"dataframe_split": {"data": [[1], 2]}}', id="split-row-is-a-number"),
        pytest.param(b'{"dataframe_split": {"columns": "a", "data": [[1]]}}', id="columns-a-text"),
        pytest.param(
            b'{"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}', id="column-twice"
        ),
        pytest.param(
            b'{"dataframe_split": {"columns": [["a"], ["a"]], "data": [[1, 2]]}}',
            id="multi-index-column-twice",
        ),
        pytest.param(
            b'{"dataframe_split": {"columns": [{}], "data": [[1]]}}', id="column-is-an-object"
        ),
        pytest.param(
            b'{"dataframe_split": {"columns": [[{}]], "data": [[1]]}}', id="column-holds-an-object"
        ),
        pytest.param(
            b'{"dataframe_split": {"columns": ["a"], "index": [1, 2], "data": [[1]]}}',
            id="index-too-long",
        ),
        pytest.param(b'{"dataframe_split": {"data": [[1]], "x": 1}}', id="split-with-other-key"),
        pytest.param(b'{"dataframe_records": [1, 2]}', id="records-of-numbers"),
        pytest.param(b'{"dataframe_records": {"a": [1]}}', id="records-is-an-object"),
        pytest.param(b'{"inputs": [[1], [1, 2]]}', id="ragged-inputs"),
        pytest.param(b'{"inputs": [[1], 2]}', id="lists-beside-numbers"),
        pytest.param(b'{"instances": [{"a": 1}, {"b": 1}]}', id="instances-with-other-keys"),
        pytest.param(b'{"instances": [{"a": 1}, 1]}', id="instance-is-a-number"),
        pytest.param(b'{"instances": {"a": [1], "b": [1, 2]}}', id="instances-of-other-lengths"),
        pytest.param(b'{"instances": {"a": 1}}', id="instances-of-a-number"),
        pytest.param(b'{"inputs": [1], "params": [1]}', id="params-is-a-list"),
        pytest.param(b'{"inputs": [1], "params": "x"}', id="params-is-a-text"),
    ],
)
def test_a_broken_body_is_refused(body: bytes) -> None:
    with pytest.raises(PyfuncError) as caught:
        parse_request(body, schema=None)
    assert caught.value.error_code in ("BAD_REQUEST", "INVALID_PARAMETER_VALUE")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("dtype", "cell"),
    [
        pytest.param("long", "1.5", id="long-with-a-fraction"),
        pytest.param("long", "1e300", id="long-huge-float"),
        pytest.param("long", '"1.0"', id="long-text-with-a-point"),
        pytest.param("long", "null", id="long-null"),
        pytest.param("long", "{}", id="long-object"),
        pytest.param("integer", "2147483648", id="integer-2**31"),
        pytest.param("integer", "-2147483649", id="integer-below"),
        pytest.param("double", '"x"', id="double-text"),
        pytest.param("double", "1" + "0" * 400, id="double-integer-of-400-digits"),
        pytest.param("float", "1e39", id="float-beyond-float32"),
        pytest.param("boolean", '"false"', id="boolean-text"),
        pytest.param("boolean", "2", id="boolean-2"),
        pytest.param("boolean", "null", id="boolean-null"),
        pytest.param("binary", '"ab!c="', id="binary-not-base64"),
        pytest.param("binary", '"abc"', id="binary-without-padding"),
        pytest.param("binary", "5", id="binary-number"),
        pytest.param("datetime", '"nope"', id="datetime-words"),
        pytest.param("datetime", '"now"', id="datetime-now"),
        pytest.param("datetime", '"9999-01-01 00:00:00.0000001"', id="datetime-too-fine"),
        pytest.param("datetime", '"2020-02-30"', id="datetime-no-such-day"),
        pytest.param("datetime", "1.5", id="datetime-fraction"),
        pytest.param("datetime", "true", id="datetime-boolean"),
        pytest.param("datetime", str(2**70), id="datetime-2**70"),
    ],
)
@pytest.mark.parametrize("form", ["split", "records", "inputs", "instances"])
def test_a_value_that_its_column_cannot_hold_is_refused(dtype: str, cell: str, form: str) -> None:
    bodies = {
        "split": f'{{"dataframe_split": {{"columns": ["a"], "data": [[{cell}]]}}}}',
        "records": f'{{"dataframe_records": [{{"a": {cell}}}]}}',
        "inputs": f'{{"inputs": {{"a": [{cell}]}}}}',
        "instances": f'{{"instances": [{{"a": {cell}}}]}}',
    }
    with pytest.raises(PyfuncError) as caught:
        parse_request(bodies[form], schema=Schema([ColSpec(dtype, "a")]))
    assert caught.value.error_code == "BAD_REQUEST"


@pytest.mark.parametrize(
    ("dtype", "cell", "expected"),
    [
        pytest.param("long", "9007199254740993", 9007199254740993, id="long-beyond-2**53"),
        pytest.param("long", "5.0", 5, id="long-whole-float"),
        pytest.param("long", '"5"', 5, id="long-text"),
        pytest.param("long", "true", 1, id="long-true"),
        pytest.param("double", "3", 3.0, id="double-integer"),
        pytest.param("double", '"3.5"', 3.5, id="double-text"),
        pytest.param("double", '"-Infinity"', float("-inf"), id="double-infinity-as-text"),
        pytest.param("boolean", "1", True, id="boolean-1"),
        pytest.param("binary", '"AP8=\\n"', b"\x00\xff", id="binary-line-break"),
        pytest.param(
            "datetime", '"9999-01-01"', np.datetime64("9999-01-01"), id="datetime-of-9999"
        ),
        pytest.param("string", '"a\\u0000"', "a\x00", id="string-nul-at-the-end"),
        pytest.param("string", '"\\ud83d\\ude00"', "\U0001f600", id="string-surrogate-pair"),
    ],
)
@pytest.mark.parametrize("form", ["records", "inputs"])
def test_a_value_keeps_what_it_is(dtype: str, cell: str, expected: Any, form: str) -> None:
    bodies = {
        "records": f'{{"dataframe_records": [{{"a": {cell}}}]}}',
        "inputs": f'{{"inputs": {{"a": [{cell}]}}}}',
    }
    data = parse_request(bodies[form], schema=Schema([ColSpec(dtype, "a")])).data
    assert data["a"][0] == expected


@pytest.mark.parametrize("cell", ["[1]", "{}"])
def test_a_cell_of_a_frame_is_no_list(cell: str) -> None:
    with pytest.raises(PyfuncError):
        parse_request(f'{{"dataframe_records": [{{"a": {cell}}}]}}', schema=LONG)


def test_depth_32_is_the_deepest_by_default() -> None:
    assert parse_request(nested(32), schema=None).data.shape == (1,) * 30 + (0,)
    assert parse_request(nested(33), schema=None, max_depth=33).data.ndim == 32


def test_an_object_is_read_like_its_text() -> None:
    body = {"inputs": {"a": [1, 2]}, "params": {"p": 1}}
    for form in (body, json.dumps(body), json.dumps(body).encode()):
        found = parse_request(form, schema=LONG)
        assert found.data["a"].tolist() == [1, 2]
        assert found.params == {"p": 1}
        assert not found.unified


def test_the_callers_object_is_not_changed() -> None:
    body = {"inputs": [{"a": {"x": "AA=="}}], "params": {"p": [1]}}
    before = json.dumps(body)
    parse_request(body, schema=Schema([ColSpec(AnyType(), "a")]))
    assert json.dumps(body) == before


def test_a_unified_request_keeps_its_data_and_tells_parameters_apart() -> None:
    params = ParamSchema([ParamSpec("temperature", "double", 0.5)])
    body = {"messages": [{"role": "user"}], "temperature": 1.0, "inputs": 5}
    found = parse_request(body, schema=None, params_schema=params)
    assert found.unified
    assert found.params == {"temperature": 1.0}
    assert found.data == {"messages": [{"role": "user"}], "inputs": 5}


def test_a_model_with_a_type_hint_gets_inputs_as_they_are() -> None:
    schema = Schema([ColSpec(Array("string"))])
    body = {"inputs": [["x"], []], "params": None}
    assert parse_request(body, schema=schema, from_type_hint=True).data == [["x"], []]
    with pytest.raises(InvalidArgumentError, match="inputs") as caught:
        parse_request({"dataframe_records": []}, schema=schema, from_type_hint=True)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


def test_one_long_text_does_not_widen_a_million_short_ones() -> None:
    texts = ["x"] * 50_000 + ["y" * 50_000]
    data = parse_request({"inputs": texts}, schema=Schema([ColSpec("string", "a")])).data
    assert data["a"].dtype == object
    with pytest.raises(PyfuncError, match="widens"):
        parse_request({"inputs": texts}, schema=Schema([TensorSpec(np.dtype("str"), (-1,))]))


def test_a_tensor_of_text_refuses_what_numpy_would_cut() -> None:
    for word in ("str", "bytes"):
        cell = "x\0" if word == "str" else "eAA="
        with pytest.raises(PyfuncError, match="NUL"):
            parse_request({"inputs": [cell]}, schema=Schema([TensorSpec(np.dtype(word), (-1,))]))


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        pytest.param("int64", 1.7, id="fraction"),
        pytest.param("uint8", 256, id="too-large"),
        pytest.param("uint8", -1, id="negative"),
        pytest.param("int64", None, id="null-integer"),
        pytest.param("float16", 1e6, id="beyond-float16"),
        pytest.param("bool", 2, id="not-a-boolean"),
        pytest.param("str", None, id="null-text"),
        pytest.param("datetime64[ns]", "today", id="today"),
        pytest.param("datetime64[ns]", "3000-01-01", id="beyond-nanoseconds"),
        pytest.param("datetime64[D]", "2020-01-01T01:00:00", id="time-of-day-in-a-date"),
        pytest.param("timedelta64[s]", "1", id="text-for-a-duration"),
    ],
)
def test_a_tensor_refuses_what_it_would_bend(dtype: str, value: Any) -> None:
    with pytest.raises(PyfuncError) as caught:
        parse_request({"inputs": [value]}, schema=Schema([TensorSpec(np.dtype(dtype), (-1,))]))
    assert caught.value.error_code == "BAD_REQUEST"


def test_many_columns_are_read_in_one_go() -> None:
    names = [f"c{i}" for i in range(20_000)]
    body = {"dataframe_split": {"columns": names, "data": [[0.5] * len(names)]}}
    schema = Schema([ColSpec("double", name) for name in names])
    assert parse_request(body, schema=schema).data.shape == (1, 20_000)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe", id="not-utf-8"),
        pytest.param(b"a,a\n1,2\n", id="column-twice"),
        pytest.param(b"a,b\n1,2,3\n", id="more-cells-than-names"),
        pytest.param(b'a,b\n1,"x\n', id="quote-never-closed"),
        pytest.param(b"a,b\n1.5,x\n", id="fraction-for-a-long"),
        pytest.param(b"a,b\n,x\n", id="missing-long"),
        pytest.param(b'"' + b"x" * 200_000 + b'"\n1\n', id="name-of-200000-letters"),
    ],
)
def test_a_broken_csv_is_refused(body: bytes) -> None:
    schema = Schema([ColSpec("long", "a"), ColSpec("string", "b")])
    with pytest.raises(PyfuncError) as caught:
        parse_csv(body, schema=schema)
    assert caught.value.error_code == "BAD_REQUEST"


@pytest.mark.parametrize(
    "dtype", [TensorSpec(np.dtype("int64"), (-1,), "a"), ColSpec(AnyType(), "a")]
)
def test_csv_cannot_hold_nested_values(dtype: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="CSV cannot hold"):
        parse_csv("a\n1\n", schema=Schema([dtype]))


@pytest.mark.parametrize("kind", [Array("long"), AnyType(), Map("string")])
def test_csv_may_leave_out_an_optional_column_that_it_cannot_hold(kind: Any) -> None:
    schema = Schema([ColSpec("long", "a"), ColSpec(kind, "b", required=False)])
    frame = parse_csv("a\n1\n", schema=schema)
    assert enforce_schema(frame, schema)["a"].tolist() == [1]
    with pytest.raises(InvalidArgumentError, match="CSV cannot hold 'b'"):
        parse_csv("b,a\n[1],1\n", schema=schema)
    with pytest.raises(InvalidArgumentError, match="CSV cannot hold 'b'"):
        parse_csv("a\n1\n", schema=Schema([ColSpec("long", "a"), ColSpec(kind, "b")]))


def test_csv_gives_each_column_its_type() -> None:
    types = ["integer", "float", "boolean", "binary", "datetime", "string"]
    schema = Schema(
        [ColSpec(name, name) for name in types] + [ColSpec("long", "maybe", required=False)]
    )
    text = (
        "integer,float,boolean,binary,datetime,string,maybe,other\n"
        "1,0.5,true,AP8=,2020-01-02,NA,,x\n"
        "-2,,0,,2020-01-02T03:04:05,,7,y\n"
    ).replace(",,2020", ",AA==,2020")
    frame = parse_csv(text, schema=schema)
    assert frame["integer"].dtype == np.int32
    assert frame["float"].dtype == np.float32
    assert frame["boolean"].tolist() == [True, False]
    assert frame["binary"].tolist() == [b"\x00\xff", b"\x00"]
    assert frame["datetime"].dtype == "datetime64[ns]"
    assert frame["string"].tolist()[0] == "NA"
    assert frame["string"].isna().tolist() == [False, True]
    assert frame["maybe"].isna().tolist() == [True, False]
    assert frame["maybe"].dtype == "Int64"
    assert frame["other"].tolist() == ["x", "y"]


def test_parquet_without_pyarrow_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'pyfunc-format\[arrow\]'"):
        parse_parquet(b"")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FORMS = st.sampled_from(["dataframe_split", "dataframe_records", "instances", "inputs"])
SCHEMAS = st.sampled_from(
    [
        None,
        LONG,
        *[Schema([ColSpec(dtype)]) for dtype in DataType],
        Schema([ColSpec(Array("datetime"), "a"), ColSpec("string", "b", required=False)]),
        Schema([TensorSpec(np.dtype("float32"), (-1, 2))]),
        Schema([TensorSpec(np.dtype("bytes"), (-1,), "a")]),
    ]
)


def read_or_refuse(read: Callable[[], object]) -> None:
    """Call ``read``, which may fail with nothing but an error for a bad request."""
    try:
        read()
    except PyfuncError as error:
        check_refusal(error)


def check_refusal(error: PyfuncError) -> None:
    assert error.error_code in ("BAD_REQUEST", "INVALID_PARAMETER_VALUE")


@given(form=FORMS, value=JSON_VALUES, schema=SCHEMAS, params=JSON_VALUES)
def test_any_payload_is_read_or_refused_in_words(
    form: str, value: Any, schema: Schema | None, params: Any
) -> None:
    body = json.dumps({form: value, "params": params})
    read_or_refuse(lambda: parse_request(body, schema=schema))


@given(rows=st.lists(st.lists(JSON_VALUES, min_size=2, max_size=2), max_size=4), schema=SCHEMAS)
def test_any_rows_are_read_or_refused_in_words(rows: list[Any], schema: Schema | None) -> None:
    body = json.dumps({"dataframe_split": {"columns": ["a", "b"], "data": rows}})
    read_or_refuse(lambda: parse_request(body, schema=schema))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_words(body: bytes) -> None:
    read_or_refuse(lambda: load_json(body))
    read_or_refuse(lambda: parse_csv(body, schema=LONG))
    read_or_refuse(lambda: parse_csv(b"a\n" + body, schema=LONG))


@given(st.text(alphabet='{}[]",:0123456789eE+-.nulltrue \\/ud8', max_size=60))
def test_what_is_read_is_what_json_says(text: str) -> None:
    try:
        value = load_json(text)
    except InvalidArgumentError:
        return
    assert value == json.loads(text)


@pytest.mark.parametrize("schema", [None, Schema([ColSpec("long", "a")])], ids=["bare", "schema"])
def test_parquet_that_is_nested_too_deeply_cannot_be_read(schema: Schema | None) -> None:
    arrow = pa.int64()
    for _ in range(900):
        arrow = pa.list_(arrow)
    target = io.BytesIO()
    parquet.write_table(pa.table({"a": pa.array([None], arrow)}), target, store_schema=False)
    with pytest.raises(InvalidArgumentError, match="not a parquet file") as caught:
        parse_parquet(target.getvalue(), schema=schema)
    assert caught.value.error_code == "BAD_REQUEST"
