"""Every recorded input example of MLflow 3.17.2, against ours."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from pyfunc.errors import PyfuncError
from pyfunc.schema import (
    InputExample,
    infer_signature,
    read_example_params,
    read_input_example,
)

ROWS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "data/conformance/input_example.json").read_text()
)
NAMES = {"np": np, "pd": pd, "dt": dt, "sp": sp, "Decimal": Decimal, "nan": float("nan")}

# The rules of docs/differences.md, section "Input examples", by the rows they concern.
MISSING_IS_NULL = {"pd.DataFrame({'a':[1,2],'b':['x',None]})", "nan"}
INFINITY_IS_TEXT = {"np.array([np.inf])"}
EMPTY_PARAMS_ARE_PARAMS = {"([1],{})"}
TYPED_UNDER_A_SIGNATURE = {
    "pd.DataFrame({'a':pd.Series([1,None],dtype='Int64')})",
    "{'a':b'x'}",
    "{'a':dt.datetime(2020,1,2)}",
    "{'a':np.datetime64('2020-01-02')}",
    "[dt.date(2020,1,2)]",
    "b'x'",
    "dt.datetime(2020,1,2)",
}
MULTI_INDEX_IS_READ = {"pd.DataFrame([[1.0]],columns=pd.MultiIndex.from_tuples([('a','b')]))"}
ARRAYS_STAY_ARRAYS = {"np.array(1.5)"}
SAVED = [pytest.param(row, id=row["example"]) for row in ROWS if row["outcome"] == "ok"]
REFUSED = [pytest.param(row, id=row["example"]) for row in ROWS if row["outcome"] != "ok"]


def make(row: dict[str, Any]) -> InputExample:
    return InputExample.from_value(eval(row["example"], dict(NAMES)))


def text_of(value: Any) -> str:
    """Return the text of a value; that of a sparse matrix as from scipy 1.13 on."""
    if isinstance(value, tuple):
        return f"({', '.join(map(text_of, value))})"
    if not sp.issparse(value):
        return repr(value)
    matrix: Any = value
    form = {"csr": "Row", "csc": "Column"}[matrix.format]
    return (
        f"<Compressed Sparse {form} sparse matrix of dtype '{matrix.dtype}'\n"
        f"\twith {matrix.nnz} stored elements and shape {matrix.shape}>"
    )


def same(value: Any, recorded: str) -> bool:
    if isinstance(value, pd.DataFrame):  # missing text is None on pandas 2
        return repr(value).replace("None", "NaN").split() == recorded.split()
    if text_of(value) == recorded:
        return True
    # numpy scalars compare equal to the plain numbers that MLflow reads back
    return isinstance(value, (dict, list, np.generic)) and bool(
        value == eval(recorded, dict(NAMES))
    )


@pytest.mark.parametrize("row", REFUSED)
def test_what_mlflow_cannot_save_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(PyfuncError) as caught:
        make(row)
    assert caught.value.error_code == row.get("error_code", "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize("row", SAVED)
def test_the_metadata_is_that_of_mlflow(row: dict[str, Any]) -> None:
    expected = dict(row["saved_input_example_info"])
    if row["example"] in EMPTY_PARAMS_ARE_PARAMS:
        expected["params"] = "true"
    assert make(row).info == expected


@pytest.mark.parametrize("row", SAVED)
def test_both_texts_are_those_of_mlflow(row: dict[str, Any]) -> None:
    example, texts = row["example"], [row["input_example.json"], row["serving_input_example.json"]]
    if example in MISSING_IS_NULL:
        texts = [text.replace("NaN", "null") for text in texts]
    if example in INFINITY_IS_TEXT:
        texts = [text.replace("Infinity", '"Infinity"') for text in texts]
    found = make(row)
    assert [found.example_json, found.serving_json] == texts


@pytest.mark.parametrize("row", SAVED)
def test_without_a_signature_the_example_reads_back_as_in_mlflow(row: dict[str, Any]) -> None:
    example = make(row)
    found = read_input_example(example.info, lambda _: example.example_json.encode())
    recorded = row["read_back"]
    if row["example"] == "nan":
        assert found is None
    elif row["example"] in EMPTY_PARAMS_ARE_PARAMS:
        assert found == [1]
    elif row["example"] in MULTI_INDEX_IS_READ:
        assert found.columns.tolist() == [("a", "b")]
    else:
        assert same(found, recorded)


@pytest.mark.parametrize("row", SAVED)
def test_mlflows_own_files_are_read(row: dict[str, Any]) -> None:
    found = read_input_example(
        row["saved_input_example_info"], lambda _: row["input_example.json"].encode()
    )
    if row["example"] not in MULTI_INDEX_IS_READ:
        assert same(found, row["read_back"])


@pytest.mark.filterwarnings("ignore:the schema has integer columns")
@pytest.mark.parametrize("row", SAVED)
def test_with_the_inferred_signature_the_example_reads_back(row: dict[str, Any]) -> None:
    example = make(row)
    schema = infer_signature(example.inference_data).inputs
    found = read_input_example(example.info, lambda _: example.example_json.encode(), schema)
    if row["example"] in TYPED_UNDER_A_SIGNATURE:
        assert_as_given(found, example.data)
    elif row["example"] in EMPTY_PARAMS_ARE_PARAMS:
        assert found == [1]
    elif row["example"] in MULTI_INDEX_IS_READ:
        assert found.columns.tolist() == [("a", "b")]
    elif row["example"] in ARRAYS_STAY_ARRAYS:
        assert isinstance(found, np.ndarray)
    elif row["example"] == "nan":
        assert found is None
    else:
        assert same(found, row["read_back_with_signature"])


def assert_as_given(found: Any, given: Any) -> None:
    if isinstance(given, pd.DataFrame):
        pd.testing.assert_frame_equal(found, given)
    else:
        assert found == given


@pytest.mark.parametrize("row", SAVED)
def test_the_parameters_read_back(row: dict[str, Any]) -> None:
    example = make(row)
    found = read_example_params(example.info, lambda _: example.example_json.encode())
    expected = "{}" if row["example"] in EMPTY_PARAMS_ARE_PARAMS else row["params_back"]
    assert repr(found) == expected
