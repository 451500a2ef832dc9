"""Enforcement and inference beside MLflow in one process.

The floor is the least work that any library has to do for the case.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import mlflow.models
import mlflow.models.utils
import mlflow.pyfunc.scoring_server
import mlflow.types.schema as mlflow_types
import numpy as np
import pandas as pd

import pyfunc.schema as ours
from benchmarks.results import OURS, Effort, Goal, Workload
from benchmarks.timing import Call, time_calls

__all__ = ["measure"]

MLFLOW = "MLflow"


@dataclass(frozen=True)
class Case:
    """One piece of work: ours, MLflow's and the floor; ``target`` is the least ratio wanted."""

    name: str
    ours: Call
    mlflow: Call | None
    floor: Call | None
    target: float | None = None


def measure(effort: Effort) -> Iterator[Workload]:
    """Yield enforcement, inference and parsing of small, wide and long data."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in _cases():
            calls = {OURS: case.ours, MLFLOW: case.mlflow, "floor": case.floor}
            found = time_calls({n: call for n, call in calls.items() if call}, effort)
            goals = (Goal(MLFLOW, 1 / case.target),) if case.target else ()
            yield Workload(case.name, found, "floor" if case.floor else None, goals)


def _cases() -> Iterator[Case]:
    for width, target in ((10, 15.0), (100, None), (1000, 300.0)):
        yield _exact_frame(1, width, target)
    yield _one_dict(1000)
    yield _widening(200_000, 20)
    yield _nested_objects(10_000)
    yield from _inference()
    yield from _requests()
    for height in (100, 10_000, 1_000_000):
        yield _flat(height)


def _double_columns(width: int) -> tuple[list[str], ours.Schema, mlflow_types.Schema]:
    names = [f"c{position}" for position in range(width)]
    own = ours.Schema([ours.ColSpec("double", name) for name in names])
    other = mlflow_types.Schema([mlflow_types.ColSpec("double", name) for name in names])
    return names, own, other


def _enforcers(own: Any, other: Any, data: Any) -> tuple[Call, Call]:
    plan = ours.compile_plan(own)
    theirs = mlflow.models.utils._enforce_schema
    return lambda: plan.enforce(data), lambda: theirs(data, other)


def _exact_frame(height: int, width: int, target: float | None) -> Case:
    names, own, other = _double_columns(width)
    frame = pd.DataFrame(np.ones((height, width)), columns=names)
    plan = ours.compile_plan(own)
    plan.enforce(frame.copy().set_axis(pd.Index(list(names)), axis=1))  # another index object
    _, theirs = _enforcers(own, other, frame)
    labels = pd.Index(names)
    return Case(
        f"enforce {height} x {width} exact frame",
        lambda: plan.enforce(frame),
        theirs,
        lambda: frame.columns.equals(labels),
        target,
    )


def _one_dict(width: int) -> Case:
    names, own, other = _double_columns(width)
    data = dict.fromkeys(names, 0.5)
    enforce, theirs = _enforcers(own, other, data)
    labels = pd.Index(names)

    def build() -> pd.DataFrame:
        cells = np.array([list(data.values())])
        frame: pd.DataFrame = pd.DataFrame(cells, columns=labels, copy=False)
        return frame

    return Case(f"enforce a dict of {width} scalars", enforce, theirs, build, 100.0)


def _widening(height: int, width: int) -> Case:
    names, own, other = _double_columns(width)
    frame = pd.DataFrame(np.ones((height, width), dtype=np.float32), columns=names)
    enforce, theirs = _enforcers(own, other, frame)
    return Case(
        f"enforce {height} x {width} float32 into double",
        enforce,
        theirs,
        lambda: frame.astype(np.float64),
        2.0,
    )


def _nested_objects(height: int) -> Case:
    own = ours.Object([ours.Property("x", "long"), ours.Property("y", "string")])
    other = mlflow_types.Object(
        [mlflow_types.Property("x", "long"), mlflow_types.Property("y", "string")]
    )
    values = [{"x": number, "y": str(number)} for number in range(height)]
    frame = pd.DataFrame({"a": values})
    enforce, theirs = _enforcers(
        ours.Schema([ours.ColSpec(own, "a")]),
        mlflow_types.Schema([mlflow_types.ColSpec(other, "a")]),
        frame,
    )
    return Case(
        f"enforce {height} nested objects",
        enforce,
        theirs,
        lambda: [dict(value) for value in values],
        60.0,
    )


def _inference() -> Iterator[Case]:
    floats = pd.DataFrame(np.ones((50_000, 20)), columns=[f"c{i}" for i in range(20)])
    texts = pd.DataFrame({"a": [f"text {number}" for number in range(100_000)]})
    for name, frame, target in (
        ("infer_signature 50000 x 20 floats", floats, 300.0),
        ("infer_signature 100000 strings", texts, 200.0),
    ):
        yield Case(
            name,
            lambda frame=frame: ours.infer_signature(frame),  # type: ignore[misc]
            lambda frame=frame: mlflow.models.infer_signature(frame),  # type: ignore[misc]
            lambda frame=frame: frame.isna().any(),  # type: ignore[misc]
            target,
        )


def _requests() -> Iterator[Case]:
    for height, width, target in (
        (1, 10, 30.0),
        (1, 100, 30.0),
        (1, 1000, 30.0),
        (10_000, 20, None),
    ):
        yield _request(height, width, target)


def _request(height: int, width: int, target: float | None) -> Case:
    names, own, other = _double_columns(width)
    split = {"columns": names, "data": np.random.default_rng(0).random((height, width)).tolist()}
    body = json.dumps({"dataframe_split": split})
    reader, labels = ours.RequestReader(own), pd.Index(names)

    def build() -> pd.DataFrame:
        cells = np.array(json.loads(body)["dataframe_split"]["data"])
        frame: pd.DataFrame = pd.DataFrame(cells, columns=labels, copy=False)
        return frame

    return Case(
        f"parse dataframe_split {height} x {width} doubles",
        lambda: reader.parse_json(body),
        lambda: mlflow.pyfunc.scoring_server.infer_and_parse_data(json.loads(body), other),
        build,
        target,
    )


def _flat(height: int) -> Case:
    names, own, _ = _double_columns(10)
    frame = pd.DataFrame(np.ones((height, 10)), columns=names)
    plan = ours.compile_plan(own)
    return Case(
        f"conforming {height} x 10 (must stay flat)", lambda: plan.enforce(frame), None, None
    )
