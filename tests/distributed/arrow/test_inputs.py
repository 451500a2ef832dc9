"""Columns of Arrow become what a model is given, with the types and nulls that they have."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pyfunc.distributed.arrow.inputs import build_input
from pyfunc.errors import InvalidArgumentError
from pyfunc.schema import Array, ColSpec, DataType, Object, Property, Schema, TensorSpec

NEW_YORK = pa.timestamp("us", "America/New_York")
MOMENT = dt.datetime(2024, 1, 2, 8, 4, 5, 123456, dt.timezone.utc)
LOCAL = dt.datetime(2024, 1, 2, 3, 4, 5, 123456)

LARGE = (1 << 53) + 1  # which no float is

# What a column is, the dtype that it becomes, and its values then.
COLUMNS = {
    "long": (pa.array([1, 2]), "int64", [1, 2]),
    "long-with-null": (pa.array([1, None]), "Int64", [1, pd.NA]),
    "beyond-floats": (pa.array([(1 << 53) + 1, None]), "Int64", [(1 << 53) + 1, pd.NA]),
    "int-with-null": (pa.array([1, None], pa.int32()), "Int32", [1, pd.NA]),
    "short-with-null": (pa.array([1, None], pa.int16()), "Int16", [1, pd.NA]),
    "byte-with-null": (pa.array([1, None], pa.int8()), "Int8", [1, pd.NA]),
    "only-nulls": (pa.array([None, None], pa.int64()), "Int64", [pd.NA, pd.NA]),
    "boolean": (pa.array([True, False]), "bool", [True, False]),
    "boolean-with-null": (pa.array([True, None]), "boolean", [True, pd.NA]),
    "float": (pa.array([1.5, 2], pa.float32()), "float32", [1.5, 2.0]),
    "double-with-null": (pa.array([1.5, None]), "float64", [1.5, np.nan]),
    "binary": (pa.array([b"\0", None]), "object", [b"\0", None]),
    "date": (pa.array([dt.date(9999, 1, 2), None]), "object", [dt.date(9999, 1, 2), None]),
    "decimal": (
        pa.array([Decimal("1.25"), None], pa.decimal128(10, 2)),
        "object",
        [Decimal("1.25"), None],
    ),
    "timestamp": (pa.array([MOMENT, None], NEW_YORK), "datetime64[ns]", [LOCAL, pd.NaT]),
    "timestamp-without-zone": (
        pa.array([LOCAL, None], pa.timestamp("us")),
        "datetime64[ns]",
        [LOCAL, pd.NaT],
    ),
    "map": (
        pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int32())),
        "object",
        [{"k": 1}, None],
    ),
    "struct": (pa.array([{"x": 1}, None]), "object", [{"x": 1}, None]),
    "struct-of-times": (
        pa.array([{"x": MOMENT}, None], pa.struct([("x", NEW_YORK)])),
        "object",
        [{"x": LOCAL}, None],
    ),
    "map-of-times": (
        pa.array([[("k", MOMENT)], None], pa.map_(pa.string(), NEW_YORK)),
        "object",
        [{"k": LOCAL}, None],
    ),
}


def is_same(left: object, right: object) -> bool:
    missing = (pd.NA, pd.NaT)
    if any(value is None or any(value is other for other in missing) for value in (left, right)):
        return left is right
    return left == right or (left != left and right != right)  # noqa: PLR0124 - NaN


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_keeps_its_type_and_its_nulls(name: str) -> None:
    column, dtype, expected = COLUMNS[name]
    assert isinstance(expected, list)
    frame: Any = build_input([column, pa.array(["x", "y"])], None)
    assert list(frame.columns) == ["0", "1"]
    assert frame["0"].dtype == dtype
    found = frame["0"].tolist()
    assert all(is_same(*pair) for pair in zip(found, expected, strict=True)), found


@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("kind", ["float32", "float64", "int8", "uint16", "int32", "int64"])
def test_numbers_of_one_type_are_the_frame_that_arrow_makes(
    kind: str, columns: int, rows: int
) -> None:
    values = np.arange(columns * 5).reshape(columns, 5).astype(kind)
    if kind.startswith("float"):
        values[-1, 1] = np.nan
    arrays = [pa.array(row)[1 : 1 + rows] for row in values]
    if kind.startswith("float") and rows:
        arrays[0] = pa.array([None, *arrays[0].to_pylist()[1:]], arrays[0].type)
    names = [f"c{i}" for i in range(columns)]
    frame = build_input([pa.StructArray.from_arrays(arrays, names)], None)
    assert isinstance(frame, pd.DataFrame)
    pd.testing.assert_frame_equal(frame, pa.table(arrays, names).to_pandas())
    before = [array.to_pylist() for array in arrays]
    frame.iloc[:] = 7  # a model may write into its own
    assert str([array.to_pylist() for array in arrays]) == str(before)


OBJECTS = {
    "struct": (pa.array([{"x": LARGE}, {"x": None}, None]), [{"x": LARGE}, {"x": None}, None]),
    "map": (
        pa.array([[("k", LARGE), ("n", None)], None], pa.map_(pa.string(), pa.int64())),
        [{"k": LARGE, "n": None}, None],
    ),
    "structs-in-a-list": (pa.array([[{"x": LARGE}, {"x": None}]]), [[{"x": LARGE}, {"x": None}]]),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_integers_beside_a_null_in_dicts_stay_what_they_are(name: str) -> None:
    column, expected = OBJECTS[name]
    frame = build_input([column, pa.array([1.5] * len(column))], None)
    assert isinstance(frame, pd.DataFrame)
    cells = [list(c) if isinstance(c, np.ndarray) else c for c in frame["0"]]
    assert repr(cells) == repr(expected)


def test_lists_are_arrays_in_the_cells() -> None:
    lists = pa.array([[1, 2], None, []], pa.list_(pa.int32()))
    times = pa.array([[MOMENT], None, []], pa.list_(NEW_YORK))
    frame: Any = build_input([lists, times], None)
    assert [None if v is None else v.tolist() for v in frame["0"]] == [[1, 2], None, []]
    assert frame["0"][0].dtype == np.int32
    assert frame["1"][0].tolist() == [LOCAL]
    assert frame["1"][1] is None


def test_times_of_a_slice_are_those_of_its_rows() -> None:
    lists = pa.array([[MOMENT], [], [MOMENT, None]], pa.list_(NEW_YORK)).slice(1)
    frame: Any = build_input([lists, lists], None)
    assert [len(value) for value in frame["0"]] == [0, 2]


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_a_struct_is_a_row_with_names(rows: int) -> None:
    kind = pa.struct([("a", pa.int64()), ("b", pa.string())])
    struct = pa.array([{"a": 1, "b": "x"}] * rows, kind)
    frame: Any = build_input([struct], None)
    assert list(frame.columns) == ["a", "b"]
    assert len(frame) == rows


def test_of_a_struct_that_is_null_all_is_null() -> None:
    frame: Any = build_input([pa.array([{"a": 1, "b": "x"}, None])], None)
    assert frame["a"].tolist() == [1, pd.NA]
    assert frame["b"].isna().tolist() == [False, True]


NAMED = Schema(
    [
        ColSpec(DataType.long, "a"),
        ColSpec(DataType.string, "b"),
        ColSpec(DataType.double, "c", required=False),
    ]
)
A, B, C, D = (pa.array([1, 2]), pa.array(["x", "y"]), pa.array([0.5, 1.5]), pa.array([9, 9]))


@pytest.mark.parametrize("columns", [[A, B], [A, B, C], [A, B, C, D]], ids=len)
def test_columns_without_names_count_in_the_order_of_the_schema(columns: list[Any]) -> None:
    frame: Any = build_input(columns, NAMED)
    assert list(frame.columns) == ["a", "b", "c"]
    assert frame["b"].tolist() == ["x", "y"]
    assert frame["c"].isna().all() == (len(columns) == 2)


def test_a_column_that_is_required_must_be_given() -> None:
    with pytest.raises(InvalidArgumentError, match=r"requires 2 columns \['a', 'b'\], got 1"):
        build_input([A], NAMED)


def test_unnamed_columns_are_numbered() -> None:
    frame: Any = build_input([A, C], Schema([ColSpec("long"), ColSpec("double")]))
    assert list(frame.columns) == [0, 1]


def test_a_struct_for_a_column_of_objects_stays_one() -> None:
    point = Object([Property("x", DataType.long)])
    struct = pa.array([{"x": 1}, {"x": 2}])
    frame: Any = build_input([struct], Schema([ColSpec(point, "p")]))
    assert frame["p"].tolist() == [{"x": 1}, {"x": 2}]
    frame = build_input([pa.array([{"p": {"x": 1}}])], Schema([ColSpec(point, "p")]))
    assert frame["p"].tolist() == [{"x": 1}]


def test_an_array_column_of_one_input_is_one() -> None:
    frame: Any = build_input(
        [pa.array([[1, 2], [3]])], Schema([ColSpec(Array(DataType.long), "v")])
    )
    assert [value.tolist() for value in frame["v"]] == [[1, 2], [3]]


def tensor(kind: str, shape: tuple[int, ...], name: str | None = None) -> TensorSpec:
    return TensorSpec(np.dtype(kind), shape, name)


LISTS = pa.array([[1, 2, 3, 4], [5, 6, 7, 8]], pa.list_(pa.float32()))


def test_a_list_is_a_row_of_a_tensor() -> None:
    array: Any = build_input([LISTS], Schema([tensor("float32", (-1, 2, 2))]))
    assert array.dtype == np.float32
    assert array.tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]


def test_tensors_with_names_are_a_dict() -> None:
    schema = Schema([tensor("float32", (-1, 4), "x"), tensor("int64", (-1,), "y")])
    found: Any = build_input([LISTS, A], schema)
    assert list(found) == ["x", "y"]
    assert found["x"].shape == (2, 4)
    assert found["y"].tolist() == [1, 2]
    with pytest.raises(InvalidArgumentError, match="requires 2 columns"):
        build_input([LISTS], schema)


def test_nested_lists_are_rows_of_a_tensor() -> None:
    nested = pa.array([[[1.0, 2.0]], [[3.0, 4.0]]])
    array: Any = build_input([nested], Schema([tensor("float64", (-1, 1, 2))]))
    assert array.tolist() == [[[1, 2]], [[3, 4]]]


def test_a_slice_of_lists_is_a_tensor_of_its_rows() -> None:
    array: Any = build_input([LISTS.slice(1)], Schema([tensor("float32", (-1, 4))]))
    assert array.tolist() == [[5, 6, 7, 8]]


def test_numbers_are_the_columns_of_one_tensor() -> None:
    found: Any = build_input([A, C], Schema([tensor("float64", (-1, 2))]))
    assert found.to_numpy().tolist() == [[1, 0.5], [2, 1.5]]


@pytest.mark.parametrize(
    "rows",
    [[[1.0, 2.0], [3.0]], [[1.0, 2.0], None], [[1.0, None], [2.0, 3.0]]],
    ids=["ragged", "no-row", "null"],
)
def test_rows_that_are_no_tensor_are_left_to_the_signature(rows: list[object]) -> None:
    found: Any = build_input([pa.array(rows)], Schema([tensor("float64", (-1, 2), "x")]))
    assert isinstance(found, pd.DataFrame)
    assert list(found.columns) == ["x"]
