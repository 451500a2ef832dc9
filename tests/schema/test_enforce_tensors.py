"""Tensors: arrays pass untouched or are refused, columns of frames are converted."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from pyfunc.errors import SchemaError
from pyfunc.schema import Schema, TensorSpec, enforce_schema, infer_schema


def tensor(dtype: str, shape: tuple[int, ...], name: Any = None) -> TensorSpec:
    return TensorSpec(np.dtype(dtype), shape, name)


def unnamed(dtype: str, shape: tuple[int, ...]) -> Schema:
    return Schema([tensor(dtype, shape)])


def refuse(data: Any, schema: Schema) -> SchemaError:
    with pytest.raises(SchemaError) as caught:
        enforce_schema(data, schema)
    return caught.value


def test_shape_and_dtype_are_both_reported() -> None:
    error = refuse(np.ones((2, 3), dtype="int64"), unnamed("float32", (-1, 4)))
    assert [(p.path, p.expected, p.got) for p in error.problems] == [
        ("inputs.dtype", "float32", "int64"),
        ("inputs.shape", "(-1, 4)", "(2, 3)"),
    ]
    assert "any length" in error.hint


def test_missing_tensors_come_with_the_other_problems() -> None:
    schema = Schema([tensor("float64", (-1,), "a"), tensor("int64", (-1,), "b")])
    error = refuse({"a": [1.0]}, schema)
    assert [problem.path for problem in error.problems] == ["inputs['a']", "inputs['b']"]
    assert error.error_code == "INTERNAL_ERROR"
    assert refuse({"a": [1.0], "b": np.array([1])}, schema).error_code == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize("name", [0, "", float("nan")], ids=str)
def test_tensors_with_falsy_names_keep_them(name: Any) -> None:
    schema = Schema([tensor("float64", (-1,), "x"), tensor("float64", (-1,), name)])
    data = {name: np.ones(1), "x": np.zeros(1)}
    result = enforce_schema(data, schema)
    assert list(map(repr, result)) == ["'x'", repr(name)]
    assert result[name] is data[name]


def test_extra_tensors_are_dropped_with_a_warning(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = Schema([tensor("float64", (-1,), "a")])
    data = {"a": np.ones(1), "secret": 1}
    with caplog.at_level(logging.WARNING, logger="pyfunc.schema"):
        assert list(enforce_schema(data, schema)) == ["a"]
    assert "secret" in caplog.text
    caplog.clear()
    monkeypatch.setenv("MLFLOW_DISABLE_SCHEMA_DETAILS", "true")
    with caplog.at_level(logging.WARNING, logger="pyfunc.schema"):
        enforce_schema(data, schema)
    assert caplog.records
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        pytest.param([1.9], "int64", id="fraction"),
        pytest.param([np.nan], "int64", id="nan"),
        pytest.param([np.inf], "int32", id="infinity"),
        pytest.param([2**40], "int32", id="overflow"),
        pytest.param([-1], "uint8", id="negative"),
        pytest.param([300.0], "uint8", id="float-overflow"),
        pytest.param([1e300], "float32", id="to-infinity"),
        pytest.param([2], "bool", id="number-as-boolean"),
        pytest.param([1 + 2j], "float64", id="imaginary"),
        pytest.param(["x"], "float64", id="text"),
        pytest.param(["\xe9"], "bytes", id="text-beyond-ascii"),
        pytest.param([[1.5, 2]], "int64", id="list"),
        pytest.param(
            np.array(["2020-01-01T01"], dtype="datetime64[ns]"), "datetime64[D]", id="hours"
        ),
    ],
)
def test_a_cast_that_changes_a_value_is_refused(values: Any, dtype: str) -> None:
    is_list = isinstance(values[0], list)
    shape = (-1, 2) if is_list else (-1,)
    frame = pd.DataFrame({"a": pd.Series(values)})
    assert refuse(frame, unnamed(dtype, shape)).problems[0].path == "inputs"


@pytest.mark.parametrize(
    ("values", "dtype", "result"),
    [
        pytest.param([1.0, 2.0], "int64", [1, 2], id="whole"),
        pytest.param([1.1], "float32", [np.float32(1.1)], id="rounding"),
        pytest.param([0, 1], "bool", [False, True], id="boolean"),
        pytest.param(["1"], "float64", [1.0], id="text"),
        pytest.param([1], "str", ["1"], id="number-to-text"),
        pytest.param([1.5, np.nan, np.inf], "float32", [1.5, "nan", np.inf], id="special-values"),
        pytest.param([1.5], "complex128", [1.5 + 0j], id="complex"),
        pytest.param([2.0**63], "uint64", [2**63], id="large"),
    ],
)
def test_other_casts_are_made(values: list[Any], dtype: str, result: list[Any]) -> None:
    got = enforce_schema(pd.DataFrame({"a": values}), unnamed(dtype, (-1,))).tolist()
    assert ["nan" if value != value else value for value in got] == result  # noqa: PLR0124


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)], ids=str)
def test_the_labels_of_the_index_do_not_matter(shape: tuple[int, ...]) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0]}, index=[5, 6])
    assert enforce_schema(frame, unnamed("float64", shape)).shape == (2, *shape[1:])


@pytest.mark.parametrize(
    "cell",
    [[], [[1.0]], (1.0,), {"x": 1}, np.array([]), np.array([[1.0]]), [1.0, [2.0]], type],
    ids=repr,
)
def test_other_cells_are_problems(cell: Any) -> None:
    frame = pd.DataFrame({"a": pd.Series([cell, cell], dtype=object)})
    assert refuse(frame, unnamed("float64", (-1, 2))).problems


def test_cells_of_two_dimensions_are_stacked() -> None:
    cells = pd.Series([np.ones((1, 2)), np.zeros((1, 2))], dtype=object)
    result = enforce_schema(pd.DataFrame({"a": cells}), unnamed("float64", (-1, 2)))
    assert result.tolist() == [[1.0, 1.0], [0.0, 0.0]]


def test_repeated_columns_are_a_problem() -> None:
    frame = pd.DataFrame([[1.0, 2.0]], columns=["a", "a"])
    schema = Schema([tensor("float64", (-1,), "a")])
    assert refuse(frame, schema).problems[0].got == "several columns of this name"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(np.array(["a", "bb"]), id="text"),
        pytest.param(np.array([b"a", b"bb"]), id="bytes"),
        pytest.param(np.zeros((0, 3)), id="no-rows"),
        pytest.param(np.array([[1], [1, 2]], dtype=object), id="ragged"),
        pytest.param({"a": np.ones(2), 1: np.zeros((2, 2), dtype="int8")}, id="dict"),
        pytest.param(sp.csr_matrix(np.eye(3)), id="csr"),
        pytest.param(sp.csc_matrix(np.eye(3, dtype="float32")), id="csc"),
        pytest.param(np.array(["2020"], dtype="datetime64[D]"), id="dates"),
    ],
)
def test_the_data_of_a_schema_passes_untouched(data: Any) -> None:
    result = enforce_schema(data, infer_schema(data))
    if isinstance(data, dict):
        assert all(result[name] is value for name, value in data.items())
    else:
        assert result is data


def test_columns_without_rows_are_problems() -> None:
    frame = pd.DataFrame({"a": pd.Series([], dtype="float64")})
    schema = Schema([tensor("float64", (-1,), "a")])
    assert refuse(frame, schema).problems[0].got == "an empty column"
