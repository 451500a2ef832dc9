"""Long predictions that are killed and go on: the same bytes, nothing predicted twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as arrow
import pytest
from pyarrow import dataset, parquet

import pyfunc
from pyfunc.distributed import predict_file
from pyfunc.distributed.batch.journal import opened_journal
from pyfunc.distributed.batch.shards import Shard, parse_shard
from pyfunc.errors import (
    InvalidArgumentError,
    ModelFailedError,
    ModelNotFoundError,
    SaveConflictError,
    SchemaError,
)
from pyfunc.schema import ColSpec, ModelSignature, ParamSchema, ParamSpec, Schema

GROUPS, ROWS = 6, 20
PREDICT = (sys.executable, "-m", "pyfunc", "predict")


class Counting(pyfunc.PythonModel):
    """Doubles ``x``; writes down the first row of each call, and waits where it is told to."""

    def predict(
        self, context: object, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> list[float]:
        first = model_input["x"].iloc[0]
        if log := os.environ.get("CALLS"):
            with open(log, "a") as file:
                file.write(f"{first}\n")
        if os.environ.get("STOP_AT") == str(first):
            time.sleep(600)
        if os.environ.get("FAIL_AT") == str(first):
            raise ValueError("cannot go on")
        factor = (params or {}).get("factor", 2.0)
        return list(model_input["x"] * factor)


def save_counting(path: Path, **more: Any) -> Path:
    params = ParamSchema([ParamSpec("factor", "double", 2.0)])
    signature = ModelSignature(Schema([ColSpec("double", "x")]), params=params)
    keywords = {"signature": signature, **more}
    pyfunc.save_model(path, python_model=Counting(), pip_requirements=[], **keywords)
    return path


def write_groups(path: Path, groups: int = GROUPS, rows: int = ROWS) -> Path:
    table = arrow.table({"x": np.arange(groups * rows, dtype="float64")})
    parquet.write_table(table, path, row_group_size=rows)
    return path


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a saved model that writes down what it is asked."""
    return save_counting(tmp_path_factory.mktemp("models") / "counting")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a parquet file of several row groups."""
    return write_groups(tmp_path / "in.parquet")


def load(path: Path) -> pyfunc.PyFuncModel:
    return pyfunc.load_model(path, suppress_warnings=True)


def parts_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.pyfunc-parts")


def calls(log: Path) -> list[float]:
    return [float(line) for line in log.read_text().split()] if log.exists() else []


def test_killed_at_each_row_group_it_ends_with_the_same_bytes(
    counting: Path, source: Path, tmp_path: Path
) -> None:
    whole, target, log = (tmp_path / n for n in ("whole.parquet", "out.parquet", "calls.txt"))
    assert predict_file(load(counting), source, whole) == GROUPS * ROWS
    command = [*PREDICT, str(counting), "-i", str(source), "-o", str(target)]
    for group in range(1, GROUPS):
        stop_at = str(float(group * ROWS))
        # The model reads these: they are the test's way to stop it at one place.
        variables = {**os.environ, "CALLS": str(log), "STOP_AT": stop_at}
        with subprocess.Popen(command, env=variables) as process:
            while float(stop_at) not in calls(log):
                assert process.poll() is None
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
        assert not target.exists()
        assert len(list(parts_of(target).glob("*.parquet"))) == group
    subprocess.run(command, env={**os.environ, "CALLS": str(log)}, check=True)
    assert target.read_bytes() == whole.read_bytes()
    assert not parts_of(target).exists()
    # Each group once, and once more those that were being predicted when it was killed.
    asked = calls(log)
    assert [asked.count(float(g * ROWS)) for g in range(GROUPS)] == [1, *[2] * (GROUPS - 1)]


def test_what_a_model_that_fails_has_finished_is_kept(
    counting: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, log = tmp_path / "out.parquet", tmp_path / "calls.txt"
    target.write_bytes(b"before")
    monkeypatch.setenv("CALLS", str(log))
    monkeypatch.setenv("FAIL_AT", "40.0")  # read by the model alone
    with pytest.raises(ModelFailedError, match="cannot go on"):
        predict_file(load(counting), source, target)
    assert target.read_bytes() == b"before"
    monkeypatch.delenv("FAIL_AT")
    done: list[int] = []
    predict_file(load(counting), source, target, progress=done.append)
    assert calls(log) == [0.0, 20.0, 40.0, 40.0, 60.0, 80.0, 100.0]
    assert done[:2] == [20, 40]
    assert done[-1] == GROUPS * ROWS
    assert pd.read_parquet(target)["prediction"].tolist() == [2.0 * x for x in range(120)]


def test_nothing_is_left_where_nothing_is_finished(
    counting: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL_AT", "0.0")  # read by the model alone
    with pytest.raises(ModelFailedError):
        predict_file(load(counting), source, tmp_path / "out.parquet")
    assert list(tmp_path.iterdir()) == [source]


@pytest.fixture
def interrupted(
    counting: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Return an output of which two row groups are finished."""
    target = tmp_path / "out.parquet"
    with monkeypatch.context() as patch:
        patch.setenv("FAIL_AT", "40.0")  # read by the model alone
        with pytest.raises(ModelFailedError):
            predict_file(load(counting), source, target)
    return target


@pytest.mark.parametrize(
    ("changed", "options"),
    [
        ("parameters", {"params": {"factor": 3.0}}),
        ("batch_size", {"batch_size": 7}),
        ("shard", {"shard": "0/2"}),
    ],
)
def test_what_is_finished_counts_for_the_same_alone(
    counting: Path, source: Path, interrupted: Path, changed: str, options: dict[str, Any]
) -> None:
    with pytest.raises(SaveConflictError, match=f"changed since: {changed}"):
        predict_file(load(counting), source, interrupted, **options)
    assert len(list(parts_of(interrupted).glob("*.parquet"))) == 2
    predict_file(load(counting), source, interrupted, restart=True, **options)
    assert interrupted.exists()
    assert not parts_of(interrupted).exists()


def test_another_model_or_input_is_refused(
    source: Path, interrupted: Path, tmp_path: Path
) -> None:
    other = save_counting(tmp_path / "other")
    with pytest.raises(SaveConflictError, match="changed since: model"):
        predict_file(load(other), source, interrupted)
    write_groups(source, GROUPS, ROWS + 1)
    with pytest.raises(SaveConflictError, match="changed since: model, input"):
        predict_file(load(other), source, interrupted)


def test_another_configuration_is_refused(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, target = save_counting(tmp_path / "m", model_config={"a": 1}), tmp_path / "out.parquet"
    with monkeypatch.context() as patch:
        patch.setenv("FAIL_AT", "20.0")  # read by the model alone
        with pytest.raises(ModelFailedError):
            predict_file(load(path), source, target)
    other = pyfunc.load_model(path, model_config={"a": 2}, suppress_warnings=True)
    with pytest.raises(SaveConflictError, match="changed since: model_config"):
        predict_file(other, source, target)


def test_two_at_once_are_refused(counting: Path, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    with (
        opened_journal(str(target), {}),
        pytest.raises(SaveConflictError, match="another process"),
    ):
        predict_file(load(counting), source, target)


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_a_journal_that_cannot_be_read_is_said(
    counting: Path, source: Path, interrupted: Path, content: str
) -> None:
    (parts_of(interrupted) / "journal.json").write_text(content)
    with pytest.raises(SaveConflictError, match=r"journal\.json"):
        predict_file(load(counting), source, interrupted)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 8])
def test_shares_one_after_the_other_are_the_whole(
    counting: Path, source: Path, tmp_path: Path, count: int
) -> None:
    whole = tmp_path / "whole.parquet"
    predict_file(load(counting), source, whole)
    for index in range(count):
        predict_file(
            load(counting), source, tmp_path / "part-{shard}.parquet", shard=f"{index}/{count}"
        )
    parts = sorted(tmp_path.glob("part-*.parquet"))
    assert len(parts) == count
    # The first file says what columns there are.
    joined = dataset.dataset([str(part) for part in parts]).to_table().to_pandas()
    pd.testing.assert_frame_equal(joined, pd.read_parquet(whole))


def test_a_share_does_not_replace_another(counting: Path, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    predict_file(load(counting), source, target, shard="0/3")
    first = target.read_bytes()
    with pytest.raises(
        SaveConflictError, match=r"holds share 0/3, which share 1/3 .*\n.*\{shard\}"
    ):
        predict_file(load(counting), source, target, shard="1/3")
    assert target.read_bytes() == first
    assert not parts_of(target).exists()
    # Itself it replaces, and what is there of something else.
    predict_file(load(counting), source, target, shard="0/3")
    assert target.read_bytes() == first
    target.write_text("no parquet")
    predict_file(load(counting), source, target, shard="1/3")
    assert pd.read_parquet(target)["prediction"].iloc[0] == 80.0


def test_the_share_of_a_pod_comes_from_its_environment(
    counting: Path, source: Path, tmp_path: Path
) -> None:
    command = [*PREDICT, str(counting), "-i", str(source), "--shard", "env"]
    command += ["-o", str(tmp_path / "part-{shard}.parquet"), "--json"]
    pod = {**os.environ, "JOB_COMPLETION_INDEX": "2", "PYFUNC_SHARDS": "3"}
    done = subprocess.run(command, env=pod, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout)["rows"] == 2 * ROWS
    assert pd.read_parquet(tmp_path / "part-2.parquet")["prediction"].iloc[0] == 160.0
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "JOB_COMPLETION_INDEX and PYFUNC_SHARDS" in json.loads(done.stdout)["error"]


@pytest.mark.parametrize("text", ["", "1", "3/3", "-1/3", "0/0", "1/", "a/b", "1/2/3", " 0/3"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="expected I/N"):
        parse_shard(text)


def test_names_of_shares_sort_as_they_do() -> None:
    names = [Shard(index, 12).named("p-{shard}") for index in range(12)]
    assert names == sorted(names)
    assert names[2] == "p-02"


@pytest.mark.parametrize("how", [{"resume": True}, {"shard": "0/2"}])
@pytest.mark.parametrize(
    ("names", "more"),
    [
        (("in.csv", "out.parquet"), {}),
        (("in.jsonl", "out.jsonl"), {}),
        (("in.parquet", "out.csv"), {}),
        (("in.parquet", "out.parquet"), {"batch_size": 0}),
    ],
)
def test_what_cannot_be_resumed_says_why(
    counting: Path,
    tmp_path: Path,
    names: tuple[str, str],
    more: dict[str, Any],
    how: dict[str, Any],
) -> None:
    reads, writes = names
    write_groups(tmp_path / "in.parquet")
    (tmp_path / "in.csv").write_text("x\n1\n")
    (tmp_path / "in.jsonl").write_text('{"x": 1}\n')
    with pytest.raises(InvalidArgumentError, match=r"is impossible here: .*(parquet|at once)"):
        predict_file(load(counting), tmp_path / reads, tmp_path / writes, **more, **how)


def test_an_input_that_is_missing_is_said_first(counting: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="no file"):
        predict_file(
            load(counting), tmp_path / "no.parquet", tmp_path / "out.parquet", resume=True
        )


def test_errors_name_rows_of_the_whole(source: Path, tmp_path: Path) -> None:
    class Long(pyfunc.PythonModel):
        def predict(self, model_input: pd.DataFrame) -> list[int]:
            return list(model_input["x"])

    signature = ModelSignature(Schema([ColSpec("double", "x")]))
    pyfunc.save_model(tmp_path / "m", python_model=Long(), signature=signature)
    values = ["1.0"] * 30 + ["no"] * 10
    parquet.write_table(arrow.table({"x": values}), source, row_group_size=20)
    with pytest.raises(SchemaError) as caught:
        predict_file(load(tmp_path / "m"), source, tmp_path / "out.parquet")
    assert caught.value.problems


class Told(pyfunc.PythonModel):
    """Answers with what it was given, and of what types."""

    def predict(self, context: object, model_input: pd.DataFrame) -> Any:
        kinds = {str(name): repr(dtype) for name, dtype in model_input.dtypes.items()}
        rows = model_input.itertuples(index=False)
        told = [{**kinds, "cells": repr(list(row))} for row in rows]
        return pd.DataFrame(told, columns=[*kinds, "cells"])


def write_told(path: Path, column: Any, *, statistics: bool = True) -> Path:
    """Write a file of two row groups, with other columns beside ``column``."""
    table = arrow.table({"x": column, "j": arrow.array([1, 2, 3, 4], arrow.int8())})
    with parquet.ParquetWriter(path, table.schema, write_statistics=statistics) as writer:
        for start in (0, 2):
            writer.write_table(table[start : start + 2])
    return path


def categories(
    *chunks: list[str | None], index: arrow.DataType | None = None, ordered: bool = False
) -> arrow.ChunkedArray:
    kind = arrow.dictionary(index or arrow.int32(), arrow.string(), ordered)
    texts = [arrow.array(chunk, arrow.string()).dictionary_encode() for chunk in chunks]
    return arrow.chunked_array(
        [
            arrow.DictionaryArray.from_arrays(
                text.indices.cast(kind.index_type), text.dictionary, ordered=ordered
            )
            for text in texts
        ]
    )


@pytest.mark.parametrize("statistics", [True, False], ids=["said", "unsaid"])
@pytest.mark.parametrize(
    "column",
    [
        pytest.param([1, 2, None, 4], id="integers"),
        pytest.param([1, 2, 3, 4], id="no-null"),
        pytest.param([(1 << 53) + 1, 2, None, 4], id="large-and-null"),
        pytest.param([-(1 << 62) - 1, 2, 3, None], id="large-apart-from-null"),
        pytest.param([[(1 << 53) + 1], [2], [None], [4]], id="large-in-lists"),
        pytest.param(arrow.array([None, 2, 3, 4], arrow.uint64()), id="unsigned"),
        pytest.param([True, False, True, None], id="booleans"),
        pytest.param(["a", "b", None, "d"], id="texts"),
        pytest.param([1.0, None, 2.0, 3.0], id="floats"),
        pytest.param([[1, None], [2], None, [3]], id="lists"),
        pytest.param([[1], [2], None, [3]], id="lists-that-are-null"),
        pytest.param([[1], [2], [None], [3]], id="one-of-a-list"),
        pytest.param([[True], [None], [], [False]], id="lists-of-booleans"),
        pytest.param([[[1], [2]], [], [[None]], [[4]]], id="lists-of-lists"),
        pytest.param(
            arrow.array([[1, 2], [3, None], [4, 5], [6, 7]], arrow.list_(arrow.int32(), 2)),
            id="lists-of-two",
        ),
        pytest.param([{"a": 1}, {"a": None}, None, {"a": 4}], id="structs"),
        pytest.param(categories(["b", "a"], ["c", None]), id="categories"),
        pytest.param(categories(["b", "a"], ["a", "b"]), id="categories-in-another-order"),
        pytest.param(categories([None, None], [None, "z"]), id="categories-of-nulls"),
        # As polars has categories, and its Enum.
        pytest.param(categories(["b", "a"], ["c", None], index=arrow.uint32()), id="polars"),
        pytest.param(
            categories(["b", "a"], ["a", None], index=arrow.uint8(), ordered=True), id="enum"
        ),
    ],
)
def test_each_group_has_the_types_of_the_whole(
    tmp_path: Path, column: Any, statistics: bool
) -> None:
    pyfunc.save_model(tmp_path / "told", python_model=Told(), pip_requirements=[])
    source = write_told(tmp_path / "in.parquet", column, statistics=statistics)
    predict_file(load(tmp_path / "told"), source, tmp_path / "groups.parquet")
    predict_file(load(tmp_path / "told"), source, tmp_path / "whole.parquet", resume=False)
    groups, whole = (pd.read_parquet(tmp_path / f"{n}.parquet") for n in ("groups", "whole"))
    pd.testing.assert_frame_equal(groups, whole)


@pytest.mark.parametrize(
    ("kind", "column", "cells"),
    [
        ("double", [1, 2, None, 4], ["1.0", "2.0", "nan", "4.0"]),
        ("long", [(1 << 53) + 1, 2, None, 4], ["9007199254740993", "2", "<NA>", "4"]),
        ("integer", [1, 2, None, 4], ["1", "2", "<NA>", "4"]),
    ],
)
@pytest.mark.parametrize(
    "how", [{"resume": True}, {"resume": False}, {"resume": False, "batch_size": 2}]
)
def test_what_fits_the_signature_as_a_whole_fits_in_parts(
    tmp_path: Path, kind: str, column: Any, cells: list[str], how: dict[str, Any]
) -> None:
    class Texts(pyfunc.PythonModel):
        def predict(self, model_input: pd.DataFrame) -> list[str]:
            return [str(value) for value in model_input["x"]]

    signature = ModelSignature(Schema([ColSpec(kind, "x", required=False)]))
    pyfunc.save_model(tmp_path / "m", python_model=Texts(), signature=signature)
    source, target = write_told(tmp_path / "in.parquet", column), tmp_path / "out.parquet"
    assert predict_file(load(tmp_path / "m"), source, target, **how) == 4
    assert pd.read_parquet(target)["prediction"].tolist() == cells


class Widening(pyfunc.PythonModel):
    """Answers with whole numbers, then with others, or with what is no number."""

    def predict(self, context: object, model_input: pd.DataFrame) -> Any:
        kind = model_input["kind"].iloc[0]
        values: dict[str, list[Any]] = {
            "int": [1, 2],
            "float": [0.5, 1.5],
            "null": [None, None],
            "text": ["a", "b"],
        }
        return pd.DataFrame({"p": values[kind][: len(model_input)]})


@pytest.mark.parametrize(
    ("kinds", "dtype"),
    [(("int", "float"), "float64"), (("null", "int"), "float64"), (("int", "int"), "int64")],
)
def test_a_column_has_the_type_that_holds_all(
    tmp_path: Path, kinds: tuple[str, str], dtype: str
) -> None:
    path, source, target = tmp_path / "m", tmp_path / "in.parquet", tmp_path / "out.parquet"
    pyfunc.save_model(path, python_model=Widening(), pip_requirements=[])
    table = arrow.table({"kind": [kind for kind in kinds for _ in range(2)]})
    parquet.write_table(table, source, row_group_size=2)
    predict_file(load(path), source, target)
    assert str(pd.read_parquet(target)["p"].dtype) == dtype


def test_columns_of_no_one_type_are_said(tmp_path: Path) -> None:
    path, source, target = tmp_path / "m", tmp_path / "in.parquet", tmp_path / "out.parquet"
    pyfunc.save_model(path, python_model=Widening(), pip_requirements=[])
    table = arrow.table({"kind": ["int", "int", "text", "text"]})
    parquet.write_table(table, source, row_group_size=2)
    with pytest.raises(InvalidArgumentError, match="of another type"):
        predict_file(load(path), source, target)
    assert not target.exists()


@pytest.mark.parametrize("groups", [0, 1], ids=["no-group", "an-empty-group"])
def test_a_file_without_rows_is_a_table_of_none(tmp_path: Path, groups: int) -> None:
    pyfunc.save_model(tmp_path / "told", python_model=Told(), pip_requirements=[])
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    table = arrow.table({"x": arrow.array([], arrow.float64())})
    with parquet.ParquetWriter(source, table.schema) as writer:
        for _ in range(groups):
            writer.write_table(table)
    for resume in (True, None):
        assert predict_file(load(tmp_path / "told"), source, target, resume=resume) == 0
        assert list(pd.read_parquet(target)) == ["x", "cells"]


def test_row_groups_without_rows_are_passed_over(counting: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    schema = arrow.schema([("x", arrow.float64())])
    with parquet.ParquetWriter(source, schema) as writer:
        for values in ([1.0], [], [2.0, 3.0]):
            writer.write_table(arrow.table({"x": arrow.array(values, arrow.float64())}, schema))
    assert predict_file(load(counting), source, target) == 3
    assert pd.read_parquet(target)["prediction"].tolist() == [2.0, 4.0, 6.0]
