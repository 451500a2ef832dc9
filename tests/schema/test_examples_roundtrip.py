"""What is written as an example or a request reads back as what the model would get anyway."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pyfunc.errors import InvalidArgumentError, InvalidTypeError
from pyfunc.schema import (
    InputExample,
    Schema,
    enforce_schema,
    format_predictions,
    format_request,
    infer_schema,
    parse_predictions,
    parse_request,
    read_input_example,
)

NAN = float("nan")
pytestmark = pytest.mark.filterwarnings("ignore::pyfunc.errors.PyfuncWarning")


def refuse(token: str) -> Any:
    raise AssertionError(f"not strict JSON: {token}")


def reread(data: Any, schema: Schema | None) -> list[Any]:
    """Return ``data`` after a request and after being saved as an example."""
    example = InputExample.from_value(data)
    for text in (example.example_json, example.serving_json, format_request(data)):
        json.loads(text, parse_constant=refuse)
    request = parse_request(format_request(data), schema=schema).data
    saved = read_input_example(example.info, lambda _: example.example_json.encode(), schema)
    return [request, saved]


def assert_same(found: Any, wanted: Any) -> None:
    if isinstance(wanted, pd.DataFrame):
        pd.testing.assert_frame_equal(found, wanted, check_column_type=False)
    elif isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for key, value in wanted.items():
            assert_same(found[key], value)
    else:
        dense = [getattr(value, "toarray", lambda v=value: v)() for value in (found, wanted)]
        np.testing.assert_array_equal(*dense)
        assert found.dtype == wanted.dtype


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
MOMENTS = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))
WIDTHS = {32: st.floats(width=32), 64: st.floats()}


def series_of(dtype: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[pd.Series[Any]]:
    cells = st.lists(values, min_size=3, max_size=3)
    return cells.map(lambda found: pd.Series(found, dtype=dtype))


def ints(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


COLUMNS = {
    "bool": series_of("bool", st.booleans()),
    "int8": series_of("int8", ints(8)),
    "int32": series_of("int32", ints(32)),
    "int64": series_of("int64", ints(64)),
    "uint32": series_of("uint32", st.integers(0, 2**32 - 1)),
    "float32": series_of("float32", WIDTHS[32]),
    "float64": series_of("float64", WIDTHS[64]),
    "Int64": series_of("Int64", st.none() | ints(64)),
    "Int32": series_of("Int32", st.none() | ints(32)),
    "boolean": series_of("boolean", st.none() | st.booleans()),
    "text": series_of("object", TEXT).map(lambda column: pd.Series(column.tolist())),
    "bytes": series_of("object", st.binary(max_size=6)),
    "bytes-or-none": series_of("object", st.none() | st.binary(max_size=6)),
    "datetime": series_of("datetime64[ns]", st.none() | MOMENTS),
    "datetime-utc": series_of("datetime64[ns, UTC]", MOMENTS),
    # Lists of nothing but NaN are arrays of any type, in which the null of JSON stays null.
    "lists": series_of("object", st.lists(WIDTHS[64], min_size=1, max_size=3)).filter(
        lambda lists: not np.isnan(np.concatenate(lists.tolist())).all()
    ),
    "lists-of-text": series_of("object", st.lists(TEXT, min_size=1, max_size=3)),
    "lists-of-bytes": series_of("object", st.lists(st.binary(max_size=4), min_size=1, max_size=3)),
    "objects": series_of("object", st.fixed_dictionaries({"a": ints(64), "b": TEXT})),
    "objects-of-bytes": series_of("object", st.fixed_dictionaries({"a": st.binary(max_size=4)})),
    "objects-of-moments": series_of("object", st.fixed_dictionaries({"a": MOMENTS})),
}


@pytest.mark.parametrize("kind", COLUMNS)
@given(data=st.data())
def test_a_column_keeps_its_values(kind: str, data: st.DataObject) -> None:
    frame = pd.DataFrame({"a": data.draw(COLUMNS[kind])})
    before = frame.copy(deep=True)
    schema = infer_schema(frame)
    wanted = enforce_schema(frame, schema)
    for found in reread(frame, schema):
        assert_same(enforce_schema(found, schema), wanted)
    pd.testing.assert_frame_equal(frame, before)


@given(
    st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=6),
    st.lists(TEXT, min_size=6, max_size=6, unique=True),
    st.data(),
)
def test_a_frame_keeps_its_columns(
    kinds: list[str], names: list[str], data: st.DataObject
) -> None:
    columns = {names[i]: data.draw(COLUMNS[kind]) for i, kind in enumerate(kinds)}
    frame = pd.DataFrame(columns)
    schema = infer_schema(frame)
    wanted = enforce_schema(frame, schema)
    for found in reread(frame, schema):
        assert found.columns.tolist() == frame.columns.tolist()
        assert_same(enforce_schema(found, schema), wanted)


DTYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="="),
    hnp.unsigned_integer_dtypes(endianness="="),
    hnp.floating_dtypes(endianness="=", sizes=(16, 32, 64)),
    hnp.datetime64_dtypes(endianness="=", min_period="ns", max_period="D"),
)


def is_readable(array: npt.NDArray[Any]) -> bool:
    """Return whether the years of an array of moments are such that JSON text can name them."""
    if array.dtype.kind != "M" or array.dtype == "datetime64[ns]":
        return True
    years = array[~np.isnat(array)].astype("datetime64[Y]").astype(int) + 1970
    return bool(((years >= 1000) & (years <= 9999)).all())


@given(
    hnp.arrays(DTYPES, hnp.array_shapes(max_dims=3, min_side=0, max_side=3)).filter(is_readable)
)
def test_an_array_keeps_its_values_and_dtype(array: npt.NDArray[Any]) -> None:
    schema = infer_schema(array)
    for found in reread(array, schema):
        if array.size:
            assert_same(found, array)
        assert found.dtype == array.dtype


@given(hnp.arrays(np.float64, (3, 2)), st.sampled_from([sp.csr_matrix, sp.csc_matrix]))
def test_a_sparse_matrix_is_saved_sparse(array: npt.NDArray[Any], kind: Any) -> None:
    matrix = kind(array)
    example = InputExample.from_value(matrix)
    found = read_input_example(
        example.info, lambda _: example.example_json.encode(), infer_schema(matrix)
    )
    assert type(found) is kind
    assert_same(found, matrix)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"a": 1, "b": "x", "c": 1.5, "d": True}, id="dict-of-scalars"),
        pytest.param({"a": np.float32(0.1), "b": np.int32(1)}, id="dict-of-32-bit-numbers"),
        pytest.param({"a": b"x\0"}, id="dict-of-bytes"),
        pytest.param({"a": ["x", "y"]}, id="dict-of-a-list"),
        pytest.param({"a": [b"x"]}, id="dict-of-a-list-of-bytes"),
        pytest.param({"a": {"b": [1, 2], "c": {"d": b"x"}}}, id="dict-nested"),
        pytest.param([1, 2], id="integers"),
        pytest.param([1.5, float("inf")], id="infinity"),
        pytest.param(["a", "b"], id="texts"),
        pytest.param([b"a", b"b"], id="bytes"),
        pytest.param([np.float32(0.1)], id="float32"),
        pytest.param([{"a": 1, "b": b"x"}, {"a": 2, "b": b""}], id="rows"),
        pytest.param([{"a": ["x"]}, {"a": ["y", "z"]}], id="rows-of-lists"),
        pytest.param([{"a": {"x": 1}}, {"a": {"x": 2}}], id="rows-of-objects"),
        pytest.param([[1, 2], [3]], id="ragged-lists"),
        pytest.param("x", id="text"),
        pytest.param(1.5, id="number"),
        pytest.param(np.int32(1), id="int32"),
        pytest.param({"x": np.array([0.5]), "y": np.array(["q"])}, id="dict-of-arrays"),
        pytest.param(np.array([b"a", b"b\0c"]), id="array-of-bytes"),
        pytest.param(np.array([1, "x", None], dtype=object), id="array-of-objects"),
    ],
)
def test_a_value_is_enforced_to_the_same_after_a_round_trip(value: Any) -> None:
    schema = infer_schema(value)
    wanted = enforce_schema(value, schema)
    for found in reread(value, schema):
        assert_same(enforce_schema(found, schema), wanted)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"a": dt.datetime(2020, 1, 2, 3, 4, 5, 6)}, id="datetime"),
        pytest.param({"a": dt.date(2020, 1, 2)}, id="date"),
        pytest.param([dt.datetime(2020, 1, 2, tzinfo=dt.timezone.utc)], id="datetime-with-offset"),
        pytest.param({"a": np.datetime64("2020-01-02T00:00:00.000000001")}, id="nanoseconds"),
        pytest.param(b"x", id="bytes"),
        pytest.param(np.float32(0.1), id="float32"),
    ],
)
def test_a_saved_value_gets_its_type_back(value: Any) -> None:
    example = InputExample.from_value(value)
    found = read_input_example(
        example.info, lambda _: example.example_json.encode(), infer_schema(value)
    )
    assert found == value
    assert type(found) is type(value)


@given(
    st.sampled_from([kind for kind in sorted(COLUMNS) if not kind.startswith("objects")]),
    st.data(),
)
def test_predictions_read_back_under_the_output_schema(kind: str, data: st.DataObject) -> None:
    frame = pd.DataFrame({"y": data.draw(COLUMNS[kind])})
    schema = infer_schema(frame)
    text = format_predictions(frame, nan="string")
    json.loads(text, parse_constant=refuse)
    found = parse_predictions(text, schema)
    assert_same(enforce_schema(found, schema), enforce_schema(frame, schema))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(np.array([[1, 2]]), "[[1, 2]]", id="array"),
        pytest.param(np.array([1.5, NAN, np.inf]), "[1.5, null, null]", id="array-with-nan"),
        pytest.param(np.array([b"x"]), '["eA==\\n"]', id="array-of-bytes"),
        pytest.param(np.array(["2020-01-01"], "M8[ns]"), "[1577836800000000000]", id="array-ns"),
        pytest.param(np.array(["2020-01-01"], "M8[D]"), '["2020-01-01"]', id="array-of-dates"),
        pytest.param(
            pd.DataFrame({"a": [1, 2]}, index=[5, 6]), '[{"a": 1}, {"a": 2}]', id="frame"
        ),
        pytest.param(
            pd.DataFrame({0: [None]}, dtype="Int64"), '[{"0": null}]', id="frame-with-na"
        ),
        pytest.param(pd.DataFrame(index=[1, 2]), "[{}, {}]", id="frame-without-columns"),
        pytest.param(pd.Series([1.5]), '[{"0": 1.5}]', id="series-without-name"),
        pytest.param(pd.Series([NAN], name="y"), '[{"y": null}]', id="series-with-name"),
        pytest.param([np.float32(0.5), None, pd.NaT, pd.NA], "[0.5, null, null, null]", id="list"),
        pytest.param({"a": pd.Timestamp("2020-01-01"), 1: (1, 2)}, None, id="dict"),
        pytest.param("x", '"x"', id="text"),
        pytest.param(None, "null", id="none"),
    ],
)
def test_predictions_are_written_as_mlflow_writes_them(value: Any, text: str | None) -> None:
    expected = text or '{"a": "2020-01-01T00:00:00", "1": [1, 2]}'
    assert format_predictions(value) == f'{{"predictions": {expected}}}'
    assert format_predictions(value, unified=True) == expected


def test_nan_may_be_written_as_text() -> None:
    values = np.array([NAN, np.inf, -np.inf])
    text = format_predictions(values, nan="string")
    assert text == '{"predictions": ["NaN", "Infinity", "-Infinity"]}'


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        pytest.param({1, 2}, InvalidTypeError, id="set"),
        pytest.param([{"a": object()}], InvalidTypeError, id="object"),
        pytest.param(1j, InvalidTypeError, id="complex"),
        pytest.param(np.array([1j]), InvalidTypeError, id="complex-array"),
        pytest.param(np.longdouble(1), InvalidTypeError, id="longdouble"),
        pytest.param({(1, 2): 3}, InvalidTypeError, id="key-is-a-tuple"),
        pytest.param({NAN: 3}, InvalidTypeError, id="key-is-nan"),
        pytest.param(pd.DataFrame({("a", "b"): [1]}), InvalidTypeError, id="label-is-a-tuple"),
        pytest.param(pd.DataFrame([[1, 2]], columns=["a", "a"]), InvalidArgumentError, id="twice"),
        pytest.param(
            pd.DataFrame({"t": pd.to_timedelta(["1D"])}), InvalidTypeError, id="timedelta"
        ),
        pytest.param(CYCLE, InvalidArgumentError, id="cycle"),
    ],
)
def test_a_prediction_without_json_form_is_refused(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        format_predictions(value)


def test_the_error_names_the_place() -> None:
    with pytest.raises(InvalidTypeError, match=r"value\['a'\]\[1\] is of type complex"):
        format_predictions({"a": [1, 2j]})
    with pytest.raises(InvalidTypeError, match=r"column 'b'\[1\] is of type Timedelta"):
        format_predictions(pd.DataFrame({"b": pd.Series([1, pd.Timedelta(1)], dtype=object)}))
