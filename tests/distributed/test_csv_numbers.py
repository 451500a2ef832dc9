"""Tables as CSV are byte for byte what pandas writes, with pyarrow, with orjson and without."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfunc.distributed.batch.csv_numbers import format_csv
from pyfunc.schema.wire import json_numbers

DOUBLES = st.floats() | st.integers(-(10**17), 10**17).map(float) | st.decimals(-9, 9, places=3)
SINGLES = st.floats(width=32) | st.integers(-(2**24), 2**24).map(float)
COLUMNS = [
    pytest.param("float64", DOUBLES, id="doubles"),
    pytest.param("float32", SINGLES, id="singles"),
    pytest.param("int64", st.integers(-(2**63), 2**63 - 1), id="longs"),
    pytest.param("uint8", st.integers(0, 255), id="bytes"),
]


@pytest.fixture(params=["pyarrow-and-orjson", "pyarrow", "orjson", "neither"])
def installed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what is not named: nothing else says which way is taken."""
    if "pyarrow" not in request.param:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
    if "orjson" not in request.param:
        monkeypatch.setattr(json_numbers, "_HAS_ORJSON", False)


def check_same(frame: pd.DataFrame) -> None:
    for header in (True, False):
        expected = frame.to_csv(index=False, header=header).encode("utf-8")
        assert format_csv(frame, header=header) == expected


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("dtype", "numbers"), COLUMNS)
def test_numbers_are_what_pandas_writes(dtype: str, numbers: st.SearchStrategy[Any]) -> None:
    @given(st.lists(st.tuples(numbers, numbers), min_size=1), st.sampled_from([1, 20]))
    def check(rows: list[Any], times: int) -> None:  # few cells and many go other ways
        frame = pd.DataFrame(rows * times, columns=["a", 'b "c", d'], dtype=dtype)
        check_same(frame)
        check_same(frame[["a"]])

    check()


EDGES = np.array([1e-4, 1e-3, 1e6, 1e9, 1e15, 1e16, 2.0**53, 1e22, 1e23, 5e-324, 2.0**-44, 1.0])


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_numbers_around_a_change_of_notation(dtype: Any) -> None:
    edges = EDGES.astype(dtype)
    around = [np.nextafter(edges, end, dtype=dtype) for end in edges.dtype.type([0, np.inf])]
    numbers = np.concatenate([edges, *around, [0.0]]).astype(dtype)
    frame = pd.DataFrame({"a": numbers, "b": -numbers})
    check_same(frame)
    check_same(pd.concat([frame, -1 / frame]))  # infinities too


FRAMES = [
    pytest.param(pd.DataFrame({"a": [1.5, np.nan], "b": [1, 2]}), id="missing-among-others"),
    pytest.param(pd.DataFrame({"a": [1.5, np.nan]}), id="missing-alone"),
    pytest.param(pd.DataFrame({"a": ["x,y", 'z"'], "b": [1, 2]}), id="text"),
    pytest.param(pd.DataFrame({"a": [True, False]}), id="truths"),
    pytest.param(pd.DataFrame({"a": pd.array([1, None], "Int64")}), id="nullable"),
    pytest.param(pd.DataFrame({"a": np.array([1.5], dtype=">f8")}), id="other-byte-order"),
    pytest.param(pd.DataFrame({"a": np.array([1.1], dtype=np.float16)}), id="half"),
    pytest.param(pd.DataFrame({"a": np.array([1.1], dtype=np.longdouble)}), id="long-double"),
    pytest.param(pd.DataFrame({"a": np.array([1.1 + 2j])}), id="complex"),
    pytest.param(pd.DataFrame([[1, 2.5]], columns=["a", "a"]), id="one-name-twice"),
    pytest.param(
        pd.DataFrame([[1, 2.5]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])),
        id="names-of-two-levels",
    ),
    pytest.param(pd.DataFrame([[1, 2.5]], columns=[0, None]), id="names-that-are-no-text"),
    pytest.param(pd.DataFrame({"a": [2.5, 1.0]}, index=[3, 3]), id="labels-of-rows"),
    pytest.param(pd.DataFrame({"a": np.empty(0)}), id="no-rows"),
    pytest.param(pd.DataFrame(index=[0, 1]), id="no-columns"),
    pytest.param(pd.DataFrame(), id="nothing"),
]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("frame", FRAMES)
def test_tables_are_what_pandas_writes(frame: pd.DataFrame) -> None:
    check_same(frame)
