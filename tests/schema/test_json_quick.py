"""What orjson reads and writes for us is what Python's own ``json`` reads and writes."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pyfunc.errors import InvalidArgumentError
from pyfunc.schema import format_predictions
from pyfunc.schema.wire import json_numbers, json_text
from pyfunc.schema.wire.json_codec import value_tree
from pyfunc.schema.wire.json_scan import count_keys, may_have_long_integer
from pyfunc.schema.wire.json_text import load_json

# Numbers at the borders of what the two parsers agree on, and what only looks like them.
NUMBERS = [
    *("0", "-0", "-0.0", "1.5", "1E5", "1e-400", "4.9e-324", "1.7976931348623157e308"),
    *(str(sign * (2**63) + step) for sign in (-1, 1) for step in (-1, 0, 1)),
    *("18446744073709551615", "18446744073709551616", "-9223372036854775809", "9" * 19, "9" * 40),
    *(
        "0.0001234567890123456789",
        "0." + "0" * 30 + "1",
        "1" * 25 + ".5",
        "12e0000000000000000001",
    ),
    *("NaN", "Infinity", "-Infinity", "1e999", "01", "1.", ".5", "+1", "-", "true", "null", "nul"),
]
TEXTS = [
    *(
        '"a"',
        '""',
        '":"',
        '"a:"',
        '":x"',
        '"[{"',
        '"a\\":"',
        '"\\u003a"',
        '"1234567890123456789012"',
    ),
    *(
        '"\\ud800"',
        '"\\ud83d\\ude00"',
        '"\\u0000"',
        '"é"',
        '"\x7f"',
        '"a\tb"',
        '"\\/"',
        '"2020-01-02T03:04:05"',
    ),
]
SPACES = ["", "", "", " ", "\n", "\t", " \r\n "]


@st.composite
def documents(draw: st.DrawFn, depth: int = 3) -> str:
    """Return a text that is nearly always JSON, with spaces and keys anyhow."""

    def space() -> str:
        return draw(st.sampled_from(SPACES))

    kind = draw(st.integers(0, 3 if depth else 1))
    if kind == 0:
        return draw(st.sampled_from(NUMBERS) | st.floats().map(repr) | st.integers().map(str))
    if kind == 1:
        return draw(st.sampled_from(TEXTS) | st.text(max_size=5).map(json.dumps))
    parts = draw(st.lists(documents(depth - 1), max_size=4))
    if kind == 2:
        return "[" + space() + f"{space()},{space()}".join(parts) + space() + "]"
    keys = draw(st.lists(st.sampled_from(TEXTS), min_size=len(parts), max_size=len(parts)))
    pairs = [f"{key}{space()}:{space()}{part}" for key, part in zip(keys, parts, strict=True)]
    return "{" + space() + f"{space()},{space()}".join(pairs) + space() + "}"


def outcome(load: Callable[[], object]) -> tuple[str, str]:
    try:
        value = load()
    except InvalidArgumentError as error:
        return "error", str(error)
    return "value", repr(value)


@pytest.mark.parametrize("pad", [0, 300, 5000, 140_000])
@settings(deadline=None, max_examples=100)
@given(document=documents(), allow_nan=st.booleans(), as_text=st.booleans())
def test_a_text_is_read_as_without_orjson(
    pad: int, document: str, allow_nan: bool, as_text: bool
) -> None:
    text = f'["{"x" * pad}", {document}]' if pad else document
    body = text if as_text else text.encode("utf-8", "surrogatepass")
    found = outcome(lambda: load_json(body, allow_nan=allow_nan))
    with pytest.MonkeyPatch.context() as patch:  # the only way to have the same process do both
        patch.setattr(json_text, "_parse", None)
        assert found == outcome(lambda: load_json(body, allow_nan=allow_nan))


@pytest.mark.parametrize("size", [300, 4096, 2**17 - 30, 2**17, 2**18 + 11])
@pytest.mark.parametrize("number", ["9" * 19, "-" + "9" * 19, "1" * 30, "1" * 20 + ".5"])
def test_a_long_integer_is_found_wherever_it_stands(number: str, size: int) -> None:
    for shift in range(0, 40, 3):
        before = "[" + " " * (size + shift) + "0.25, "
        assert may_have_long_integer((before + number + "]").encode())
        assert may_have_long_integer((number + " " * size).encode())
        assert not may_have_long_integer((before + "0.000" + "7" * 30 + "]").encode())
        assert not may_have_long_integer((before + "7" * 18 + "]").encode())


@pytest.mark.parametrize("size", [0, 5000, 2**17, 2**18 - 7])
def test_no_key_is_overlooked(size: int) -> None:
    for colon in ('":', '" :', '"\n:', '"\t :', '"\r:'):
        for shift in range(4):
            text = "[" + " " * (size + shift) + "{" + f'"a{colon}1,' * 3 + "}]"
            assert count_keys(text.encode()) == 3
    assert count_keys(json.dumps(["2020-01-02T03:04:05"] * (size // 5 + 1)).encode()) == 0


def test_ordinary_bodies_are_read_by_orjson(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text, "_load_carefully", None)  # to be called is to fail
    cells = np.random.default_rng(0).normal(size=(60, 9)).tolist()
    for tree in (
        {"dataframe_split": {"columns": list("abcdefghi"), "data": cells}},
        {"dataframe_records": [dict(zip("abcdefghi", row, strict=True)) for row in cells]},
        {"inputs": {"t": ["2020-01-02T03:04:05"] * 40, "x": [-0.0001, 1e-7, 2**53] * 40}},
        {"inputs": [{"é": None, "b": True, "c": 2**59, "d": -(2**59)}] * 40},
    ):
        text = json.dumps(tree)
        assert load_json(text) == load_json(text.encode()) == tree


DOUBLES = st.floats() | st.sampled_from(
    [
        sign * 10.0**power * step
        for sign in (-1, 1)
        for power in range(-12, 19)
        for step in (1, 1.5)
    ]
    + [math.nextafter(edge, to) for edge in (1e-9, 1e-4, 1e16) for to in (0, math.inf)]
)
DTYPES = ["f8", "f4", "f2", ">f8", "i1", "i8", ">i4", "u8", "?"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("nan", ["null", "string"])
@settings(deadline=None)
@given(data=st.data())
def test_an_array_is_written_as_json_writes_it(dtype: str, nan: Any, data: st.DataObject) -> None:
    shape = data.draw(array_shapes(max_dims=3, max_side=9))
    elements = DOUBLES if dtype in ("f8", ">f8") else None
    array: npt.NDArray[Any] = data.draw(arrays(np.dtype(dtype), shape, elements=elements))
    array = np.concatenate([array] * (80 // array.size + 1))
    for form in (array, array[::-1], np.asfortranarray(array), array.T):
        expected = json.dumps({"predictions": value_tree(form, nan)}, allow_nan=False)
        assert format_predictions(form, nan=nan) == expected
        assert format_predictions({"a%": form, "é": 1}, nan=nan, unified=True) == (
            json.dumps({"a%": value_tree(form, nan), "é": 1})
        )


@settings(deadline=None)
@given(cells=st.lists(DOUBLES, min_size=1, max_size=30), texts=st.lists(st.text(), min_size=1))
def test_a_table_is_written_as_json_writes_it(cells: list[float], texts: list[str]) -> None:
    size = 40
    frame = pd.DataFrame(
        {
            "x": (cells * size)[:size],
            '100% "é"': pd.Series((texts * size)[:size], dtype=object),
            7: np.arange(size, dtype="int32"),
            "b": np.arange(size) % 2 == 0,
        }
    )
    plain = [str(label) for label in frame]
    rows = zip(*[value_tree(frame[label].tolist(), "null") for label in frame], strict=True)
    records = [dict(zip(plain, row, strict=True)) for row in rows]
    assert format_predictions(frame) == json.dumps({"predictions": records})
    assert format_predictions(frame[["x"]]) == json.dumps(
        {"predictions": [{"x": record["x"]} for record in records]}
    )


@pytest.mark.parametrize("size", [0, 1, 64, 65, 2048, 2049, 5000])
def test_a_list_of_floats_is_written_as_json_writes_it(size: int) -> None:
    values = [1.5 * 10.0 ** (row % 40 - 20) for row in range(size)]
    assert format_predictions(values) == json.dumps({"predictions": values})
    assert format_predictions(np.array(values)) == json.dumps({"predictions": values})
    assert format_predictions(np.zeros((size, 0))) == json.dumps({"predictions": [[]] * size})


WITHOUT = """
import sys
sys.modules["orjson"] = None
import numpy as np, pandas as pd
from pyfunc.schema import format_predictions, parse_request
body = sys.stdin.buffer.read()
data = parse_request(body, schema=None).data
sys.stdout.write(format_predictions(data) + format_predictions(data.to_numpy()))
"""


def test_all_is_read_and_written_alike_where_orjson_is_not_installed() -> None:
    cells = np.random.default_rng(1).normal(size=(200, 3))
    body = json.dumps({"dataframe_split": {"columns": list("abc"), "data": cells.tolist()}})
    found = subprocess.run(
        [sys.executable, "-c", WITHOUT], input=body.encode(), capture_output=True, check=True
    )
    frame = pd.DataFrame(cells, columns=list("abc"))
    assert found.stdout.decode() == format_predictions(frame) + format_predictions(cells)


def test_orjson_writes_the_numbers_that_it_is_asked_for() -> None:
    array = np.linspace(0.1, 9, 100)
    assert json_numbers.format_numbers(array, "null") == orjson.dumps(array.tolist()).replace(
        b",", b", "
    )
