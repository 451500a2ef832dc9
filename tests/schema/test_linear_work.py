"""Ten times the input is ten times the work: operations are counted, not time."""

from __future__ import annotations

import csv as standard_csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfunc.errors import InvalidArgumentError, find_repeated, shorten
from pyfunc.functions.outputs import parse_entries
from pyfunc.schema import (
    DataType,
    Object,
    Property,
    RequestLimits,
    RequestReader,
    format_predictions,
    parse_csv,
    parse_request,
)
from pyfunc.schema.wire import tables

FEW, MANY = 300, 3000


class Counted(str):
    """A text that counts how often one of its kind is compared or hashed."""

    __slots__ = ()
    operations = 0

    def __eq__(self, other: object) -> bool:
        Counted.operations += 1
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        Counted.operations += 1
        return str.__hash__(self)


def names(count: int) -> list[str]:
    """Return different names, each of which stands twice."""
    return [Counted(f"n{i % (count // 2)}") for i in range(count)]


def spell_properties(count: int) -> None:
    Object([Property(name, DataType.long) for name in names(count)])


def spell_outputs(count: int) -> None:
    parse_entries(names(count))


def spell_predictions(count: int) -> None:
    columns = pd.Index(names(count), dtype=object)
    Counted.operations = 0  # pandas' own
    format_predictions(pd.DataFrame([[0] * count], columns=columns))


def spell_split(count: int) -> None:
    body = {"dataframe_split": {"columns": names(count), "data": []}}
    parse_request(body, schema=None)


def spell_csv(count: int) -> None:
    parse_csv(",".join(names(count)) + "\n", schema=None)


@pytest.fixture
def counted_csv(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the header of a CSV come as names that count."""

    class Reader:
        Error = standard_csv.Error

        @staticmethod
        def reader(lines: Any) -> Iterator[list[str]]:
            return ([Counted(cell) for cell in row] for row in standard_csv.reader(lines))

    # Only the reader can give names of another class than str.
    monkeypatch.setattr(tables, "csv", Reader)


@pytest.mark.usefixtures("counted_csv")
@pytest.mark.parametrize(
    "spell",
    [
        spell_properties,
        spell_outputs,
        spell_predictions,
        spell_split,
        spell_csv,
    ],
)
def test_repeated_names_are_found_in_linear_work(spell: Callable[[int], None]) -> None:
    found = []
    for count in (FEW, MANY):
        Counted.operations = 0
        with pytest.raises(InvalidArgumentError):
            spell(count)
        found.append(Counted.operations)
    assert found[0] > 0
    assert found[1] <= 11 * found[0]


LIMITS = RequestLimits(max_cells=10**7, max_names=10**6, max_rows=10**6, max_expanded_bytes=10**9)
READER = RequestReader(None, limits=LIMITS)


def json_of(form: str, value: object) -> Callable[[], object]:
    body = json.dumps({form: value}).encode()
    return lambda: READER.parse_json(body)


def parquet_of(columns: dict[str, Any]) -> Callable[[], object]:
    target = io.BytesIO()
    pd.DataFrame(columns).to_parquet(target, engine="pyarrow", index=False)
    return lambda: READER.parse_parquet(target.getvalue())


def csv_of(text: str) -> Callable[[], object]:
    return lambda: READER.parse_csv(text)


READINGS: dict[str, Callable[[int], Callable[[], object]]] = {
    "split-rows": lambda n: json_of("dataframe_split", {"data": [[1, "a"]] * n}),
    "split-names": lambda n: json_of("dataframe_split", {"data": [[1, "a"] * n]}),
    "split-labels": lambda n: json_of(
        "dataframe_split", {"columns": [f"{i}" for i in range(n)], "data": []}
    ),
    "records": lambda n: json_of("dataframe_records", [{"a": 1, "b": "x"}] * n),
    "records-names": lambda n: json_of("dataframe_records", [{f"{i}": 1 for i in range(n)}]),
    "inputs": lambda n: json_of("inputs", [1.5] * n),
    "inputs-texts": lambda n: json_of("inputs", ["x"] * n),
    "inputs-deep": lambda n: json_of("inputs", [[[[1]]]] * n),
    "inputs-objects": lambda n: json_of("inputs", [{"a": [1]}] * n),
    "inputs-names": lambda n: json_of("inputs", {f"{i}": [1] for i in range(n)}),
    "instances": lambda n: json_of("instances", [{"a": 1}] * n),
    "chat": lambda n: json_of("messages", [{"role": "user"}] * n),
    "csv-rows": lambda n: csv_of("a,b\n" + "1,x\n" * n),
    "csv-names": lambda n: csv_of(",".join(map(str, range(n))) + "\n" + "1," * (n - 1) + "1\n"),
    "csv-quoted": lambda n: csv_of("a,b\n" + '1,"x\ny"\n' * n),
    "parquet-rows": lambda n: parquet_of({"a": [1.5] * n, "b": ["x"] * n}),
    "parquet-names": lambda n: parquet_of({f"{i}": [1] for i in range(n)}),
}


@pytest.mark.parametrize("make", READINGS.values(), ids=READINGS)
def test_reading_ten_times_as_much_takes_ten_times_the_calls(
    make: Callable[[int], Callable[[], object]],
) -> None:
    few, many = make(100), make(1000)
    few()  # what is made once is not counted
    assert calls_of(many) <= 11 * calls_of(few)


def calls_of(work: Callable[[], object]) -> int:
    """Return how many functions are called, those of C included."""
    found = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal found
        found += event in {"call", "c_call"}

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return found


@given(st.lists(st.text(max_size=2)))
def test_repeated_names_are_each_found_once_in_order(items: list[str]) -> None:
    expected = [item for item in dict.fromkeys(items) if items.count(item) > 1]
    assert find_repeated(items) == expected


class Spelled:
    """Counts how often one of its kind is written out."""

    times = 0

    def __repr__(self) -> str:
        Spelled.times += 1
        return "x"


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda n: [Spelled()] * n, id="list"),
        pytest.param(lambda n: {i: Spelled() for i in range(n)}, id="dict"),
        pytest.param(lambda n: [[Spelled()] * n] * n, id="lists"),
        pytest.param(lambda n: [{"a": [Spelled()] * n}] * n, id="dicts"),
    ],
)
def test_no_more_is_written_out_than_is_shown(make: Callable[[int], object]) -> None:
    Spelled.times = 0
    assert len(shorten(make(1000))) == 80
    assert Spelled.times < 80


@given(
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner)
        ),
    )
)
def test_what_is_shown_is_the_beginning_of_what_python_writes(value: object) -> None:
    text = repr(value)
    assert shorten(value) == (text if len(text) <= 80 else text[:77] + "...")


def test_a_list_that_holds_itself_is_shown() -> None:
    value: list[Any] = []
    value.append(value)
    assert shorten(value) == "[" * 77 + "..."
