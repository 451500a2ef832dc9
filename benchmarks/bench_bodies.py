"""Time the reading and writing of bodies beside orjson, and print a table.

Each figure is the median of the CPU time of several rounds; the two sides of a case take turns, so
that what else the machine does falls on both. What is read becomes what the model gets.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import orjson

from pyfunc.schema import ColSpec, RequestReader, Schema, TensorSpec, compile_plan
from pyfunc.schema.wire.json_text import load_json
from pyfunc.schema.wire.responses import encode_predictions
from pyfunc.serving.open_inference.tensors import parse_tensor
from pyfunc.serving.open_inference.values import InputBuilder

__all__ = ["Row", "format_rows", "rows"]

HEIGHT, WIDTH = 1000, 100
Call = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """The milliseconds of one case; ``target`` is the greatest ratio wanted."""

    case: str
    ours: float
    floor: float
    target: float

    @property
    def ratio(self) -> float:
        return self.ours / self.floor


def rows(rounds: int = 15) -> list[Row]:
    """Return the times of all cases."""
    return [
        Row(case, *_medians(ours, floor, rounds), target) for case, ours, floor, target in _cases()
    ]


def _medians(ours: Call, floor: Call, rounds: int) -> tuple[float, float]:
    times: dict[Call, list[float]] = {ours: [], floor: []}
    for call in (ours, floor) * rounds:
        begin = time.process_time()
        call()
        times[call].append((time.process_time() - begin) * 1e3)
    return statistics.median(times[ours]), statistics.median(times[floor])


def _cases() -> Iterator[tuple[str, Call, Call, float]]:
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


def _reading(
    case: str, tree: object, read: Callable[[bytes], object], target: float
) -> tuple[str, Call, Call, float]:
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


def _writing() -> Iterator[tuple[str, Call, Call, float]]:
    doubles = np.random.default_rng(0).normal(size=100_000)
    option = orjson.OPT_SERIALIZE_NUMPY
    for case, array in (("100,000 doubles", doubles), ("100,000 of 1 to 5", abs(doubles) + 1)):
        yield (
            f"write {case}",
            partial(encode_predictions, array),
            partial(orjson.dumps, array, option=option),
            2.0,
        )


def _one_row() -> Iterator[tuple[str, Call, Call, float]]:
    """Yield one row of many columns of numbers and truths against a tenth of the columns."""
    kinds: list[tuple[str, object]] = [("double", 1.5), ("long", 3), ("boolean", True)]
    calls: dict[int, dict[str, Call]] = {}
    for width in (1000, 10_000):
        chosen = [kinds[position % len(kinds)] for position in range(width)]
        schema = Schema([ColSpec(kind, f"c{i}") for i, (kind, _) in enumerate(chosen)])
        data = {f"c{i}": value for i, (_, value) in enumerate(chosen)}
        calls[width] = _ways_of_one_row(schema, data)
    for way, call in calls[10_000].items():
        yield f"one row of 10,000 against 1,000: {way}", call, calls[1000][way], 12.0


def _ways_of_one_row(schema: Schema, data: dict[str, object]) -> dict[str, Call]:
    plan, reader = compile_plan(schema), RequestReader(schema)
    split = {"columns": list(data), "data": [list(data.values())]}
    body = json.dumps({"dataframe_split": split}).encode()
    return {
        "a dict": lambda: plan.enforce(data),
        "a request": lambda: plan.enforce(reader.parse_json(body).data),
    }


def format_rows(table: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| case | ours, ms | floor, ms | ratio | target |", "|---|---|---|---|---|"]
    for row in table:
        cells = (row.ours, row.floor, row.ratio, row.target)
        lines.append(f"| {row.case} | " + " | ".join([f"{cell:,.2f}" for cell in cells]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="rounds of which the median counts")
    print(format_rows(rows(parser.parse_args().rounds)))


if __name__ == "__main__":
    main()
