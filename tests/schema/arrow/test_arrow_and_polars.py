"""What needs pyarrow or polars: their tables as data, and parquet."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, PyfuncError
from pyfunc.schema import (
    ColSpec,
    InputExample,
    RequestReader,
    Schema,
    TensorSpec,
    enforce_schema,
    infer_schema,
    parse_parquet,
)

pytestmark = pytest.mark.filterwarnings("ignore::pyfunc.errors.PyfuncWarning")


def named(**types: Any) -> Schema:
    """Return a schema of required columns; a type in a tuple makes one optional."""
    return Schema(
        [
            ColSpec(kind[0], name, False) if isinstance(kind, tuple) else ColSpec(kind, name)
            for name, kind in types.items()
        ]
    )


def test_arrow_columns_pass_under_their_inferred_type() -> None:
    data = pa.array([b"a", None])
    frame = pd.DataFrame({"a": pd.Series(pd.arrays.ArrowExtensionArray(data))})
    assert enforce_schema(frame, named(a=("binary",)))["a"].tolist() == [b"a", None]
    text = pa.array(["a", None, "a"]).dictionary_encode()
    frame = pd.DataFrame({"a": pd.Series(pd.arrays.ArrowExtensionArray(text))})
    assert enforce_schema(frame, named(a=("string",)))["a"].tolist() == ["a", None, "a"]


@pytest.mark.filterwarnings("ignore::pyfunc.errors.PyfuncWarning")
def test_arrow_tables_are_read() -> None:
    table = pa.table(
        {"a": [2**60 + 1, None], "b": ["x", None], "c": [[1], None], "d": [{"k": 1}, None]}
    )
    schema = infer_schema(table)
    result = enforce_schema(table, schema)
    assert result["a"].tolist() == [2**60 + 1, pd.NA]
    assert result["b"].tolist() == ["x", None]
    assert result["c"].tolist() == [[1], None]
    assert result["d"].tolist() == [{"k": 1}, None]


@pytest.mark.filterwarnings("ignore::pyfunc.errors.PyfuncWarning")
def test_polars_frames_are_read() -> None:
    frame = pl.DataFrame({"a": [1, None], "b": ["x", "y"], "c": [1.5, 2.5]})
    result = enforce_schema(frame, infer_schema(frame))
    assert result["a"].tolist() == [1, pd.NA]
    assert result["b"].tolist() == ["x", "y"]
    assert str(result["c"].dtype) == "float64"


@pytest.mark.parametrize("values", [["x", None, "y", "x"], ["x", "y"], [None, None], []])
@pytest.mark.parametrize(
    ("dtype", "target", "encode"),
    [
        pytest.param(pl.String, "string", str, id="text"),
        pytest.param(pl.Binary, "binary", str.encode, id="bytes"),
        pytest.param(pl.Categorical, "string", str, id="category"),
        pytest.param(pl.Enum(["x", "y"]), "string", str, id="enum"),
    ],
)
@pytest.mark.parametrize("how", ["polars", "arrow", "pandas"])
def test_text_and_bytes_of_polars_may_have_nulls(
    how: str, dtype: Any, target: str, encode: Callable[[str], Any], values: list[str | None]
) -> None:
    given = [value if value is None else encode(value) for value in values]
    frame = pl.DataFrame({"a": pl.Series(given, dtype=dtype)})
    data: Any = frame
    if how != "polars":
        data = pa.table(frame)  # with views, where frame.to_arrow() has none
    if how == "pandas":
        data = pd.DataFrame({"a": pd.Series(pd.arrays.ArrowExtensionArray(data["a"]))})
    result = enforce_schema(data, named(a=(target,)))["a"]
    assert [None if pd.isna(value) else value for value in result] == given
    if values and how != "pandas":
        assert infer_schema(frame) == named(a=(target,) if None in values else target)


def test_arrow_tables_are_read_under_tensors() -> None:
    schema = Schema([TensorSpec(np.dtype("int64"), (-1,), "a")])
    assert enforce_schema(pa.table({"a": [1, 2]}), schema)["a"].tolist() == [1, 2]


def arrow_table() -> pa.Table:
    return pa.table(
        {
            "i": pa.array([1, 2], pa.int32()),
            "l": [1, None],
            "f": pa.array([1.5, 2.5], pa.float32()),
            "s": ["x", "y"],
            "b": [b"x", None],
            "d": [dt.date(2020, 1, 1), None],
            "t": pa.array([dt.datetime(2020, 1, 1)] * 2, pa.timestamp("us", "UTC")),
            "list": pa.array([[1], None], pa.list_(pa.int32())),
            "fixed": pa.array([[1.5], [2.5]], pa.list_(pa.float32(), 1)),
            "struct": [{"x": 1}, {"x": 2}],
            "map": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
            "none": pa.nulls(2),
            "cat": pa.array(["x", "y"]).dictionary_encode(),
            "bytes4": pa.array([b"abcd", b"efgh"], pa.binary(4)),
        }
    )


EXPECTED = (
    "['i': integer (required), 'l': long (optional), 'f': float (required), "
    "'s': string (required), 'b': binary (optional), 'd': datetime (optional), "
    "'t': datetime (required), 'list': Array(long) (optional), "
    "'fixed': Array(double) (required), 'struct': {x: long (optional)} (required), "
    "'map': Map(str -> DataType.long) (required), 'none': Any (optional), "
    "'cat': string (required), 'bytes4': binary (required)]"
)


def test_arrow_tables_and_batches_are_read_by_their_schema() -> None:
    assert repr(infer_schema(arrow_table())) == EXPECTED
    assert repr(infer_schema(arrow_table().to_batches()[0])) == EXPECTED


@pytest.mark.parametrize(
    ("start", "length", "optional"),
    [
        pytest.param(0, 1, False, id="before-the-null"),
        pytest.param(1, 1, True, id="the-null"),
        pytest.param(2, 1, False, id="second-batch"),
        pytest.param(2, 2, True, id="null-in-second-batch"),
        pytest.param(0, 0, False, id="empty"),
    ],
)
def test_nulls_of_arrow_slices_are_counted(start: int, length: int, optional: bool) -> None:
    table = pa.concat_tables([arrow_table(), arrow_table()]).slice(start, length)
    assert infer_schema(table).input_dict()["l"].required is not optional


def test_nulls_inside_sliced_struct_arrays_are_counted() -> None:
    array = pa.array([{"x": i if i % 9 else None} for i in range(20)]).slice(1, 8)
    batch = pa.RecordBatch.from_struct_array(array)
    assert infer_schema(batch).inputs[0].required
    longer = pa.array([{"x": i if i % 9 else None} for i in range(20)]).slice(1, 9)
    assert not infer_schema(pa.RecordBatch.from_struct_array(longer)).inputs[0].required


def test_single_arrow_columns_have_no_name() -> None:
    assert repr(infer_schema(pa.array([1.5]))) == "[double (required)]"
    assert repr(infer_schema(arrow_table()["s"])) == "[string (required)]"


@pytest.mark.parametrize(
    "column",
    [
        pytest.param(pa.array([1], pa.uint64()), id="uint64"),
        pytest.param(pa.array([dt.timedelta(1)]), id="duration"),
        pytest.param(pa.array([dt.time(1)]), id="time"),
        pytest.param(pa.array([[(1, 1)]], pa.map_(pa.int64(), pa.int64())), id="int-keys"),
    ],
)
def test_arrow_types_without_a_counterpart_name_the_column(column: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="'bad'"):
        infer_schema(pa.table({"bad": column}))


def test_arrow_tables_with_duplicate_columns_are_refused() -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(InvalidTypeError, match="'a'"):
        infer_schema(table)


def test_errors_of_an_arrow_producer_are_ours() -> None:
    def batches() -> Any:
        yield pa.record_batch({"a": [1]})
        raise ValueError("the source broke")

    schema = pa.schema([("a", pa.int64())])
    reader = pa.RecordBatchReader.from_batches(schema, batches())
    with pytest.raises(PyfuncError, match="the source broke"):
        infer_schema(reader)


def test_polars_frames_need_no_arrow_library_of_ours() -> None:
    frame = pl.DataFrame(
        {"a": [1, None], "b": ["x", "y"], "c": [[1.5], [2.5]], "d": [{"x": 1}, {"x": 2}]}
    )
    assert repr(infer_schema(frame)) == (
        "['a': long (optional), 'b': string (required), 'c': Array(double) (required), "
        "'d': {x: long (optional)} (required)]"
    )
    assert repr(infer_schema(frame["b"])) == "['b': string (required)]"


@pytest.mark.parametrize("make", [pl.DataFrame, pa.table], ids=["polars", "arrow"])
def test_a_frame_of_another_library_is_saved_as_a_frame(make: Any) -> None:
    columns = {"a": [1, None], "b": ["x", "y"], "c": [[1.5], []], "d": [{"k": 1}, {"k": 2}]}
    example = InputExample.from_value((make(columns), {"p": 1}))
    assert example.info["type"] == "dataframe"
    assert json.loads(example.example_json)["inputs"] == {
        "columns": ["a", "b", "c", "d"],
        "data": [[1, "x", [1.5], {"k": 1}], [None, "y", [], {"k": 2}]],
    }


def test_a_series_of_another_library_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="a DataFrame"):
        InputExample.from_value(pl.Series([1]))


def test_parquet_is_read_and_a_broken_one_refused(tmp_path: Any) -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    frame.to_parquet(tmp_path / "x.parquet")
    found = parse_parquet((tmp_path / "x.parquet").read_bytes())
    pd.testing.assert_frame_equal(found, frame)
    with pytest.raises(InvalidArgumentError) as caught:
        parse_parquet(b"not parquet")
    assert caught.value.error_code == "BAD_REQUEST"


def test_a_reader_reads_parquet_too(tmp_path: Any) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "x")
    reader = RequestReader(Schema([ColSpec("long", "a")]))
    assert reader.parse_parquet((tmp_path / "x").read_bytes()).data["a"].tolist() == [1]
