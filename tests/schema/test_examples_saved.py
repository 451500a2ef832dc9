"""Examples on disk: what is accepted, what is written, and what old releases left there."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import pytest
import scipy.sparse as sp

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, ModelFormatError, SchemaError
from pyfunc.schema import (
    ColSpec,
    InputExample,
    Schema,
    TensorSpec,
    read_example_params,
    read_input_example,
    read_serving_input,
)


class Question(pydantic.BaseModel):
    text: str
    asked: dt.datetime | None = None


def info_of(kind: str, **more: Any) -> dict[str, Any]:
    return {"artifact_path": "input_example.json", "type": kind, **more}


def read(info: dict[str, Any], text: str, schema: Schema | None = None) -> Any:
    return read_input_example(info, lambda _: text.encode(), schema)


def test_both_files_are_written(tmp_path: Path) -> None:
    example = InputExample.from_value((pd.DataFrame({"é": [1, 2]}), {"p": [1.5]}))
    example.write(tmp_path)
    assert (tmp_path / "input_example.json").read_bytes() == example.example_json.encode()
    served = (tmp_path / "serving_input_example.json").read_bytes()
    assert served == example.serving_json.encode()
    assert example.serving_json.startswith('{\n  "dataframe_split": {\n    "columns"')

    def read_file(path: str) -> bytes:
        return (tmp_path / path).read_bytes()

    found = read_input_example(example.info, read_file)
    pd.testing.assert_frame_equal(found, pd.DataFrame({"é": [1, 2]}))
    assert read_example_params(example.info, read_file) == {"p": [1.5]}
    assert read_serving_input(example.info, read_file) == example.serving_json


def test_a_pydantic_instance_is_saved_as_a_dict_and_inferred_as_itself() -> None:
    question = Question(text="why", asked=dt.datetime(2020, 1, 2))
    example = InputExample.from_value(question)
    assert example.data == {"text": "why", "asked": dt.datetime(2020, 1, 2)}
    assert json.loads(example.example_json) == {"text": "why", "asked": "2020-01-02T00:00:00"}
    assert example.inference_data == question
    assert json.loads(InputExample.from_value([question]).example_json)[0]["text"] == "why"


def test_a_chat_example_is_served_as_it_is() -> None:
    example = InputExample.from_value(({"messages": [{"role": "user"}]}, {"n": 1}))
    assert json.loads(example.serving_json) == {"messages": [{"role": "user"}], "n": 1}
    assert json.loads(example.example_json) == {
        "inputs": {"messages": [{"role": "user"}]},
        "params": {"n": 1},
    }


@pytest.mark.parametrize("data", [pd.DataFrame({"a": [[1]]}), np.array([1]), {"a": [1]}, "x"])
def test_the_data_to_infer_from_is_a_copy(data: Any) -> None:
    example = InputExample.from_value(data)
    copied = example.inference_data
    assert type(copied) is type(data)
    if isinstance(copied, dict):
        copied["a"].append(2)
        assert data == {"a": [1]}
    elif not isinstance(copied, str):
        assert copied is not data
    assert example.data is data


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(None, id="none"),
        pytest.param((None, {"p": 1}), id="none-with-params"),
        pytest.param(pd.Series([1]), id="series"),
        pytest.param((1, 2), id="tuple"),
        pytest.param(({"a": 1}, {"b": 1}, {"c": 1}), id="tuple-of-three"),
        pytest.param({1, 2}, id="set"),
        pytest.param(range(3), id="range"),
        pytest.param(bytearray(b"x"), id="bytearray"),
        pytest.param(dt.date(2020, 1, 1), id="date"),
        pytest.param(dt.time(1), id="time"),
        pytest.param(sp.coo_matrix(np.eye(2)), id="coo-matrix"),
        pytest.param(sp.csr_array(np.eye(2)), id="sparse-array"),
        pytest.param(object(), id="object"),
    ],
)
def test_other_kinds_are_refused_with_what_is_accepted(example: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="a DataFrame, an ndarray") as caught:
        InputExample.from_value(example)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize(
    "example",
    [[np.array([1])], [{"a": np.array([1])}], [[[np.array([1])]]]],
    ids=["list", "list-of-dict", "list-of-list"],
)
def test_a_list_with_arrays_has_a_hint_of_its_own(example: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="hint: pass one ndarray"):
        InputExample.from_value(example)


def test_a_dict_of_arrays_and_others_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="of type list, str too"):
        InputExample.from_value({"a": np.array([1]), "b": "x", "c": [1]})


def test_params_that_no_signature_can_describe_are_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        InputExample.from_value((1, {"p": None}))


def test_values_without_json_form_are_refused() -> None:
    with pytest.raises(InvalidTypeError, match="column 'a'"):
        InputExample.from_value(pd.DataFrame({"a": pd.period_range("2020", periods=1, freq="D")}))


def test_a_huge_sparse_matrix_is_not_written_out() -> None:
    with pytest.raises(InvalidArgumentError, match="take a few of its rows"):
        InputExample.from_value(sp.csr_matrix((100_000, 100_000)))


@pytest.mark.parametrize("info", [None, {}])
def test_without_metadata_there_is_no_example(info: dict[str, Any] | None) -> None:
    def fail(path: str) -> bytes:
        raise AssertionError(path)

    assert read_input_example(info, fail) is None
    assert read_example_params(info, fail) is None
    assert read_serving_input(info, fail) is None


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param('{"inputs": [[1, 2]]}', np.array([[1, 2]]), id="inputs"),
        pytest.param('{"instances": [1.5]}', np.array([1.5]), id="instances"),
        pytest.param("[1]", np.array([1]), id="unwrapped"),
    ],
)
def test_the_wrapping_of_old_releases_is_taken_off(content: str, expected: Any) -> None:
    found = read(info_of("ndarray", format="tf-serving"), content)
    np.testing.assert_array_equal(found, expected)


def test_an_old_frame_says_split_without_columns() -> None:
    found = read(
        info_of("dataframe", pandas_orient="split"), '{"columns": [0, 1], "data": [[1, 2]]}'
    )
    assert found.columns.tolist() == [0, 1]
    kept = read(info_of("dataframe"), '{"index": [7], "columns": ["a"], "data": [[1]]}')
    assert kept.index.tolist() == [7]


def test_tokens_that_are_not_json_are_read_from_files() -> None:
    schema = Schema([ColSpec("double", "a")])
    content = '{"columns": ["a"], "data": [[NaN], [Infinity], [-Infinity]]}'
    found = read(info_of("dataframe", pandas_orient="split"), content, schema)
    np.testing.assert_array_equal(found["a"], [np.nan, np.inf, -np.inf])
    array = read(info_of("ndarray"), "[NaN, 1.5]")
    np.testing.assert_array_equal(array, [np.nan, 1.5])


def test_parameters_that_mlflow_forgot_to_mention_are_split_off() -> None:
    content, schema = '{"inputs": [1], "params": {}}', Schema([ColSpec("long")])
    assert read(info_of("json_object"), content, schema) == [1]
    named = Schema([ColSpec("long", "inputs"), ColSpec("long", "params", required=False)])
    assert read(info_of("json_object"), content, named).keys() == {"inputs", "params"}


def test_columns_get_the_types_of_the_signature() -> None:
    schema = Schema(
        [
            ColSpec("binary", "b"),
            ColSpec("datetime", "t"),
            ColSpec("long", "n", required=False),
            ColSpec("boolean", "z", required=False),
        ]
    )
    content = (
        '{"columns": ["b", "t", "n", "z"], '
        '"data": [["AP8=\\n", "2020-01-02", null, null], ["", "2020-01-02T03:04:05", 3, true]]}'
    )
    found = read(info_of("dataframe", pandas_orient="split"), content, schema)
    assert found["b"].tolist() == [b"\x00\xff", b""]
    assert [str(dtype) for dtype in found.dtypes[1:]] == ["datetime64[ns]", "Int64", "boolean"]


def test_an_example_that_does_not_fit_its_signature_says_where() -> None:
    schema = Schema([ColSpec("long", "a")])
    with pytest.raises(SchemaError) as caught:
        read(info_of("dataframe"), '{"columns": ["a"], "data": [[1], [1.5]]}', schema)
    assert str(caught.value.problems[0]).startswith("inputs['a']")


@pytest.mark.parametrize(
    ("info", "content"),
    [
        pytest.param(info_of("table"), "[]", id="unknown-kind"),
        pytest.param({"artifact_path": "x"}, "[]", id="no-kind"),
        pytest.param(info_of("json_object", artifact_path=5), "[]", id="path-is-a-number"),
        pytest.param({"type": "json_object"}, "[]", id="no-path"),
        pytest.param(info_of("json_object"), "{", id="not-json"),
        pytest.param(info_of("json_object"), "[" * 100_000, id="nested-too-deeply"),
        pytest.param(info_of("json_object", params="true"), "[1]", id="params-without-wrapping"),
        pytest.param(info_of("dataframe"), "[1]", id="frame-is-a-list"),
        pytest.param(info_of("dataframe"), '{"data": [[1], [1, 2]]}', id="frame-is-ragged"),
        pytest.param(info_of("sparse_matrix_csr"), "[1]", id="sparse-is-a-list"),
        pytest.param(info_of("sparse_matrix_csr"), '{"data": [1]}', id="sparse-is-incomplete"),
        pytest.param(
            info_of("sparse_matrix_csc"),
            '{"data": [1], "indices": [9], "indptr": [0, 1, 1], "shape": [2, 2]}',
            id="sparse-index-out-of-range",
        ),
    ],
)
def test_a_malformed_example_is_a_malformed_model(info: dict[str, Any], content: str) -> None:
    with pytest.raises(ModelFormatError):
        read(info, content)


def test_bytes_that_are_not_utf_8_are_a_malformed_model() -> None:
    info = info_of("json_object", serving_input_path="s.json")
    with pytest.raises(ModelFormatError):
        read_input_example(info, lambda _: b"\xff")
    with pytest.raises(ModelFormatError):
        read_serving_input(info, lambda _: b"\xff")


def test_params_must_be_an_object() -> None:
    info = info_of("json_object", params="true")
    with pytest.raises(ModelFormatError, match="params must be an object"):
        read_example_params(info, lambda _: b'{"inputs": 1, "params": [1]}')


def test_an_array_of_bytes_reads_back_as_bytes() -> None:
    schema = Schema([TensorSpec(np.dtype("bytes"), (-1,))])
    assert read(info_of("ndarray"), '["AP8=\\n"]', schema).tolist() == [b"\x00\xff"]
