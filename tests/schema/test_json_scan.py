"""What is looked for before JSON is parsed is found wherever it is in a text of any size."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfunc.errors import InvalidArgumentError
from pyfunc.schema.wire.json_scan import count_openings, may_overflow
from pyfunc.schema.wire.json_text import load_json

SIZES = [0, 60, 2**15, 2**17 - 5, 2**17, 2**18 + 3]
HUGE = ["1e999", "1E400", "-1e+309", "9" * 400 + ".5", "1" + "0" * 250 + "e99", "0.1E+0400"]


def _padded(size: int, number: str) -> str:
    return '{"pad": [' + "0.5, " * (size // 5) + " " * (size % 5) + number + ', 1], "x": 1}'


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("number", HUGE, ids=lambda number: number[:9])
def test_numbers_beyond_a_double_are_found_anywhere(number: str, size: int) -> None:
    for shift in range(0, 70, 23):
        with pytest.raises(InvalidArgumentError, match="beyond a double"):
            load_json(_padded(size + shift, number))


@pytest.mark.parametrize("size", SIZES)
def test_ordinary_numbers_are_nothing_to_worry_about(size: int) -> None:
    text = _padded(size, "1.7976931348623157e-30, 12345678901234567890, 1e22")
    assert not may_overflow(text.encode())
    assert load_json(text) == json.loads(text)


def test_a_long_exponent_that_does_not_overflow_is_read() -> None:
    text = _padded(2**16, "1e-300, 1e+30, 1e300, 1e000")
    assert load_json(text) == json.loads(text)


@pytest.mark.parametrize("size", SIZES)
def test_every_opening_bracket_counts(size: int) -> None:
    text = json.dumps({"a": ["[{"] * size, "b": [[], {}]})
    assert count_openings(text.encode()) == text.count("[") + text.count("{")


def _nested(depth: int) -> Any:
    return [] if depth == 1 else [_nested(depth - 1)]


@pytest.mark.parametrize("width", [1, 40, 20_000])
@pytest.mark.parametrize("depth", [2, 5, 33])
def test_depth_is_exact_in_texts_of_any_width(width: int, depth: int) -> None:
    text = json.dumps({"rows": [[1.5]] * (width - 1) + [_nested(depth)]})
    assert load_json(text, max_depth=depth + 2) == json.loads(text)
    with pytest.raises(InvalidArgumentError, match="deeper"):
        load_json(text, max_depth=depth + 1)


@given(st.text(), st.integers(0, 80))
def test_half_a_surrogate_pair_is_found_beside_any_text(text: str, shift: int) -> None:
    body = json.dumps([" " * shift, text])
    assert load_json(body) == json.loads(body)
    with pytest.raises(InvalidArgumentError, match="surrogate"):
        load_json(body[:-1] + ', "\\ud800"]')
