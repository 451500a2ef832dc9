"""Whatever a schema was inferred from passes under it, and passes once more."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfunc.errors import InvalidArgumentError, SchemaError
from pyfunc.schema import (
    AnyType,
    Array,
    ColSpec,
    Map,
    Object,
    Property,
    Schema,
    enforce_schema,
    infer_schema,
)

pytestmark = pytest.mark.filterwarnings("ignore::pyfunc.errors.PyfuncWarning")

NAN = float("nan")
NULLS: list[Any] = [None, NAN, pd.NA, pd.NaT]
FAMILIES: list[list[Any]] = [
    [1, 2**60 + 1, np.int64(3)],
    [0, 1],
    [2**70],
    [2**63],
    [1.5, NAN, np.float64(2.5), np.float64("nan")],
    [True, np.bool_(False)],
    ["a", "", np.str_("q")],
    [object],
    [b"x", bytearray(b"z")],
    [np.int32(3)],
    [np.float32(1.5)],
    [dt.date(2020, 1, 2)],
    [dt.datetime(2020, 1, 2, 3)],
    [np.datetime64("2020-01-02")],
    [np.array([1, 2])],
    [np.array([1.5])],
    [np.array(["a"])],
]
"""Values that share a type; the class ``object`` stands for an instance of it."""


def _values(family: list[Any], shape: str) -> st.SearchStrategy[Any]:
    """Return values nested as ``shape`` says: L is a list, D a dict; blanks on every level."""
    blank: st.SearchStrategy[Any] = st.sampled_from(NULLS) | st.just([]) | st.just({})
    inner = (
        st.sampled_from(family).map(lambda value: object() if value is object else value)
        if not shape
        else st.lists(_values(family, shape[1:]), max_size=2)
        if shape[0] == "L"
        else st.dictionaries(st.sampled_from("xy"), _values(family, shape[1:]), max_size=2)
    )
    return st.integers(0, 4).flatmap(lambda number: blank if number == 0 else inner)


@st.composite
def columns(draw: st.DrawFn, size: int) -> list[Any]:
    values = _values(draw(st.sampled_from(FAMILIES)), draw(st.text("LD", max_size=3)))
    return draw(st.lists(values, min_size=size, max_size=size))


@st.composite
def inputs(draw: st.DrawFn) -> Any:
    kind = draw(st.sampled_from(["scalar", "list", "dict", "records", "frame", "series"]))
    if kind == "scalar":
        return draw(columns(1))[0]
    if kind == "list":
        return draw(columns(draw(st.integers(0, 3))))
    names = draw(st.sampled_from(["a", "ab"]))
    if kind == "dict":
        listed = draw(st.booleans())
        return {name: draw(columns(2)) if listed else draw(columns(1))[0] for name in names}
    size = draw(st.integers(1, 3))
    table = {name: draw(columns(size)) for name in names}
    if kind == "records":
        return [
            {name: table[name][row] for name in names if draw(st.integers(0, 4))}
            for row in range(size)
        ]
    frame: pd.DataFrame = pd.DataFrame(
        {name: pd.Series(values, dtype=object) for name, values in table.items()}
    )
    return frame if kind == "frame" else frame["a"]


def describe(data: Any) -> Any:
    if isinstance(data, pd.Series):
        data = data.to_frame()
    if not isinstance(data, pd.DataFrame):
        return repr(data)
    return [
        (label, str(dtype), [(type(value), repr(value)) for value in data.iloc[:, at].tolist()])
        for at, (label, dtype) in enumerate(zip(data.columns, data.dtypes, strict=True))
    ]


def _has_nulls_in_required_columns(data: Any, schema: Any) -> bool:
    """Return whether a list has nulls where only a list may: a frame with them is refused."""
    return isinstance(data, list) and any(
        spec.required
        and spec.name is not None
        and any(pd.api.types.is_scalar(row[spec.name]) and pd.isna(row[spec.name]) for row in data)
        for spec in schema
    )


@given(inputs())
def test_data_passes_under_the_schema_that_was_inferred_from_it(data: Any) -> None:
    try:
        schema = infer_schema(data)
    except InvalidArgumentError:
        return
    before = describe(data)
    once = enforce_schema(data, schema)
    assert describe(data) == before
    if not _has_nulls_in_required_columns(data, schema):
        assert describe(enforce_schema(once, schema)) == describe(once)


def _column(*values: Any) -> pd.DataFrame:
    frame: pd.DataFrame = pd.DataFrame({"a": pd.Series(list(values), dtype=object)})
    return frame


ANY_OF = Object([Property("x", "long", False)])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        pytest.param([np.int64(1), []], "long", id="long"),
        pytest.param([np.float32(1.5), {}], "float", id="float"),
        pytest.param([pd.Timestamp(2020, 1, 2), []], "datetime", id="datetime"),
        pytest.param([[1], {}], Array("long"), id="array"),
        pytest.param([[1, []]], Array("long"), id="element"),
        pytest.param([[[1], {}]], Array(Array("long")), id="array-in-array"),
        pytest.param([{"x": np.int64(1)}, []], ANY_OF, id="object"),
        pytest.param([{"x": np.int64(1)}, {"x": []}], ANY_OF, id="property"),
        pytest.param([{"k": 1}, []], Map(AnyType()), id="map"),
    ],
)
def test_empty_lists_and_dicts_pass_among_other_values(values: list[Any], kind: Any) -> None:
    result = enforce_schema(_column(*values), Schema([ColSpec(kind, "a")]))
    assert [repr(value) for value in result["a"]] == [repr(value) for value in values]


def test_the_other_values_beside_empty_ones_are_cast() -> None:
    schema = Schema([ColSpec("long", "a", False), ColSpec(Array("double"), "b")])
    array = np.array([1, {}, None], dtype=object)
    frame = pd.DataFrame({"a": _column(np.int8(1), [], None)["a"], "b": [[0, []], [], array]})
    result = enforce_schema(frame, schema)
    assert [repr(value) for value in result["a"]] == [repr(np.int64(1)), "[]", "None"]
    assert result["b"].tolist()[0] == [0.0, []]
    assert result["b"].tolist()[2].tolist()[:2] == [1.0, {}]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        pytest.param([[], []], "long", id="nothing-else"),
        pytest.param([[], "x"], "long", id="a-misfit"),
        pytest.param([{}, []], Array("long"), id="nothing-else-in-an-array"),
        pytest.param([[{}]], Array("long"), id="no-other-element"),
        pytest.param([[1, [2]]], Array("long"), id="not-empty"),
        pytest.param([[1, {}], ["x"]], Array("long"), id="another-misfit"),
        pytest.param([{"x": []}], ANY_OF, id="no-other-property"),
        pytest.param([[]], Map("long"), id="no-other-map"),
    ],
)
def test_empty_lists_and_dicts_do_not_make_other_values_fit(values: list[Any], kind: Any) -> None:
    with pytest.raises(SchemaError):
        enforce_schema(_column(*values), Schema([ColSpec(kind, "a")]))


def test_the_row_of_a_misfit_beside_empty_values_is_its_own() -> None:
    values = _column([], pd.Timestamp(2020, 1, 1), "x")
    with pytest.raises(SchemaError) as caught:
        enforce_schema(values, Schema([ColSpec("datetime", "a")]))
    assert caught.value.problems[0].row == 2


@pytest.mark.parametrize("null", [NAN, pd.NA, pd.NaT], ids=repr)
@pytest.mark.parametrize(
    ("value", "kind", "dtype"),
    [
        pytest.param(2**60 + 1, "long", "Int64", id="long"),
        pytest.param(np.int32(1), "integer", "Int32", id="integer"),
        pytest.param([1], Array("long"), "object", id="array"),
    ],
)
def test_lists_of_dicts_may_have_nulls_but_none(
    value: Any, kind: Any, dtype: str, null: Any
) -> None:
    schema = Schema([ColSpec(kind, "a"), ColSpec("double", "b")])
    column = enforce_schema([{"a": value, "b": 1.5}, {"a": null, "b": 1.5}], schema)["a"]
    assert (str(column.dtype), column.isna().tolist()) == (dtype, [False, True])
    assert column.tolist()[0] == value
    for rows in ([{"a": value}, {"a": None}], [{"a": value}, {}], [{"a": null}]):
        with pytest.raises(SchemaError):
            enforce_schema([{"b": 1.5} | row for row in rows], schema)
    with pytest.raises(SchemaError):  # a frame that has nulls is of optional columns
        enforce_schema(pd.DataFrame({"a": column, "b": [1.5, 1.5]}), schema)


def test_none_is_a_value_of_any_type() -> None:
    anything = Schema([ColSpec(AnyType())])
    assert enforce_schema(None, anything)[0].tolist() == [None]
    with pytest.raises(SchemaError):
        enforce_schema(None, Schema([ColSpec(AnyType(), "a")]))
    both = Schema([ColSpec(AnyType(), "a"), ColSpec(AnyType(), "b")])
    assert enforce_schema({"a": [], "b": {}}, both).to_dict("records") == [{"a": [], "b": {}}]
    assert enforce_schema([[], None], anything)[0].tolist() == [[], None]
    with pytest.raises(SchemaError):
        enforce_schema([{}, (1,)], Schema([ColSpec("long")]))


def test_a_bare_object_is_text() -> None:
    thing = object()
    assert enforce_schema(thing, Schema([ColSpec("string")]))[0].tolist() == [thing]
    named = Schema([ColSpec("string", "a"), ColSpec("datetime", "b")])
    result = enforce_schema({"a": thing, "b": dt.date(2020, 1, 1)}, named)
    assert result["a"].tolist() == [thing]
    with pytest.raises(SchemaError):
        enforce_schema(thing, Schema([ColSpec("boolean")]))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        pytest.param("float", [np.float32(1.5), NAN], id="nan-beside-floats-of-32-bits"),
        pytest.param("float", [NAN], id="nan"),
        pytest.param("double", [1.5, pd.NaT], id="nat-beside-floats"),
    ],
)
def test_arrays_of_floats_may_have_nan(kind: str, values: list[Any]) -> None:
    (result,) = enforce_schema(_column(values), Schema([ColSpec(Array(kind), "a")]))["a"]
    assert [value != value for value in result] == [value != value for value in values]  # noqa: PLR0124


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        pytest.param("float", [0, 1], [np.float32(0), np.float32(1)], id="float"),
        pytest.param("integer", [np.int8(7)], [np.int32(7)], id="integer"),
    ],
)
def test_elements_that_are_cast_pass_once_more(
    kind: str, values: list[Any], expected: list[Any]
) -> None:
    schema = Schema([ColSpec(Array(kind), "a")])
    once = enforce_schema(_column(values), schema)
    assert [repr(value) for value in once["a"][0]] == [repr(value) for value in expected]
    assert enforce_schema(once, schema) is once


def test_columns_of_any_type_settle_on_a_dtype() -> None:
    schema = Schema([ColSpec(AnyType(), "a")])
    once = enforce_schema(pd.DataFrame({"a": pd.Series([1], dtype="UInt64")}), schema)
    assert str(once["a"].dtype) == "int64"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param([2**70, None], id="large-integers"),
        pytest.param([[1], None], id="arrays"),
        pytest.param([1, None], id="integers"),
    ],
)
def test_a_list_with_nulls_passes_once_more_as_a_frame(data: list[Any]) -> None:
    schema = infer_schema(data)
    once = enforce_schema(data, schema)
    assert describe(enforce_schema(once, schema)) == describe(once)
