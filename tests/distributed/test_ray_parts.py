"""What predicting on Ray is made of and needs no Ray: the pool, one batch, the folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfunc.distributed.ray.batches import predict_batch
from pyfunc.distributed.ray.folders import ActorFolder
from pyfunc.distributed.ray.pool import Need, Node, check_pool, choose_pool, most_actors
from pyfunc.errors import InvalidArgumentError, ModelFailedError
from pyfunc.schema import Schema, TensorSpec


@pytest.mark.parametrize(
    ("nodes", "need", "most"),
    [
        pytest.param([Node(2)], Need(1), 1, id="two"),
        pytest.param([Node(1)], Need(1), 0, id="one"),
        pytest.param([Node(8)], Need(1), 7, id="eight"),
        pytest.param([Node(8)], Need(3), 2, id="what-is-left-reads"),
        pytest.param([Node(2)], Need(0.5), 2, id="halves"),
        pytest.param([Node(3)], Need(0.1), 20, id="tenths-are-exact"),
        pytest.param([Node(2), Node(2)], Need(2), 1, id="one-node-reads"),
        pytest.param([Node(2), Node(2)], Need(1), 3, id="two-nodes"),
        pytest.param([Node(2), Node(2)], Need(0.5), 5, id="wherever-they-are-put"),
        pytest.param([Node(2), Node(2)], Need(3), 0, id="fits-on-no-node"),
        pytest.param([Node(0), Node(4)], Need(1), 3, id="a-head-without-cpus"),
        pytest.param([Node(4, 1)], Need(1, 1), 1, id="gpus-are-scarcer"),
        pytest.param([Node(4, 0)], Need(1, 1), 0, id="no-gpus"),
        pytest.param([Node(4, 2)], Need(0, 0.5), 4, id="gpus-alone"),
        pytest.param([Node(1)], Need(0), None, id="nothing"),
        pytest.param([], Need(1), 0, id="no-nodes"),
        pytest.param([Node(0, 4)], Need(0, 1), 0, id="nothing-reads"),
    ],
)
def test_how_many_actors_leave_a_cpu(nodes: list[Node], need: Need, most: int | None) -> None:
    assert most_actors(nodes, need) == most


SIZES = st.sampled_from([0.25, 0.5, 1, 2, 3])


@given(st.lists(st.integers(0, 8), min_size=1, max_size=3), SIZES)
def test_however_actors_are_placed_one_node_can_read(cpus: list[int], each: float) -> None:
    most = most_actors([Node(number) for number in cpus], Need(each)) or 0
    free = [float(number) for number in cpus]
    for _ in range(most):
        fitting = [i for i, left in enumerate(free) if left >= each]
        # The worst that can be done: take from those that can still read.
        place = max(fitting, key=lambda i: (free[i] >= 1, -free[i]))
        free[place] -= each
    assert not most or max(free) >= 1
    if not most:
        return
    assert choose_pool([Node(number) for number in cpus], Need(each)) == most


@pytest.mark.parametrize("size", [0, -1, True, 1.5, "2", (1,), (2, 1), (0, 1), (1, 2, 3)], ids=str)
def test_what_is_no_size_is_refused(size: int) -> None:
    with pytest.raises(InvalidArgumentError, match="concurrency: expected a number of actors"):
        check_pool(size, [Node(8)], Need(1))


def test_a_pool_that_would_hang_is_refused_with_both_numbers() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        check_pool((1, 9), [Node(4), Node(4)], Need(1))
    assert str(caught.value) == (
        "9 actor(s) of 1 CPU(s) would make Ray wait without end: the cluster has 8 CPU(s), "
        "one of which reads the data, so at most 7 fit(s)\nhint: concurrency=7"
    )
    assert check_pool((1, 7), [Node(4), Node(4)], Need(1)) == (1, 7)


class Answers:
    """A model that answers with what it was made with, or with its input."""

    def __init__(self, answer: object = None, schema: Schema | None = None) -> None:
        self.answer, self.input_schema = answer, schema
        self.data: object = None

    def predict(self, data: object, params: Mapping[str, object] | None = None) -> object:
        self.data = data
        if isinstance(self.answer, Exception):
            raise self.answer
        return data if self.answer is None else self.answer


BATCH = pa.table({"a": pa.array([1, None, 3], pa.int64()), "b": ["x", "y", "z"]})


@pytest.mark.parametrize(
    ("answer", "columns"),
    [
        pytest.param(np.array([1.5, 2.5, 3.5]), {"prediction": [1.5, 2.5, 3.5]}, id="array"),
        pytest.param([1, 2, 3], {"prediction": [1, 2, 3]}, id="list"),
        pytest.param(pd.Series([1, 2, 3], name="s"), {"s": [1, 2, 3]}, id="series"),
        pytest.param(
            np.array([[1, 2], [3, 4], [5, 6]]),
            {"prediction_0": [1, 3, 5], "prediction_1": [2, 4, 6]},
            id="matrix",
        ),
        pytest.param({"p": [1, 2, 3], "q": (4, 5, 6)},
                     {"p": [1, 2, 3], "q": [4, 5, 6]}, id="dict"),
        pytest.param([{"p": 1}, {"p": 2}, {"p": 3}], {"p": [1, 2, 3]}, id="records"),
        pytest.param(pd.DataFrame({0: [1, 2, 3]}, index=[7, 8, 9]), {"0": [1, 2, 3]}, id="frame"),
    ],
)  # fmt: skip
def test_an_answer_is_a_table(answer: object, columns: dict[str, list[object]]) -> None:
    found = predict_batch(Answers(answer), BATCH)
    assert found.to_pydict() == columns
    assert predict_batch(Answers(answer), BATCH, keep=["b"]).to_pydict() == {
        "b": ["x", "y", "z"],
        **columns,
    }


def test_a_column_with_nulls_keeps_its_type() -> None:
    found = predict_batch(Answers(), BATCH)
    assert found.schema.field("a").type == pa.int64()
    assert found.to_pydict() == BATCH.to_pydict()


@pytest.mark.parametrize("answer", [[1, 2], [], [1, 2, 3, 4], {"p": [1]}, 7, "text"], ids=repr)
def test_an_answer_of_another_length_is_refused_with_both(answer: object) -> None:
    with pytest.raises(InvalidArgumentError, match=r"rows in 3, rows out (\d|unknown), came "):
        predict_batch(Answers(answer), BATCH)


def test_a_failing_model_is_told() -> None:
    with pytest.raises(ModelFailedError, match="the model failed: KeyError: 'x'"):
        predict_batch(Answers(KeyError("x")), BATCH)


@pytest.mark.parametrize(
    ("answer", "keep", "told"),
    [
        pytest.param([1, 2, 3], ["a", "c"], "keep: no column", id="not-there"),
        pytest.param(None, ["a"], "columns of the predictions too", id="twice"),
    ],
)
def test_a_column_that_cannot_be_kept_is_named(answer: object, keep: list[str], told: str) -> None:
    with pytest.raises(InvalidArgumentError, match=told):
        predict_batch(Answers(answer), BATCH, keep=keep)


def test_named_tensors_are_arrays_by_their_names() -> None:
    specs = [TensorSpec(np.dtype("float64"), (-1, 2), name) for name in ("v", "w")]
    batch = pa.table({"w": [[1.0, 2.0]], "id": [1], "v": [[3.0, 4.0]]})
    model = Answers([1], Schema(specs))
    predict_batch(model, batch)
    assert isinstance(model.data, dict)
    assert {name: array.tolist() for name, array in model.data.items()} == {
        "v": [[3.0, 4.0]],
        "w": [[1.0, 2.0]],
    }


WITHOUT_RAY = """
import sys
sys.modules["ray"] = None
from pyfunc.distributed.ray import predict
try:
    predict(None, "nowhere")
except ImportError as error:
    print(error)
"""


def test_without_ray_the_command_is_told() -> None:
    command = [sys.executable, "-c", WITHOUT_RAY]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "pip install 'pyfunc-format[ray]'" in done.stdout


OWNER = """
from pyfunc.distributed.ray.folders import ActorFolder
folder = ActorFolder()
(folder.path / "model").mkdir()
print(folder.path, flush=True)
input()
"""


def test_the_folder_of_a_killed_actor_goes_and_that_of_a_living_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # others' folders are not looked at
    strange = tmp_path / "pyfunc-ray-link"
    strange.symlink_to(tmp_path)
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert owner.stdin is not None
    assert owner.stdout is not None
    path = Path(owner.stdout.readline().decode().strip())
    first = ActorFolder()
    assert (path / "model").is_dir()
    owner.kill()
    owner.wait()
    owner.stdin.close()
    owner.stdout.close()
    second = ActorFolder()
    assert {entry.name for entry in tmp_path.iterdir()} == {
        strange.name,
        first.path.name,
        second.path.name,
    }
    place = second.path
    del second
    assert not place.exists()
    assert first.path.exists()
