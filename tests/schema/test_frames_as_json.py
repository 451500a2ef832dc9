"""A frame of one type of number becomes JSON as a whole: the cells are those of its columns."""

from __future__ import annotations

import json
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from pyfunc.schema.wire.json_codec import NonFinite, table_rows, table_tree
from pyfunc.schema.wire.responses import format_predictions, format_request

ODD = [np.nan, np.inf, -np.inf, -0.0, 0.1, 1e300, 5e-324]
DTYPES = [
    "float64", "float32", "float16", "longdouble", "int8", "int64", "uint64", "bool", "complex128",
]  # fmt: skip


def frame_of(dtype: str, rows: int, width: int = 3) -> pd.DataFrame:
    kind = np.dtype(dtype).kind
    values = {"i": [-1, 0, 7], "u": [0, 2**63, 2**64 - 1], "b": [True, False]}.get(kind, ODD)
    with np.errstate(over="ignore"):
        cells = np.resize(np.array(values, dtype=dtype), (rows, width))
    frame: pd.DataFrame = pd.DataFrame(cells, columns=[f"c{n}" for n in range(width)])
    return frame


@pytest.mark.parametrize("nonfinite", get_args(NonFinite))
@pytest.mark.parametrize("rows", [0, 1, 7])
@pytest.mark.parametrize("dtype", [d for d in DTYPES if d not in ("longdouble", "complex128")])
def test_the_cells_are_those_of_its_columns(dtype: str, rows: int, nonfinite: NonFinite) -> None:
    frame = frame_of(dtype, rows)
    beside_text = table_rows(frame.assign(text="t"), nonfinite)
    # Texts of them, for True equals 1.
    assert repr(table_rows(frame, nonfinite)) == repr([row[:-1] for row in beside_text])


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(pd.concat([frame_of("float64", 2)] * 2, axis=1), id="names-twice"),
        pytest.param(pd.concat({"a": frame_of("int64", 2)}, axis=1), id="levels"),
        pytest.param(frame_of("float64", 4).iloc[::-2, ::-1], id="turned"),
        pytest.param(frame_of("float64", 3).set_index("c0"), id="other-index"),
        pytest.param(frame_of("int64", 3).rename(columns={"c0": 1.5, "c1": True}), id="odd-names"),
        pytest.param(frame_of("bool", 1, width=200), id="wide"),
        pytest.param(pd.DataFrame({"a": [1, 2]}).join(pd.DataFrame({"b": [3, 4]})), id="blocks"),
        pytest.param(pd.DataFrame({"a": [1, None]}, dtype="Int64"), id="nullable"),
        pytest.param(pd.DataFrame({"a": pd.to_datetime(["2020-01-01"])}), id="moments"),
        pytest.param(pd.DataFrame({"a": pd.arrays.SparseArray([0.0, 1.0])}), id="sparse"),
        pytest.param(pd.DataFrame(index=range(3)), id="no-columns"),
        pytest.param(pd.DataFrame(columns=["a", "b"], dtype="float64"), id="no-rows"),
    ],
)
def test_whatever_else_it_is(frame: pd.DataFrame) -> None:
    before = frame.copy(deep=True)
    beside_text = table_tree(pd.concat([frame, pd.Series("t", frame.index)], axis=1))["data"]
    assert isinstance(beside_text, list)
    assert repr(table_rows(frame, "infinity")) == repr([row[:-1] for row in beside_text])
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_json_has_no_number_for_is_told_by_its_column(dtype: str) -> None:
    frame = frame_of(dtype, 2)
    if dtype in ("longdouble", "complex128"):
        with pytest.raises(Exception, match=r"column 'c0'\[0\]"):
            format_request(frame)
    else:
        assert json.loads(format_request(frame))["dataframe_split"]["columns"] == list(frame)
        assert len(json.loads(format_predictions(frame))["predictions"]) == 2
