"""Arrays, objects, maps and anything inside a column."""

from __future__ import annotations

import copy
import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pyfunc.errors import SchemaError
from pyfunc.schema import (
    AnyType,
    Array,
    ColSpec,
    Map,
    Object,
    Property,
    Schema,
    SparkMLVector,
    enforce_schema,
)

NAN = float("nan")


def enforce(values: list[Any], kind: Any, *, required: bool = True) -> list[Any]:
    """Return the enforced values of one column of objects."""
    frame = pd.DataFrame({"a": pd.Series(values, dtype=object)})
    result = enforce_schema(frame, Schema([ColSpec(kind, "a", required)]))
    return list(result["a"])


def refuse(values: list[Any], kind: Any, *, required: bool = True) -> SchemaError:
    with pytest.raises(SchemaError) as caught:
        enforce(values, kind, required=required)
    return caught.value


PERSON = Object([Property("age", "long"), Property("name", "string", required=False)])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        pytest.param([[1, 2], []], Array("long"), id="long"),
        pytest.param([[1.5], [NAN]], Array("double"), id="double"),
        pytest.param([["x"], ["y", "z"]], Array("string"), id="string"),
        pytest.param([np.array([1, 2])], Array("long"), id="array"),
        pytest.param([[[1], []], []], Array(Array("long")), id="nested"),
        pytest.param([[1, "x", None]], Array(AnyType()), id="any"),
        pytest.param([{"age": np.int64(3), "name": "x"}], PERSON, id="object"),
        pytest.param([{"k": "x"}, {}], Map("string"), id="map"),
        pytest.param([[1.0], np.array([2.0])], SparkMLVector(), id="vector"),
    ],
)
def test_a_column_that_conforms_is_returned_itself(values: list[Any], kind: Any) -> None:
    frame = pd.DataFrame({"a": pd.Series(values, dtype=object)})
    assert enforce_schema(frame, Schema([ColSpec(kind, "a")])) is frame


def test_the_input_is_never_written_to() -> None:
    kind = Object(
        [Property("p", PERSON), Property("l", Array(PERSON)), Property("m", Map("long"))]
    )
    values = [{"p": {"age": 1}, "l": [{"age": 2, "name": "x"}], "m": {"k": 3}}, None]
    before = copy.deepcopy(values)
    result = enforce(values, kind, required=False)
    assert values == before
    assert [type(values[0]["p"]["age"]), type(values[0]["m"]["k"])] == [int, int]  # type: ignore[index]
    assert type(result[0]["p"]["age"]) is np.int64
    assert result == before


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        pytest.param("long", 1, np.int64(1), id="int"),
        pytest.param("long", np.int8(1), np.int64(1), id="int8"),
        pytest.param("integer", np.int16(1), np.int32(1), id="int16"),
        pytest.param("double", 1, np.float64(1), id="one"),
        pytest.param("double", np.float32(1.5), np.float64(1.5), id="float32"),
        pytest.param("double", Decimal("1.5"), np.float64(1.5), id="decimal"),
        pytest.param("float", 0, np.float32(0), id="zero"),
        pytest.param("boolean", True, np.bool_(True), id="bool"),
        pytest.param("string", np.str_("x"), "x", id="numpy-text"),
        pytest.param("string", b"x", b"x", id="bytes-as-text"),
        pytest.param("binary", "x", "x", id="text-as-bytes"),
        pytest.param(
            "datetime", np.datetime64("2020-01-02"), pd.Timestamp(2020, 1, 2), id="np-date"
        ),
    ],
)
def test_scalars_in_objects_become_numpy_scalars(kind: str, value: Any, result: Any) -> None:
    for values in ([value], [value, value]):
        got = enforce([{"x": v} for v in values], Object([Property("x", kind)]))
        assert [type(v["x"]) for v in got] == [type(result)] * len(values)
        assert [v["x"] for v in got] == [result] * len(values)


@pytest.mark.parametrize(
    "value", [dt.date(2020, 1, 2), dt.datetime(2020, 1, 2), pd.Timestamp(2020, 1, 2)], ids=repr
)
def test_datetimes_in_objects_become_timestamps(value: Any) -> None:
    stamp = pd.Timestamp(2020, 1, 2)
    for kind, data in (
        (Object([Property("x", "datetime")]), {"x": value}),
        (Map("datetime"), {"x": value}),
    ):
        result = enforce([data], kind)[0]["x"]
        assert (type(result), result) == (pd.Timestamp, stamp)


def test_datetimes_in_lists_become_timestamps() -> None:
    values = [dt.date(2020, 1, 2), None, dt.datetime(2020, 1, 2), dt.datetime(9999, 1, 1)]
    result = enforce([values], Array("datetime"))[0]
    assert result == [pd.Timestamp(2020, 1, 2), None, pd.Timestamp(2020, 1, 2), values[3]]
    assert {type(value) for value in result} == {pd.Timestamp, type(None)}


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        pytest.param("string", ["hello", None, "world"], ["hello", None, "world"], id="text"),
        pytest.param("string", ["x", 1, None], ["x", "1", None], id="mixed-text"),
        pytest.param("long", [1, None], [1, None], id="long"),
        pytest.param("long", [np.int64(1), None], [1, None], id="int64"),
        pytest.param("boolean", [True, None], [True, None], id="boolean"),
        pytest.param("boolean", [np.True_, None], [True, None], id="numpy-boolean"),
        pytest.param("binary", [b"x", None], [b"x", None], id="binary"),
        pytest.param("double", [1.5, None], [1.5, "nan"], id="double"),
        pytest.param("double", [2, None], [2.0, "nan"], id="integers-and-none-as-double"),
    ],
)
def test_null_elements_are_kept(kind: str, value: list[Any], result: list[Any]) -> None:
    for required in (True, False):
        (got,) = enforce([value], Array(kind), required=required)
        assert ["nan" if v is not None and v != v else v for v in got] == result  # noqa: PLR0124


def test_null_elements_of_nested_arrays_are_kept() -> None:
    assert enforce([[[1], None]], Array(Array("long"))) == [[[1], None]]
    assert enforce([[{"age": 1}, None]], Array(PERSON)) == [[{"age": 1}, None]]
    array = np.array(["x", None], dtype=object)
    (result,) = enforce([array], Array("string"))
    assert result.tolist() == ["x", None]


def test_arrays_of_booleans_hold_nothing_else() -> None:
    for value in ([True, 2], [True, "x"], [1, 0], [[True]]):
        assert refuse([value], Array("boolean")).problems[0].path == "inputs['a'][]"


def test_lists_inside_arrays_of_scalars_are_refused() -> None:
    for kind in ("double", "boolean", "string", "long"):
        refuse([[[]]], Array(kind))


def test_bytes_are_kept() -> None:
    values = [[b"x\0", bytearray(b"y")], ["z", b"\xff"]]
    result = enforce(values, Array("binary"))
    assert result == [[b"x\0", b"y"], [b"z", b"\xff"]]
    assert enforce([{"x": bytearray(b"y")}], Object([Property("x", "binary")])) == [{"x": b"y"}]


def test_elements_that_conform_are_not_rebuilt() -> None:
    value = [np.int32(1), np.int32(2)]
    (result,) = enforce([value], Array("integer"))
    assert result is value


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        pytest.param("double", [0, 1], [0.0, 1.0], id="zero-and-one"),
        pytest.param("double", [1.5, 2], [1.5, 2.0], id="mixed"),
        pytest.param("double", [Decimal("1.5")], [1.5], id="decimal"),
        pytest.param("double", [np.float32(1.5)], [1.5], id="float32"),
        pytest.param("string", [b"x"], ["x"], id="bytes"),
        pytest.param("long", [2**70], [2**70], id="beyond-64-bits"),
    ],
)
def test_lists_are_cast_to_python_values(kind: str, value: list[Any], result: list[Any]) -> None:
    (got,) = enforce([value], Array(kind))
    assert got == result
    assert [type(v) for v in got] == [type(v) for v in result]


@pytest.mark.parametrize(
    ("kind", "value", "dtype"),
    [
        pytest.param("long", np.array([1], dtype="int32"), "int64", id="int32"),
        pytest.param("double", np.array([1.5], dtype="float32"), "float64", id="float32"),
        pytest.param("double", np.array([0, 1]), "float64", id="zero-and-one"),
        pytest.param(
            "datetime", np.array(["2020"], dtype="datetime64[D]"), "datetime64[ns]", id="D"
        ),
        pytest.param("binary", np.array(["x"]), "|S1", id="text"),
        pytest.param("long", np.array([1, 2], dtype=object), "int64", id="objects"),
    ],
)
def test_arrays_are_cast_to_arrays(kind: str, value: Any, dtype: str) -> None:
    (result,) = enforce([value], Array(kind))
    assert str(result.dtype) == dtype
    assert len(result) == len(value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        pytest.param(Array("long"), [1.5], id="floats"),
        pytest.param(Array("long"), ["1"], id="text-as-number"),
        pytest.param(Array("long"), [True], id="booleans"),
        pytest.param(Array("integer"), [1], id="python-integers"),
        pytest.param(Array("float"), [1.5], id="python-floats"),
        pytest.param(Array("double"), [1, 2], id="integers-as-double"),
        pytest.param(Array("string"), [1], id="numbers-as-text"),
        pytest.param(Array("datetime"), ["2020-01-01"], id="text-as-datetime"),
        pytest.param(Array("binary"), ["\xe9"], id="text-beyond-ascii"),
        pytest.param(Array("string"), [b"\xff"], id="bytes-beyond-ascii"),
        pytest.param(Array("long"), np.array([[1]]), id="two-dimensions"),
        pytest.param(Array("string"), np.array([1]), id="array-of-numbers"),
        pytest.param(Array("long"), (1,), id="tuple"),
        pytest.param(Array("long"), None, id="none"),
        pytest.param(Array(Array("long")), [1], id="flat"),
        pytest.param(PERSON, {}, id="empty"),
        pytest.param(PERSON, {"age": None}, id="null-property"),
        pytest.param(PERSON, {"age": 1, "z": 1}, id="extra-property"),
        pytest.param(PERSON, [1], id="list-as-object"),
        pytest.param(PERSON, {"age": "1"}, id="text-property"),
        pytest.param(PERSON, {"age": [1]}, id="list-property"),
        pytest.param(Map("long"), {1: 1}, id="number-as-key"),
        pytest.param(Map("long"), {"k": None}, id="null-in-map"),
        pytest.param(Map(Map("long")), {"k": 1}, id="flat-map"),
        pytest.param(Object([Property("x", "boolean")]), {"x": 1}, id="number-as-boolean"),
        pytest.param(Object([Property("x", "float")]), {"x": 1.5}, id="float-property"),
        pytest.param(Object([Property("x", "double")]), {"x": 3}, id="integer-as-double"),
    ],
)
def test_other_values_are_refused(kind: Any, value: Any) -> None:
    problem = refuse([value], kind).problems[0]
    assert problem.path.startswith("inputs['a']")
    assert problem.row == 0


def test_problems_name_the_way_and_the_first_row() -> None:
    kind = Object([Property("l", Array(PERSON)), Property("n", "long")])
    good = {"l": [{"age": 1}], "n": 1}
    bad = {"l": [{"age": 1}, {"age": "x"}], "n": 2.5}
    error = refuse([good, bad, {"n": 1}, bad], kind)
    assert [(p.path, p.row) for p in error.problems] == [
        ("inputs['a'].l", 2),
        ("inputs['a'].l[].age", 1),
        ("inputs['a'].n", 1),
    ]


@pytest.mark.parametrize("missing", [None, NAN, pd.NA, pd.NaT], ids=str)
def test_optional_columns_take_nulls_for_none(missing: Any) -> None:
    for kind in (Array("long"), Array(PERSON), PERSON, Map("long")):
        assert enforce([missing], kind, required=False) == [None]
        refuse([missing], kind)
    assert enforce([{"age": 1, "name": missing}], PERSON) == [{"age": 1, "name": None}]


def test_errors_have_the_codes_of_mlflow() -> None:
    assert refuse([{"p": "x"}], Map("long")).error_code == "INVALID_PARAMETER_VALUE"
    assert refuse([{"p": ["x"]}], Map(Array("long"))).error_code == "INTERNAL_ERROR"
    assert refuse([{"age": "x"}], PERSON).error_code == "INTERNAL_ERROR"


def test_a_list_of_lists_is_rows_of_arrays() -> None:
    schema = Schema([ColSpec(Array("string"))])
    result = enforce_schema([["a", "b"], ["c"]], schema)
    assert result[0].tolist() == [["a", "b"], ["c"]]
    cells = enforce_schema([[["a", "b"]]], schema)  # MLflow's reading comes first
    assert cells[0].tolist() == [["a", "b"]]
    with pytest.raises(SchemaError):
        enforce_schema([[1], [2]], schema)


def test_rows_of_spark_are_dicts() -> None:
    class Record(tuple[int, ...]):
        __slots__ = ()

        def asDict(self, recursive: bool) -> dict[str, int]:  # noqa: N802 - Spark's name
            assert recursive
            return {"age": self[0]}

    assert enforce([Record((1,))], PERSON) == [{"age": 1}]
    refuse([(1,)], PERSON)


def test_the_key_order_of_objects_is_kept() -> None:
    (result,) = enforce([{"name": "x", "age": 1}], PERSON)
    assert list(result) == ["name", "age"]


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        pytest.param("double", [Decimal("1.5"), None], [1.5, "nan"], id="decimal-and-none"),
        pytest.param("float", [np.float32(1.5), None], [1.5, None], id="float32-and-none"),
        pytest.param("float", [0, 1], [0.0, 1.0], id="zero-and-one"),
        pytest.param(
            "datetime", [np.datetime64("2020-01-02")], [pd.Timestamp(2020, 1, 2)], id="np"
        ),
        pytest.param("string", [np.str_("x"), None], ["x", None], id="numpy-text"),
    ],
)
def test_other_lists_are_cast(kind: str, value: list[Any], result: list[Any]) -> None:
    (got,) = enforce([value], Array(kind))
    assert ["nan" if v is not None and v != v else v for v in got] == result  # noqa: PLR0124


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        pytest.param("float", [1, None], id="integers-and-none-as-float"),
        pytest.param("double", [0, 2], id="two"),
        pytest.param("double", ["x", None], id="text"),
        pytest.param("long", np.array([1.5]), id="array-of-floats"),
        pytest.param("string", np.array([b"x"]), id="array-of-bytes"),
        pytest.param("binary", np.array(["\xe9"]), id="array-of-text-beyond-ascii"),
        pytest.param("double", np.array([1j]), id="complex"),
        pytest.param("long", np.array([1.5, None], dtype=object), id="objects"),
        pytest.param("double", [1.5, "\ud800"], id="surrogate"),
        pytest.param("long", ["\ud800"], id="surrogates"),
        pytest.param("long", np.array([[1]], dtype="int32"), id="two-dimensions"),
    ],
)
def test_other_lists_are_refused(kind: str, value: Any) -> None:
    assert refuse([value], Array(kind)).problems[0].path == "inputs['a'][]"


def test_arrays_of_arrays_stay_arrays() -> None:
    (result,) = enforce([np.array([[1, 2], [3, 4]], dtype="int32")], Array(Array("long")))
    assert (type(result), str(result.dtype), result.shape) == (np.ndarray, "int64", (2, 2))
    ragged = np.empty(2, dtype=object)
    ragged[:] = [[1], [np.int64(2), 3]]
    (result,) = enforce([ragged], Array(Array("long")))
    assert result.tolist() == [[1], [2, 3]]
    assert enforce([np.array([], dtype="int8")], Array("string"))[0].dtype == np.int8
    nothing = np.array([None, None], dtype=object)
    assert enforce([nothing], Array("long"))[0].tolist() == [None, None]
    large = np.array([2**70], dtype=object)
    (result,) = enforce([large], Array("long"))
    assert result.tolist() == [2**70]


def test_other_scalars_of_inference_are_kept() -> None:
    thing = object()
    assert enforce([{"x": thing}], Object([Property("x", "string")])) == [{"x": thing}]
    assert enforce([{"x": 2**70}], Object([Property("x", "long")])) == [{"x": 2**70}]
    assert enforce([{"x": 2**70}, {"x": 1}], Map("long")) == [{"x": 2**70}, {"x": 1}]
    mixed = enforce([{"x": 1}, {"x": np.int64(2)}, {"x": "x"}][:2], Map("long"))
    assert [type(value["x"]) for value in mixed] == [np.int64, np.int64]
    assert enforce([{"x": NAN}, {"x": 1.5}], Object([Property("x", "double", False)])) == [
        {"x": None},
        {"x": 1.5},
    ]


def test_a_map_of_anything_is_not_looked_into() -> None:
    values = [{"k": object()}, None, {}]
    frame = pd.DataFrame({"a": pd.Series(values, dtype=object)})
    assert enforce_schema(frame, Schema([ColSpec(Map(AnyType()), "a")])) is frame
