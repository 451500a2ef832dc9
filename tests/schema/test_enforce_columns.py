"""Columns: what passes untouched, what is cast, and what becomes a problem."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, SchemaError
from pyfunc.schema import (
    AnyType,
    Array,
    ColSpec,
    Schema,
    as_predict_error,
    compile_plan,
    enforce_schema,
    infer_schema,
    validate_schema,
)
from pyfunc.schema.enforce.layouts import list_dtypes


def named(**types: Any) -> Schema:
    """Return a schema of required columns; a type in a tuple makes one optional."""
    return Schema(
        [
            ColSpec(kind[0], name, False) if isinstance(kind, tuple) else ColSpec(kind, name)
            for name, kind in types.items()
        ]
    )


def refuse(data: Any, schema: Schema, **options: Any) -> SchemaError:
    with pytest.raises(SchemaError) as caught:
        enforce_schema(data, schema, **options)
    return caught.value


def test_a_conforming_frame_is_returned_itself() -> None:
    frame = pd.DataFrame({"a": [1.0], "b": ["x"], "c": [1]}, index=[7])
    frame.attrs["kept"] = True
    plan = compile_plan(named(a="double", b="string", c="long"))
    assert plan.enforce(frame) is frame
    same_layout = frame.copy()
    assert plan.enforce(same_layout) is same_layout


def test_a_conforming_object_column_is_not_looked_into() -> None:
    frame = pd.DataFrame({"a": pd.Series([1, object(), None], dtype=object)})
    assert enforce_schema(frame, named(a="string")) is frame


def test_columns_are_reordered_and_the_index_is_kept() -> None:
    frame = pd.DataFrame({"b": ["x", "y"], "z": [0, 0], "a": [1.0, 2.0]}, index=[5, 9])
    frame.columns.name = "dropped"
    result = enforce_schema(frame, named(a="double", b="string"))
    assert list(result.columns) == ["a", "b"]
    assert result.columns.name is None
    assert list(result.index) == [5, 9]
    assert list(frame.columns) == ["b", "z", "a"]


@pytest.mark.parametrize("width", [1, 2, 40], ids=str)
def test_groups_of_casts_keep_their_places(width: int) -> None:
    dtypes = ["float32", "int32", "float64", "int64", "bool", "object"]
    kinds = ["double", "long", "double", "double", "boolean", "double"]
    columns = {}
    schema = {}
    for position in range(6 * width):
        values = np.array([position % 2, 1])
        columns[f"c{position}"] = pd.Series(values.astype(dtypes[position % 6]))
        schema[f"c{position}"] = kinds[position % 6]
    frame = pd.DataFrame(columns)
    before = frame.copy(deep=True)
    if width > 1:  # all integers of the object columns are 0 or 1
        schema = dict(reversed(schema.items()))
    result = enforce_schema(frame, named(**schema))
    assert list(result.columns) == list(schema)
    expected = {"double": "float64", "long": "int64", "boolean": "bool"}
    for name, kind in schema.items():
        assert str(result[name].dtype) == expected[kind]
        assert result[name].tolist() == before[name].tolist()
    pd.testing.assert_frame_equal(frame, before)


def test_extra_columns_are_dropped_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.DataFrame({"a": [1.0], "z": [1], "y": [1]})
    with caplog.at_level(logging.WARNING, logger="pyfunc.schema"):
        result = enforce_schema(frame, named(a="double"))
    assert list(result.columns) == ["a"]
    assert "'z', 'y'" in caplog.text


def test_extra_columns_of_an_unnamed_schema_are_dropped_in_silence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, logger="pyfunc.schema"):
        result = enforce_schema(pd.DataFrame([[1.0, 2.0]]), Schema([ColSpec("double")]))
    assert list(result.columns) == [0]
    assert not caplog.records


def test_one_error_lists_every_problem() -> None:
    frame = pd.DataFrame({"b": ["x"], "c": [3], "d": pd.Series([1.5, 2])[:1], "z": [0]})
    error = refuse(frame, named(a="double", b="long", c="double", d="long"))
    assert [problem.path for problem in error.problems] == [
        "inputs['a']",
        "inputs['b']",
        "inputs['c']",
        "inputs['d']",
    ]
    assert error.problems[0].expected == "a column of double"
    assert error.problems[2].row == 0
    assert "'z'" in error.hint
    assert error.error_code == "INTERNAL_ERROR"


def test_the_first_offending_row_is_a_position() -> None:
    frame = pd.DataFrame({"a": [0, 1, 7, 9]}, index=list("wxyz"))
    assert refuse(frame, named(a="double")).problems[0].row == 2


def test_missing_values_in_whole_numbers_give_a_hint() -> None:
    assert "optional" in refuse(pd.DataFrame({"a": [1.0, np.nan]}), named(a="long")).hint
    assert not refuse(pd.DataFrame({"a": [1.5, np.nan]}), named(a="long")).hint
    assert not refuse(pd.DataFrame({"a": [np.inf, np.nan]}), named(a="double", b="long")).hint


def test_the_error_of_predict_has_its_own_codes() -> None:
    error = as_predict_error(refuse(pd.DataFrame(), named(a="double")))
    assert error.error_code == "INVALID_PARAMETER_VALUE"
    assert (error.error_class, error.sqlstate) == ("SCHEMA_ENFORCEMENT_FAILED", "KAM01")
    assert [problem.path for problem in error.problems] == ["inputs['a']"]


def test_details_can_be_hidden(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_SCHEMA_DETAILS", "true")
    error = refuse(pd.DataFrame({"secret": [1]}), named(hidden="double"))
    assert "secret" not in str(error)
    assert "hidden" not in error.problems[0].path
    with caplog.at_level(logging.WARNING, logger="pyfunc.schema"):
        enforce_schema(pd.DataFrame({"a": [1.0], "secret": [1]}), named(a="double"))
    assert caplog.records
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("column", "kind", "dtype", "values"),
    [
        pytest.param(pd.Series([2, None], dtype="Int8"), "integer", "Int32", [2, None], id="Int8"),
        pytest.param(pd.Series([2, None], dtype="Int64"), "long", "Int64", [2, None], id="Int64"),
        pytest.param(pd.Series([2.0, np.nan]), "long", "Int64", [2, None], id="whole-floats"),
        pytest.param(pd.Series([None, None]), "long", "Int64", [None, None], id="all-none"),
        pytest.param(
            pd.Series([True, None], dtype="boolean"), "boolean", "boolean", [True, None], id="bool"
        ),
        pytest.param(
            pd.Series([np.float32(1.5), None], dtype=object),
            "float",
            "float32",
            [1.5, None],
            id="float32-objects",
        ),
        pytest.param(pd.Series([np.nan]), "datetime", "datetime64[ns]", [None], id="datetime"),
        pytest.param(pd.Series([np.nan]), "string", "object", [None], id="string"),
        pytest.param(
            pd.Series([2**60 + 1, None], dtype=object),
            "long",
            "Int64",
            [2**60 + 1, None],
            id="big",
        ),
    ],
)
def test_optional_columns_accept_nulls(
    column: pd.Series[Any], kind: str, dtype: str, values: list[Any]
) -> None:
    frame = pd.DataFrame({"a": column})
    result = enforce_schema(frame, named(a=(kind,)))["a"]
    assert str(result.dtype) == dtype
    assert [None if pd.isna(value) else value for value in result] == values
    refuse(frame, named(a=kind)) if kind not in ("string", "datetime") else None


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        pytest.param(pd.Series([1.5, np.nan]), "long", id="fraction"),
        pytest.param(pd.Series([2.0**40, np.nan]), "integer", id="out-of-range"),
        pytest.param(pd.Series(["x", None]), "long", id="text"),
        pytest.param(pd.Series([2, None], dtype="Int64"), "double", id="Int64-to-double"),
    ],
)
def test_nulls_do_not_make_other_values_fit(column: pd.Series[Any], kind: str) -> None:
    refuse(pd.DataFrame({"a": column}), named(a=(kind,)))


def test_an_optional_column_may_be_absent() -> None:
    frame = pd.DataFrame({"a": [1.0]})
    assert enforce_schema(frame, named(a="double", b=("long",))) is frame
    assert enforce_schema({}, named(b=("long",))).shape == (0, 0)


@pytest.mark.parametrize(
    ("values", "kind", "other"),
    [
        pytest.param(["a", "b", None], "string", "long", id="string"),
        pytest.param([3, 4], "long", "double", id="long"),
        pytest.param([1.5, None], "double", "float", id="double"),
        pytest.param([True, False], "boolean", "long", id="boolean"),
        pytest.param([b"x"], "binary", "boolean", id="binary"),
        pytest.param([dt.date(2020, 1, 2)], "datetime", "double", id="datetime"),
    ],
)
def test_categories_stay_under_the_type_that_inference_gives(
    values: list[Any], kind: str, other: str
) -> None:
    frame = pd.DataFrame({"a": pd.Series(values).astype("category")})
    result = enforce_schema(frame, named(a=kind))["a"]
    assert result.dtype == frame["a"].dtype
    assert [None if pd.isna(v) else v for v in result] == values
    refuse(frame, named(a=other))


def test_categories_of_integers_with_nulls_fit_an_optional_column() -> None:
    frame = pd.DataFrame({"a": pd.Series([1, None, 2]).astype("Int64").astype("category")})
    assert enforce_schema(frame, named(a=("long",))) is frame


def test_datetimes_keep_their_time_zone() -> None:
    moment = dt.datetime(2020, 1, 2, 3, tzinfo=dt.timezone.utc)
    naive = dt.datetime(2020, 1, 2)
    aware = pd.DataFrame({"a": pd.Series([moment])})
    result = enforce_schema(aware, named(a="datetime"))["a"]
    assert str(result.dtype) == "datetime64[ns, UTC]"
    assert result.tolist() == [pd.Timestamp(moment)]
    mixed = pd.DataFrame({"a": pd.Series([moment, naive], dtype=object)})
    assert enforce_schema(mixed, named(a="datetime")) is mixed


def test_datetimes_out_of_range_keep_their_unit() -> None:
    far = pd.DataFrame({"a": np.array(["3000-01-02"], dtype="datetime64[s]")})
    assert str(enforce_schema(far, named(a="datetime"))["a"].dtype) == "datetime64[s]"
    dates = pd.DataFrame({"a": pd.Series([dt.date(1, 1, 1)], dtype=object)})
    result = enforce_schema(dates, named(a="datetime"))["a"]
    assert result[0] == pd.Timestamp(1, 1, 1)


def test_integers_beyond_64_bits_stay_objects() -> None:
    frame = pd.DataFrame({"a": pd.Series([2**70, 1], dtype=object)})
    assert enforce_schema(frame, named(a="long")) is frame
    refuse(frame, named(a="integer"))
    with_none = pd.DataFrame({"a": pd.Series([2**70, None], dtype=object)})
    assert enforce_schema(with_none, named(a=("long",))) is with_none


@pytest.mark.parametrize("name", [0, "", False, np.nan, ("t", 1)], ids=str)
def test_columns_with_falsy_names_keep_them(name: Any) -> None:
    frame = pd.DataFrame({"x": [1.0], "y": [2.0]})
    frame.columns = pd.Index(["x", name], dtype=object, tupleize_cols=False)
    schema = Schema([ColSpec("double", name), ColSpec("double", "x")])
    result = enforce_schema(frame, schema)
    assert result.iloc[0].tolist() == [2.0, 1.0]
    assert result.columns.tolist()[0] is name or result.columns.tolist()[0] == name
    assert refuse(frame[["x"]], schema).problems[0].path == f"inputs[{name!r}]"


@pytest.mark.parametrize(
    ("value", "kind", "cell"),
    [
        pytest.param(dt.date(2020, 1, 2), "datetime", pd.Timestamp(2020, 1, 2), id="date"),
        pytest.param(dt.datetime(2020, 1, 2), "datetime", pd.Timestamp(2020, 1, 2), id="datetime"),
        pytest.param(bytearray(b"x"), "binary", bytearray(b"x"), id="bytearray"),
    ],
)
def test_inferred_scalars_are_scalars(value: Any, kind: str, cell: Any) -> None:
    assert enforce_schema(value, Schema([ColSpec(kind)])).iloc[0, 0] == cell
    assert enforce_schema({"a": value}, named(a=kind)).iloc[0, 0] == cell
    assert enforce_schema([value], Schema([ColSpec(kind)])).iloc[0, 0] == cell


def test_an_empty_list_is_a_text_column_without_rows() -> None:
    assert enforce_schema([], infer_schema([])).shape == (0, 1)
    refuse([], Schema([ColSpec("long")]))


def test_nulls_in_a_list_under_one_unnamed_column_are_kept() -> None:
    schema = Schema([ColSpec("long")])
    result = enforce_schema([1, None, 2**60 + 1], schema)[0]
    assert result.tolist() == [1, pd.NA, 2**60 + 1]
    refuse(pd.DataFrame({"q": [1, None]}), schema)


def test_large_integers_beside_none_keep_their_value() -> None:
    large = 2**60 + 1
    schema = named(a=("long",))
    for data in ([{"a": large}, {"a": None}], {"a": [large, None]}, [{"a": large}, {}]):
        assert enforce_schema(data, schema)["a"].tolist() == [large, pd.NA]


def test_repeated_names_are_a_problem() -> None:
    frame = pd.DataFrame([[1.0, 2.0, 3.0]], columns=["a", "a", "b"])
    assert refuse(frame, named(a="double")).problems[0].got == "several columns of this name"
    assert enforce_schema(frame, named(b="double")).iloc[0, 0] == 3.0


def test_repeated_names_do_not_matter_by_position() -> None:
    frame = pd.DataFrame([[1.0, 2.0]], columns=["a", "a"])
    assert enforce_schema(frame, Schema([ColSpec("double"), ColSpec("double")])) is frame


@pytest.mark.parametrize(
    ("data", "columns"),
    [
        pytest.param({"a": 1.5, "b": "x"}, {"a": [1.5], "b": ["x"]}, id="dict-of-scalars"),
        pytest.param({"b": "x", "a": 1.5}, {"a": [1.5], "b": ["x"]}, id="dict-in-another-order"),
        pytest.param({"a": 1.5, "b": "x", "c": 1}, {"a": [1.5], "b": ["x"]}, id="dict-with-extra"),
        pytest.param({"a": 1, "b": "x"}, {"a": [1.0], "b": ["x"]}, id="dict-to-cast"),
        pytest.param([{"a": 1.5, "b": "x"}], {"a": [1.5], "b": ["x"]}, id="list-of-dicts"),
        pytest.param({"a": [1.5, 2.5], "b": "x"}, {"a": [1.5, 2.5], "b": ["x"] * 2}, id="lists"),
    ],
)
def test_dicts_and_lists_are_frames(data: Any, columns: dict[str, list[Any]]) -> None:
    result = enforce_schema(data, named(a="double", b="string"))
    assert result.to_dict("list") == columns


@pytest.mark.parametrize("width", [1, 3, 30], ids=str)
def test_one_dict_of_scalars_has_the_dtypes_of_its_columns(width: int) -> None:
    kinds = {
        "boolean": (True, "bool"),
        "integer": (np.int32(1), "int32"),
        "long": (2, "int64"),
        "float": (np.float32(1.5), "float32"),
        "double": (2.5, "float64"),
        "binary": (b"x", "object"),
    }
    data, schema, dtypes = {}, {}, {}
    for position in range(width):
        for kind, (value, dtype) in kinds.items():
            name = f"{kind}{position}"
            data[name], schema[name], dtypes[name] = value, kind, dtype
    plan = compile_plan(named(**schema))
    result = plan.enforce(data)
    assert {name: str(dtype) for name, dtype in result.dtypes.items()} == dtypes
    assert result.iloc[0].to_dict() == data
    assert list(plan.enforce(dict(reversed(data.items()))).columns) == list(schema)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(None, id="none"),
        pytest.param((1.0,), id="tuple"),
        pytest.param(iter([]), id="iterator"),
        pytest.param({"a": [1.0, 2.0], "b": [1.0]}, id="ragged-dict"),
        pytest.param(np.zeros((2, 2, 2)), id="three-dimensions"),
        pytest.param(np.array(1.0), id="no-dimension"),
        pytest.param({"a": {"k": 1}, "b": [1]}, id="dict-in-dict"),
        pytest.param(range(3), id="range"),
    ],
)
def test_other_data_is_one_problem(data: Any) -> None:
    error = refuse(data, named(a="double"))
    assert error.problems
    assert error.error_code == "INTERNAL_ERROR"


def test_columns_of_any_type_have_the_dtype_of_their_values() -> None:
    schema = named(a=AnyType())
    small = pd.DataFrame({"a": np.array([1, 2], dtype="int8")}, index=[3, 4])
    assert str(enforce_schema(small, schema)["a"].dtype) == "int64"
    narrow = pd.DataFrame({"a": np.array([1.5], dtype="float32")})
    assert str(enforce_schema(narrow, schema)["a"].dtype) == "float64"
    plain = pd.DataFrame({"a": [1.5]})
    assert enforce_schema(plain, schema) is plain
    assert enforce_schema(pd.DataFrame({"a": []}), schema)["a"].dtype == object


def test_one_dict_of_one_type_is_one_block() -> None:
    result = enforce_schema({"b": 2.5, "a": 1.5}, named(a="double", b="double"))
    assert result.to_dict("list") == {"a": [1.5], "b": [2.5]}
    text = enforce_schema({"b": "y", "a": "x"}, named(a="string", b="string"))
    assert text.to_dict("list") == {"a": ["x"], "b": ["y"]}
    assert enforce_schema({"a": 2**70}, named(a="long"))["a"].tolist() == [2**70]


def test_a_plan_does_not_mix_up_layouts() -> None:
    plan = compile_plan(named(a="double", b="long"))
    for _ in range(2):
        for dtype in ("float64", "float32", "int8", "int16", "uint8", "float16", "int32"):
            frame = pd.DataFrame({"b": [1], "a": np.array([1], dtype=dtype)})
            result = plan.enforce(frame)
            assert [str(dtype) for dtype in result.dtypes] == ["float64", "int64"]
            refuse(frame[["a"]], plan.schema)
        refuse(pd.DataFrame({"a": ["x"], "b": [1]}), plan.schema)


def test_validation_returns_nothing() -> None:
    validate_schema(pd.DataFrame({"a": [1.0]}), named(a="double"))
    with pytest.raises(SchemaError):
        validate_schema(pd.DataFrame({"a": ["x"]}), named(a="double"))


def test_arguments_are_checked() -> None:
    with pytest.raises(InvalidTypeError):
        enforce_schema({}, "schema")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError):
        compile_plan(named(a="long"), coerce="all")


# Pandas 2.2.0 and 2.2.1 warn of their own way to take columns of a subclass.
@pytest.mark.filterwarnings("ignore:Passing a BlockManager:DeprecationWarning")
def test_a_subclass_becomes_a_plain_frame_when_it_is_changed() -> None:
    class Special(pd.DataFrame):
        @property
        def _constructor(self) -> Any:
            return Special

    frame = Special({"b": [1.0], "a": [1.0], "c": np.array([1.0], dtype="float32")})
    for schema in (named(a="double", b="double"), named(b="double", a="double", c="double")):
        assert type(enforce_schema(frame, schema)) is pd.DataFrame


def test_texts_in_arrays_without_dimension_are_one_row() -> None:
    data = {"a": np.array("x"), "b": np.array("y")}
    assert enforce_schema(data, named(a="string", b="string")).iloc[0].tolist() == ["x", "y"]


def test_a_name_that_cannot_be_a_label_is_a_missing_column() -> None:
    schema = Schema([ColSpec("long", ["a", "b"])])
    for data in (pd.DataFrame({"a": [1]}), [{"a": 1}]):
        assert refuse(data, schema).problems[0].path == "inputs[['a', 'b']]"


@pytest.mark.parametrize(
    ("values", "kind", "row"),
    [
        pytest.param([None, b"x"], "double", 1, id="bytes-as-double"),
        pytest.param([None, dt.date(2020, 1, 1), 3.5j], "datetime", 2, id="number-as-date"),
        pytest.param([2**63, 1.5], "long", None, id="large"),
    ],
)
def test_mixed_objects_are_refused_with_their_row(
    values: list[Any], kind: str, row: int | None
) -> None:
    frame = pd.DataFrame({"a": pd.Series(values, dtype=object)})
    assert refuse(frame, named(a=kind)).problems[0].row == row


def test_integers_of_64_bits_without_sign_stay_objects() -> None:
    frame = pd.DataFrame({"a": pd.Series([2**63, 1], dtype=object)})
    assert enforce_schema(frame, named(a="long")) is frame


def test_dtypes_are_found_without_the_manager_of_pandas() -> None:
    class Frame:
        dtypes = (np.dtype("int64"),)

    assert list_dtypes(Frame()) == [np.dtype("int64")]  # type: ignore[arg-type]


def test_reading_an_arrow_table_without_pyarrow_names_the_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import sys

    from pyfunc.errors import MissingDependencyError

    class Table:
        def __arrow_c_stream__(self, schema: object = None) -> object:
            raise AssertionError

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match="pyfunc-format"):
        enforce_schema(Table(), named(a=Array("long")))


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param("cba", id="reversed"),
        pytest.param("axbyc", id="every-other"),
        pytest.param("bca", id="shuffled"),
        pytest.param("abcx", id="one-more"),
    ],
)
@pytest.mark.parametrize("height", [1, 2, 7])
@pytest.mark.parametrize("order", ["C", "F"])
def test_taken_columns_are_contiguous(columns: str, height: int, order: Any) -> None:
    cells = np.arange(len(columns) * height, dtype=float).reshape((height, len(columns)))
    cells = np.array(cells, order=order)
    frame = pd.DataFrame(cells, columns=list(columns), copy=False)
    schema = Schema([ColSpec("double", name) for name in "abc"])
    found = enforce_schema(frame, schema)
    assert found.to_numpy().flags.f_contiguous
    assert found.to_numpy().tolist() == frame[["a", "b", "c"]].to_numpy().tolist()


@pytest.mark.parametrize("order", ["C", "F"])
def test_cast_columns_are_contiguous(order: Any) -> None:
    cells = np.array(np.arange(12, dtype="float32").reshape(4, 3), order=order)
    frame = pd.DataFrame(cells, columns=["a", "b", "c"], copy=False)
    for types in (["double"] * 3, ["double", "float", "double"]):
        schema = Schema([ColSpec(t, name) for t, name in zip(types, "abc", strict=True)])
        found = enforce_schema(frame, schema)
        assert found.to_numpy().flags.f_contiguous
        assert found.to_numpy().tolist() == cells.tolist()


def test_columns_of_one_type_are_one_block() -> None:
    frame = pd.DataFrame({"a": [1.5], "b": np.array([2.5], "float32"), "c": [3.5]})
    schema = Schema([ColSpec("double", name) for name in "abc"])
    found = enforce_schema(frame, schema)
    assert np.shares_memory(found.to_numpy(), found.to_numpy())  # of several it is put together
    assert found.to_numpy().tolist() == [[1.5, 2.5, 3.5]]


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_columns_of_an_array_are_contiguous(order: Any) -> None:
    cells = np.array(np.arange(12.0).reshape(4, 3), order=order)
    found = enforce_schema(cells, Schema([ColSpec("double")] * 3))
    assert found.to_numpy().flags.f_contiguous
    assert found.to_numpy().tolist() == cells.tolist()


def test_a_conforming_slice_keeps_its_strides() -> None:
    frame = pd.DataFrame(np.ones((3, 9)).T, columns=["a", "b", "c"], copy=False).iloc[2:5]
    found = enforce_schema(frame, Schema([ColSpec("double", name) for name in "abc"]))
    assert found is frame
    assert not found.to_numpy().flags.f_contiguous
