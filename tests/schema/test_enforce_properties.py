"""Laws of enforcement over generated schemas and data."""

from __future__ import annotations

import copy
import datetime as dt
import importlib.util
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, SchemaError
from pyfunc.schema import (
    AnyType,
    Array,
    ColSpec,
    DataType,
    Map,
    Object,
    Property,
    Schema,
    compile_plan,
    enforce_schema,
    infer_schema,
    infer_signature,
)

pytestmark = pytest.mark.filterwarnings("ignore::pyfunc.errors.PyfuncWarning")

HAS_ARROW = importlib.util.find_spec("pyarrow") is not None
UTC = dt.timezone.utc

NUMBER_DTYPES = [
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "bool", "complex128", "timedelta64[ns]"),
    *("datetime64[ns]", "datetime64[us]", "datetime64[s]", "datetime64[ns, UTC]"),
    *("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"),
    *("Float32", "Float64", "boolean", "category", "string", "str", "object"),
]
if HAS_ARROW:
    NUMBER_DTYPES += [
        *("int8[pyarrow]", "int64[pyarrow]", "uint16[pyarrow]", "float[pyarrow]"),
        *("double[pyarrow]", "bool[pyarrow]", "string[pyarrow]", "timestamp[us][pyarrow]"),
        *("timestamp[ns, tz=UTC][pyarrow]",),
    ]

OBJECTS: list[list[Any]] = [
    [1, 2**40, -5],
    [2**70, 1],
    [True, False],
    [1.5, 2.0],
    ["a", "", "2020-01-02", "1"],
    [b"x", b"y\0"],
    [bytearray(b"z")],
    [np.int32(3)],
    [np.float32(1.5)],
    [np.float64(2.5), 1.0],
    [dt.date(2020, 1, 2), dt.date(1, 1, 1)],
    [dt.datetime(2020, 1, 2, 3), dt.datetime(9999, 1, 1)],
    [dt.datetime(2020, 1, 2, tzinfo=UTC)],
    [np.datetime64("2020-01-02")],
    [[1, 2], [], [3, None]],
    [["a", None], ["b"]],
    [[1.5], np.array([2.5])],
    [[True, None]],
    [[b"x\0"]],
    [[dt.datetime(2020, 1, 2)]],
    [[[1], [2, 3]], [None, [4]]],
    [{"x": 1}, {"x": 2, "y": "s"}, {"x": 3, "y": None}],
    [{"x": {"y": [1.5]}}],
    [[{"x": dt.datetime(2020, 1, 2)}], [{}]],
]
NULLS: list[Any] = [None, float("nan"), pd.NA]


@st.composite
def columns(draw: st.DrawFn, size: int) -> pd.Series[Any]:
    """Return a column of any dtype, with and without nulls."""
    missing = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    if draw(st.booleans()):
        pool = draw(st.sampled_from(OBJECTS))
        null = draw(st.sampled_from(NULLS))
        chosen = draw(st.lists(st.sampled_from(pool), min_size=size, max_size=size))
        values = [
            null if is_missing else value
            for value, is_missing in zip(chosen, missing, strict=True)
        ]
        category = draw(st.booleans()) and all(_can_be_category(value) for value in values)
        column: pd.Series[Any] = pd.Series(values, dtype=object)
        return column.astype("category") if category else column
    dtype: Any = draw(st.sampled_from(NUMBER_DTYPES))
    numbers = draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
    plain: pd.Series[Any] = pd.Series(numbers, dtype="int64")
    if dtype in ("bool", "boolean", "bool[pyarrow]"):
        plain = pd.Series([number % 2 == 0 for number in numbers], dtype=bool)
    typed: pd.Series[Any] = plain.astype(dtype)
    return typed.mask(np.array(missing, dtype=bool)) if draw(st.booleans()) else typed


def _can_be_category(value: Any) -> bool:
    return isinstance(value, (int, float, str, bytes, dt.date)) and not isinstance(
        value, np.generic
    )


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    size = draw(st.integers(0, 4))
    names = draw(st.lists(st.sampled_from(["a", "b", 0, "", 1.5]), min_size=1, unique=True))
    frame: pd.DataFrame = pd.DataFrame({name: draw(columns(size)) for name in names})
    if draw(st.booleans()):
        frame.index = pd.RangeIndex(10, 10 + size)
    return frame


def describe(data: Any) -> Any:
    """Return a text that tells every value and class of ``data``."""
    if isinstance(data, pd.DataFrame):
        return [
            (
                repr(label),
                str(dtype),
                [(type(v), repr(v)) for v in data.iloc[:, position].tolist()],
            )
            for position, (label, dtype) in enumerate(zip(data.columns, data.dtypes, strict=True))
        ] + [list(map(repr, data.index))]
    return repr(data)


@given(frames())
def test_a_frame_passes_under_the_schema_that_was_inferred_from_it(frame: pd.DataFrame) -> None:
    before = describe(frame)
    signature = infer_signature(frame)
    assert signature.inputs is not None
    once = enforce_schema(frame, signature.inputs)
    assert describe(frame) == before
    assert len(once) == len(frame)
    if any(isinstance(spec.type, AnyType) for spec in signature.inputs):
        # Objects that are numpy's int32 become a column of it first and int64 then, as in MLflow.
        once = enforce_schema(once, signature.inputs)
    assert describe(enforce_schema(once, signature.inputs)) == describe(once)


@given(frames())
def test_a_frame_loses_no_null_and_gains_none(frame: pd.DataFrame) -> None:
    try:
        schema = infer_schema(frame)
    except (InvalidArgumentError, InvalidTypeError):
        schema = Schema([ColSpec(AnyType(), name) for name in frame.columns])
    result = enforce_schema(frame, schema)
    for name in frame.columns:
        assert result[name].isna().tolist() == frame[name].isna().tolist()


SCALARS = st.sampled_from(list(DataType))
TYPES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        inner.map(Array),
        inner.map(Map),
        st.builds(AnyType),
        st.lists(
            st.builds(Property, st.sampled_from("xyz"), inner, st.booleans()),
            min_size=1,
            max_size=3,
            unique_by=lambda prop: prop.name,
        ).map(Object),
    ),
    max_leaves=4,
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.sampled_from([np.int32(1), np.float32(1.5), np.int64(0), np.datetime64("2020"), pd.NA]),
    st.sampled_from([pd.NaT, dt.date(2020, 1, 1), (1,), object, bytearray(b"x")]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["x", "y", "z", 1]), inner, max_size=3),
        st.lists(st.integers(0, 2), max_size=3).map(np.array),
    ),
    max_leaves=6,
)
SCHEMAS = st.lists(
    st.builds(ColSpec, TYPES, st.sampled_from("ab"), st.booleans()),
    min_size=1,
    max_size=2,
    unique_by=lambda spec: spec.name,
).map(Schema)
CONTAINERS = st.one_of(
    st.lists(st.dictionaries(st.sampled_from("abc"), VALUES), max_size=3),
    st.dictionaries(st.sampled_from("abc"), VALUES),
    st.lists(VALUES, max_size=3),
    VALUES,
)


@given(CONTAINERS, SCHEMAS, st.sampled_from([None, "safe"]))
def test_any_data_is_enforced_or_refused_and_never_written_to(
    data: Any, schema: Schema, coerce: str | None
) -> None:
    before = describe(copy.deepcopy(data))
    plan = compile_plan(schema, coerce=coerce)
    result, error = None, None
    try:
        result = plan.enforce(data)
    except SchemaError as raised:
        error = raised
    assert describe(data) == before
    if error is None:
        names = [spec.name for spec in schema if spec.name in set(result.columns)]  # type: ignore[union-attr]
        assert list(result.columns) == names  # type: ignore[union-attr]
    else:
        paths = [problem.path for problem in error.problems]
        assert paths
        assert paths == sorted(paths)
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


@given(frames(), SCHEMAS)
def test_a_plan_remembers_nothing_that_changes_a_result(
    frame: pd.DataFrame, schema: Schema
) -> None:
    plan = compile_plan(schema)
    outcomes = []
    for _ in range(3):
        try:
            outcomes.append(describe(plan.enforce(frame)))
        except SchemaError as error:
            outcomes.append(str(error))
        frame = frame.copy()
    assert outcomes[0] == outcomes[1] == outcomes[2]
