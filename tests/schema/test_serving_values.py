"""Values of requests that MLflow bends or refuses although JSON can say them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pyfunc.errors import InvalidArgumentError, PyfuncError, SchemaError
from pyfunc.schema import (
    AnyType,
    Array,
    ColSpec,
    Map,
    Object,
    Property,
    RequestReader,
    Schema,
    TensorSpec,
    enforce_schema,
    format_predictions,
    parse_csv,
    parse_predictions,
    parse_request,
)


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        pytest.param([1, "x"], "object", [1, "x"], id="number-and-text"),
        pytest.param([1, None], "object", [1, None], id="number-and-null"),
        pytest.param([2**53 + 1, 0.5], "object", [2**53 + 1, 0.5], id="large-integer-and-float"),
        pytest.param([1, 0.5], "float64", [1.0, 0.5], id="small-integer-and-float"),
        pytest.param([True, 2], "int64", [1, 2], id="boolean-and-integer"),
        pytest.param([2**63], "uint64", [2**63], id="unsigned"),
        pytest.param([2**70], "object", [2**70], id="beyond-64-bits"),
        pytest.param(["a", "bb"], "<U2", ["a", "bb"], id="texts"),
        pytest.param(["a\0"], "object", ["a\0"], id="text-that-ends-in-nul"),
        pytest.param([[1, 2], [3, 4]], "int64", [[1, 2], [3, 4]], id="two-axes"),
    ],
)
def test_inputs_without_a_schema_keep_their_values(value: Any, dtype: str, expected: Any) -> None:
    found = parse_request({"inputs": value}, schema=None).data
    assert found.dtype == np.dtype(dtype)
    assert found.tolist() == expected


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [
        pytest.param(Array("binary"), ["AAA="], [b"\0\0"], id="array-of-bytes"),
        pytest.param(
            Array("datetime"), ["2020-01-02"], [pd.Timestamp("2020-01-02")], id="array-of-dates"
        ),
        pytest.param(Array("integer"), [1, 2], [1, 2], id="array-of-int32"),
        pytest.param(Array("float"), [0.5], [0.5], id="array-of-float32"),
        pytest.param(Array("double"), [0.5, "Infinity"], [0.5, np.inf], id="array-with-infinity"),
        pytest.param(Array(Array("long")), [[1, 2], [3]], [[1, 2], [3]], id="ragged-array"),
        pytest.param(
            Object([Property("x", "datetime"), Property("y", Map("binary"))]),
            {"x": "2020-01-02T03:04:05", "y": {"z": "AA=="}},
            {"x": pd.Timestamp("2020-01-02T03:04:05"), "y": {"z": b"\0"}},
            id="object",
        ),
    ],
)
@pytest.mark.parametrize("form", ["inputs", "dataframe_records"])
def test_nested_values_are_read_from_their_json_forms(
    dtype: Any, value: Any, expected: Any, form: str
) -> None:
    schema = Schema([ColSpec(dtype, "a")])
    row: dict[str, Any] = {"a": value}
    found = parse_request({form: row if form == "inputs" else [row]}, schema=schema)
    cell = enforce_schema(found.data, schema)["a"].iloc[0]
    assert list(cell) == expected if isinstance(expected, list) else cell == expected


def test_a_nested_value_that_does_not_fit_is_left_to_enforcement() -> None:
    schema = Schema([ColSpec(Object([Property("x", "binary"), Property("y", "integer")]), "a")])
    row = {"x": "not base64", "y": 2**40}
    found = parse_request({"dataframe_records": [{"a": row}]}, schema=schema).data
    assert found["a"].iloc[0] == row
    with pytest.raises(PyfuncError):
        enforce_schema(found, schema)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param(
            ["2020-01-02", "2020-01-02T03:04:05.000006", None],
            ["2020-01-02", "2020-01-02T03:04:05.000006", None],
            id="several-precisions",
        ),
        pytest.param(
            ["2020-01-02T00:00:00+01:00", "2020-06-02T00:00:00+02:00"],
            ["2020-01-01T23:00:00Z", "2020-06-01T22:00:00Z"],
            id="several-offsets",
        ),
        pytest.param(["02/03/2020", "02/04/2020"], ["2020-02-03", "2020-02-04"], id="month-first"),
        pytest.param([1577923200000000000, None], ["2020-01-02", None], id="nanoseconds"),
    ],
)
def test_datetimes_of_several_forms_share_a_column(texts: list[Any], expected: list[Any]) -> None:
    schema = Schema([ColSpec("datetime", "a")])
    body = {"dataframe_split": {"columns": ["a"], "data": [[text] for text in texts]}}
    found = parse_request(body, schema=schema).data["a"]
    assert found.isna().tolist() == [text is None for text in expected]
    assert found.dropna().tolist() == [pd.Timestamp(text) for text in expected if text]


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param(
            ["2020-01-02T00:00:00", "2020-01-02T00:00:00Z"], id="with-and-without-offset"
        ),
        pytest.param(["2020-01-02", "02/03/2020"], id="several-formats"),
        pytest.param(["2020-01-02", 5], id="text-and-number"),
    ],
)
def test_datetimes_that_cannot_be_told_are_refused(texts: list[Any]) -> None:
    body = {"dataframe_records": [{"a": text} for text in texts]}
    with pytest.raises(PyfuncError):
        parse_request(body, schema=Schema([ColSpec("datetime", "a")]))


def test_an_empty_list_fits_any_tensor() -> None:
    schema = Schema([TensorSpec(np.dtype("float32"), (-1, 3, 2))])
    found = parse_request({"inputs": []}, schema=schema).data
    assert found.shape == (0, 3, 2)
    assert enforce_schema(found, schema) is found


def test_null_in_a_text_column_stays_null() -> None:
    schema = Schema([ColSpec("string", "a")])
    for body in ({"inputs": {"a": ["x", None]}}, {"instances": [{"a": "x"}, {"a": None}]}):
        found = enforce_schema(parse_request(body, schema=schema).data, schema)
        assert found["a"].isna().tolist() == [False, True]
    assert parse_request({"inputs": {"a": None}}, schema=schema).data == {"a": None}


def test_an_optional_column_takes_null_in_every_form() -> None:
    for dtype, value in (("long", 2**60 + 1), ("integer", 5), ("boolean", True)):
        schema = Schema([ColSpec(dtype, "a", required=False)])
        for body in (
            {"dataframe_split": {"columns": ["a"], "data": [[value], [None]]}},
            {"dataframe_records": [{"a": value}, {}]},
            {"inputs": {"a": [value, None]}},
            {"instances": [{"a": value}, {"a": None}]},
        ):
            found = enforce_schema(parse_request(body, schema=schema).data, schema)["a"]
            assert found.isna().tolist() == [False, True]
            assert found.iloc[0] == value


def test_rows_with_other_columns_keep_them() -> None:
    schema = Schema([ColSpec("double", "a"), ColSpec("double", "b")])
    body = {"dataframe_split": {"columns": ["b", "z", "a"], "data": [[1, "q", 2]]}}
    found = parse_request(body, schema=schema).data
    assert found.columns.tolist() == ["b", "z", "a"]
    assert found["a"].dtype == found["b"].dtype == np.float64


def test_the_columns_of_two_requests_are_not_shared() -> None:
    reader = RequestReader(Schema([ColSpec("double", "a")]))
    body = {"dataframe_split": {"columns": ["a"], "data": [[1]]}}
    first = reader.parse_json(body).data
    first.columns.name = "changed"
    assert reader.parse_json(body).data.columns.name is None


def test_unnamed_columns_go_by_position() -> None:
    schema = Schema([ColSpec("double"), ColSpec("integer")])
    body = {"dataframe_split": {"columns": ["p", "q"], "data": [[1, 2]]}}
    found = parse_request(body, schema=schema).data
    assert [str(dtype) for dtype in found.dtypes] == ["float64", "int32"]


def test_instances_stay_rows() -> None:
    schema = Schema([ColSpec(AnyType(), "a"), ColSpec(Map("long"), "b")])
    body = {"instances": [{"a": "x", "b": {"k": 1}}, {"a": [1], "b": {}}]}
    found = enforce_schema(parse_request(body, schema=schema).data, schema)
    assert found["a"].tolist() == ["x", [1]]
    assert found["b"].tolist() == [{"k": 1}, {}]


@pytest.mark.parametrize("dtype", [Array("long"), Object([Property("x", "long")])])
def test_instances_cannot_hold_arrays_or_objects(dtype: Any) -> None:
    cell = [1] if isinstance(dtype, Array) else {"x": 1}
    schema = Schema([ColSpec(dtype, "a")])
    with pytest.raises(PyfuncError, match="send the rows as inputs"):
        parse_request({"instances": [{"a": cell}, {"a": cell}]}, schema=schema)
    found = parse_request({"inputs": [{"a": cell}, {"a": cell}]}, schema=schema).data
    assert len(enforce_schema(found, schema)) == 2


def test_instances_of_unnamed_columns_go_by_position() -> None:
    schema = Schema([ColSpec("long"), ColSpec("string")])
    body = {"instances": [{"p": 1, "q": "x"}, {"p": 2, "q": "y"}]}
    found = enforce_schema(parse_request(body, schema=schema).data, schema)
    assert found.to_dict("list") == {"p": [1, 2], "q": ["x", "y"]}


@pytest.mark.parametrize("dtype", [Array("long"), Map("long"), Object([Property("x", "long")])])
def test_a_single_value_is_no_nested_column(dtype: Any) -> None:
    schema = Schema([ColSpec(dtype, "a", required=False)])
    for body in ({"inputs": 5}, {"inputs": {"a": 5}}, {"inputs": [{"a": "x"}]}):
        with pytest.raises(PyfuncError):
            parse_request(body, schema=schema)
    assert parse_request({"inputs": {"a": None}}, schema=schema).data == {"a": None}


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [
        pytest.param(Array("long"), [1, 2], "int64", id="longs"),
        pytest.param(Array("double"), [1.5, 2, None], "float64", id="doubles"),
        pytest.param(Array("double"), [1, 0], "int64", id="integers-for-doubles"),
        pytest.param(Array("string"), ["x"], "<U1", id="texts"),
        pytest.param(Array(Array("long")), [[1], [2]], "int64", id="two-axes"),
        pytest.param(Array("long"), [1, None], None, id="null-among-longs"),
        pytest.param(Array("long"), [2**70], None, id="beyond-64-bits"),
        pytest.param(Array("string"), ["x\0"], None, id="text-that-ends-in-nul"),
        pytest.param(Array("long"), [[1], [2]], None, id="too-deep"),
        pytest.param(Array(Array("long")), [[1], [2, 3]], None, id="ragged"),
    ],
)
def test_an_array_of_inputs_is_a_numpy_array_if_that_holds_it(
    dtype: Any, value: Any, expected: str | None
) -> None:
    found = parse_request({"inputs": {"a": value}}, schema=Schema([ColSpec(dtype, "a")])).data["a"]
    if expected is None:
        assert found == value
    else:
        assert found.dtype == np.dtype(expected)
        assert found.shape[: np.ndim(value)] == np.shape(value)


@pytest.mark.parametrize(
    ("dtype", "text", "expected"),
    [
        pytest.param("datetime64[ns]", "2020-01-02T00:00:00.000000001", None, id="nanosecond"),
        pytest.param("datetime64[s]", "3000-01-02T03:04:05", None, id="year-3000"),
        pytest.param("datetime64[D]", "2020-01", "2020-01-01", id="month"),
        pytest.param(
            "datetime64[s]", "2020-01-02T00:00:00+01:00", "2020-01-01T23:00:00", id="offset"
        ),
        pytest.param("datetime64[s]", "2020-01-02T00:00:00Z", "2020-01-02T00:00:00", id="z"),
    ],
)
def test_a_moment_of_a_tensor_is_read_exactly(dtype: str, text: str, expected: str | None) -> None:
    schema = Schema([TensorSpec(np.dtype(dtype), (-1,))])
    found = parse_request({"inputs": [text, None]}, schema=schema).data
    assert found[0] == np.datetime64(expected or text)
    assert np.isnat(found[1])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("3000-01-01T00:00:00.000000001", id="wraps-in-nanoseconds"),
        pytest.param("2020-01-01T00:00:00.0000000001", id="finer-than-nanoseconds"),
        pytest.param("20200101", id="year-20200101"),
        pytest.param("today", id="word"),
        pytest.param("2020-01-02T00:00:60", id="second-60"),
    ],
)
def test_what_numpy_misreads_as_a_moment_is_refused(text: str) -> None:
    schema = Schema([TensorSpec(np.dtype("datetime64[us]"), (-1,))])
    with pytest.raises(PyfuncError):
        parse_request({"inputs": [text]}, schema=schema)
    nested = Schema([ColSpec(Array("datetime"), "a")])
    found = parse_request({"inputs": {"a": [text]}}, schema=nested).data
    assert found == {"a": [text]}


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [
        pytest.param("complex128", [1, 0.5], [1, 0.5], id="complex"),
        pytest.param("timedelta64[s]", [5, -1], [5, -1], id="duration"),
        pytest.param("object", [1, "x", None], [1, "x", None], id="objects"),
        pytest.param("object", [[1], [1, 2]], [[1], [1, 2]], id="ragged-objects"),
        pytest.param("str", ["x", 5, 1.5], ["x", "5", "1.5"], id="numbers-as-text"),
    ],
)
def test_a_tensor_of_another_dtype(dtype: str, value: Any, expected: Any) -> None:
    found = parse_request({"inputs": value}, schema=Schema([TensorSpec(np.dtype(dtype), (-1,))]))
    assert found.data.dtype.kind == np.dtype(dtype).kind
    assert found.data.tolist() == expected or found.data.astype(int).tolist() == expected


def test_a_tensor_of_records_cannot_be_sent() -> None:
    schema = Schema([TensorSpec(np.dtype([("a", "i4")]), (-1,))])
    with pytest.raises(PyfuncError, match="JSON cannot hold"):
        parse_request({"inputs": [[1]]}, schema=schema)


def test_a_long_text_stays_an_object_beside_short_ones_without_a_schema() -> None:
    found = parse_request({"inputs": ["x", "y\0"]}, schema=None).data
    assert found.tolist() == ["x", "y\0"]


def test_frames_without_rows_have_the_columns_and_types() -> None:
    schema = Schema([ColSpec("double", "a"), ColSpec("string", "b")])
    body = {"dataframe_split": {"columns": ["a", "b"], "data": []}}
    found = parse_request(body, schema=schema).data
    assert found.shape == (0, 2)
    assert found["a"].dtype == np.float64
    assert parse_request({"dataframe_records": []}, schema=schema).data.shape == (0, 0)
    assert parse_request(body, schema=None).data.columns.tolist() == ["a", "b"]


def test_texts_and_others_share_a_column() -> None:
    schema = Schema([ColSpec("string", "a"), ColSpec("string", "b")])
    body = {"dataframe_split": {"columns": ["a", "b"], "data": [["x", 7], [None, "y"]]}}
    found = parse_request(body, schema=schema).data
    assert found["a"].isna().tolist() == [False, True]
    assert found["b"].tolist() == [7, "y"]


def test_a_column_may_be_written_flat() -> None:
    schema = Schema([ColSpec("long", "a")])
    body = {"dataframe_split": {"columns": ["a"], "data": [1, 2]}}
    assert parse_request(body, schema=schema).data["a"].tolist() == [1, 2]


def test_a_reader_reads_csv_too() -> None:
    reader = RequestReader(Schema([ColSpec("long", "a")]))
    found = reader.parse_csv("a\n1\n")
    assert found.data["a"].tolist() == [1]
    assert found.params is None


def test_a_column_of_a_csv_without_name_is_called_as_pandas_calls_it() -> None:
    assert list(parse_csv(",a,\n0,1.5,2\n", schema=None)) == ["Unnamed: 0", "a", "Unnamed: 2"]


def test_the_text_of_a_csv_is_held_as_mlflow_holds_it() -> None:
    schema = Schema([ColSpec("string", "a"), ColSpec("string", "b")])
    found = parse_csv("a,b\nx,\n,\n", schema=schema)
    assert list(found.dtypes) == [object, object]
    assert [list(map(str, found[name])) for name in "ab"] == [["x", "nan"], ["nan", "nan"]]


CSV_CELLS = [
    pytest.param("long", "5.0", 5, id="zero"),
    pytest.param("long", "-7.", -7, id="dot"),
    pytest.param("long", "1e3", 1000, id="exponent"),
    pytest.param("long", "9223372036854775807.00", 2**63 - 1, id="largest"),
    pytest.param("long", "1.5", None, id="fraction"),
    pytest.param("long", "1e999999999", None, id="far-too-large"),
    pytest.param("long", "1_0", None, id="underscore"),
    pytest.param("long", "True", 1, id="truth"),
    pytest.param("integer", "2e9", 2_000_000_000, id="integer"),
    pytest.param("integer", "false", 0, id="falsehood"),
    pytest.param("float", "True", 1.0, id="truth-as-float"),
    pytest.param("float", "1_0", None, id="underscore-of-float"),
    pytest.param("double", "1_0", None, id="underscore-of-double"),
    pytest.param("double", "-0.0", -0.0, id="minus-zero"),
    pytest.param("float", "-0.0", -0.0, id="minus-zero-as-float"),
    pytest.param("boolean", "1.0", True, id="one"),
    pytest.param("boolean", "-0", False, id="nought"),
    pytest.param("boolean", "2", None, id="two"),
]


@pytest.mark.parametrize(("dtype", "cell", "value"), CSV_CELLS)
def test_a_cell_of_a_csv_is_the_number_that_it_spells(dtype: str, cell: str, value: Any) -> None:
    schema = Schema([ColSpec(dtype, "a")])
    if value is None:
        with pytest.raises(PyfuncError) as caught:
            parse_csv(f"a\n{cell}\n", schema=schema)
        assert caught.value.error_code == "BAD_REQUEST"
        return
    found = parse_csv(f"a\n{cell}\n", schema=schema)["a"]
    assert found.dtype == schema.inputs[0].type.to_numpy()
    assert repr(found.tolist()) == repr([value])


def test_a_scalar_among_the_columns_of_instances_is_repeated() -> None:
    schema = Schema([ColSpec("long", "a"), ColSpec("long", "b")])
    for b, length in ((2, 1), ([2, 3], 2)):
        request = parse_request({"instances": {"a": 1, "b": b}}, schema=schema)
        found = enforce_schema(request.data, schema)
        assert found["a"].tolist() == [1] * length
        assert found["b"].tolist() == [2, 3][:length]
    with pytest.raises(InvalidArgumentError, match="same length"):
        parse_request({"instances": {"a": 1, "b": [2]}}, schema=None)


def test_an_empty_text_is_no_moment_in_any_form() -> None:
    schema = Schema([ColSpec("datetime", "a")])
    for body in ({"dataframe_records": [{"a": ""}]}, {"inputs": {"a": [""]}}):
        found = enforce_schema(parse_request(body, schema=schema).data, schema)
        assert found["a"].isna().tolist() == [True]


@pytest.mark.parametrize("form", ["inputs", "dataframe_records"])
@pytest.mark.parametrize(
    ("dtype", "cells", "expected"),
    [
        pytest.param("S", ["YWI=", "AA8="], [b"ab", b"\0\x0f"], id="bytes"),
        pytest.param("S", ["YWI=", 3], None, id="no-bytes"),
        pytest.param("S", ["YWI=", None], None, id="null-among-bytes"),
        pytest.param("U", ["ab", "c"], ["ab", "c"], id="text"),
        pytest.param("U", ["ab", None], None, id="null-among-texts"),
    ],
)
def test_lists_in_a_frame_are_read_as_other_tensors_are(
    form: str, dtype: str, cells: list[Any], expected: list[Any] | None
) -> None:
    schema = Schema([TensorSpec(np.dtype(dtype), (-1, 2), "p")])
    body = {form: [{"p": cells}] if form == "dataframe_records" else {"p": [cells]}}
    if expected is None:
        with pytest.raises(SchemaError) as caught:
            parse_request(body, schema=schema)
        assert caught.value.error_code == "BAD_REQUEST"
        return
    found = enforce_schema(parse_request(body, schema=schema).data, schema)
    assert found["p"].tolist() == [expected]
    assert found["p"].dtype.kind == dtype


def test_csv_of_unnamed_columns_goes_by_position() -> None:
    schema = Schema([ColSpec("long"), ColSpec("string")])
    found = parse_csv("p,q,r\n1,2,3\n", schema=schema)
    assert found.to_dict("list") == {"p": [1], "q": ["2"], "r": [3]}


def test_predictions_are_read_by_the_output_schema() -> None:
    records = '{"predictions": [{"0": 1, "1": "x"}]}'
    found = parse_predictions(records, Schema([ColSpec("double", 0), ColSpec("string", 1)]))
    assert found.to_dict("list") == {0: [1.0], 1: ["x"]}
    tensor = Schema([TensorSpec(np.dtype("float32"), (-1,))])
    assert parse_predictions('{"predictions": [1, 2]}', tensor).dtype == np.float32
    assert parse_predictions('{"predictions": {"a": 1}}') == {"a": 1}
    for body in ("[1]", "{}"):
        with pytest.raises(InvalidArgumentError, match="has the key predictions"):
            parse_predictions(body)


def test_labels_of_records_are_written_as_json_writes_keys() -> None:
    frame = pd.DataFrame([[1, 2, 3]], columns=pd.Index([True, 1.5, "x"], dtype=object))
    assert format_predictions(frame) == '{"predictions": [{"true": 1, "1.5": 2, "x": 3}]}'


def test_the_time_zone_of_a_column_is_its_own() -> None:
    schema = Schema([ColSpec("datetime", name) for name in ("a", "b", "c")])
    row = ["2020-01-01T00:00:00+00:00", "2020-01-01T00:00:00", None]
    body = {"dataframe_split": {"columns": ["a", "b", "c"], "data": [row]}}
    found = parse_request(body, schema=schema).data
    assert [str(dtype) for dtype in found.dtypes[1:]] == ["datetime64[ns]"] * 2
    assert found["a"].iloc[0] == pd.Timestamp("2020-01-01T00:00:00+00:00")


ROWS = [[1.5, 2.5, 3.5], [4.5, 5.5, 6.5], [7.5, 8.5, 9.5]]
RECORDS = [dict(zip("abc", row, strict=True)) for row in ROWS]
DOUBLES = Schema([ColSpec("double", name) for name in "abc"])
DECLARED_LAYOUTS = [
    pytest.param({"dataframe_split": {"columns": [*"abc"], "data": ROWS}}, id="split"),
    pytest.param({"dataframe_records": RECORDS}, id="records"),
    pytest.param({"dataframe_split": {"columns": [*"cba"], "data": ROWS}}, id="reversed"),
    pytest.param(
        {"dataframe_split": {"columns": [*"axbyc"], "data": [[*r, 0.0, 0.0] for r in ROWS]}},
        id="every-other",
    ),
    pytest.param({"instances": RECORDS}, id="instances"),
    pytest.param({"inputs": {"a": [1.5, 2], "b": [2, 3], "c": [3, 4]}}, id="inputs"),
]


@pytest.mark.parametrize("schema", [pytest.param(DOUBLES, id="schema"), None])
@pytest.mark.parametrize("body", DECLARED_LAYOUTS)
def test_the_columns_of_a_frame_are_contiguous(body: Any, schema: Schema | None) -> None:
    data = parse_request(body, schema=schema).data
    frame = pd.DataFrame(data) if schema is None else enforce_schema(data, schema)
    assert frame.to_numpy().flags.f_contiguous


def test_a_tensor_out_of_a_frame_may_be_written_to() -> None:
    schema = Schema([TensorSpec(np.dtype("float64"), (-1, 3))])
    data = parse_request({"dataframe_split": {"data": ROWS}}, schema=schema).data
    tensor = enforce_schema(data, schema)
    assert tensor.flags.writeable
    assert tensor.flags.f_contiguous
    assert tensor.tolist() == ROWS
