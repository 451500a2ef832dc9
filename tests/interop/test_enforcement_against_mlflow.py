"""Generated schemas and data, enforced by real MLflow and here: the outcomes must be the same.

The generator leaves out what docs/differences.md lists, so that no outcome needs an excuse.
"""

from __future__ import annotations

import logging
import pickle
import random
import warnings
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pyfunc.schema
from pyfunc.errors import SchemaError

pytestmark = pytest.mark.interop

IS_PANDAS_3 = int(pd.__version__.split(".")[0]) >= 3

Kind = tuple[Any, ...]

GOOD: dict[str, list[Any]] = {
    "boolean": [True, False, np.bool_(True)],
    "integer": [np.int32(1), np.int8(2), np.uint16(7)],
    "long": [1, 2, -(2**40), np.int64(3), np.int32(4), np.uint32(9)],
    "float": [np.float32(1.5), 1, 0, np.float16(0.5)],
    "double": [1.5, 2.5, np.float64(1), np.float32(2), 1, np.int16(9)],
    "string": ["a", "b", "1"],
    "binary": [b"a", b"bc", "a"],
    "datetime": [np.datetime64("2020-01-02"), np.datetime64("2020-01-02T03:04:05", "ns")],
}
BAD: list[Any] = [1, 0, 2, -1, 2**40, True, 1.5, 0.0, b"x", np.int8(3), np.uint64(4)]
BAD += [np.float32(1.5), Decimal("1.5"), [1], [1.5], {"x": 1}]
if IS_PANDAS_3:  # pandas 2 has no dtype for text, so that MLflow lets it pass as other types
    BAD += ["a", "1", "2020-01-02"]
DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DTYPES += ["float16", "float32", "float64", "datetime64[ns]", "datetime64[s]", "object"]
DTYPES += ["Int8", "Int32", "Int64", "UInt32", "Float32", "Float64", "boolean", "string"]
ARRAYS = {"boolean": "bool", "integer": "int32", "long": "int64", "float": "float32"}
ARRAYS |= {"double": "float64", "datetime": "datetime64[ns]"}


class Generator:
    """Draws schemas and data that more often fit than not."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.choose = self._random.choice

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def some(self, names: str, least: int) -> list[str]:
        return self._random.sample(names, self._random.randint(least, len(names)))

    def kind(self, depth: int = 0) -> Kind:
        draw = self._random.random()
        if depth >= 2 or draw < 0.55:
            return ("scalar", self.choose(list(GOOD)))
        if draw < 0.7:
            return ("array", self.kind(depth + 1))
        if draw < 0.9:
            names = self.some("xyz", 1)
            return ("object", [(n, self.kind(depth + 1), self.chance(0.6)) for n in names])
        return ("map", self.kind(depth + 1)) if draw < 0.96 else ("any",)

    def value(self, kind: Kind) -> Any:
        if self.chance(0.05):
            return self.choose(BAD)
        if kind[0] == "scalar":
            return self.choose(GOOD[kind[1]])
        if kind[0] == "array":
            return self._array(kind[1])
        if kind[0] == "object":
            members = {
                n: self.value(k) for n, k, required in kind[1] if required or self.chance(0.6)
            }
            return members | ({"w": 1} if self.chance(0.03) else {})
        if kind[0] == "map":
            return {name: self.value(kind[1]) for name in self.some("pq", 0)}
        return self.choose([1, "a", 1.5, [1], {"x": 1}])

    def _array(self, kind: Kind) -> Any:
        length = self.choose([0, 1, 2, 3])
        if kind[0] != "scalar":
            return [self.value(kind) for _ in range(length)]
        if kind[1] in ("datetime", "boolean", "integer", "float") or self.chance(0.3):
            # Lists of these are returned untouched or corrected; arrays are as in MLflow.
            dtype = ARRAYS.get(kind[1], "U1")
            return np.array([1] * length).astype("int64").astype(dtype)
        return [self.choose(GOOD[kind[1]])] * length

    def column(self, kind: Kind, size: int) -> pd.Series[Any]:
        if kind[0] != "scalar" or self.chance(0.5):
            nested: pd.Series[Any] = pd.Series(
                [self.value(kind) for _ in range(size)], dtype=object
            )
            return nested
        values = [self.choose([0, 1] if self.chance(0.5) else [1, 2]) for _ in range(size)]
        dtype: Any = self.choose(DTYPES)
        try:
            return pd.Series(values, dtype="int64").astype(dtype)
        except (TypeError, ValueError):
            return pd.Series(values, dtype="int64")

    def data(self, columns: list[tuple[str, Kind, bool]]) -> Any:
        size = self.choose([1, 1, 2, 3])
        if self.chance(0.6):
            frame = pd.DataFrame({name: self.column(kind, size) for name, kind, _ in columns})
            frame = frame.assign(extra=1) if self.chance(0.2) else frame
            frame = frame.iloc[:, ::-1] if self.chance(0.2) else frame
            return frame.iloc[:, 1:] if self.chance(0.1) else frame
        if self.chance(0.6):
            return [{name: self.value(kind) for name, kind, _ in columns} for _ in range(size)]
        return {name: self.value(kind) for name, kind, _ in columns}


def build(kind: Kind, types: Any) -> Any:
    if kind[0] == "scalar":
        return types.DataType[kind[1]]
    if kind[0] == "object":
        return types.Object([types.Property(n, build(k, types), r) for n, k, r in kind[1]])
    if kind[0] == "any":
        return types.AnyType()
    wrap = {"array": types.Array, "map": types.Map}[kind[0]]
    return wrap(build(kind[1], types))


def describe(frame: pd.DataFrame) -> Any:
    cells = [[repr(value) for value in frame.iloc[:, i].tolist()] for i in range(frame.shape[1])]
    dtypes = [str(dtype) for dtype in frame.dtypes]
    return [repr(label) for label in frame.columns], dtypes, list(frame.index), cells


def load_mlflow() -> SimpleNamespace:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.models.utils
        import mlflow.types.schema
    return SimpleNamespace(enforce=mlflow.models.utils._enforce_schema, types=mlflow.types.schema)


def run(enforce: Callable[[Any, Any], Any], data: bytes, schema: Any) -> tuple[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return "accepted", describe(enforce(pickle.loads(data), schema))
    except SchemaError:
        return "refused", None
    except Exception:
        if enforce is pyfunc.schema.enforce_schema:
            raise  # MLflow lets errors of pandas escape, we do not
        return "refused", None


@pytest.mark.parametrize("seed", range(6), ids=str)
def test_generated_data_has_the_outcome_of_mlflow(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    mlflow = load_mlflow()
    caplog.set_level(logging.ERROR, "mlflow")
    caplog.set_level(logging.ERROR, "pyfunc.schema")
    generator = Generator(seed)
    outcomes = {"accepted": 0, "refused": 0}
    for _ in range(250):
        is_named = generator.chance(0.85)
        columns = [
            (name, generator.kind(), generator.chance(0.8) or not is_named)
            for name in generator.some("abc", 1)
        ]
        data = pickle.dumps(generator.data(columns))
        theirs, own = (
            types.Schema(
                [
                    types.ColSpec(
                        build(kind, types), name if is_named else None, required=required
                    )
                    for name, kind, required in columns
                ]
            )
            for types in (mlflow.types, pyfunc.schema)
        )
        expected = run(mlflow.enforce, data, theirs)
        got = run(pyfunc.schema.enforce_schema, data, own)
        assert got == expected, (own, pickle.loads(data))
        outcomes[expected[0]] += 1
    assert min(outcomes.values()) > 20
