"""Datasets of Ray through a model, on a cluster that is started for real."""

from __future__ import annotations

import datetime
import decimal
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cloudpickle
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import ray

import pyfunc
from pyfunc.distributed.ray import BatchPredictor, predict
from pyfunc.errors import InvalidArgumentError
from pyfunc.schema import ColSpec, ModelSignature, ParamSchema, ParamSpec, Schema, TensorSpec

if TYPE_CHECKING:
    from ray.data import Dataset

Save = Callable[..., str]
# Elsewhere than in this environment there is no such module.
cloudpickle.register_pickle_by_value(sys.modules[__name__])
IDS = ModelSignature(inputs=Schema([ColSpec("long", "id")]))


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Return a function that saves a function or a Python model."""

    def save_one(model: object, **more: object) -> str:
        place = tmp_path / f"model-{len(list(tmp_path.iterdir()))}"
        given = {"signature": IDS, "pip_requirements": ["pandas", "pyarrow"], **more}
        pyfunc.save_model(place, python_model=model, **given)  # type: ignore[arg-type]
        return str(place)

    return save_one


def in_order(dataset: Dataset, *columns: str) -> list[list[object]]:
    found = dataset.to_pandas().sort_values(columns[0])
    rows: list[list[object]] = found[list(columns)].to_numpy().tolist()
    return rows


def test_every_row_is_predicted_once_beside_the_columns_that_are_kept(save: Save) -> None:
    place = save(lambda model_input: model_input["id"].to_numpy() * 2)
    scored = predict(ray.data.range(5000), place, keep=["id"], batch_size=300)
    assert in_order(scored, "id", "prediction") == [[i, 2 * i] for i in range(5000)]
    assert scored.columns() == ["id", "prediction"]


def test_the_model_is_what_it_was_when_predict_was_called(save: Save) -> None:
    place = save(lambda model_input: pd.DataFrame({"y": model_input["id"] + 1}))
    scored = predict(ray.data.range(10), place)
    shutil.rmtree(place)
    assert in_order(scored, "y") == [[i + 1] for i in range(10)]


class CountsItself(pyfunc.PythonModel):
    def load_context(self, context: object) -> None:
        place = context.artifacts["log"]  # type: ignore[attr-defined]
        where = Path(place).read_text()
        with open(where, "a") as file:
            file.write(f"{os.getpid()}\n")

    def predict(self, context: object, model_input: pd.DataFrame) -> object:
        return pd.DataFrame({"pid": [os.getpid()] * len(model_input)})


def test_an_actor_loads_the_model_once_for_all_its_batches(save: Save, tmp_path: Path) -> None:
    log, pointer = tmp_path / "loads", tmp_path / "pointer"
    pointer.write_text(str(log))
    place = save(CountsItself(), artifacts={"log": str(pointer)})
    scored = predict(ray.data.range(100), place, batch_size=5).to_pandas()
    loads = log.read_text().split()
    assert len(scored) == 100
    assert loads == [str(pid) for pid in dict.fromkeys(scored["pid"])]


class DiesOnce(pyfunc.PythonModel):
    def __init__(self, marker: str) -> None:
        self.marker = marker

    def predict(self, context: object, model_input: pd.DataFrame) -> object:
        if 777 in set(model_input["id"]):
            try:
                os.close(os.open(self.marker, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return pd.DataFrame({"y": model_input["id"]})


def test_an_actor_that_dies_is_replaced_and_every_row_is_there_once(
    save: Save, tmp_path: Path
) -> None:
    marker = tmp_path / "died"
    place = save(DiesOnce(str(marker)))
    scored = predict(ray.data.range(2000), place, batch_size=100)
    assert in_order(scored, "y") == [[i] for i in range(2000)]
    assert marker.exists()


class DiesWhereItIs(DiesOnce):
    def load_context(self, context: object) -> None:
        note = Path(context.artifacts["note"])  # type: ignore[attr-defined]
        with open(f"{self.marker}.places", "a") as file:
            file.write(f"{note.parents[2]}\n")


def test_what_a_killed_actor_leaves_the_next_one_removes(save: Save, tmp_path: Path) -> None:
    marker, note = tmp_path / "died", tmp_path / "note"
    note.write_text("")
    place = save(DiesWhereItIs(str(marker)), artifacts={"note": str(note)})
    assert predict(ray.data.range(2000), place, batch_size=100).count() == 2000
    killed, *_ = map(Path, Path(f"{marker}.places").read_text().split())
    assert marker.exists()
    assert killed.name.startswith("pyfunc-ray-")
    assert not killed.exists()


@pytest.mark.parametrize("size", [2, 3, (1, 2)], ids=str)
def test_a_pool_that_would_take_every_cpu_is_refused_with_both_numbers(
    save: Save, size: int | tuple[int, int]
) -> None:
    place = save(lambda model_input: model_input["id"])
    most = size if isinstance(size, int) else size[1]
    with pytest.raises(InvalidArgumentError) as caught:
        predict(ray.data.range(10), place, concurrency=size)
    assert f"{most} actor(s) of 1 CPU(s)" in str(caught.value)
    assert "2 CPU(s)" in str(caught.value)
    assert "at most 1 fit" in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"concurrency": 3, "num_cpus": 0.5}, id="too-many-halves"),
        pytest.param({"num_cpus": 2}, id="one-that-takes-all"),
        pytest.param({"num_gpus": 1}, id="no-gpu"),
        pytest.param({"concurrency": 0}, id="none"),
        pytest.param({"concurrency": (2, 1)}, id="the-wrong-way-round"),
        pytest.param({"num_cpus": -1}, id="negative"),
        pytest.param({"env_manager": "poetry"}, id="manager"),
        pytest.param({"keep": "id"}, id="keep-is-text"),
        pytest.param({"keep": [1]}, id="keep-a-number"),
        pytest.param({"batch_size": 0}, id="no-rows-at-once"),
        pytest.param({"batch_size": "9"}, id="rows-as-text"),
    ],
)
def test_what_cannot_work_is_refused_at_once(save: Save, given: dict[str, object]) -> None:
    place = save(lambda model_input: model_input["id"])
    with pytest.raises(InvalidArgumentError):
        predict(ray.data.range(10), place, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [{"concurrency": 1}, {"concurrency": (1, 1)}, {"concurrency": 2, "num_cpus": 0.5},
     {"concurrency": 3, "num_cpus": 0}],
    ids=["one", "pair", "halves", "of-nothing"],
)  # fmt: skip
def test_a_pool_that_leaves_a_cpu_comes_to_its_end(save: Save, given: dict[str, object]) -> None:
    place = save(lambda model_input: pd.DataFrame({"y": model_input["id"]}))
    scored = predict(ray.data.range(50), place, **given)  # type: ignore[arg-type]
    assert scored.count() == 50


def shows_types(model_input: pd.DataFrame) -> dict[str, object]:
    def show(value: object) -> str:
        return "null" if value is None or value is pd.NA or value is pd.NaT else str(value)

    shown = [" ".join(map(show, row)) for row in model_input.itertuples(index=False)]
    types = [" ".join(map(str, model_input.dtypes))] * len(shown)
    return {"shown": shown, "types": types}


MIXED = pa.table(
    {
        "n": pa.array([1, None, 3], pa.int64()),
        "at": pa.array([datetime.datetime(2026, 1, 2, 3, 4, 5, 678901)] * 3, pa.timestamp("us")),
        "raw": pa.array([b"\x00\xff", b"", b"a"], pa.binary()),
        "text": ["a", None, "c"],
        "list": pa.array([[1.5], [], [2.5, 3.5]], pa.list_(pa.float64())),
        "cost": pa.array([decimal.Decimal("1.10")] * 3, pa.decimal128(9, 2)),
    }
)


def test_types_and_nulls_reach_the_model_as_they_are(save: Save) -> None:
    place = save(shows_types, signature=None)
    scored = predict(ray.data.from_arrow(MIXED), place, keep=["n"]).to_pandas()
    first = scored["shown"].tolist()
    assert first[0].startswith("1 2026-01-02 03:04:05.678901 b'\\x00\\xff' a [1.5]")
    assert first[1].startswith("null 2026")
    assert first[0].endswith("1.10")
    assert scored["types"][0].startswith("Int64 datetime64[ns]")


def test_columns_of_tensors_are_arrays(save: Save) -> None:
    inputs = Schema([TensorSpec(np.dtype("float64"), (-1, 2, 3))])
    place = save(
        lambda model_input: model_input.sum(axis=(1, 2)), signature=ModelSignature(inputs=inputs)
    )
    data = np.arange(24.0).reshape(4, 2, 3)
    scored = predict(ray.data.from_numpy(data), place)
    assert in_order(scored, "prediction") == [[v] for v in data.sum(axis=(1, 2))]


class AddsParameters(pyfunc.PythonModel):
    def load_context(self, context: object) -> None:
        self.config = context.model_config  # type: ignore[attr-defined]

    def predict(
        self, context: object, model_input: pd.DataFrame, params: dict[str, int] | None = None
    ) -> object:
        added = (params or {})["by"] + self.config["more"]
        return pd.DataFrame({"y": model_input["id"] + added})


def test_parameters_and_the_configuration_reach_the_model(save: Save) -> None:
    known = ParamSchema([ParamSpec("by", "long", 1)])
    place = save(
        AddsParameters(),
        signature=ModelSignature(inputs=IDS.inputs, params=known),
        model_config={"more": 10},
    )
    scored = predict(ray.data.range(3), place, params={"by": 5}, model_config={"more": 100})
    assert in_order(scored, "y") == [[105], [106], [107]]


def fail_without_utf_8(model_input: object) -> object:
    raise ValueError("no \u00e4\udc80")


@pytest.mark.parametrize(
    ("model", "told"),
    [
        pytest.param(lambda model_input: [1, 2], "rows in 7, rows out 2", id="count"),
        pytest.param(lambda model_input: 1 / 0, "ZeroDivisionError: division", id="failure"),
        pytest.param(fail_without_utf_8, r"ValueError: no \u00e4\\udc80", id="no-utf-8"),
    ],
)
def test_what_is_wrong_with_an_answer_reaches_the_driver(
    save: Save, model: Callable[..., object], told: str
) -> None:
    dataset = ray.data.range(7, override_num_blocks=1)
    with pytest.raises(Exception, match=told):
        predict(dataset, save(model)).materialize()


def test_the_actor_works_in_map_batches(save: Save) -> None:
    place = save(lambda model_input: pd.DataFrame({"y": model_input["id"]}))
    scored = ray.data.range(20).map_batches(
        BatchPredictor,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=1),
        fn_constructor_args=(place,),
        fn_constructor_kwargs={"keep": ["id"]},
    )
    assert in_order(scored, "id", "y") == [[i, i] for i in range(20)]


def where(model_input: pd.DataFrame) -> object:
    return pd.DataFrame({**shows_types(model_input), "prefix": sys.prefix})


@pytest.mark.network
def test_an_environment_of_its_own_sees_the_same_data(save: Save) -> None:
    place = save(where, signature=None, pip_requirements=["pandas", "numpy"])
    dataset = ray.data.from_arrow(MIXED)
    local = predict(dataset, place).to_pandas()
    apart = predict(dataset, place, env_manager="uv").to_pandas()
    assert set(local["prefix"]) == {sys.prefix}
    assert sys.prefix not in set(apart["prefix"])
    assert apart[["shown", "types"]].equals(local[["shown", "types"]])
