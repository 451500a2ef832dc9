"""Single functions, tracked by pytest-benchmark from one run to the next: ``nox -s track``.

Each runs in this process, on what is prepared before; nothing is asserted of times.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import pyfunc
from pyfunc.schema import RequestReader, compile_plan

REQUIREMENTS = ["pandas", "cloudpickle"]


class Model(pyfunc.PythonModel):
    def predict(self, context: object, model_input: pd.DataFrame) -> object:
        return model_input.iloc[:, 0]


def frame_of(height: int, width: int) -> pd.DataFrame:
    cells = np.random.default_rng(0).normal(size=(height, width))
    frame: pd.DataFrame = pd.DataFrame(cells, columns=[f"c{number}" for number in range(width)])
    return frame


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    signature = pyfunc.infer_signature(frame_of(1, 10))
    path = tmp_path / "model"
    pyfunc.save_model(
        path, python_model=Model(), signature=signature, pip_requirements=REQUIREMENTS
    )
    return path


def test_save(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    signature, numbers = pyfunc.infer_signature(frame_of(1, 10)), itertools.count()
    benchmark(
        lambda: pyfunc.save_model(
            tmp_path / str(next(numbers)),
            python_model=Model(),
            signature=signature,
            pip_requirements=REQUIREMENTS,
        )
    )


def test_load(benchmark: BenchmarkFixture, saved: Path) -> None:
    benchmark(pyfunc.load_model, saved)


def test_predict_one_row(benchmark: BenchmarkFixture, saved: Path) -> None:
    model, frame = pyfunc.load_model(saved), frame_of(1, 10)
    assert benchmark(model.predict, frame).tolist() == frame.c0.tolist()


def test_enforce_1000_columns(benchmark: BenchmarkFixture) -> None:
    frame = frame_of(1, 1000)
    inputs = pyfunc.infer_signature(frame).inputs
    assert benchmark(compile_plan(inputs).enforce, frame).equals(frame)


def test_read_a_body_of_100000_numbers(benchmark: BenchmarkFixture) -> None:
    frame = frame_of(1000, 100)
    split = {"columns": list(frame), "data": frame.to_numpy().tolist()}
    body = json.dumps({"dataframe_split": split}).encode()
    reader = RequestReader(pyfunc.infer_signature(frame).inputs)
    assert benchmark(reader.parse_json, body).data.equals(frame)


def test_infer_a_signature(benchmark: BenchmarkFixture) -> None:
    frame = frame_of(10_000, 100)
    assert len(benchmark(pyfunc.infer_signature, frame).inputs.inputs) == 100
