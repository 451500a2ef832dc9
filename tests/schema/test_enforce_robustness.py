"""Data that is huge, odd or refers to itself: a right result or a clear error, in bounded time."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pyfunc.errors import SchemaError
from pyfunc.schema import (
    AnyType,
    Array,
    ColSpec,
    Map,
    Object,
    Property,
    Schema,
    TensorSpec,
    compile_plan,
    enforce_schema,
)

MANY = 1_000_000


@pytest.mark.slow
def test_a_million_columns_pass_are_taken_or_are_missed() -> None:
    names = [f"c{position}" for position in range(MANY)]
    plan = compile_plan(Schema([ColSpec("double", name) for name in names]))
    frame = pd.DataFrame(np.ones((1, MANY)), columns=names)
    assert plan.enforce(frame) is frame
    assert plan.enforce(dict.fromkeys(names, 1.0)).shape == (1, MANY)
    cast = plan.enforce(frame.iloc[:, ::-1].astype("float32"))
    assert cast.shape == (1, MANY)
    assert cast.columns[0] == "c0"
    with pytest.raises(SchemaError) as caught:
        plan.enforce(frame.iloc[:, : MANY // 2].astype(bool))
    assert len(caught.value.problems) == MANY
    assert len(str(caught.value)) < 20_000


def test_a_million_extra_columns_are_dropped() -> None:
    frame = pd.DataFrame(np.ones((1, MANY)))
    assert enforce_schema(frame, Schema([ColSpec("double", 7)])).shape == (1, 1)


def make_cycle() -> Any:
    cycle: list[Any] = [1]
    cycle.append(cycle)
    return cycle


def make_dict_cycle() -> Any:
    cycle: dict[str, Any] = {}
    cycle["x"] = cycle
    return cycle


def make_deep(kind: type) -> Any:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep] if kind is list else {"x": deep}
    return deep


ODD = {
    "cycle": make_cycle(),
    "dict-cycle": make_dict_cycle(),
    "deep-list": make_deep(list),
    "deep-dict": make_deep(dict),
    "ragged": [[1], [2, 3], []],
    "mixed": [1, "x", None, b"y", 2.5, {}, [], (1,), object()],
    "nan-keys": {float("nan"): 1, "x": 2},
    "mixed-keys": {1: 1, "x": 2, None: 3, (1, 2): 4},
    "huge-integer": 10**400,
    "huge-list": [10**400],
    "set": {1, 2},
    "generator": (number for number in range(3)),
    "class": int,
    "surrogate": "\ud800",
    "signalling-nan": [np.float64("nan"), pd.NaT, pd.NA],
}
KINDS = {
    "double": "double",
    "long": "long",
    "boolean": "boolean",
    "string": "string",
    "datetime": "datetime",
    "array": Array("long"),
    "array-of-text": Array("string"),
    "array-of-bytes": Array("binary"),
    "array-of-array": Array(Array("double")),
    "object": Object([Property("x", "long")]),
    "object-in-object": Object([Property("x", Object([Property("x", "double", False)]))]),
    "map": Map("long"),
    "any": AnyType(),
}


def find_problem(data: Any, schema: Schema, coerce: str | None) -> str | None:
    try:
        enforce_schema(data, schema, coerce=coerce)
    except SchemaError as error:
        return str(error)
    return None


@pytest.mark.parametrize("coerce", [None, "safe"], ids=["plain", "safe"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_odd_values_are_enforced_or_refused(value: Any, kind: Any, coerce: str | None) -> None:
    schemas = [Schema([ColSpec(kind, "a")]), Schema([ColSpec(kind)])]
    column = np.empty(2, dtype=object)
    column[:] = [value, value]
    frame = pd.DataFrame({"a": pd.Series(column, dtype=object)})
    for data in (value, {"a": value}, [{"a": value}], [value], frame):
        for schema in schemas:
            problem = find_problem(data, schema, coerce)
            assert problem is None or 0 < len(problem) < 5_000


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_odd_values_are_no_tensors(value: Any) -> None:
    column = np.empty(2, dtype=object)
    column[:] = [value, value]
    for shape in ((-1,), (-1, 2)):
        spec = TensorSpec(np.dtype("float64"), shape)
        for data in (value, {"a": value}, pd.DataFrame({"a": pd.Series(column, dtype=object)})):
            with pytest.raises(SchemaError):
                enforce_schema(data, Schema([spec]))


def test_types_at_the_limit_of_nesting_are_enforced() -> None:
    kind: Any = "long"
    value: Any = 1
    for _ in range(120):
        kind, value = Array(kind), [value]
    frame = pd.DataFrame({"a": pd.Series([value], dtype=object)})
    assert enforce_schema(frame, Schema([ColSpec(kind, "a")])) is frame


def test_a_plan_serves_several_threads() -> None:
    plan = compile_plan(Schema([ColSpec("double", "a"), ColSpec("long", "b")]))
    failures: list[object] = []

    def work(seed: int) -> None:
        dtypes = ["float64", "float32", "int8", "int16", "uint8", "int32", "float16", "bool"]
        for turn in range(200):
            dtype = dtypes[(seed + turn) % len(dtypes)]
            frame = pd.DataFrame({"b": [turn], "a": np.array([1], dtype=dtype)})
            try:
                result = plan.enforce(frame)
            except SchemaError:
                if dtype != "bool":
                    failures.append(dtype)
            else:
                if result.iloc[0].tolist() != [1.0, turn] or dtype == "bool":
                    failures.append((dtype, result))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
