"""What the function for Spark is made of and needs no Spark: archives, loaded models, batches."""

from __future__ import annotations

import builtins
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import pyfunc
from pyfunc.directory.opened import ModelFiles
from pyfunc.distributed.archives import pack_model, unpack_model
from pyfunc.distributed.spark.batches import Job, score_batches
from pyfunc.distributed.spark.cache import ModelCache
from pyfunc.distributed.spark.environments import arrow_requirements
from pyfunc.distributed.spark.models import Answer, HeldModel, ShippedModel
from pyfunc.distributed.spark.pandas_columns import to_arrow
from pyfunc.distributed.spark.shipping import Shipment
from pyfunc.errors import (
    InvalidArgumentError,
    MissingDependencyError,
    ModelFailedError,
    ModelIntegrityError,
    ModelPathError,
)
from pyfunc.loading.isolated import load_isolated
from pyfunc.model.description import Model
from pyfunc.schema import ColSpec, Schema
from pyfunc.variables import SPARK_HIDES_TRACEBACK


class Adding(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        config = context.model_config or {}
        added = config.get("k", 0) + int(os.environ.get("ADDED", "0"))
        return model_input["0"] + added + (params or {}).get("p", 0)


class Failing(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        if (model_input["0"] < 0).any():
            raise ValueError("a negative value\nin the input")
        return model_input["0"].to_numpy()[:2]


@pytest.fixture
def adding(tmp_path: Path) -> Path:
    path = tmp_path / "adding"
    pyfunc.save_model(
        path, python_model=Adding(), model_config={"k": 0}, pip_requirements=["pandas"]
    )
    return path


@pytest.fixture(autouse=True)
def _archives_of_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # else a test would find the archives that another made of the same content
    folder = tmp_path / "archives"
    folder.mkdir()
    monkeypatch.setattr("pyfunc.distributed.archives.archives_folder", lambda: folder)


def pack(path: Path) -> tuple[str, Path]:
    return pack_model(ModelFiles.open(path))


def shipped(path: Path, **more: Any) -> ShippedModel:
    digest, archive = pack(path)
    return ShippedModel(digest, Shipment("place", str(archive)), **more)


def answer(params: Any = None) -> Answer:
    return Answer(params, pa.int64(), "UTC")


def test_an_archive_holds_the_model_and_is_named_by_its_content(adding: Path) -> None:
    digest, archive = pack(adding)
    assert digest == pyfunc.verify(adding).digest
    assert archive.name == f"{digest}.zip"
    before = archive.read_bytes()
    archive.unlink()
    os.utime(adding / "MLmodel")
    assert pack(adding)[1].read_bytes() == before
    directory = unpack_model(archive, digest)
    listed = sorted(p.relative_to(directory) for p in directory.rglob("*") if p.is_file())
    assert listed == sorted(p.relative_to(adding) for p in adding.rglob("*") if p.is_file())


def test_an_archive_stays_what_it_was_when_the_model_is_replaced(adding: Path) -> None:
    model = shipped(adding)
    pyfunc.save_model(adding, python_model=Failing(), pip_requirements=[], overwrite=True)
    assert shipped(adding).digest != model.digest
    loaded = model.load()
    assert loaded.score([pa.array([1])], answer()).to_pylist() == [1]
    loaded.close()


def test_a_model_without_a_manifest_has_a_digest(adding: Path) -> None:
    digest = pack(adding)[0]
    shutil.rmtree(adding / ".pyfunc")
    assert pack(adding)[0] == digest
    (adding / "more.txt").write_text("x")
    assert pack(adding)[0] != digest


@pytest.mark.parametrize("with_manifest", [True, False])
def test_a_model_that_was_changed_or_has_links_is_not_sent(
    adding: Path, with_manifest: bool
) -> None:
    if with_manifest:
        path = adding / "requirements.txt"
        path.write_text(path.read_text().replace("pandas", "PANDAS"))
        with pytest.raises(ModelIntegrityError, match=r"requirements\.txt"):
            pack(adding)
    else:
        shutil.rmtree(adding / ".pyfunc")
        (adding / "link").symlink_to("/etc/hostname")
        with pytest.raises(ModelPathError, match="link"):
            pack(adding)


def test_what_was_unpacked_is_verified(adding: Path) -> None:
    digest, archive = pack(adding)
    directory = unpack_model(archive, digest)
    (directory / "requirements.txt").write_text("numpy\n")
    with pytest.raises(ModelIntegrityError, match="expected the files of the model"):
        unpack_model(archive, digest)


def test_an_archive_of_another_content_is_refused(adding: Path) -> None:
    digest, archive = pack(adding)
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr("code/planted.py", "x = 1")
    with pytest.raises(ModelIntegrityError):
        unpack_model(archive, digest)


def test_processes_unpack_an_archive_once(adding: Path) -> None:
    digest, archive = pack(adding)
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(unpack_model(archive, digest)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [archive.with_name(f"pyfunc-{digest}")] * 4


class Counted(ShippedModel):
    loads: ClassVar[list[str]] = []
    closed: ClassVar[list[str]] = []

    def load(self) -> HeldModel:
        self.loads.append(self.key)
        return Held(self.key)


class Held:
    def __init__(self, key: str) -> None:
        self._key = key

    def score(self, columns: Any, answer: Answer) -> Any:
        return columns[0]

    def close(self) -> None:
        Counted.closed.append(self._key)


@pytest.fixture
def _nothing_counted() -> Iterator[None]:
    Counted.loads, Counted.closed = [], []
    yield
    Counted.loads, Counted.closed = [], []


def counted(**more: Any) -> Counted:
    return Counted("d", Shipment("place", "x"), **more)


@pytest.mark.usefixtures("_nothing_counted")
def test_a_model_is_loaded_once_for_each_config_and_environment() -> None:
    cache = ModelCache(10)
    variants = [
        counted(),
        counted(model_config={"k": 1}),
        counted(model_config={"k": 2}),
        counted(extra_env=(("A", "1"),)),
        Counted("other", Shipment("place", "x")),
    ]
    for model in [*variants, *variants]:
        with cache.using(model):
            pass
    assert Counted.loads == [model.key for model in variants]
    assert len(set(Counted.loads)) == len(variants)


@pytest.mark.usefixtures("_nothing_counted")
def test_the_model_that_was_used_least_lately_is_closed_when_nobody_uses_it() -> None:
    cache = ModelCache(2)
    first, second, third = (counted(model_config={"k": k}) for k in range(3))
    with cache.using(first), cache.using(second):
        with cache.using(third):
            assert Counted.closed == []  # the first had to go, but is in use
        assert len(cache) == 2
    assert Counted.closed == [first.key]
    with cache.using(second), cache.using(first):
        pass
    assert Counted.closed == [first.key, third.key]
    assert Counted.loads == [first.key, second.key, third.key, first.key]


def test_batches_are_scored_one_by_one_and_empty_ones_left_out(adding: Path) -> None:
    job = Job(
        shipped(adding, model_config={"k": 10}, extra_env=(("ADDED", "100"),)), answer({"p": 1})
    )
    batches = [[pa.array([1, 2])], [pa.array([], pa.int64())], [pa.array([3])]]
    scored = score_batches(job, batches)
    assert next(scored).to_pylist() == [111, 112]
    assert [array.to_pylist() for array in scored] == [[113]]
    assert "ADDED" not in os.environ


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    # the worker process of Spark ends after the error that sets it, this one does not
    monkeypatch.setenv(SPARK_HIDES_TRACEBACK.name, "")
    pyfunc.save_model(tmp_path / "failing", python_model=Failing(), pip_requirements=["pandas"])
    return Job(shipped(tmp_path / "failing"), answer())


def test_an_error_of_the_model_comes_first_then_where_it_was(failing: Job) -> None:
    with pytest.raises(ModelFailedError) as caught:
        list(score_batches(failing, [[pa.array([1, 2])], [pa.array([1, -2, 3])]]))
    lines = str(caught.value).splitlines()
    assert lines[:2] == ["ValueError: a negative value", "in the input"]
    assert lines[2] == "partition unknown, batch 1, rows in 3"
    assert lines[3].startswith("Traceback")
    assert SPARK_HIDES_TRACEBACK.read() == "1"


def test_an_answer_with_other_rows_is_one_error(failing: Job) -> None:
    with pytest.raises(ModelFailedError) as caught:
        list(score_batches(failing, [[pa.array([1, 2, 3])]]))
    text = str(caught.value)
    assert text.count("rows out 2") == 1
    assert "rows in 3, rows out 2, came numpy.ndarray of shape (2,)" in text
    assert "partition unknown, batch 0" in text


INPUT = Schema([ColSpec("long", "a", required=False), ColSpec("double", "b")])


def test_integers_with_nulls_that_came_as_floats_are_integers() -> None:
    columns = to_arrow((pd.Series([1.0, np.nan]), pd.Series([1.5, np.nan])), INPUT)
    assert [column.type for column in columns] == [pa.int64(), pa.float64()]
    assert columns[0].to_pylist() == [1, None]
    (struct,) = to_arrow(pd.DataFrame({"b": [0.5], "a": [np.nan]}), INPUT)
    assert struct.type == pa.struct([("b", pa.float64()), ("a", pa.int64())])


def test_integers_that_lost_digits_are_refused() -> None:
    column = pd.Series([float(1 << 60), np.nan], name="a")
    with pytest.raises(InvalidArgumentError, match="column 'a'"):
        to_arrow((column,), INPUT)


def test_dicts_from_pandas_are_maps_and_frames_are_structs() -> None:
    frame = pd.DataFrame({"x": [1, 2]})
    found = to_arrow((pd.Series([{"k": 1}, None]), frame), None)
    assert [column.to_pylist() for column in found] == [[[("k", 1)], None], [{"x": 1}, {"x": 2}]]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [(["pandas"], 1), (["pandas", "PyArrow==21.0.0"], 0), (["pyarrow_hotfix"], 1)],
    ids=["without", "with", "another"],
)
def test_arrow_is_added_to_requirements_that_lack_it(
    tmp_path: Path, lines: list[str], expected: int
) -> None:
    pyfunc.save_model(tmp_path / "m", python_model=Adding(), pip_requirements=lines)
    assert len(arrow_requirements(tmp_path / "m")) == expected


def test_without_pyspark_the_error_says_how_to_install_it(
    adding: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def refuse(name: str, *more: Any) -> Any:
        if name.partition(".")[0] == "pyspark":
            raise ImportError(name)
        return real(name, *more)

    # whether pyspark is installed where this runs or not
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingDependencyError) as caught:
        pyfunc.spark_udf(None, adding)
    assert caught.value.install == "pip install 'pyfunc-format[spark]'"


PARENT = """
import sys, pyarrow as pa
from pathlib import Path
from pyfunc.loading.isolated import load_isolated
from pyfunc.model.description import Model
path = Path(sys.argv[1])
model = load_isolated(path, Model.load(path), env_manager="local", dies_with_parent=True,
                      options={})
print(model._child.process.pid, flush=True)
model.predict(__import__("pandas").DataFrame({"0": [1]}))
"""


class Stuck(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        import ctypes

        print("stuck", file=sys.stderr, flush=True)
        ctypes.PyDLL(None).sleep(1000)  # holds the interpreter's lock: no thread can run


def is_gone(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # init may reap it at any moment
        return True
    return state == "Z"


def wait_until_gone(process: int) -> None:
    for _ in range(400):
        if is_gone(process):
            return
        time.sleep(0.05)
    pytest.fail(f"process {process} is still running")


def test_a_child_that_hangs_dies_with_its_killed_parent(tmp_path: Path) -> None:
    pyfunc.save_model(tmp_path / "stuck", python_model=Stuck(), pip_requirements=[])
    command = [sys.executable, "-c", PARENT, str(tmp_path / "stuck")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        child = int(parent.stdout.readline())
        assert any("stuck" in line for line in iter(parent.stderr.readline, ""))
        parent.send_signal(signal.SIGKILL)
        # The child holds the other ends of the pipes, and closes them a moment before it ends.
        parent.stderr.read()
        wait_until_gone(child)


def test_a_table_through_a_child_is_what_it_is_here(adding: Path) -> None:
    with load_isolated(adding, Model.load(adding), env_manager="local", options={}) as model:
        table = pa.table({"0": [1, None, (1 << 60) + 1]})
        result = pa.schema([("answer", pa.int64())]).empty_table()
        assert model.score(table, result).column(0).to_pylist() == [1, None, (1 << 60) + 1]
