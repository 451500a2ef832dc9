"""Where the command reads and writes: standard streams by name or closed, suffixes, separators."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pyfunc

Saved = Callable[..., Path]
Command = Callable[..., Any]
CSV = "a,b\n1,2\n"
ANSWER = {"predictions": [3.0]}


def shell(text: str, *arguments: object, stdin: str = CSV) -> Any:
    """Run ``pyfunc`` in a shell, which places streams as ``text`` says."""
    return subprocess.run(
        ["sh", "-c", f'"$0" -m pyfunc "$@" {text}', sys.executable, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "-"])
@pytest.mark.parametrize("place", ["", "> out", "| cat"])
def test_standard_output_by_its_name(saved: Saved, tmp_path: Path, name: str, place: str) -> None:
    target = place.replace("out", f"'{tmp_path}/out'")
    done = shell(target, "predict", saved(), "-t", "csv", "-o", name)
    text = (tmp_path / "out").read_text() if "out" in place else done.stdout
    assert json.loads(text) == ANSWER
    assert done.returncode == 0


@pytest.mark.parametrize("name", ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"])
def test_standard_input_by_its_name(saved: Saved, name: str) -> None:
    done = shell("", "predict", saved(), "-t", "csv", "-i", name)
    assert json.loads(done.stdout) == ANSWER


def test_closed_streams(saved: Saved, tmp_path: Path) -> None:
    model = saved()
    (tmp_path / "rows.csv").write_text(CSV)
    arguments = ("predict", model, "-i", tmp_path / "rows.csv")
    assert json.loads(shell("<&-", *arguments).stdout) == ANSWER
    assert json.loads(shell("2>&-", *arguments).stdout) == ANSWER
    lost = shell(">&-", *arguments)
    assert (lost.returncode, lost.stderr.startswith("error: ")) == (8, True)
    assert "Traceback" not in lost.stderr
    written = shell("<&- >&- 2>&-", *arguments, "-o", tmp_path / "out.json")
    assert written.returncode == 0
    assert json.loads((tmp_path / "out.json").read_text()) == ANSWER
    assert shell("<&-", "predict", model).returncode == 5
    assert shell(">&-", "inspect", model).returncode == 8


@pytest.mark.parametrize(
    "suffix",
    ["xlsx", "csv.gz", "tsv.gz", "tsv", "PARQUET.ZIP", "feather", "foo", "docx", "csv2", "7z"],
)
def test_names_of_other_formats_are_refused(
    command: Command, saved: Saved, tmp_path: Path, suffix: str
) -> None:
    model, file = saved(), tmp_path / f"rows.{suffix}"
    file.write_text(CSV)
    for options in (("-i", file), ("-t", "csv", "-o", tmp_path / f"out.{suffix}")):
        done = command("predict", model, *options, stdin=CSV)
        assert done.code == 2
        assert f".{suffix.lower().rpartition('.')[2]} is none of the formats" in done.err
    assert not (tmp_path / f"out.{suffix}").exists()
    done = command("predict", model, "-i", file, "-t", "CSV", "--output-type", "Json")
    assert json.loads(done.out) == ANSWER


@pytest.mark.parametrize(
    ("options", "text", "told"),
    [
        (["-t", "csv"], "a;b\n1;2\n", "semicolons"),
        (["-t", "csv"], "a\tb\n1\t2\n", "tabs"),
        ([], "", "the input is empty"),
        ([], " \n", "the input is empty"),
    ],
)
def test_input_that_is_something_else_is_named(
    command: Command, saved: Saved, options: list[str], text: str, told: str
) -> None:
    done = command("predict", saved(), *options, stdin=text)
    assert (done.code, told in done.err) == (5, True)


def test_marks_of_a_byte_order_are_no_part_of_json(command: Command, saved: Saved) -> None:
    model, row = saved(), '{"a": 1, "b": 2}'
    lines = command("predict", model, "-t", "jsonl", stdin=f"\ufeff{row}\n{row}\n".encode())
    assert [json.loads(line) for line in lines.out.splitlines()] == [3.0, 3.0]
    whole = f'\ufeff{{"dataframe_records": [{row}]}}'.encode()
    assert json.loads(command("predict", model, stdin=whole).out) == ANSWER


def test_a_file_may_hold_nan(command: Command, saved: Saved) -> None:
    body = '{"dataframe_records": [{"a": NaN, "b": 2}]}'
    assert json.loads(command("predict", saved(), stdin=body).out) == {"predictions": [None]}


def test_a_model_that_fails_shows_where(command: Command, saved: Saved) -> None:
    model = saved(body="1 // 0")
    done = command("predict", model, "-t", "csv", stdin=CSV)
    assert done.code == 6
    assert "ZeroDivisionError" in done.err
    assert "line 6, in predict" in done.err
    assert "PYFUNC_TRACEBACK=1" in done.err


def test_a_change_can_be_declared_right(command: Command, saved: Saved) -> None:
    model = saved()
    (model / "requirements.txt").write_text("numpy\nscipy\n")
    found = command("verify", model)
    assert found.code == 1
    assert "pyfunc refresh" in found.out
    digest = command("refresh", model).out.strip()
    assert command("refresh", model, "--json").out.count(digest) == 1
    assert digest in command("verify", model).out


SECRET = "hunter2"
PLACES = [
    f"memory://user:{SECRET}@host/weights.bin",
    f"memory://host/weights.bin?X-Amz-Signature={SECRET}&part=1",
    f"memory://host/weights.bin?sig={SECRET}",
    f"memory://{SECRET}@host/weights.bin?access_token={SECRET}#x",
]


@pytest.mark.parametrize("place", PLACES)
def test_credentials_of_artifacts_stay_in_no_file_and_no_message(
    tmp_path: Path, place: str, caplog: pytest.LogCaptureFixture, command: Command
) -> None:
    import fsspec

    class Model(pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return model_input

    filesystem, path = fsspec.core.url_to_fs(place)
    filesystem.pipe(path, b"weights")
    pyfunc.save_model(
        tmp_path / "model", python_model=Model(), artifacts={"w": place}, pip_requirements=[]
    )
    filesystem.rm(path)
    files = [file for file in (tmp_path / "model").rglob("*") if file.is_file()]
    assert not [file for file in files if SECRET.encode() in file.read_bytes()]
    assert not [file for file in files if SECRET in file.name]
    with pytest.raises(pyfunc.ModelNotFoundError) as caught:
        pyfunc.save_model(
            tmp_path / "again", python_model=Model(), artifacts={"w": place}, pip_requirements=[]
        )
    for scheme in ("memory", "nothing", "models", "runs", "dbfs", "file"):
        done = command("inspect", place.replace("memory", scheme))
        assert SECRET not in done.err + done.out
        assert done.code != 0
    assert SECRET not in str(caught.value) + caplog.text
