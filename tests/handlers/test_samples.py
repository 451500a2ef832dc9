"""What counts as one sample, and what samples are made of."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pyfunc.handlers.samples import samples_of

NOON = datetime.datetime(2024, 2, 3, 12)
TIMES = {pd.Timestamp, datetime.datetime, datetime.timedelta}
PLAIN = {dict, list, int, float, str, bool, type(None), *TIMES}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(
            pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": ["x", None]}, index=[7, 9]),
            [{"a": 1, "b": 0.5, "c": "x"}, {"a": 2, "b": 1.5, "c": None}],
            id="frame",
        ),
        pytest.param(
            pd.DataFrame({"a": [np.array([1, 2]), np.array([[3.0]])]}),
            [{"a": [1, 2]}, {"a": [[3.0]]}],
            id="arrays-in-cells",
        ),
        pytest.param(pd.DataFrame({"a": [True]}), [{"a": True}], id="boolean"),
        pytest.param(pd.DataFrame({"at": [NOON]}), [{"at": pd.Timestamp(NOON)}], id="times"),
        pytest.param(pd.DataFrame({"a": []}), [], id="no-row"),
        pytest.param(
            pd.DataFrame({"a": pd.array([1, None], "Int64"), "b": [None, [1]], "c": [NOON, None]}),
            [{"a": 1, "b": None, "c": pd.Timestamp(NOON)}, {"a": None, "b": [1], "c": None}],
            id="missing",
        ),
        pytest.param(pd.Series([1.5, 2.5]), [1.5, 2.5], id="series"),
        pytest.param(np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]], id="array"),
        pytest.param(np.array(["a", "b"]), ["a", "b"], id="texts"),
        pytest.param(np.array(3), [3], id="array-of-no-dimension"),
        pytest.param([{"a": 1}, {"a": 2}], [{"a": 1}, {"a": 2}], id="list"),
        pytest.param(({"a": 1},), [{"a": 1}], id="tuple"),
        pytest.param({"a": [1, 2]}, [{"a": [1, 2]}], id="dict"),
        pytest.param({"a": np.array(5), "b": np.array("x")}, [{"a": 5, "b": "x"}], id="scalars"),
        pytest.param([{"a": {"b": np.float32(0.5)}}], [{"a": {"b": 0.5}}], id="nested"),
        pytest.param(
            np.array([NOON, "NaT"], "datetime64[ns]"), [NOON, None], id="times-in-nanoseconds"
        ),
        pytest.param(
            {"at": np.datetime64(NOON, "ns"), "for": np.timedelta64(5, "s")},
            [{"at": NOON, "for": datetime.timedelta(seconds=5)}],
            id="scalars-of-time",
        ),
        pytest.param(pd.DataFrame(index=range(2)), [{}, {}], id="frame-without-columns"),
        pytest.param([pd.NA, pd.NaT], [None, None], id="missing-in-a-list"),
        pytest.param(
            {"f": pd.DataFrame({"a": [1]}), "s": pd.Series([2])},
            [{"f": [{"a": 1}], "s": [2]}],
            id="frames-inside",
        ),
        pytest.param(np.array([1.5], np.longdouble), [1.5], id="long-double"),
        pytest.param(
            {"a": np.array({"b": np.int8(1)}, object)}, [{"a": {"b": 1}}], id="object-alone"
        ),
        pytest.param({np.int64(1): 2}, [{1: 2}], id="keys"),
        pytest.param(np.array([{"a": np.int8(1)}], object), [{"a": 1}], id="array-of-objects"),
        pytest.param("text", ["text"], id="text"),
        pytest.param(None, [None], id="none"),
    ],
)
def test_samples(data: Any, expected: list[Any]) -> None:
    found = samples_of(data)
    assert found == expected
    assert kinds_in(found) <= PLAIN


def kinds_in(value: Any) -> set[type]:
    inner = [*value, *value.values()] if isinstance(value, dict) else value
    inner = inner if isinstance(value, (dict, list)) else ()
    return {type(value)}.union(*(kinds_in(item) for item in inner))
