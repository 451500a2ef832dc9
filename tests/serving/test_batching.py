"""Requests answered together: the same bytes as one by one, or not together at all."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests

from pyfunc.schema import ColSpec, Schema, TensorSpec
from pyfunc.serving import ModelService, Request, ServingSettings
from pyfunc.serving.batching import RECHECK, TRIALS, ScoringBatcher, split_rows, stack_rows
from pyfunc.serving.http.messages import Reply
from pyfunc.serving.scoring import Scoring

HEADERS = [(b"content-type", b"application/json")]
COLUMN = Schema([ColSpec("double", "a")])


def request_of(body: Any) -> Request:
    return Request(HEADERS, body if isinstance(body, bytes) else json.dumps(body).encode(), {})


def row(value: float) -> Request:
    return request_of({"dataframe_split": {"columns": ["a"], "data": [[value]]}})


class Counting:
    """A predict function that notes how many rows each call had."""

    def __init__(self, predict: Callable[[Any], Any]) -> None:
        self.sizes: list[int] = []
        self._predict = predict

    def __call__(self, data: Any, params: Any) -> Any:
        self.sizes.append(len(data))
        return self._predict(data)


Make = Callable[..., tuple[ScoringBatcher, Counting]]


@pytest.fixture
def batcher_of(model_of: Callable[..., Any]) -> Make:
    """Return a function that makes a batcher, and the counter of its calls."""

    def make(predict: Callable[[Any], Any], schema: Schema | None = COLUMN) -> Any:
        counting = Counting(predict)
        service = ModelService(model_of(counting, schema), "toy", ServingSettings())
        return ScoringBatcher(Scoring(service), service.model.predict, 8), counting

    return make


def answers(outcomes: list[Any]) -> list[Any]:
    assert all(isinstance(outcome, Reply) for outcome in outcomes), outcomes
    return [json.loads(outcome.body)["predictions"] for outcome in outcomes]


def train(batcher: ScoringBatcher, size: int) -> None:
    for _ in range(TRIALS):
        batcher.run_together([row(i) for i in range(size)])


@pytest.mark.parametrize(
    "predict",
    [
        pytest.param(lambda f: (f["a"] * 2).to_numpy(), id="array"),
        pytest.param(lambda f: f.assign(b="x"), id="frame"),
        pytest.param(lambda f: f["a"] * 2, id="series"),
        pytest.param(lambda f: (f["a"] * 2).tolist(), id="list"),
        pytest.param(lambda f: [{"v": v} for v in f["a"]], id="records"),
        pytest.param(lambda f: np.stack([f["a"], f["a"]], axis=1), id="matrix"),
    ],
)
def test_rows_share_a_call_and_get_their_own_answers(
    batcher_of: Make, predict: Callable[[Any], Any]
) -> None:
    batcher, counting = batcher_of(predict)
    train(batcher, 3)
    counting.sizes.clear()
    together = batcher.run_together([row(1.5), row(2.5), row(-1)])
    assert counting.sizes == [3]
    alone = [batcher._scoring(item) for item in (row(1.5), row(2.5), row(-1))]
    assert together == alone


def test_arrays_share_a_call(batcher_of: Make) -> None:
    schema = Schema([TensorSpec(np.dtype("float32"), (-1, 2))])
    batcher, counting = batcher_of(lambda array: array.sum(axis=1), schema)
    items = [request_of({"inputs": [[i, 1]]}) for i in range(3)]
    for _ in range(TRIALS + 1):
        found = batcher.run_together(items)
    assert counting.sizes[-1] == 3
    assert answers(found) == [[1.0], [2.0], [3.0]]


def test_a_size_is_not_relied_on_before_it_agreed(batcher_of: Make) -> None:
    batcher, counting = batcher_of(lambda f: f["a"].to_numpy())
    train(batcher, 2)
    counting.sizes.clear()
    batcher.run_together([row(1), row(2), row(3)])
    assert counting.sizes == [3, 1, 1, 1]


def test_now_and_then_a_batch_is_compared_again(batcher_of: Make) -> None:
    batcher, counting = batcher_of(lambda f: f["a"].to_numpy())
    for _ in range(RECHECK * 2):
        batcher.run_together([row(1), row(2)])
    assert counting.sizes.count(1) == 2 * (TRIALS + 2)


@pytest.mark.parametrize(
    "predict",
    [
        pytest.param(lambda f: (f["a"] - f["a"].mean()).to_numpy(), id="rows-depend"),
        pytest.param(lambda f: f["a"].to_numpy() + len(f) * 1e-12, id="last-digits"),
        pytest.param(lambda f: float(f["a"].sum()), id="one-number"),
        pytest.param(lambda f: [1, 2, 3, 4, 5], id="another-length"),
        pytest.param(lambda f: {"n": len(f)}, id="dict"),
    ],
)
def test_models_whose_rows_are_not_independent_are_left_alone(
    batcher_of: Make, predict: Callable[[Any], Any], caplog: pytest.LogCaptureFixture
) -> None:
    batcher, counting = batcher_of(predict)
    with caplog.at_level(logging.WARNING):
        found = batcher.run_together([row(1), row(5)])
    assert found == [batcher._scoring(row(1)), batcher._scoring(row(5))]
    assert batcher.is_off
    assert "no longer answered together" in caplog.text
    counting.sizes.clear()
    batcher.run_together([row(1), row(5)])
    assert counting.sizes == [1, 1]


def test_a_model_that_changes_its_mind_is_found_out(batcher_of: Make) -> None:
    broken = False

    def predict(frame: Any) -> Any:
        return frame["a"].to_numpy() + (len(frame) if broken else 0)

    batcher, _ = batcher_of(predict)
    train(batcher, 2)
    broken = True
    for _ in range(RECHECK):
        batcher.run_together([row(1), row(2)])
    assert batcher.is_off


def test_what_cannot_be_read_fails_alone(batcher_of: Make) -> None:
    batcher, _ = batcher_of(lambda f: f["a"].to_numpy())
    first, bad, last = batcher.run_together([row(1), request_of(b"{"), row(2)])
    assert answers([first, last]) == [[1.0], [2.0]]
    assert getattr(bad, "error_code", None) == "BAD_REQUEST"


def test_a_row_that_the_model_refuses_fails_alone(batcher_of: Make) -> None:
    def predict(frame: Any) -> Any:
        if (frame["a"] < 0).any():
            raise ValueError("negative")
        return frame["a"].to_numpy()

    batcher, _ = batcher_of(predict)
    for _ in range(TRIALS + 1):
        first, bad, last = batcher.run_together([row(1), row(-1), row(2)])
        assert answers([first, last]) == [[1.0], [2.0]]
        assert getattr(bad, "error_code", None) == "INTERNAL_ERROR"
    assert not batcher.is_off


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(
            {"dataframe_split": {"columns": ["a"], "data": [[1], [2]]}}, id="several-rows"
        ),
        pytest.param(
            {"dataframe_split": {"columns": ["a"], "data": [[1]], "index": [7]}}, id="index"
        ),
        pytest.param(
            {"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"]]}}, id="other-columns"
        ),
        pytest.param({"inputs": [{"a": 1.0}]}, id="rows-of-dicts"),
    ],
)
def test_requests_of_another_kind_stand_alone(batcher_of: Make, other: Any) -> None:
    batcher, _ = batcher_of(lambda f: f["a"].to_numpy())
    items = [row(1), request_of(other), row(2)]
    found = batcher.run_together(items)
    assert found == [batcher._scoring(item) for item in items]


def test_stacked_frames_are_those_of_one_request() -> None:
    frames = [pd.DataFrame({"a": [i], "s": [f"t{i}"]}) for i in range(3)]
    stacked = stack_rows(frames)
    pd.testing.assert_frame_equal(stacked, pd.DataFrame({"a": [0, 1, 2], "s": ["t0", "t1", "t2"]}))
    assert split_rows(stacked, 4) is None


def test_concurrent_requests_get_their_own_answers(
    app_of: Callable[..., Any], live: Callable[..., Any]
) -> None:
    sizes: list[int] = []
    lock = threading.Lock()

    def predict(frame: Any, params: Any) -> Any:
        with lock:
            sizes.append(len(frame))
        return frame["a"].to_numpy() * 2

    app = app_of(predict, COLUMN, settings={"batching": True})
    session = threading.local()

    def send(number: int) -> Any:
        if not hasattr(session, "client"):
            session.client = requests.Session()
        body = {"dataframe_split": {"columns": ["a"], "data": [[number]]}}
        response = session.client.post(url, json=body, timeout=20)
        return response.json()["predictions"]

    with live(app) as port, ThreadPoolExecutor(8) as threads:
        url = f"http://127.0.0.1:{port}/invocations"
        assert list(threads.map(send, range(400))) == [[2.0 * n] for n in range(400)]
    assert max(sizes) > 1
