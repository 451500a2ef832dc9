"""Examples and requests beside MLflow itself: its reader takes our files, its values are ours."""

from __future__ import annotations

import importlib
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow.models
import mlflow.models.utils
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from mlflow.types import Schema as MlflowSchema

from pyfunc.errors import PyfuncError
from pyfunc.schema import (
    ColSpec,
    InputExample,
    Schema,
    enforce_schema,
    infer_signature,
    parse_request,
)

pytestmark = [pytest.mark.interop, pytest.mark.slow]


@pytest.fixture(scope="module")
def server() -> Any:
    """Return MLflow's server module, whose import warns of MLflow's own code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("mlflow.pyfunc.scoring_server")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


EXAMPLES = [
    pytest.param(pd.DataFrame({"a": [1.5, np.nan, np.inf], "b": ["x", None, "z"]}), id="frame"),
    pytest.param(pd.DataFrame({"a": [b"x\0"], "t": pd.to_datetime(["2020-01-02"])}), id="bytes"),
    pytest.param(
        pd.DataFrame({"t": pd.to_datetime(["2020-01-02", "NaT"]).as_unit("ns")}), id="nat"
    ),
    pytest.param(pd.DataFrame([[1, 2]]), id="frame-without-names"),
    pytest.param(pd.DataFrame({"a": [[1, 2], [3]], "o": [{"x": 1}, {"x": 2}]}), id="nested"),
    pytest.param(np.array([[1.5, np.nan], [-np.inf, 2]], dtype="float32"), id="array"),
    pytest.param(np.array(["2020-01-01"], dtype="datetime64[D]"), id="dates"),
    pytest.param({"x": np.array([1.5]), "y": np.array([1])}, id="arrays"),
    pytest.param(sp.csr_matrix(np.array([[0, 1.5], [2.0, 0]])), id="sparse"),
    pytest.param({"a": 1, "b": "x", "c": 1.5}, id="dict"),
    pytest.param([{"a": 1}, {"a": 2}], id="rows"),
    pytest.param(["a", "b"], id="texts"),
]


@pytest.mark.parametrize("value", EXAMPLES)
def test_mlflow_reads_the_examples_that_we_write(value: Any, tmp_path: Path, server: Any) -> None:
    example = InputExample.from_value((value, {"p": [1.5], "q": "x"}))
    signature = infer_signature(value, None, example.params)
    example.write(tmp_path)
    model = mlflow.models.Model(
        saved_input_example_info=example.info,
        signature=mlflow.models.ModelSignature.from_dict(signature.to_dict()),
    )
    model.save(str(tmp_path / "MLmodel"))

    loaded = mlflow.models.Model.load(str(tmp_path))
    found = loaded.load_input_example(str(tmp_path))
    assert_same(found, value)
    assert loaded.load_input_example_params(str(tmp_path)) == {"p": [1.5], "q": "x"}

    body = json.loads(str(loaded.get_serving_input(str(tmp_path))))
    assert body.pop("params") == {"p": [1.5], "q": "x"}
    parsed = server.infer_and_parse_data(body, loaded.signature.inputs)
    served = mlflow.models.utils._enforce_schema(parsed, loaded.signature.inputs)
    wanted = mlflow.models.utils._enforce_schema(value, loaded.signature.inputs)
    assert_same(served, wanted.toarray() if hasattr(wanted, "toarray") else wanted)


def assert_same(found: Any, wanted: Any) -> None:
    if isinstance(wanted, pd.DataFrame):
        pd.testing.assert_frame_equal(found, wanted, check_dtype=False, check_column_type=False)
    elif hasattr(wanted, "toarray"):
        np.testing.assert_array_equal(found.toarray(), wanted.toarray())
    elif isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for key, value in wanted.items():
            assert_same(found[key], value)
    elif isinstance(wanted, np.ndarray):
        np.testing.assert_array_equal(found, wanted)
        assert found.dtype == wanted.dtype
    else:
        assert found == wanted


TYPES = ["boolean", "integer", "long", "float", "double", "string", "datetime"]
FORMS = {
    "split": '{"dataframe_split": {"columns": ["a"], "data": [[CELL], [CELL]]}}',
    "records": '{"dataframe_records": [{"a": CELL}, {"a": CELL}]}',
    "inputs": '{"inputs": {"a": [CELL, CELL]}}',
    "rows": '{"inputs": [{"a": CELL}, {"a": CELL}]}',
    "list": '{"inputs": [CELL, CELL]}',
    "instances": '{"instances": [{"a": CELL}, {"a": CELL}]}',
}
CELLS = [
    *("true", "false", "0", "1", "-1", "5", "2147483647", "2147483648", "9007199254740993"),
    *("9223372036854775807", "9223372036854775808", "1.0", "1.5", "-0.0", "0.1", "1e38", "1e300"),
    *('""', '"x"', '"5"', '" 5 "', '"-1"', '"1.5"', '"true"', '"false"', '"inf"', '"nan"'),
    *('"2020-01-02"', '"2020-01-02T03:04:05.000006"', '"2020-01-02 03:04"', '"02/03/2020"'),
]


def outcome(serve: Any, body: str) -> list[Any] | None:
    """Return what the model gets in the column, None if the request is refused."""
    try:
        frame = serve(body)
    except (PyfuncError, Exception):  # MLflow lets errors of pandas and numpy out
        return None
    return [str(frame["a"].dtype).replace("str", "object"), *frame["a"].tolist()]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", TYPES)
def test_a_cell_gets_the_value_that_mlflow_gives_it_or_is_refused(
    dtype: str, form: str, server: Any
) -> None:
    schema = Schema([ColSpec(dtype, "a")])
    theirs = MlflowSchema.from_json(schema.to_json())

    def serve(body: str) -> Any:
        return enforce_schema(parse_request(body, schema=schema).data, schema)

    def serve_mlflow(body: str) -> Any:
        data = server.infer_and_parse_data(json.loads(body), theirs)
        return mlflow.models.utils._enforce_schema(data, theirs)

    for cell in CELLS:
        body = FORMS[form].replace("CELL", cell)
        ours, expected = outcome(serve, body), outcome(serve_mlflow, body)
        if ours is None and expected is not None:
            assert not is_kept(json.loads(cell), expected[1], dtype), (cell, expected)
        elif cell == "9223372036854775808" and dtype == "long":  # it wraps this, or fails
            assert ours is None or ours == ["object", 2**63, 2**63]
        elif dtype == "datetime" and expected is None and ours is not None:
            # It refuses in inputs what it takes in frames; here every form takes the same.
            in_frame = outcome(serve_mlflow, FORMS["split"].replace("CELL", cell))
            assert repr(ours) == repr(in_frame), cell
        else:
            assert repr(ours) == repr(expected), cell


def is_kept(sent: Any, got: Any, dtype: str) -> bool:
    """Return whether a column holds the very value that was sent."""
    if dtype == "datetime":  # a number other than whole nanoseconds, or beyond their range
        return not isinstance(sent, (bool, float)) and bool(
            got == pd.to_datetime(sent, errors="coerce")
        )
    if dtype == "boolean":
        return not isinstance(sent, str) and bool(sent == got)
    return bool(float(sent) == got) if isinstance(sent, str) else bool(sent == got)
