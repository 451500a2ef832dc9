"""Values cross to another process unchanged, without pickle (pyfunc/isolated/wire_values.py)."""

from __future__ import annotations

import datetime
import decimal
import json
import math
import uuid
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from pyfunc.errors import InvalidTypeError, MissingDependencyError
from pyfunc.processes.wire_values import ValueReader, ValueWriter


def across(value: Any) -> Any:
    """Return what arrives on the other side."""
    writer = ValueWriter()
    tree = json.loads(json.dumps(writer.write(value)))
    buffers = [memoryview(bytes(memoryview(buffer).cast("B"))) for buffer in writer.buffers]
    return ValueReader(buffers).read(tree)


UTC = datetime.timezone.utc


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -(2**80),
        1.5,
        "text \ud800",
        "",
        [],
        [1, [2, "x"], (3, None)],
        (),
        {"a": [1], "b": {"c": ()}},
        {1: "x", None: 2, (1, 2): 3},
        {("x", 1)},
        b"\x00\xff",
        bytearray(b"ab"),
        1 + 2j,
        decimal.Decimal("1.20"),
        uuid.UUID(int=5),
        datetime.date(2020, 1, 2),
        datetime.time(1, 2, 3, 4),
        datetime.datetime(2020, 1, 2, 3, 4, 5, 6),
        datetime.datetime(2020, 1, 2, tzinfo=UTC),
        datetime.datetime(2020, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime.timedelta(-1, 2, 3),
        np.float32(1.5),
        np.int64(-3),
        np.bool_(True),
        np.str_("x"),
        np.datetime64("2020-01-01"),
        np.timedelta64(3, "s"),
        pd.Timestamp("2020-01-02 03:04:05.123456789"),
        pd.Timestamp("2020-01-02", tz="Europe/Berlin"),
        pd.Timedelta(5, "ns"),
    ],
    ids=repr,
)
def test_a_value_arrives_as_it_was(value: Any) -> None:
    found = across(value)
    assert found == value
    assert type(found) is type(value)


def test_values_that_are_not_equal_to_themselves() -> None:
    assert math.isnan(across(math.nan))
    assert across(math.inf) == math.inf
    assert across(pd.NaT) is pd.NaT
    assert across(pd.NA) is pd.NA


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype="int16").reshape(2, 3),
        np.arange(6.0).reshape(2, 3).T,
        np.zeros((0, 3)),
        np.array(5.0),
        np.array([[True, False]]),
        np.array(["a", "bcd"]),
        np.array([b"a", b"bcd"]),
        np.array([1 + 2j]),
        np.array(["2020-01-01", "NaT"], "M8[D]"),
        np.array([1, 2], "m8[ns]"),
        np.array([1, "x", None, {"a": np.float64(1)}], object),
        np.arange(6, dtype=">i4"),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
def test_arrays(array: npt.NDArray[Any]) -> None:
    before = array.copy()
    found = across(array)
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype
    assert found.flags.writeable
    np.testing.assert_array_equal(array, before)


@given(hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_side=0)))
def test_any_array_of_numbers_dates_or_text(array: npt.NDArray[Any]) -> None:
    found = across(array)
    assert found.dtype == array.dtype
    assert found.tobytes() == array.tobytes()
    assert found.shape == array.shape


def test_a_masked_array() -> None:
    array = np.ma.MaskedArray([1, 2, 3], mask=[False, True, False])
    found = across(array)
    assert found.tolist() == [1, None, 3]
    assert across(np.ma.MaskedArray([1, 2])).mask.tolist() == [False, False]


@pytest.mark.parametrize(
    "value",
    [
        object(),
        [object()],
        np.zeros(2, dtype=[("a", "i4")]),
        pd.Series(pd.period_range("2020", periods=2, freq="D")),
        pd.DataFrame({"a": pd.arrays.SparseArray([0, 1])}),
        frozenset({1}),
        len,
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_types_are_refused(value: Any) -> None:
    with pytest.raises(InvalidTypeError, match="cannot be sent"):
        across(value)


FRAME = pd.DataFrame(
    {
        "int": [1, 2],
        "float": [1.5, np.nan],
        "bool": [True, False],
        "text": ["x", "yé"],
        "surrogates": pd.Series(["x", "\ud800"], dtype=object),
        "date": pd.to_datetime(["2020-01-01", "NaT"]),
        "aware": pd.to_datetime(["2020-01-01", "NaT"]).tz_localize("Europe/Berlin"),
        "fixed": pd.to_datetime(["2020-01-01", "NaT"]).tz_localize("UTC+01:00"),
        "delta": pd.to_timedelta([1, None], unit="s"),
        "category": pd.Categorical(["u", None], ["u", "v"], ordered=True),
        "Int64": pd.array([1, None], "Int64"),
        "Float32": pd.array([1.5, None], "Float32"),
        "boolean": pd.array([True, None], "boolean"),
        "string": pd.array(["q", None], "string"),
        "arrow": pd.array([1, None], "int64[pyarrow]"),
        "object": [{"k": [1]}, np.arange(2)],
        "none": [None, "x"],
        "bytes": [b"1", b"2"],
        "complex": [1j, 2j],
    }
)


@pytest.mark.parametrize("name", FRAME.columns)
@pytest.mark.parametrize("rows", [2, 1, 0])
def test_a_column_of_each_type(name: str, rows: int) -> None:
    column = FRAME[name].iloc[:rows]
    before = column.copy(deep=True)
    pd.testing.assert_series_equal(across(column), column)
    pd.testing.assert_series_equal(column, before)


def test_a_frame_of_all_of_them() -> None:
    before = FRAME.copy(deep=True)
    pd.testing.assert_frame_equal(across(FRAME), FRAME)
    pd.testing.assert_frame_equal(FRAME, before)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(),
        pd.DataFrame(index=[3, 4]),
        pd.DataFrame(columns=["a", "b"]),
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pd.DataFrame([[1, 2.5]], columns=[0, "x"]),
        pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])),
        pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)])),
        pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="key")),
        pd.DataFrame({"a": [1, 2]}, index=pd.date_range("2020", periods=2, freq="D", tz="UTC")),
        pd.DataFrame({"a": [1, 2]}, index=pd.CategoricalIndex(["x", "y"])),
        pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(4, 0, -2, name="r")),
    ],
    ids=str,
)
def test_labels(frame: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(across(frame), frame)


def test_a_frequency_that_the_other_pandas_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    index = pd.date_range("2020", periods=3, freq="D")
    monkeypatch.setattr(type(index), "freqstr", "no-such-frequency")
    found = across(index)
    assert found.freq is None
    assert found.tolist() == index.tolist()


def test_text_with_nan_is_an_object_column_where_pandas_has_no_such_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(**_: object) -> None:
        raise TypeError

    writer = ValueWriter()
    lengths, missing = (writer.write_array(np.array(a)) for a in ([1, 0], [False, True]))
    text = ["text", [2], lengths, writer.add_buffer(b"a")]
    monkeypatch.setattr("pyfunc.processes.wire_frames.pd.StringDtype", refuse)
    found = ValueReader(writer.buffers).read(["extension", ["string", text, missing, True]])
    assert found.dtype == object
    assert found[0] == "a"
    assert math.isnan(found[1])


def test_an_extension_array() -> None:
    array = pd.array([1, None], dtype="Int8")
    found = across(array)
    assert found.dtype == array.dtype
    assert found.isna().tolist() == [False, True]


@pytest.mark.parametrize(
    "kind", ["csr_matrix", "csc_matrix", "coo_matrix", "csr_array", "csc_array"]
)
def test_sparse_matrices(kind: str) -> None:
    matrix = getattr(sparse, kind)(np.eye(3))
    found = across(matrix)
    assert type(found).__name__ == kind.replace("coo", "csr")
    np.testing.assert_array_equal(found.toarray(), np.eye(3))


def test_arrow_tables_and_what_exports_them() -> None:
    table = pa.table({"a": [1, None], "b": ["x", "y"]})
    assert across(table).equals(table)


def test_without_pyarrow_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    table = pa.table({"a": [1]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match="pip install pyarrow"):
        across(table)


@pytest.mark.parametrize("tree", [["eval", "x"], ["array"], ["masked", 3, 4]])
def test_a_tree_of_an_unknown_kind_is_refused(tree: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        ValueReader([]).read(tree)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
)
NESTED = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(NESTED)
def test_nested_values(value: Any) -> None:
    assert across(value) == value
