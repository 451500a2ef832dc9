"""Predicting for files from Python: formats by name, open files, nothing half done."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as arrow
import pytest
from pyarrow import parquet

import pyfunc
from pyfunc.distributed import predict_file
from pyfunc.errors import (
    InvalidArgumentError,
    ModelFailedError,
    ModelNotFoundError,
    SaveConflictError,
    SaveError,
)
from pyfunc.schema import ColSpec, ModelSignature, Schema

CSV = "a,b\n1,2\n3,4\n"


class Adder(pyfunc.PythonModel):
    """Adds the columns; fails for a negative one."""

    def predict(self, model_input: pd.DataFrame) -> list[float]:
        if (model_input < 0).any(axis=None):
            raise ValueError("negative")
        return list(model_input["a"] + model_input["b"])


@pytest.fixture(scope="module")
def adder(tmp_path_factory: pytest.TempPathFactory) -> pyfunc.PyFuncModel:
    """Return a loaded model that adds two columns."""
    path = tmp_path_factory.mktemp("models") / "adder"
    columns = Schema([ColSpec("double", "a"), ColSpec("double", "b")])
    pyfunc.save_model(
        path, python_model=Adder(), signature=ModelSignature(columns), pip_requirements=[]
    )
    return pyfunc.load_model(path, suppress_warnings=True)


def test_names_say_the_formats(adder: pyfunc.PyFuncModel, tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.parquet"
    source.write_text(CSV)
    assert predict_file(adder, source, str(target)) == 2
    assert pd.read_parquet(target)["prediction"].tolist() == [3.0, 7.0]


def test_open_files_are_read_and_written_and_left_open(adder: pyfunc.PyFuncModel) -> None:
    source, target = io.BytesIO(b'{"a": 1, "b": 2}\n{"a": 3, "b": 4}\n'), io.BytesIO()
    done: list[int] = []
    rows = predict_file(
        adder, source, target, input_format="jsonl", batch_size=1, progress=done.append
    )
    assert (rows, done) == (2, [1, 2])
    assert target.getvalue() == b"3.0\n7.0\n"
    assert not source.closed


def test_what_was_there_stays_if_the_model_fails(
    adder: pyfunc.PyFuncModel, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(f"{CSV}-1,2\n")
    target.write_text("before\n")
    with pytest.raises(ModelFailedError, match="negative") as caught:
        predict_file(adder, source, target, batch_size=1)
    assert isinstance(caught.value.__cause__, ValueError)
    assert target.read_text() == "before\n"
    assert sorted(tmp_path.iterdir()) == [source, target]


@pytest.mark.parametrize("last", [3, None], ids=["full", "with-null"])
@pytest.mark.parametrize("names", ["aa", "aba"])
@pytest.mark.parametrize(
    "how",
    [
        pytest.param({}, id="groups"),
        pytest.param({"resume": False}, id="whole"),
        pytest.param({"resume": False, "batch_size": 1}, id="batches"),
        pytest.param({"shard": "0/2"}, id="share"),
    ],
)
def test_a_parquet_file_with_a_column_twice_is_told(
    adder: pyfunc.PyFuncModel, tmp_path: Path, how: Any, names: str, last: int | None
) -> None:
    source = tmp_path / "in.parquet"
    columns = [arrow.array([1, 2, last], arrow.int64())] * len(names)
    parquet.write_table(arrow.table(columns, names=list(names)), source, row_group_size=2)
    with pytest.raises(InvalidArgumentError, match=r"several columns named \['a'\]") as caught:
        predict_file(adder, source, tmp_path / "out.parquet", **how)
    assert caught.value.error_code == "BAD_REQUEST"


def test_places_that_cannot_be_used(adder: pyfunc.PyFuncModel, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    with pytest.raises(ModelNotFoundError, match=r"no file .*in\.csv"):
        predict_file(adder, source, tmp_path / "out.csv")
    source.write_text(CSV)
    with pytest.raises(SaveConflictError, match="is a folder"):
        predict_file(adder, source, tmp_path)
    with pytest.raises(SaveError, match="no folder"):
        predict_file(adder, source, tmp_path / "gone" / "out.csv")


@pytest.mark.parametrize("in_frame", [False, True], ids=["list", "objects"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_text_that_is_no_utf_8_is_no_table(tmp_path: Path, suffix: str, in_frame: bool) -> None:
    class Halves(pyfunc.PythonModel):
        def predict(self, context: object, model_input: pd.DataFrame) -> object:
            texts = ["a\udc80"] * len(model_input)
            return pd.DataFrame({"t": texts}, dtype=object) if in_frame else texts

    pyfunc.save_model(tmp_path / "m", python_model=Halves(), pip_requirements=[])
    model = pyfunc.load_model(tmp_path / "m", suppress_warnings=True)
    (tmp_path / "in.csv").write_text(CSV)
    with pytest.raises(
        InvalidArgumentError, match="surrogates not allowed\nhint: write it as json"
    ):
        predict_file(model, tmp_path / "in.csv", tmp_path / f"out.{suffix}")
    assert predict_file(model, tmp_path / "in.csv", tmp_path / "out.json") == 2
