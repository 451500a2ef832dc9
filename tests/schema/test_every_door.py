"""What enforcement takes in Python, each reader of text takes in its form, alike."""

from __future__ import annotations

import datetime as dt
import json
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import pytest

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


ODD_ARRAYS = [
    pytest.param(np.array(1), id="no-dimensions"),
    pytest.param(np.ma.MaskedArray([1, 2], [False, True]), id="masked"),
    pytest.param(np.array(["NaT"], "M8"), id="no-unit"),
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
