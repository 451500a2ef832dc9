"""What enforcement takes in Python, each reader of text takes in its form, alike."""

from __future__ import annotations

import datetime as dt
import io
import json
import warnings
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from pyfunc.errors import PyfuncError, SchemaError
from pyfunc.schema import (
    Array,
    ColSpec,
    InputExample,
    Map,
    Object,
    Plan,
    Property,
    RequestReader,
    Schema,
    compile_plan,
    infer_schema,
    read_input_example,
)

END = dt.date(9999, 12, 31)
FRAMES: list[Any] = [
    pytest.param({"a": [END], "x": [1.5]}, id="a-date-for-never"),
    pytest.param({"a": [END, None], "x": [1.5, 2.5]}, id="with-a-null"),
    pytest.param({"a": [END], "b": [dt.date(2020, 1, 2)]}, id="beside-one-in-nanoseconds"),
    pytest.param({"a": [dt.datetime(1500, 1, 2, 3, 4, 5, 6)]}, id="a-datetime-of-1500"),
]


def through_split(frame: pd.DataFrame, reader: RequestReader) -> Any:
    return reader.parse_json(InputExample.from_value(frame).serving_json).data


def through_records(frame: pd.DataFrame, reader: RequestReader) -> Any:
    split = json.loads(InputExample.from_value(frame).serving_json)["dataframe_split"]
    records = [dict(zip(split["columns"], row, strict=True)) for row in split["data"]]
    return reader.parse_json({"dataframe_records": records}).data


def through_inputs(frame: pd.DataFrame, reader: RequestReader) -> Any:
    split = json.loads(InputExample.from_value(frame).serving_json)["dataframe_split"]
    columns = [list(cells) for cells in zip(*split["data"], strict=True)]
    inputs = dict(zip(split["columns"], columns, strict=True))
    return reader.parse_json({"inputs": inputs}).data


def through_csv(frame: pd.DataFrame, reader: RequestReader) -> Any:
    return reader.parse_csv(frame.to_csv(index=False)).data


Door = Callable[[pd.DataFrame, RequestReader], Any]


def compiled(data: Any) -> tuple[Schema, Plan]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that integer columns cannot be missing
        schema = infer_schema(data)
    return schema, compile_plan(schema)


@pytest.mark.parametrize("columns", FRAMES)
@pytest.mark.parametrize("door", [through_split, through_records, through_inputs, through_csv])
def test_a_frame_comes_through_every_door(door: Door, columns: dict[str, list[Any]]) -> None:
    frame = pd.DataFrame({name: pd.Series(c, dtype=object) for name, c in columns.items()})
    schema, plan = compiled(frame)
    found = plan.enforce(door(frame, RequestReader(schema)))
    pd.testing.assert_frame_equal(found, plan.enforce(frame), check_dtype=False)
    assert [dtype.kind for dtype in found.dtypes] == [d.kind for d in plan.enforce(frame).dtypes]


@pytest.mark.parametrize("columns", FRAMES)
def test_a_saved_frame_is_read_back(columns: dict[str, list[Any]]) -> None:
    frame = pd.DataFrame({name: pd.Series(c, dtype=object) for name, c in columns.items()})
    schema, plan = compiled(frame)
    example = InputExample.from_value(frame)
    read = read_input_example(example.info, lambda _: example.example_json.encode(), schema)
    pd.testing.assert_frame_equal(plan.enforce(read), plan.enforce(frame), check_dtype=False)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param([1, None], id="a-null-among-integers"),
        pytest.param([True, None], id="a-null-among-booleans"),
        pytest.param({"a": 2**63}, id="beyond-64-bits"),
        pytest.param([2**70, 1], id="beyond-64-bits-in-a-list"),
        pytest.param([{"a": 1}, {"a": float("nan")}], id="nan-in-a-row"),
        pytest.param([{"a": b"x"}, {"a": float("nan")}], id="nan-beside-bytes"),
        pytest.param(2**63, id="beyond-64-bits-alone"),
        pytest.param([{"a": 2**63}, {"a": 1}], id="beyond-64-bits-in-a-row"),
        pytest.param([{"a": 1, "b": 2**70}, {"a": -(2**70), "b": 1}], id="beyond-64-bits-in-rows"),
        pytest.param([{"a": {"t": pd.NaT}}, {"a": {"t": END}}], id="no-date-in-an-object"),
        pytest.param(pd.DataFrame(np.array([])), id="no-rows-and-no-labels"),
        pytest.param(pd.DataFrame(np.empty((0, 3))), id="no-rows-of-three"),
    ],
)
def test_values_come_through_a_request(data: Any) -> None:
    schema, plan = compiled(data)
    request = InputExample.from_value(data).serving_json
    found = plan.enforce(RequestReader(schema).parse_json(request).data)
    expected = plan.enforce(data)
    assert found.columns.tolist() == expected.columns.tolist()
    assert found.astype(object).isna().equals(expected.astype(object).isna())
    present = ~np.asarray(expected.isna())
    assert found.to_numpy(object)[present].tolist() == expected.to_numpy(object)[present].tolist()


with warnings.catch_warnings():  # newer releases of numpy will not have them
    warnings.simplefilter("ignore", DeprecationWarning)
    NO_UNIT = np.array(["NaT"], "M8")
ODD_ARRAYS = [
    pytest.param(np.array(1), id="no-dimensions"),
    pytest.param(np.ma.MaskedArray([1, 2], [False, True]), id="masked"),
    pytest.param(NO_UNIT, id="no-unit"),
    pytest.param(np.array([(1, 2)], dtype=[("x", int), ("y", int)]), id="records"),
    pytest.param(np.array([b"ab"], dtype="V2"), id="void"),
    pytest.param(np.array([1j]), id="complex"),
    pytest.param(np.array([1], "m8[s]"), id="duration"),
]


@pytest.mark.parametrize("array", ODD_ARRAYS)
@pytest.mark.parametrize(
    "dtype",
    [
        *("long", "string", "binary", "datetime", "double", "boolean"),
        *map(Array, ("long", "string", "binary", "datetime", "double", "boolean")),
        *(Array(Array("long")), Map("long"), Object([Property("x", "long")])),
    ],
    ids=repr,
)
def test_an_odd_array_never_ends_in_an_error_of_numpy(dtype: Any, array: Any) -> None:
    for column, cell in (
        (dtype, array),
        (Array(dtype), [array]),
        (Map(dtype), {"k": array}),
        (Object([Property("p", dtype)]), {"p": array}),
    ):
        schema = Schema([ColSpec(column, "a")])
        for data in ([{"a": cell}], {"a": cell}, pd.DataFrame({"a": pd.Series([cell])})):
            with suppress(PyfuncError):
                compile_plan(schema).enforce(data)
        if isinstance(column, Array) and column is dtype:
            with pytest.raises(SchemaError):
                compile_plan(schema).enforce([{"a": cell}])


MOMENTS = np.array(["2020-01-02", "NaT"], "M8[ns]")
CELLS: list[Any] = [
    pytest.param(np.array([END, dt.date(1, 1, 1)], dtype=object), id="dates-far-away"),
    pytest.param(np.array([END, None], dtype=object), id="a-date-and-none"),
    pytest.param(np.array([bytearray(b"a"), b"bc"], dtype=object), id="bytearrays"),
    pytest.param(MOMENTS, id="moments"),
    pytest.param(MOMENTS.astype("M8[D]").reshape(2, 1), id="days-of-two-dimensions"),
    pytest.param(np.array([2**63, 1], dtype=object), id="beyond-64-bits"),
]


@pytest.mark.parametrize("array", CELLS)
@pytest.mark.parametrize("door", [through_split, through_records])
def test_an_array_in_a_cell_keeps_its_values(door: Door, array: Any) -> None:
    frame = pd.DataFrame({"a": pd.Series([array, array[:1]], dtype=object)})
    schema, plan = compiled(frame)

    def listed(cell: Any) -> Any:
        if isinstance(cell, (list, np.ndarray)):
            return [listed(item) for item in list(cell)]
        if pd.isna(cell):
            return None
        moment = isinstance(cell, (dt.date, np.datetime64))
        return (
            pd.Timestamp(cell) if moment else bytes(cell) if isinstance(cell, bytearray) else cell
        )

    given = [listed(cell) for cell in frame["a"]]
    assert [listed(cell) for cell in plan.enforce(frame)["a"]] == given
    served = plan.enforce(door(frame, RequestReader(schema)))
    assert [listed(cell) for cell in served["a"]] == given


@pytest.mark.parametrize("dtype", ["V2", "m8[s]", "c16"])
def test_a_frame_of_what_has_no_type_has_no_schema(dtype: str) -> None:
    with pytest.raises(PyfuncError, match="has no type in a schema"):
        infer_schema(pd.DataFrame(np.zeros(1, dtype)))


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        pytest.param(pa.array([1, 2]), [1, 2], id="array"),
        pytest.param(pa.chunked_array([["a"], ["b"]]), ["a", "b"], id="chunks"),
        pytest.param(pa.array([[1], [2, 3]]), [[1], [2, 3]], id="lists"),
        pytest.param(pa.record_batch({"a": [1.5]}), [1.5], id="batch"),
    ],
)
def test_a_column_of_arrow_passes_its_own_schema(column: Any, cells: list[Any]) -> None:
    _, plan = compiled(column)
    assert plan.enforce(column).iloc[:, 0].tolist() == cells


def test_a_class_is_no_table() -> None:
    with pytest.raises(PyfuncError, match="no schema can be inferred from a type"):
        infer_schema(pd.DataFrame)


HALF = "a\ud800"  # no text to arrow, of which pandas makes columns of text


@pytest.mark.parametrize(
    "data", [HALF, [HALF, "b"], [{"a": HALF}], {"a": HALF, "b": 1}], ids=ascii
)
def test_half_a_surrogate_pair_passes_its_own_schema(data: Any) -> None:
    _, plan = compiled(data)
    assert plan.enforce(data).iloc[0, 0] == HALF
    example = InputExample.from_value(pd.DataFrame({"a": pd.Series([HALF], dtype=object)}))
    for schema in (None, Schema([ColSpec("string", "a")])):
        read = read_input_example(example.info, lambda _: example.example_json.encode(), schema)
        assert read["a"].tolist() == [HALF]


def test_bytes_of_a_fixed_width_are_bytes() -> None:
    for array in (np.array([b"abc", b"d"]), np.array([[b"a", b"bc"], [b"d", b"e"]])):
        frame = pd.DataFrame(array)
        _, plan = compiled(frame)
        assert plan.enforce(frame).to_numpy(object).tolist() == array.reshape(2, -1).tolist()
    unnamed = Schema([ColSpec("binary")])
    found = compile_plan(unnamed).enforce(np.array([b"abc", b"d"]))
    assert found.iloc[:, 0].tolist() == [b"abc", b"d"]


def test_booleans_beside_integers_are_doubles_in_an_array_of_doubles() -> None:
    schema = Schema([ColSpec(Array("double"), "a")])
    for data in (
        {"a": [True, 0]},
        RequestReader(schema).parse_json({"inputs": {"a": [True, 0]}}).data,
    ):
        cell = compile_plan(schema).enforce(data)["a"].iloc[0]
        assert [type(value) for value in list(cell)] in ([float] * 2, [np.float64] * 2)


@pytest.mark.parametrize("labels", [[0, 1], [5, 1.5], ["a", 2]], ids=str)
@pytest.mark.parametrize("door", [through_split, through_records, through_inputs, through_csv])
def test_names_that_are_no_text_are_keys_of_their_text(door: Door, labels: list[Any]) -> None:
    frame = pd.DataFrame([[1, 2.5], [3, 4.5]], columns=labels)
    split = json.loads(InputExample.from_value(frame).serving_json)["dataframe_split"]
    schema, plan = compiled(frame)
    if door is through_split:
        found = RequestReader(schema).parse_json({"dataframe_split": split}).data
    else:
        texts = pd.DataFrame([[1, 2.5], [3, 4.5]], columns=list(map(str, frame.columns)))
        found = door(texts, RequestReader(schema))
    pd.testing.assert_frame_equal(plan.enforce(found), frame, check_column_type=False)
    beside = infer_schema(pd.DataFrame([["x", 1.5]], columns=["1", 1]))
    row = RequestReader(beside).parse_json({"dataframe_records": [{"1": "x"}]}).data
    assert row.columns.tolist() == ["1"]


def through_parquet(table: pa.Table, reader: RequestReader) -> Any:
    target = io.BytesIO()
    parquet.write_table(table, target)
    return reader.parse_parquet(target.getvalue()).data


ARROW_DOORS: list[Any] = [
    pytest.param(lambda table, reader: table, id="table"),
    pytest.param(lambda table, reader: table.to_pandas(types_mapper=pd.ArrowDtype), id="columns"),
    pytest.param(through_parquet, id="parquet"),
]
LONG, LONGS = pa.int64(), pa.list_(pa.int64())
MOST = 2**63 - 1
LONG_OR_NULL = Property("x", "long", required=False)
NULLS_INSIDE: list[Any] = [
    pytest.param(LONGS, Array("long"), [[MOST, None], [2, 3], []], id="list"),
    pytest.param(pa.large_list(LONG), Array("long"), [[MOST, None], [2]], id="large-list"),
    pytest.param(pa.list_(LONG, 2), Array("long"), [[MOST, None], [2, 3]], id="list-of-two"),
    pytest.param(pa.list_(pa.int32()), Array("integer"), [[1, None], [2]], id="32-bits"),
    pytest.param(pa.list_(pa.uint64()), Array("long"), [[2**63 + 1, None]], id="unsigned"),
    pytest.param(pa.list_(LONGS), Array(Array("long")), [[[MOST, None], None], [[2]]], id="lists"),
    pytest.param(pa.list_(pa.float32()), Array("float"), [[1.5, None], [2.5]], id="floats"),
    pytest.param(
        pa.struct([("x", LONG)]), Object([LONG_OR_NULL]), [{"x": MOST}, {"x": None}], id="struct"
    ),
    pytest.param(
        pa.struct([("x", LONGS)]),
        Object([Property("x", Array("long"))]),
        [{"x": [MOST, None]}, {"x": [2]}],
        id="list-in-a-struct",
    ),
    pytest.param(
        pa.list_(pa.struct([("x", LONG)])),
        Array(Object([LONG_OR_NULL])),
        [[{"x": MOST}, {"x": None}, None], []],
        id="structs-in-a-list",
    ),
    pytest.param(
        pa.map_(pa.string(), LONGS),
        Map(Array("long")),
        [{"a": [MOST, None]}, {"b": [2], "c": []}],
        id="map",
    ),
]


def plain(value: Any) -> Any:
    if isinstance(value, (np.ndarray, list)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return None if pd.isna(value) else value


@pytest.mark.parametrize("door", ARROW_DOORS)
@pytest.mark.parametrize("null", [False, True], ids=["full", "null"])
@pytest.mark.parametrize(("arrow", "dtype", "values"), NULLS_INSIDE)
def test_integers_beside_nulls_keep_their_value(
    door: Any, null: bool, arrow: pa.DataType, dtype: Any, values: list[Any]
) -> None:
    if pa.types.is_fixed_size_list(arrow):
        null = False  # which pyarrow does not read back
    cells = [*values, None] if null else values
    held = [list(cell.items()) if pa.types.is_map(arrow) and cell else cell for cell in cells]
    table = pa.table({"a": pa.array(held, arrow)})
    schema = Schema([ColSpec(dtype, "a", required=not null)])
    found = compile_plan(schema).enforce(door(table, RequestReader(schema)))
    assert plain(found["a"].tolist()) == cells


@pytest.mark.parametrize("door", ARROW_DOORS)
def test_integers_of_a_column_keep_their_value(door: Any) -> None:
    table = pa.table({"a": pa.array([MOST, None]), "b": pa.array([2**53, None])})
    schema = Schema([ColSpec("long", "a", required=False), ColSpec("long", "b", required=False)])
    found = compile_plan(schema).enforce(door(table, RequestReader(schema)))
    assert plain(found.to_numpy(object)) == [[MOST, 2**53], [None, None]]
    bare = door(table, RequestReader(None))
    if isinstance(bare, pd.DataFrame):
        assert plain(bare["a"].tolist()) == [MOST, None]


@pytest.mark.parametrize("width", ["int8", "uint8", "int32", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("dtype", ["integer", "long"])
def test_integers_of_any_width_beside_nulls_fit_where_there_is_room(
    width: str, dtype: str
) -> None:
    schema = Schema([ColSpec(dtype, "a", required=False)])
    table = pa.table({"a": pa.array([1, None], getattr(pa, width)())})
    found = compile_plan(schema).enforce(through_parquet(table, RequestReader(schema)))
    assert plain(found["a"].tolist()) == [1, None]


@pytest.mark.parametrize("door", [ARROW_DOORS[0], ARROW_DOORS[2]])
@pytest.mark.parametrize("dtype", ["double", Array("double")], ids=repr)
def test_integers_beside_nulls_are_doubles_that_hold_them(door: Any, dtype: Any) -> None:
    schema = Schema([ColSpec(dtype, "a")])
    plan = compile_plan(schema)

    def enforce(cells: list[Any]) -> Any:
        column = pa.array(cells if dtype == "double" else [cells])
        found = plan.enforce(door(pa.table({"a": column}), RequestReader(schema)))["a"].tolist()
        return plain(found if dtype == "double" else found[0])

    found = enforce([2**53, None, 3])
    assert (found, type(found[0])) == ([2.0**53, None, 3.0], float)
    with pytest.raises(SchemaError):
        enforce([2**53 + 1, None])


@pytest.mark.parametrize("other", [None, 1.5, True])
def test_an_integer_that_no_double_holds_is_never_rounded(other: Any) -> None:
    column, array = Schema([ColSpec("double", "a")]), Schema([ColSpec(Array("double"), "a")])
    for value, raises in ((2**53, False), (2**53 + 1, True), (-(2**53) - 1, True)):
        for schema, data in (
            (column, {"a": [value, other]}),
            (column, [{"a": value}, {"a": other}]),
            (column, pd.DataFrame({"a": pd.Series([value, other], dtype=object)})),
            (array, [{"a": [value, other]}]),
            (array, [{"a": np.array([value, other], dtype=object)}]),
        ):
            is_kept = other is True and schema is column  # int64, as in MLflow
            with nullcontext() if is_kept or not raises else pytest.raises(SchemaError):
                compile_plan(schema).enforce(data)
