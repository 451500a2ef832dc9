"""Laws of types, schemas, parameters and inference, over generated values."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfunc.schema import (
    AnyType,
    Array,
    ColSpec,
    DataType,
    Map,
    ModelSignature,
    Object,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
    SparkMLVector,
    TensorSpec,
    enforce_params,
    infer_param_schema,
    infer_schema,
    infer_signature,
)

pytestmark = pytest.mark.filterwarnings("ignore::pyfunc.errors.PyfuncWarning")

NAMES = st.text(max_size=4)
SCALARS = st.sampled_from(list(DataType))


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Object]:
    properties = st.dictionaries(NAMES, st.tuples(inner, st.booleans()), min_size=1, max_size=3)
    return properties.map(
        lambda found: Object([Property(name, t, required=r) for name, (t, r) in found.items()])
    )


TYPES = st.recursive(
    SCALARS | st.builds(AnyType) | st.builds(SparkMLVector),
    lambda inner: inner.map(Array) | inner.map(Map) | objects(inner),
    max_leaves=6,
)
COLUMN_NAMES = NAMES | st.integers() | st.tuples(NAMES, st.integers())
NAMED = st.lists(st.builds(ColSpec, TYPES, COLUMN_NAMES, st.booleans()), min_size=1, max_size=4)
UNNAMED = st.lists(st.builds(ColSpec, TYPES), min_size=1, max_size=4)
DTYPES = st.sampled_from(
    [np.dtype(d) for d in ("bool", "i1", "u8", "f2", "f8", "c8", "M8[ns]", "m8[s]", "O", "S", "U")]
)
SHAPES = st.lists(st.integers(-1, 5), max_size=3).map(tuple)
TENSORS = st.lists(st.builds(TensorSpec, DTYPES, SHAPES, NAMES), min_size=1, max_size=3)
ONE_TENSOR = st.builds(TensorSpec, DTYPES, SHAPES).map(lambda spec: [spec])
SCHEMAS = (NAMED | UNNAMED | TENSORS | ONE_TENSOR).map(Schema)

PARAM_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "integer": st.integers(),
    "long": st.integers(),
    "float": st.floats(allow_nan=False),
    "double": st.floats(allow_nan=False) | st.integers(-(2**60), 2**60),
    "string": st.text(max_size=5),
    "datetime": st.dates() | st.datetimes(),
}
SCALAR_PARAMS = st.one_of(
    [
        st.tuples(st.just(word), values | st.none(), st.none())
        for word, values in PARAM_VALUES.items()
    ]
)
LIST_PARAMS = st.one_of(
    [
        st.tuples(st.just(word), st.lists(values | st.none(), max_size=3), st.just((-1,)))
        for word, values in PARAM_VALUES.items()
    ]
)
PARAM_SCHEMAS = st.dictionaries(NAMES, SCALAR_PARAMS | LIST_PARAMS, max_size=3).map(
    lambda found: ParamSchema([ParamSpec(name, *rest) for name, rest in found.items()])
)

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.dates(),
    st.just(pd.NA),
    st.just(pd.NaT),
    st.just(np.float32(1)),
    st.just(dt.time(1)),
    st.just(np.array([])),
    st.just(np.array([[1, 2]])),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)

COLUMNS: dict[str, list[Any]] = {
    "bool": [True, False],
    "int8": [1, 2],
    "uint32": [1, 2],
    "uint64": [1, 2],
    "int64": [0, 2**60],
    "float16": [1.5, np.nan],
    "float32": [1.5, np.nan],
    "float64": [1.5, np.nan],
    "complex128": [1j, 2j],
    "object": ["x", None],
    "str": ["x", None],
    "string": ["x", pd.NA],
    "category": ["x", None],
    "Int64": [1, pd.NA],
    "UInt64": [1, pd.NA],
    "boolean": [True, pd.NA],
    "Float32": [1.5, pd.NA],
    "datetime64[ns]": ["2020-01-01", pd.NaT],
    "datetime64[s]": ["2020-01-01", pd.NaT],
    "timedelta64[ns]": [1, pd.NaT],
    "Sparse[float]": [1.5, 0.0],
    "period[D]": ["2020-01-01", pd.NaT],
}


@given(TYPES)
def test_type_is_read_back_from_its_json_equal(dtype: Any) -> None:
    schema = Schema([ColSpec(dtype, "a")])
    assert Schema.from_json(schema.to_json()).inputs[0].type == dtype


@given(SCHEMAS)
def test_schema_is_read_back_from_its_json_equal(schema: Schema) -> None:
    read = Schema.from_json(schema.to_json())
    assert read == schema
    assert (repr(read), read.to_json()) == (repr(schema), schema.to_json())


@given(PARAM_SCHEMAS)
def test_param_schema_is_read_back_from_its_json_equal(schema: ParamSchema) -> None:
    read = ParamSchema.from_json(schema.to_json())
    assert read == schema
    assert read.to_json() == schema.to_json()


@given(st.none() | SCHEMAS, SCHEMAS, PARAM_SCHEMAS)
def test_signature_is_read_back_from_its_dict_equal(
    inputs: Schema | None, outputs: Schema, params: ParamSchema
) -> None:
    signature = ModelSignature(inputs, outputs, params or None)
    assert ModelSignature.from_dict(signature.to_dict()) == signature


@given(PARAM_SCHEMAS)
def test_defaults_are_accepted_as_params_and_casting_is_idempotent(schema: ParamSchema) -> None:
    once = enforce_params({}, schema)
    assert enforce_params(once, schema) == once
    assert once == {spec.name: spec.default for spec in schema}


@given(TYPES, TYPES)
def test_merging_with_itself_or_any_keeps_the_kind(one: Any, other: Any) -> None:
    array = Array(one)
    assert array._merge(Array(one)) == array
    assert type(AnyType()._merge(array)) is type(array)
    assert Array(other)._merge(Array(other)) == Array(other)


@given(VALUES)
def test_signature_of_any_value_is_inferred_without_an_error(value: Any) -> None:
    before = repr(value)
    signature = infer_signature([value], {"a": value})
    assert ModelSignature.from_dict(signature.to_dict()) == signature
    assert repr(value) == before


@given(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=4), st.integers(0, 2))
def test_signature_of_a_frame_of_any_dtype_is_inferred(words: list[str], rows: int) -> None:
    frame = pd.DataFrame(
        {f"{i}": pd.Series(COLUMNS[word][:rows]).astype(word) for i, word in enumerate(words)}
    )
    kept = frame.copy(deep=True)
    inputs = infer_signature(frame).inputs
    pd.testing.assert_frame_equal(frame, kept)
    if inputs.has_input_names():
        assert inputs.input_names() == list(frame.columns)
        nulls = [bool(frame[name].isna().any()) for name in frame]
        assert [not spec.required for spec in inputs] == nulls


@given(st.dictionaries(NAMES, st.one_of(list(PARAM_VALUES.values())), max_size=4))
def test_inferred_params_accept_what_they_were_inferred_from(params: dict[str, Any]) -> None:
    small = {k: v for k, v in params.items() if type(v) is not int or abs(v) < 2**63}
    schema = infer_param_schema(small)
    assert enforce_params(small, schema) == small


@given(st.lists(st.dictionaries(NAMES, st.integers(0, 9), max_size=3), min_size=1, max_size=4))
def test_columns_of_records_are_required_if_in_every_record(records: list[dict[str, int]]) -> None:
    names = list(dict.fromkeys(name for record in records for name in record))
    if names:
        schema = infer_schema(records)
        assert schema.input_names() == names
        assert [spec.required for spec in schema] == [
            all(name in record for record in records) for name in names
        ]
