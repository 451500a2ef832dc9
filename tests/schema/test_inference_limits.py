"""Inference: unusual sources, and values that could make it fail, hang or lose something."""

from __future__ import annotations

import datetime as dt
import logging
import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, PyfuncError, PyfuncWarning
from pyfunc.schema import infer_param_schema, infer_schema, infer_signature

pytestmark = pytest.mark.filterwarnings("ignore::pyfunc.errors.PyfuncWarning")


def list_in_itself() -> Any:
    value: list[Any] = []
    value.append(value)
    return [value]


def dict_in_itself() -> Any:
    value: dict[str, Any] = {}
    value["x"] = value
    value["y"] = [value, {"z": value}]
    return {"a": value}


def shared_lists() -> Any:
    value: Any = 1
    for _ in range(100):
        value = [value, value]
    return {"a": value}


def shared_dicts() -> Any:
    value: Any = 1
    for _ in range(60):
        value = {"p": value, "q": {"s": value}}
    return value


def deep_list() -> Any:
    value: Any = 1
    for _ in range(5000):
        value = [value]
    return {"a": value}


def deep_dict() -> Any:
    value: Any = 1
    for _ in range(5000):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "make", [list_in_itself, dict_in_itself, shared_dicts, deep_list, deep_dict]
)
def test_endless_values_are_refused_in_bounded_time(make: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        infer_schema(make())
    assert repr(infer_signature(make()).inputs) == "[Any (required)]"
    with pytest.raises(InvalidArgumentError):
        infer_param_schema({"p": {"a": make()}})


def test_shared_values_are_looked_at_once() -> None:
    found = infer_schema(shared_lists())
    assert repr(found).count("Array(") == 100


def test_a_million_columns_are_inferred() -> None:
    schema = infer_schema(pd.DataFrame(np.zeros((1, 1_000_000), dtype=np.float32)))
    assert len(schema) == 1_000_000


def test_names_of_duplicate_columns_are_in_the_error() -> None:
    with pytest.raises(InvalidTypeError, match="'a'"):
        infer_schema(pd.DataFrame([[1.5, 2.5, 3.5]], columns=["a", "b", "a"]))


def test_nan_as_a_column_name_is_kept() -> None:
    schema = infer_schema(pd.DataFrame([[1.5, 2.5]], columns=[float("nan"), "a"]))
    assert repr(schema) == "[nan: double (required), 'a': double (required)]"


def test_mixed_content_names_the_column() -> None:
    frame = pd.DataFrame({"b": pd.Series([1, "x", None, [1]], dtype=object)})
    with pytest.raises(InvalidArgumentError, match="column 'b'"):
        infer_schema(frame)


def test_inference_leaves_its_input_alone() -> None:
    records = [{"x": [1, None]}, {"x": []}]
    frame = pd.DataFrame({"a": records})
    infer_signature(frame, records)
    assert records == [{"x": [1, None]}, {"x": []}]
    assert frame["a"].tolist() == records


def test_failed_inference_is_logged_not_raised(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="pyfunc.schema"):
        signature = infer_signature((1, 2))
    assert repr(signature.inputs) == "[Any (required)]"
    assert "input" in caplog.text


def test_the_integer_warning_does_not_cost_the_schema() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(PyfuncWarning):
            infer_signature({"a": 1})
        assert repr(infer_signature({"a": [1]}).inputs) == "['a': Array(long) (required)]"


def test_every_bad_param_is_listed() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        infer_param_schema({"good": 1, "bad": None, "worse": (1,)})
    assert "'bad'" in str(caught.value)
    assert "'worse'" in str(caught.value)
    assert "'good'" not in str(caught.value)


if find_spec("pyarrow"):
    import pyarrow as pa

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


if find_spec("polars"):
    import polars as pl

    def test_polars_frames_need_no_arrow_library_of_ours() -> None:
        frame = pl.DataFrame(
            {"a": [1, None], "b": ["x", "y"], "c": [[1.5], [2.5]], "d": [{"x": 1}, {"x": 2}]}
        )
        assert repr(infer_schema(frame)) == (
            "['a': long (optional), 'b': string (required), 'c': Array(double) (required), "
            "'d': {x: long (optional)} (required)]"
        )
        assert repr(infer_schema(frame["b"])) == "['b': string (required)]"


if find_spec("pydantic"):
    import pydantic

    class Item(pydantic.BaseModel):
        a: int

    @pytest.mark.parametrize("value", [[Item(a=1)], {"x": Item(a=1)}, [{"x": [Item(a=1)]}]])
    def test_pydantic_objects_are_referred_to_type_hints(value: Any) -> None:
        with pytest.raises(InvalidArgumentError, match="type hint"):
            infer_signature(value)
