"""A CSV that pandas takes apart in parts is the table that it is as a whole, or the same error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfunc.errors import PyfuncError
from pyfunc.schema import ColSpec, Schema
from pyfunc.schema.wire import tables
from pyfunc.schema.wire.requests import parse_csv

PLAIN = {
    "double": st.floats(allow_nan=False, allow_infinity=False).map(repr),
    "long": st.integers(-(2**63), 2**63 - 1).map(str),
    "string": st.text("ab é", max_size=3),
}
WORDS = ["", " ", "NA", "nan", "null", "inf", "-Infinity", "True", "false", "x", "é", "#", "1_000"]
SPELT = [
    "+1",
    " 1 ",
    "1.0",
    "1.5",
    "1e3",
    ".5",
    "5.",
    "007",
    "0x10",
    "1e400",
    "5e-324",
    "0.1e-999",
]
LARGE = ["9007199254740993", "9223372036854775808", "18446744073709551616", "-9223372036854775809"]
QUOTED = ['"1"', '"1,5"', '"1\n2"', '"', '1"', "'1'", "1\0", "1;2", "1\t2", "1\u00a0"]
SEVERAL = ["1,2", "1,", ",", ",,", "\n", "\r", "1\r2", "1\n", "\n1"]
ODD = st.sampled_from([*WORDS, *SPELT, *LARGE, *QUOTED, *SEVERAL])


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, Schema]:
    """Draw a table of numbers with a few odd cells, and a schema that it may fit."""
    kinds = draw(st.lists(st.sampled_from(["double", "double", "long", "string"]), min_size=1))
    names = [f"c{i}" for i in range(len(kinds))]
    rows = draw(st.lists(st.tuples(*[PLAIN[kind] for kind in kinds]).map(list), max_size=12))
    for _ in range(draw(st.integers(0, 2)) if rows else 0):
        row = draw(st.sampled_from(rows))
        place = draw(st.integers(0, len(kinds)))  # one beyond the last makes the row too long
        row[place : place + draw(st.integers(0, 1))] = draw(st.lists(ODD, max_size=1))
    end = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    text = end.join([",".join(row) for row in [names, *rows]]) + draw(st.sampled_from([end, ""]))
    declared = draw(st.lists(st.sampled_from([*names, "other"]), unique=True, min_size=1))
    known = draw(st.sampled_from([names, names, declared]))
    types = dict(zip(names, kinds, strict=True))
    required = draw(st.booleans())
    return text, Schema([ColSpec(types.get(n, "double"), n, required=required) for n in known])


def outcome(text: str, schema: Schema) -> pd.DataFrame | str:
    try:
        return parse_csv(text.encode(), schema=schema)
    except PyfuncError as error:
        return f"{type(error).__name__}: {error}"


def read_in_parts(text: str, schema: Schema, rows: int) -> pd.DataFrame | str:
    """Read by ``rows`` at once: a limit that real tables reach would make the tests slow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "_CELLS_AT_ONCE", 0)
        patch.setattr(tables, "_ROWS_AT_LEAST", rows)
        return outcome(text, schema)


def check_same(text: str, schema: Schema, rows: int) -> None:
    found, whole = read_in_parts(text, schema, rows), outcome(text, schema)
    if isinstance(whole, str) or isinstance(found, str):
        assert found == whole
        return
    pd.testing.assert_frame_equal(found, whole, check_exact=True, check_column_type=True)
    for numbers, others in zip(blocks_of(found), blocks_of(whole), strict=True):
        assert numbers.tobytes("A") == others.tobytes("A")
        assert numbers.strides == others.strides


def blocks_of(frame: pd.DataFrame) -> list[Any]:
    """Return the numbers of each type as they lie in memory, by which pandas sums."""
    kinds = [frame.dtypes == dtype for dtype in (np.float64, np.int64)]
    return [frame.loc[:, kind].to_numpy() for kind in kinds if kind.any()]


@given(texts(), st.integers(1, 5))
def test_parts_are_the_whole(drawn: tuple[str, Schema], rows: int) -> None:
    check_same(*drawn, rows)


NUMBERS = Schema([ColSpec("double", "a"), ColSpec("long", "b")])
ROW = "1.5,2\n"


@pytest.mark.parametrize("at", range(7))
@pytest.mark.parametrize(
    "odd",
    [
        pytest.param("1.5,2,3\n", id="long-row"),
        pytest.param("1.5,2,\n", id="comma-at-the-end"),
        pytest.param("1.5\n", id="short-row"),
        pytest.param(",2\n", id="missing-double"),
        pytest.param("1.5,\n", id="missing-long"),
        pytest.param("\n", id="empty-line"),
        pytest.param("1.5,True\n", id="truth"),
        pytest.param("1.5,9223372036854775808\n", id="beyond-int64"),
        pytest.param("x,2\n", id="text"),
        pytest.param('"1.5\n', id="open-quote"),
        pytest.param('"1.5","2"\n', id="quotes"),
        pytest.param("1.5,2\r1.5,2\r\n", id="other-line-ends"),
    ],
)
def test_one_odd_row_anywhere_is_told_as_of_the_whole(odd: str, at: int) -> None:
    rows = [ROW] * 6
    check_same("a,b\n" + "".join([*rows[:at], odd, *rows[at:]]), NUMBERS, 2)


@pytest.mark.parametrize("text", ["a,b\n", "a,b", "\n\na,b\n\n\n\n\n", "a,b\n1.5,2"])
def test_few_rows_or_none(text: str) -> None:
    check_same(text, NUMBERS, 1)


def test_a_large_table_is_what_pandas_reads() -> None:
    numbers = np.random.default_rng(0).normal(size=(60_000, 4))
    frame = pd.DataFrame(numbers, columns=list("abcd")).assign(b=np.arange(60_000))
    schema = Schema([ColSpec("long" if n == "b" else "double", n) for n in "abcd"])
    text = frame.to_csv(index=False)
    pd.testing.assert_frame_equal(parse_csv(text, schema=schema), frame, check_exact=True)
    with pytest.raises(PyfuncError, match="Expected 4 fields in line 60002, saw 5"):
        parse_csv(text + "1,2,3,4,5\n", schema=schema)
