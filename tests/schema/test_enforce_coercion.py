"""``coerce="safe"``: casts that change no value, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pyfunc.errors import SchemaError
from pyfunc.schema import (
    Array,
    ColSpec,
    Map,
    Object,
    Property,
    Schema,
    compile_plan,
    enforce_schema,
)


def coerce(column: Any, kind: Any, *, required: bool = True) -> Any:
    frame = pd.DataFrame({"a": column})
    schema = Schema([ColSpec(kind, "a", required)])
    return enforce_schema(frame, schema, coerce="safe")["a"]


@pytest.mark.parametrize(
    ("column", "kind", "dtype", "values"),
    [
        pytest.param(pd.Series([1, -2]), "integer", "int32", [1, -2], id="int64-to-integer"),
        pytest.param(
            pd.Series([1, 2], dtype="uint64"), "long", "int64", [1, 2], id="uint64-to-long"
        ),
        pytest.param(pd.Series([1.0, 2.0]), "long", "int64", [1, 2], id="whole-floats"),
        pytest.param(pd.Series([2**53]), "double", "float64", [2.0**53], id="int64-to-double"),
        pytest.param(pd.Series([2**24]), "float", "float32", [2.0**24], id="int64-to-float"),
        pytest.param(
            pd.Series([1.5, np.nan]), "float", "float32", [1.5, None], id="float64-to-float"
        ),
        pytest.param(pd.Series([0, 1]), "boolean", "bool", [False, True], id="numbers-to-boolean"),
        pytest.param(
            pd.Series([0.0, 1.0]), "boolean", "bool", [False, True], id="floats-to-boolean"
        ),
        pytest.param(
            pd.Series(["2020-01-02", None]),
            "datetime",
            "datetime64[ns]",
            [pd.Timestamp(2020, 1, 2), None],
            id="text-to-datetime",
        ),
        pytest.param(
            pd.Series(["2020-01-02T03:04:05.123456789Z"]),
            "datetime",
            "datetime64[ns, UTC]",
            [pd.Timestamp("2020-01-02T03:04:05.123456789Z")],
            id="text-with-zone",
        ),
        pytest.param(
            pd.Series([3, 4]).astype("category"), "double", "float64", [3.0, 4.0], id="category"
        ),
        pytest.param(
            pd.Series(["2020-01-02"]).astype("category"),
            "datetime",
            "datetime64[ns]",
            [pd.Timestamp(2020, 1, 2)],
            id="category-of-text",
        ),
        pytest.param(
            pd.Series([3, None], dtype="Int64"), "double", "float64", [3.0, None], id="Int64"
        ),
        pytest.param(
            pd.Series([3, 4], dtype=object), "double", "float64", [3.0, 4.0], id="objects"
        ),
        pytest.param(pd.Series(["x"]), "string", None, ["x"], id="nothing-to-do"),
    ],
)
def test_casts_without_loss_are_made(
    column: Any, kind: str, dtype: str | None, values: list[Any]
) -> None:
    result = coerce(column, kind)
    assert dtype in (None, str(result.dtype))
    assert [None if pd.isna(value) else value for value in result] == values


@pytest.mark.parametrize(
    ("column", "kind", "row"),
    [
        pytest.param(pd.Series([1, 2**31]), "integer", 1, id="too-large"),
        pytest.param(pd.Series([0, 2**63], dtype="uint64"), "long", 1, id="too-large-for-long"),
        pytest.param(pd.Series([9.3e18]), "long", 0, id="too-large-float"),
        pytest.param(pd.Series([1.0, 1.5]), "long", 1, id="fraction"),
        pytest.param(pd.Series([np.inf]), "long", 0, id="infinity"),
        pytest.param(pd.Series([2**53 + 1]), "double", 0, id="beyond-double"),
        pytest.param(pd.Series([2**24 + 1]), "float", 0, id="beyond-float"),
        pytest.param(pd.Series([1.5, 1.1]), "float", 1, id="rounding"),
        pytest.param(pd.Series([1e300]), "float", 0, id="float-overflow"),
        pytest.param(pd.Series([0, 1, 2]), "boolean", 2, id="two-as-boolean"),
        pytest.param(pd.Series([1.0, np.nan]), "boolean", 1, id="null-as-boolean"),
        pytest.param(pd.Series([1.0, np.nan]), "long", 1, id="null-as-long"),
        pytest.param(pd.Series(["1"]), "long", None, id="text-as-number"),
        pytest.param(pd.Series(["true"]), "boolean", None, id="text-as-boolean"),
        pytest.param(pd.Series([True]), "long", None, id="boolean-as-number"),
        pytest.param(pd.Series([1]), "string", None, id="number-as-text"),
        pytest.param(pd.Series([1]), "datetime", None, id="number-as-datetime"),
        pytest.param(pd.Series(["2020-01-02", "01/02/2020"]), "datetime", 1, id="other-format"),
        pytest.param(pd.Series(["2020"]), "datetime", 0, id="year"),
        pytest.param(pd.Series(["2020-13-01"]), "datetime", None, id="no-such-month"),
        pytest.param(
            pd.Series(["2020-01-01T00:00Z", "2020-01-01T00:00"]), "datetime", None, id="zones"
        ),
        pytest.param(pd.Series([1 + 2j]), "double", None, id="complex"),
        pytest.param(pd.Series(["x"]).astype("category"), "long", None, id="category-of-text"),
        pytest.param(pd.Series([pd.Timedelta(1)]), "long", None, id="timedelta"),
        pytest.param(pd.Series(pd.arrays.SparseArray([1.5])), "double", None, id="sparse"),
    ],
)
def test_casts_that_change_a_value_are_refused(column: Any, kind: str, row: int | None) -> None:
    with pytest.raises(SchemaError) as caught:
        coerce(column, kind)
    (problem,) = caught.value.problems
    assert (problem.path, problem.expected, problem.row) == ("inputs['a']", kind, row)


def test_nulls_of_optional_columns_are_kept() -> None:
    assert coerce(pd.Series([1.0, np.nan]), "boolean", required=False).tolist() == [True, pd.NA]
    assert coerce(pd.Series([2**20, None]), "integer", required=False).tolist() == [2**20, pd.NA]


def test_nothing_is_coerced_unless_asked() -> None:
    frame = pd.DataFrame({"a": [1, 2]})
    with pytest.raises(SchemaError):
        enforce_schema(frame, Schema([ColSpec("integer", "a")]))


def test_values_inside_columns_follow_the_same_rules() -> None:
    kind = Object(
        [Property("x", "double"), Property("l", Array("integer")), Property("m", Map("boolean"))]
    )
    value = {"x": 3, "l": [1, 2], "m": {"k": 1}}
    result = coerce(pd.Series([value]), kind)[0]
    assert result == {"x": 3.0, "l": [1, 2], "m": {"k": True}}
    assert value["x"] == 3
    (array,) = coerce(pd.Series([np.array([3, 4])]), Array("double"))
    assert (str(array.dtype), array.tolist()) == ("float64", [3.0, 4.0])
    for bad in ({**value, "x": 2**53 + 1}, {**value, "l": [2**31]}, {**value, "m": {"k": 2}}):
        with pytest.raises(SchemaError):
            coerce(pd.Series([bad]), kind)


def test_one_error_reports_every_column() -> None:
    plan = compile_plan(Schema([ColSpec("integer", "a"), ColSpec("long", "b")]), coerce="safe")
    with pytest.raises(SchemaError) as caught:
        plan.enforce(pd.DataFrame({"a": [2**40], "b": [1.5]}))
    assert [problem.path for problem in caught.value.problems] == ["inputs['a']", "inputs['b']"]
    assert plan.enforce({"a": 1, "b": 2.0}).iloc[0].tolist() == [1, 2]
