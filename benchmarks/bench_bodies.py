"""Reading and writing of bodies beside orjson; what is read becomes what the model gets."""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import orjson
import pandas as pd

from benchmarks.results import OURS, Effort, Goal, Workload
from benchmarks.timing import Call, time_calls
from pyfunc.schema import ColSpec, RequestReader, Schema, TensorSpec, compile_plan
from pyfunc.schema.wire.json_text import load_json
from pyfunc.schema.wire.responses import encode_predictions
from pyfunc.serving.open_inference.tensors import parse_tensor
from pyfunc.serving.open_inference.values import InputBuilder

__all__ = ["measure"]

HEIGHT, WIDTH = 1000, 100
Case = tuple[str, Call, Call, float]


def measure(effort: Effort) -> Iterator[Workload]:
    """Yield the reading and writing of 100,000 numbers in every form, and of one very wide row."""
    for name, ours, floor, most in _cases():
        against = "1,000 columns" if name.startswith("one row") else "orjson"
        figures = time_calls({OURS: ours, against: floor}, effort)
        yield Workload(name, figures, against, (Goal(against, most),))


def _cases() -> Iterator[Case]:
    table = np.random.default_rng(0).normal(size=(HEIGHT, WIDTH))
    names = [f"c{position}" for position in range(WIDTH)]
    schema = Schema([ColSpec("double", name) for name in names])
    reader = RequestReader(schema)
    for case, tree, target in _bodies(table, names):
        yield _reading(case, tree, reader.parse_json, target)
    tensors = RequestReader(Schema([TensorSpec(np.dtype("float64"), (-1, WIDTH))]))
    yield _reading("inputs as one tensor", {"inputs": table.tolist()}, tensors.parse_json, 3.0)
    infer = _inference_reader(schema, reader)
    one = [_tensor("x", [HEIGHT, WIDTH], table.tolist())]
    yield _reading("Open Inference, one tensor", {"inputs": one}, infer, 3.0)
    each = [_tensor(n, [HEIGHT], table[:, i].tolist()) for i, n in enumerate(names)]
    yield _reading("Open Inference, a tensor per column", {"inputs": each}, infer, 3.0)
    yield from _writing()
    yield from _one_row()


def _bodies(table: Any, names: list[str]) -> Iterator[tuple[str, object, float]]:
    cells = table.tolist()
    records = [dict(zip(names, row, strict=True)) for row in cells]
    yield "dataframe_split", {"dataframe_split": {"columns": names, "data": cells}}, 2.5
    yield "dataframe_records", {"dataframe_records": records}, 3.0
    yield "instances", {"instances": records}, 3.0
    columns = {name: table[:, i].tolist() for i, name in enumerate(names)}
    yield "inputs by column", {"inputs": columns}, 3.0


def _reading(case: str, tree: object, read: Callable[[bytes], object], target: float) -> Case:
    body = json.dumps(tree).encode()
    return f"read {case}", lambda: read(body), lambda: orjson.loads(body), target


def _tensor(name: str, shape: list[int], data: object) -> dict[str, object]:
    return {"name": name, "datatype": "FP64", "shape": shape, "data": data}


def _inference_reader(schema: Schema, reader: RequestReader) -> Callable[[bytes], object]:
    metadata = types.SimpleNamespace(signature=None)
    model: Any = types.SimpleNamespace(metadata=metadata, input_schema=schema)
    builder = InputBuilder(model, reader)

    def read(body: bytes) -> object:
        payload: Any = load_json(body)
        forms = payload["inputs"]
        return builder.build({form["name"]: parse_tensor(form, None) for form in forms})

    return read


def _writing() -> Iterator[Case]:
    doubles = np.random.default_rng(0).normal(size=100_000)
    option = orjson.OPT_SERIALIZE_NUMPY
    for case, array in (("100,000 doubles", doubles), ("100,000 of 1 to 5", abs(doubles) + 1)):
        yield (
            f"write {case}",
            partial(encode_predictions, array),
            partial(orjson.dumps, array, option=option),
            2.0,
        )


def _one_row() -> Iterator[Case]:
    """Yield one row of many columns of numbers and truths against a tenth of the columns."""
    kinds: list[tuple[str, object]] = [("double", 1.5), ("long", 3), ("boolean", True)]
    calls: dict[int, dict[str, Call]] = {}
    for width in (1000, 10_000):
        chosen = [kinds[position % len(kinds)] for position in range(width)]
        schema = Schema([ColSpec(kind, f"c{i}") for i, (kind, _) in enumerate(chosen)])
        data = {f"c{i}": value for i, (_, value) in enumerate(chosen)}
        calls[width] = _ways_of_one_row(schema, data)
    for way, call in calls[10_000].items():
        yield f"one row of 10,000 columns as {way}", call, calls[1000][way], 12.0


def _ways_of_one_row(schema: Schema, data: dict[str, object]) -> dict[str, Call]:
    plan, reader = compile_plan(schema), RequestReader(schema)
    split = {"columns": list(data), "data": [list(data.values())]}
    body = json.dumps({"dataframe_split": split}).encode()
    frame = pd.DataFrame([data])
    return {
        "a frame": lambda: plan.enforce(frame),
        "a dict": lambda: plan.enforce(data),
        "a request": lambda: plan.enforce(reader.parse_json(body).data),
    }
