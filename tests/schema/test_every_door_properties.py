"""A frame of any dtype, with its own schema, comes to the same through every door."""

from __future__ import annotations

import datetime as dt
import io
import json
import math
import types
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyfunc.errors import PyfuncError
from pyfunc.handlers.adapters import ModelAdapter
from pyfunc.processes.wire_values import ValueReader, ValueWriter
from pyfunc.schema import (
    AnyType,
    InputExample,
    ModelSignature,
    RequestReader,
    Schema,
    compile_plan,
    infer_schema,
    read_input_example,
)
from pyfunc.schema.data_types import is_missing
from pyfunc.serving.open_inference.tensors import (
    binary_of,
    datatype_of,
    json_data_of,
    parse_tensor,
)
from pyfunc.serving.open_inference.values import InputBuilder, output_tensors

Make = Callable[[list[Any]], Any]
Door = Callable[[pd.DataFrame, RequestReader, Schema], Any]


def objects(values: list[Any]) -> pd.Series:
    column: pd.Series = pd.Series(values, dtype=object)
    return column


def of(dtype: Any) -> Make:
    return lambda values: pd.Series(values, dtype=dtype)


def category(values: list[Any]) -> pd.Series:
    column: pd.Series = pd.Series(values).astype("category")
    return column


LETTERS = st.text("abcé", min_size=1, max_size=4)
MOMENTS = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))
FAR = st.dates(dt.date(1, 1, 2), dt.date(9999, 12, 31))
FAR_MOMENTS = st.datetimes(
    dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30), timezones=st.just(dt.timezone.utc)
)
SMALL = st.integers(-(2**31), 2**31 - 1)
LONGS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SINGLES = st.floats(allow_nan=False, allow_infinity=False, width=32)
KINDS: dict[str, tuple[st.SearchStrategy[Any], Make]] = {
    "bool": (st.booleans(), of("bool")),
    "int8": (st.integers(-128, 127), of("int8")),
    "uint32": (st.integers(0, 2**32 - 1), of("uint32")),
    "int32": (SMALL, of("int32")),
    "int64": (LONGS, of("int64")),
    "float32": (SINGLES, of("float32")),
    "float64": (FLOATS, of("float64")),
    "float64 with NaN": (FLOATS | st.just(math.nan), of("float64")),
    "Int64": (LONGS, of("Int64")),
    "Int64 with NA": (LONGS | st.none(), of("Int64")),
    "boolean with NA": (st.booleans() | st.none(), of("boolean")),
    "text": (LETTERS, of("object")),
    "str": (LETTERS, of("str")),
    "text with None": (LETTERS | st.none(), of("object")),
    "bytes": (st.binary(min_size=1, max_size=4), objects),
    "moment": (MOMENTS, of("datetime64[ns]")),
    "date far away": (FAR, objects),
    "moment far away": (FAR_MOMENTS, objects),
    "category of text": (LETTERS, category),
    "category of numbers": (st.integers(0, 9), category),
    "integers beyond 64 bits": (st.integers(2**64, 2**70), objects),
    "lists of integers": (st.lists(LONGS, min_size=1, max_size=3), objects),
    "lists of text": (st.lists(LETTERS, min_size=1, max_size=3), objects),
    "lists of bytes": (st.lists(st.binary(min_size=1, max_size=3), min_size=1), objects),
    "objects": (st.fixed_dictionaries({"x": LONGS, "y": LETTERS}), objects),
    "lists with null": (st.lists(LONGS, min_size=1).map(lambda v: [*v, None]), objects),
    "lists of lists with null": (
        st.lists(st.lists(LONGS | st.none(), min_size=1), min_size=1).map(lambda v: [[1], *v]),
        objects,
    ),
    "objects with null": (
        st.fixed_dictionaries({"x": LONGS | st.none(), "y": st.lists(LONGS, min_size=1)}),
        lambda values: objects([*values, {"x": 1, "y": [2, None]}]),
    ),
}


@st.composite
def frames(draw: st.DrawFn) -> tuple[list[str], pd.DataFrame]:
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=3))
    rows = draw(st.integers(1, 4))
    columns = {}
    for position, kind in enumerate(kinds):
        values, make = KINDS[kind]
        columns[f"c{position}"] = make([draw(values) for _ in range(rows)])[:rows]
    return kinds, pd.DataFrame(columns)


def split_of(frame: pd.DataFrame) -> Any:
    return json.loads(InputExample.from_value(frame).serving_json)["dataframe_split"]


def through_split(frame: pd.DataFrame, reader: RequestReader, schema: Schema) -> Any:
    return reader.parse_json(InputExample.from_value(frame).serving_json).data


def records_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    split = split_of(frame)
    return [dict(zip(split["columns"], row, strict=True)) for row in split["data"]]


def through_records(frame: pd.DataFrame, reader: RequestReader, schema: Schema) -> Any:
    return reader.parse_json(json.dumps({"dataframe_records": records_of(frame)})).data


def through_rows(frame: pd.DataFrame, reader: RequestReader, schema: Schema) -> Any:
    return reader.parse_json(json.dumps({"inputs": records_of(frame)})).data


def through_instances(frame: pd.DataFrame, reader: RequestReader, schema: Schema) -> Any:
    return reader.parse_json(json.dumps({"instances": records_of(frame)})).data


def through_columns(frame: pd.DataFrame, reader: RequestReader, schema: Schema) -> Any:
    split = split_of(frame)
    cells = [list(column) for column in zip(*split["data"], strict=True)]
    inputs = dict(zip(split["columns"], cells, strict=True))
    return reader.parse_json(json.dumps({"inputs": inputs})).data


def through_csv(frame: pd.DataFrame, reader: RequestReader, schema: Schema) -> Any:
    split = split_of(frame)
    text = pd.DataFrame(split["data"], columns=split["columns"], dtype=object).to_csv(index=False)
    return reader.parse_csv(text).data


def through_parquet(frame: pd.DataFrame, reader: RequestReader, schema: Schema) -> Any:
    body = io.BytesIO()
    frame.to_parquet(body)
    return reader.parse_parquet(body.getvalue()).data


def through_arrow(frame: pd.DataFrame, reader: RequestReader, schema: Schema) -> Any:
    return pa.Table.from_pandas(frame)


def through_arrow_columns(frame: pd.DataFrame, reader: RequestReader, schema: Schema) -> Any:
    return pa.Table.from_pandas(frame).to_pandas(types_mapper=pd.ArrowDtype)


def through_file(frame: pd.DataFrame, reader: RequestReader, schema: Schema) -> Any:
    example = InputExample.from_value(frame)
    return read_input_example(example.info, lambda _: example.example_json.encode(), schema)


def through_child(frame: pd.DataFrame, reader: RequestReader, schema: Schema) -> Any:
    writer = ValueWriter()
    tree = writer.write(frame)
    return ValueReader(writer.buffers).read(json.loads(json.dumps(tree)))


def build(tensors: Any, reader: RequestReader, schema: Schema) -> Any:
    metadata = types.SimpleNamespace(signature=None)
    model: Any = types.SimpleNamespace(metadata=metadata, input_schema=schema)
    return InputBuilder(model, reader).build(tensors)


def through_tensors(frame: pd.DataFrame, reader: RequestReader, schema: Schema) -> Any:
    tensors = {}
    for name, array in output_tensors(frame, None).items():
        form = {"name": name, "datatype": datatype_of(array.dtype), "shape": list(array.shape)}
        data = orjson.loads(orjson.dumps(json_data_of(array), option=orjson.OPT_SERIALIZE_NUMPY))
        tensors[name] = parse_tensor({**form, "data": data}, None)
    return build(tensors, reader, schema)


def through_binary(frame: pd.DataFrame, reader: RequestReader, schema: Schema) -> Any:
    tensors = {}
    for name, array in output_tensors(frame, None).items():
        form = {"name": name, "datatype": datatype_of(array.dtype), "shape": list(array.shape)}
        tensors[name] = parse_tensor(form, memoryview(binary_of(array)))
    return build(tensors, reader, schema)


def through_handler(frame: pd.DataFrame, reader: RequestReader, schema: Schema) -> Any:
    """Return what a handler's model gets of a dict of columns, as ``pre_inference`` returns it."""
    metadata = types.SimpleNamespace(signature=ModelSignature(schema))
    model: Any = types.SimpleNamespace(metadata=metadata, input_schema=schema)
    model.predict = lambda data: data
    return ModelAdapter(model, "pyfunc").predict({name: frame[name].tolist() for name in frame})


DOORS: dict[str, Door] = {
    name.removeprefix("through_"): door
    for name, door in list(globals().items())
    if name.startswith("through_")
}


def plain(value: Any) -> Any:
    """Return a value without the classes in which the doors may differ."""
    if isinstance(value, (np.ndarray, list)):
        return [plain(item) for item in list(value)]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if is_missing(value):
        return None
    if isinstance(value, (dt.date, np.datetime64)):
        moment = pd.Timestamp(value)
        return moment.tz_convert(None) if moment.tzinfo else moment  # arrays have UTC only
    return value.item() if isinstance(value, np.generic) else value


def answer_of(column: pd.Series) -> tuple[str, Any]:
    (array,) = output_tensors(column, None).values()
    body = orjson.dumps(json_data_of(array), option=orjson.OPT_SERIALIZE_NUMPY)
    return datatype_of(array.dtype), orjson.loads(body)


@pytest.mark.parametrize(
    ("kind", "values", "datatype"),
    [
        pytest.param("boolean", [True, False], "BOOL", id="boolean"),
        pytest.param("bool[pyarrow]", [True, False], "BOOL", id="arrow-boolean"),
        pytest.param("Int64", [2**53 + 1, 0], "INT64", id="Int64"),
        pytest.param("uint64[pyarrow]", [2**63 + 1, 0], "UINT64", id="arrow-uint64"),
        pytest.param("Int8", [-1, 0], "INT8", id="Int8"),
        pytest.param("Float32", [0.5, 0.0], "FP32", id="Float32"),
    ],
)
@pytest.mark.parametrize("as_category", [False, True], ids=["plain", "category"])
@pytest.mark.parametrize("null", [False, True], ids=["full", "null"])
def test_the_datatype_of_an_output_is_that_of_its_dtype(
    kind: str, values: list[Any], datatype: str, as_category: bool, null: bool
) -> None:
    cells = [*values, None] if null else values
    column = pd.Series(cells, dtype=kind)
    assert answer_of(column.astype("category") if as_category else column) == (datatype, cells)


def test_sparse_outputs_are_what_they_hold() -> None:
    for cells, datatype in (([1, 0], "INT64"), ([0.5, 0.0], "FP64"), ([True, False], "BOOL")):
        assert answer_of(pd.Series(pd.arrays.SparseArray(cells))) == (datatype, cells)


NESTED_NULLS = ("lists with null", "lists of lists with null", "objects with null")
NESTED = ("lists of integers", "lists of text", "lists of bytes", "objects", *NESTED_NULLS)
NULLS = ("Int64 with NA", "boolean with NA", "text with None")
# docs/differences.md has the same table, with the reasons.
EXCEPTIONS: dict[str, tuple[str, ...]] = {
    "instances": NESTED,
    "columns": NESTED,
    "csv": NESTED,
    "parquet": ("integers beyond 64 bits",),
    "arrow": ("integers beyond 64 bits",),
    "arrow_columns": ("integers beyond 64 bits",),
    "tensors": (*NULLS, "integers beyond 64 bits"),
    "binary": (*NULLS, "integers beyond 64 bits"),
}


@pytest.mark.parametrize("name", DOORS)
@settings(deadline=None, max_examples=40)
@given(drawn=frames())
def test_a_frame_of_any_dtype_comes_through(
    name: str, drawn: tuple[list[str], pd.DataFrame]
) -> None:
    kinds, frame = drawn
    if set(kinds) & set(EXCEPTIONS.get(name, ())):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that integer columns cannot be missing
        schema = infer_schema(frame)
    if name == "csv" and any(isinstance(spec.type, AnyType) for spec in schema):
        return  # of nulls alone, whose type no text says
    plan = compile_plan(schema)
    found = plan.enforce(DOORS[name](frame, RequestReader(schema), schema))
    expected = plan.enforce(frame)
    assert list(found) == list(expected)
    for column in expected:
        assert plain(found[column].tolist()) == plain(expected[column].tolist())


def one_column(kind: str) -> tuple[pd.DataFrame, Schema]:
    values = [None, *EXAMPLES[kind]] if kind in NULLS else EXAMPLES[kind]
    frame = pd.DataFrame({"c0": KINDS[kind][1](values)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return frame, infer_schema(frame)


EXAMPLES: dict[str, list[Any]] = {
    "lists of integers": [[1], [2, 3]],
    "lists of text": [["a"], ["b", "c"]],
    "lists of bytes": [[b"a"], [b"b", b"c"]],
    "objects": [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}],
    "Int64 with NA": [2**60 + 1],
    "boolean with NA": [True],
    "text with None": ["a"],
    "integers beyond 64 bits": [2**64, 2**70],
    "lists with null": [[2**60 + 1, None], [2]],
    "lists of lists with null": [[[1, None], [2]], [[3]]],
    "objects with null": [{"x": 1, "y": [2, None]}, {"x": None, "y": [3]}],
}
REFUSED = [
    (name, kind)
    for name, kinds in EXCEPTIONS.items()
    for kind in kinds
    if (name, kind) != ("binary", "text with None")
    and (kind != "integers beyond 64 bits" or name not in ("parquet", "arrow", "arrow_columns"))
]


@pytest.mark.parametrize(("name", "kind"), REFUSED)
def test_an_exception_is_refused_and_said(name: str, kind: str) -> None:
    frame, schema = one_column(kind)
    with pytest.raises(PyfuncError):
        compile_plan(schema).enforce(DOORS[name](frame, RequestReader(schema), schema))
