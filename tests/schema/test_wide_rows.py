"""Rows of many columns: joined block by block, they are what joining column by column makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pyfunc.schema import ColSpec, RequestReader, Schema, compile_plan, format_request
from pyfunc.schema.enforce import memory

TYPES = ["double", "long", "string", "boolean", "datetime"]
NARROWER = {"double": "float32", "long": "int32"}
VALUES: dict[str, Any] = {
    "double": 0.5,
    "long": 7,
    "string": "text",
    "boolean": True,
    "datetime": pd.Timestamp("2020-01-02"),
}
NAMES = [f"c{i}" for i in range(40)]


def schema_of(types: list[str]) -> Schema:
    return Schema([ColSpec(types[i % len(types)], name) for i, name in enumerate(NAMES)])


def data_of(types: list[str]) -> dict[str, Any]:
    return {name: VALUES[types[i % len(types)]] for i, name in enumerate(NAMES)}


def frame_of(types: list[str], rows: int) -> pd.DataFrame:
    frame = pd.DataFrame([data_of(types)] * rows, index=range(5, 5 + rows))
    given = {
        name: NARROWER[kind]
        for i, name in enumerate(NAMES)
        if (kind := types[i % len(types)]) in NARROWER
    }
    zoned = frame.assign(other=pd.Timestamp("2020", tz="UTC"), more=pd.array([1] * rows, "Int64"))
    cast: pd.DataFrame = zoned.astype(given)
    return cast


@pytest.mark.parametrize("types", [TYPES[:4], TYPES, ["double", "string"], ["double", "long"]])
def test_both_ways_give_the_same(types: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    plan, reader = compile_plan(schema_of(types)), RequestReader(schema_of(types))
    data, frames = data_of(types), [frame_of(types, rows) for rows in (1, 3)]
    body = format_request(pd.DataFrame([data]))

    def results() -> list[pd.DataFrame]:
        given: list[Any] = [*frames, reader.parse_json(body).data]
        if "datetime" not in types:  # pandas makes no row of a dict with one
            given.append(data)
        return [plan.enforce(item) for item in given]

    found = results()
    # There is no older pandas beside this one, which has no such function.
    monkeypatch.setattr(memory, "_frame_from_blocks", None)
    for one, other in zip(found, results(), strict=True):
        pd.testing.assert_frame_equal(one, other)
        assert [b.values.flags.c_contiguous for b in numbers(one)] == [True] * len(numbers(other))


def numbers(frame: Any) -> list[Any]:
    return [block for block in frame._mgr.blocks if isinstance(block.values, np.ndarray)]


def test_what_is_written_into_a_row_stays_there() -> None:
    types = TYPES[:4]
    frame = frame_of(types, 2)
    before = frame.copy()
    cast = compile_plan(schema_of(types)).enforce(frame)
    for position, kind in enumerate(types):
        cast.iloc[0, position] = {"string": "other", "boolean": False}.get(kind, 1)
    assert cast.iloc[0, :4].tolist() == [1, 1, "other", False]
    pd.testing.assert_frame_equal(frame, before)
