"""What a model answers becomes one Arrow value per row."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pydantic import BaseModel
from scipy import sparse

from pyfunc.distributed.arrow.results import convert_prediction
from pyfunc.errors import ModelFailedError

ZONE = "America/New_York"
MIXED = pd.DataFrame(
    {
        "s": ["x", "y"],
        "i": np.array([1, 2], "int32"),
        "l": [3, 4],
        "f": [0.5, 1.5],
        "b": [True, False],
    }
)
REAL = pa.float64()
POINT = pa.struct([("a", pa.int32()), ("b", pa.string())])
UTC = dt.timezone.utc


class Point(BaseModel):
    a: int
    b: str


class Columns(BaseModel):
    a: list[int]


class Pair(NamedTuple):
    a: int
    b: int


ANSWERS = {
    "array": (np.array([1.0, 2.0]), REAL, [1.0, 2.0]),
    "list": ([1, 2], pa.int64(), [1, 2]),
    "tuple": ((1, 2), pa.int64(), [1, 2]),
    "series": (pd.Series([1.5, 2.5]), pa.float32(), [1.5, 2.5]),
    "series-of-other-rows": (pd.Series([1, 2], index=[7, 7]), pa.int64(), [1, 2]),
    "dict-of-columns": ({"a": [1, 2]}, pa.int64(), [1, 2]),
    "dict-of-arrays": ({"a": np.array([1.5, 2])}, REAL, [1.5, 2.0]),
    "dict-with-null": ({"a": [1, None]}, pa.int64(), [1, None]),
    "list-with-null": ([(1 << 53) + 1, None], pa.int64(), [(1 << 53) + 1, None]),
    "list-with-nan": ([1, np.nan], pa.int64(), [1, None]),
    "list-with-null-of-doubles": ([1, None], REAL, [1.0, None]),
    "list-with-null-as-text": ([1, None], pa.string(), ["1.0", "nan"]),  # as MLflow has it
    "grid-with-null": ([[1, None], [3, 4]], pa.list_(pa.int64()), [[1, None], [3, 4]]),
    "dicts-with-null": ([{"a": 1}, {"b": 2}], pa.int64(), [1, None]),
    "generator": ((i / 2 for i in (1, 2)), REAL, [0.5, 1.0]),
    "generator-of-lists": (([i] for i in (1, 2)), pa.list_(REAL), [[1.0], [2.0]]),
    "generator-of-dicts": (
        ({"a": i, "b": "x"} for i in (1, None)),
        POINT,
        [{"a": 1, "b": "x"}, {"a": None, "b": "x"}],
    ),
    "values-of-a-dict": ({1: "x", 2: "y"}.values(), pa.string(), ["x", "y"]),
    "masked-array": (np.ma.array([1, 2], mask=[False, True]), pa.int64(), [1, None]),
    "pandas-array": (pd.array([1, None], dtype="Int64"), pa.int64(), [1, None]),
    "categories": (pd.Series([3, None], dtype="category"), pa.int64(), [3, None]),
    "model-of-columns": (Columns(a=[1, 2]), pa.int64(), [1, 2]),
    "arrow-table": (pa.table({"a": [1, 2]}), pa.int64(), [1, 2]),
    "arrow-table-with-null": (
        pa.table({"a": [(1 << 53) + 1, None]}),
        pa.int64(),
        [(1 << 53) + 1, None],
    ),
    "arrow-batch": (pa.record_batch({"a": [1, 2], "b": ["x", None]}), POINT,
                    [{"a": 1, "b": "x"}, {"a": 2, "b": None}]),
    "arrow-array": (pa.array([1, None]), pa.int64(), [1, None]),
    "arrow-array-of-lists": (pa.array([[1.5], None]), pa.list_(REAL), [[1.5], None]),
    "arrow-chunks": (pa.chunked_array([["x"], ["y"]]), pa.string(), ["x", "y"]),
    "polars-frame": (pl.DataFrame({"a": [1, None]}), pa.int64(), [1, None]),
    "polars-column": (pl.Series([1, None]), pa.int64(), [1, None]),
    "sparse": (sparse.csr_matrix([[1.0], [0.0]]), REAL, [1.0, 0.0]),
    "mixed-int": (MIXED, pa.int32(), [1, 2]),
    "mixed-long": (MIXED, pa.int64(), [1, 2]),
    "mixed-double": (MIXED, REAL, [1.0, 2.0]),
    "mixed-float": (MIXED[["f", "l"]], pa.float32(), [0.5, 1.5]),
    "mixed-boolean": (MIXED, pa.bool_(), [True, False]),
    "mixed-string": (MIXED, pa.string(), ["x", "y"]),
    "mixed-ints": (MIXED, pa.list_(pa.int32()), [[1], [2]]),
    "mixed-doubles": (MIXED, pa.list_(REAL), [[1.0, 3.0, 0.5], [2.0, 4.0, 1.5]]),
    "mixed-strings": (
        MIXED,
        pa.list_(pa.string()),
        [["x", "1", "3", "0.5", "True"], ["y", "2", "4", "1.5", "False"]],
    ),
    "unsigned": (np.array([1, 2], "uint32"), pa.int64(), [1, 2]),
    "nullable": (pd.Series([1, None], dtype="Int64"), pa.int64(), [1, None]),
    "missing-number": ([np.nan, 1], REAL, [None, 1.0]),
    "nothing-at-all": ([None, None], REAL, [None, None]),
    "text-of-none": (
        pd.Series(["a", None], dtype=object),
        pa.string(),
        ["a", "None"],
    ),
    "text-of-numbers": (np.array([1.5, np.nan]), pa.string(), ["1.5", "nan"]),
    "text-of-lists": ([["a"], ["b", "c"]], pa.string(), ["['a']", "['b', 'c']"]),
    "short": (np.array([1, 2]), pa.int16(), [1, 2]),
    "byte": (np.array([1, -2]), pa.int8(), [1, -2]),
    "short-before-long": (
        pd.DataFrame({"l": [1 << 40, 2], "h": np.array([3, 4], "int16")}),
        pa.int16(),
        [3, 4],
    ),
    "binary": ([b"a\0", None], pa.binary(), [b"a\0", None]),
    "date": ([dt.date(2024, 1, 2), None], pa.date32(), [dt.date(2024, 1, 2), None]),
    "date-of-times": (
        pd.to_datetime(["2024-01-02 23:59:59", "1969-12-31 23:00:00"]),
        pa.date32(),
        [dt.date(2024, 1, 2), dt.date(1969, 12, 31)],
    ),
    "decimal": ([Decimal("1.005"), None], pa.decimal128(10, 2), [Decimal("1.01"), None]),
    "decimal-of-floats": ([1.25, 2], pa.decimal128(5, 2), [Decimal("1.25"), Decimal("2.00")]),
    "decimal-of-longs": ([7, 8], pa.decimal128(38, 3), [Decimal("7.000"), Decimal("8.000")]),
    "timestamp": (
        [dt.datetime(2024, 1, 2, 3, 4, 5, 123456), None],
        pa.timestamp("us", "UTC"),
        [dt.datetime(2024, 1, 2, 8, 4, 5, 123456, UTC), None],
    ),
    "timestamp-of-a-zone": (
        pd.Series(pd.to_datetime(["2024-01-02", "2024-07-02"])).dt.tz_localize("Asia/Tokyo"),
        pa.timestamp("us", "UTC"),
        [dt.datetime(2024, 1, 1, 15, tzinfo=UTC), dt.datetime(2024, 7, 1, 15, tzinfo=UTC)],
    ),
    "timestamp-of-dates": (
        [dt.date(2024, 1, 2), dt.date(2024, 7, 2)],
        pa.timestamp("us", "UTC"),
        [dt.datetime(2024, 1, 2, 5, tzinfo=UTC), dt.datetime(2024, 7, 2, 4, tzinfo=UTC)],
    ),
    "timestamp-without-zone": (
        [dt.datetime(2024, 1, 2, 3), None],
        pa.timestamp("us"),
        [dt.datetime(2024, 1, 2, 3), None],
    ),
    "far-date": (
        [dt.date(9999, 12, 31), dt.date(1, 1, 1)],
        pa.date32(),
        [dt.date(9999, 12, 31), dt.date(1, 1, 1)],
    ),
    "numbers-as-lists": (np.array([1.0, 2.0]), pa.list_(REAL), [[1.0], [2.0]]),
    "grid": (np.array([[1, 2], [3, 4]]), pa.list_(REAL), [[1.0, 2.0], [3.0, 4.0]]),
    "list-of-lists": ([[1, 2.5], [3, 4.5]], pa.list_(REAL), [[1.0, 2.5], [3.0, 4.5]]),
    "named-tuples": ([Pair(1, 2), Pair(3, 4)], pa.list_(pa.int64()), [[1, 2], [3, 4]]),
    "ragged": ([[1], [2, 3]], pa.list_(pa.int64()), [[1], [2, 3]]),
    "empty-lists": ([[], [1]], pa.list_(pa.int64()), [[], [1]]),
    "cells-of-arrays": (
        pd.DataFrame({"x": [np.array([1.0]), np.array([2.0, 3.0])]}),
        pa.list_(pa.float32()),
        [[1.0], [2.0, 3.0]],
    ),
    "missing-list": (pd.Series([[1.0], np.nan]), pa.list_(REAL), [[1.0], None]),
    "nested-lists": (
        [[[1.5], [2]], [[3, 4]]],
        pa.list_(pa.list_(REAL)),
        [[[1.5], [2.0]], [[3.0, 4.0]]],
    ),
    "cube": (np.ones((2, 2, 1)), pa.list_(pa.list_(pa.int32())), [[[1], [1]], [[1], [1]]]),
    "deep": (np.ones((2, 1, 1, 1)), pa.list_(pa.list_(pa.list_(REAL))), [[[[1.0]]], [[[1.0]]]]),
    "columns-of-lists": (
        pd.DataFrame({"a": [[1], [2]], "b": [[3.5], []]}),
        pa.list_(pa.list_(REAL)),
        [[[1.0], [3.5]], [[2.0], []]],
    ),
    "struct-of-columns": (
        pd.DataFrame({"b": ["x", "y"], "c": [0, 0], "a": [1.9, None]}),
        POINT,
        [{"a": 1, "b": "x"}, {"a": None, "b": "y"}],
    ),
    "struct-of-dicts": (
        [{"a": 1, "b": "x"}, {"b": None, "a": 2, "c": 3}],
        POINT,
        [{"a": 1, "b": "x"}, {"a": 2, "b": None}],
    ),
    "struct-of-models": (
        [Point(a=1, b="x"), Point(a=2, b="y")],
        POINT,
        [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
    ),
    "struct-of-numbered-columns": (
        np.array([[1, 2], [3, 4]]),
        pa.struct([("1", pa.int64())]),
        [{"1": 2}, {"1": 4}],
    ),
    "struct-with-parts": (
        pd.DataFrame({"p": [{"a": 1, "b": "x"}, None], "l": [[1, 2], None]}),
        pa.struct([("l", pa.list_(REAL)), ("p", POINT)]),
        [{"l": [1.0, 2.0], "p": {"a": 1, "b": "x"}}, {"l": None, "p": None}],
    ),
    "struct-of-times": (
        pd.DataFrame({"t": pd.to_datetime(["2024-01-02", "2024-07-02"])}),
        pa.struct([("t", pa.timestamp("us", "UTC"))]),
        [
            {"t": dt.datetime(2024, 1, 2, 5, tzinfo=UTC)},
            {"t": dt.datetime(2024, 7, 2, 4, tzinfo=UTC)},
        ],
    ),
    "one-column-of-structs": (
        pd.Series([{"a": 1, "b": "x"}, None]),
        POINT,
        [{"a": 1, "b": "x"}, None],
    ),
    "maps": (
        [{"a": 1}, {"b": 2, "c": None}],
        pa.map_(pa.string(), pa.int64()),
        [[("a", 1)], [("b", 2), ("c", None)]],
    ),
    "missing-map": ([{}, None], pa.map_(pa.string(), pa.int64()), [[], None]),
    "map-of-columns": (
        pd.DataFrame({"a": [1, 2], "b": [0.5, None]}),
        pa.map_(pa.string(), REAL),
        [[("a", 1.0), ("b", 0.5)], [("a", 2.0), ("b", None)]],
    ),
    "lists-of-structs": (
        [[{"a": 1, "b": "x"}], []],
        pa.list_(POINT),
        [[{"a": 1, "b": "x"}], []],
    ),
    "structs-as-lists": (
        [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
        pa.list_(POINT),
        [[{"a": 1, "b": "x"}], [{"a": 2, "b": "y"}]],
    ),
    "columns-as-lists-of-structs": (
        pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}),
        pa.list_(POINT),
        [[{"a": 1, "b": "x"}], [{"a": 2, "b": "y"}]],
    ),
    "dicts-as-columns": ([{"a": "x", "b": 1}, {"a": "y", "b": 2}], pa.int64(), [1, 2]),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_becomes_one_value_per_row(name: str) -> None:
    prediction, kind, expected = ANSWERS[name]
    array = convert_prediction(prediction, 2, kind, ZONE)
    array.validate(full=True)
    assert array.type == kind
    assert array.to_pylist() == expected


FRAME = f"{pd.DataFrame.__module__}.DataFrame"  # which is not where it was in pandas 2
UNFIT = {
    "scalar": (3, REAL, "rows in 2, rows out unknown, came int 3"),
    "array-scalar": (np.float64(3), REAL, "rows out unknown"),
    "text": ("ab", pa.string(), "came str 'ab'"),
    "bytes": (b"ab", pa.int64(), "came bytes b'ab'"),
    "no-order": ({1, 2}, pa.int64(), "came set {1, 2}"),
    "too-few-generated": (iter([1]), pa.int64(), "rows out 1"),
    "nothing": (None, REAL, "came NoneType None"),
    "too-few": (np.zeros(1), REAL, "rows in 2, rows out 1, came numpy.ndarray of shape (1,)"),
    "too-many": ([1, 2, 3], REAL, "rows in 2, rows out 3, came list [1, 2, 3]"),
    "empty": ([], REAL, "rows in 2, rows out 0, came list []"),
    "empty-frame": (pd.DataFrame(), REAL, f"rows out 0, came {FRAME} with the columns []"),
    "dict-of-scalars": ({"a": 1}, REAL, "a single one for 'a'"),
    "uneven-columns": ({"a": [1, 2], "b": [1]}, REAL, "columns of one length"),
    "floats-for-int": (np.zeros(2), pa.int32(), "values of the type int32"),
    "longs-for-int": (np.zeros(2, "int64"), pa.int32(), "values of the type int32"),
    "texts-for-boolean": (["a", "b"], pa.bool_(), "values of the type bool"),
    "out-of-short": ([1 << 40, 2], pa.int16(), "not in range"),
    "out-of-int": ([{"a": 1 << 40}] * 2, pa.struct([("a", pa.int32())]), "not in range"),
    "no-such-field": (MIXED, pa.struct([("z", REAL)]), "there is none for ['z']"),
    "no-such-key": ([{"a": 1}] * 2, pa.struct([("z", REAL)]), "the field 'z'"),
    "numbers-for-maps": ([1, 2], pa.map_(pa.string(), REAL), "a dict for map"),
    "numbers-for-nested": ([1.0, 2.0], pa.list_(pa.list_(REAL)), "a list for list"),
    "flat-rows-for-nested": (np.ones((2, 2)), pa.list_(pa.list_(REAL)), "a list for list"),
    "objects": ([object(), object()], REAL, "values of the type double"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_an_answer_that_does_not_fit_is_one_error(name: str) -> None:
    prediction, kind, text = UNFIT[name]
    with pytest.raises(ModelFailedError) as caught:
        convert_prediction(prediction, 2, kind, ZONE)
    assert str(caught.value).startswith("the model's answer cannot be used: rows in 2, rows out ")
    assert text in str(caught.value)


def test_the_answer_of_the_model_is_not_changed() -> None:
    frame = MIXED.copy()
    convert_prediction(frame, 2, pa.list_(pa.string()), ZONE)
    pd.testing.assert_frame_equal(frame, MIXED)
