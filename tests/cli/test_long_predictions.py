"""``pyfunc predict`` on input that is read in parts: the same answers, and what goes wrong."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyfunc
from pyfunc.distributed.batch.parquet_rows import parquet_frames
from pyfunc.distributed.batch.prediction import PredictionJob, run_predictions
from pyfunc.distributed.batch.table_parts import csv_parts
from pyfunc.distributed.batch.tables import FileFormat
from pyfunc.errors import InvalidArgumentError, SchemaError
from pyfunc.schema import ColSpec, RequestReader, Schema, format_predictions

Command = Callable[..., Any]
Saved = Callable[..., Path]

PREDICT = (sys.executable, "-m", "pyfunc", "predict")
ROWS = 7
LONG_CSV = "a,b\n" + "".join(f"{i},{i}\n" for i in range(ROWS))
SUM = "model_input['a'] + model_input['b']"


def predicted(
    path: Path,
    body: bytes,
    *,
    reads: FileFormat = "csv",
    writes: FileFormat = "json",
    batch_size: int | None = 2,
) -> bytes:
    model = pyfunc.load_model(path, suppress_warnings=True)
    target = io.BytesIO()
    run_predictions(
        model, PredictionJob(reads, writes, None, batch_size), io.BytesIO(body), target
    )
    return target.getvalue()


def server_answer(path: Path, body: bytes, *, kind: str) -> str:
    """Return what a server answers with, which takes a body as a whole."""
    model = pyfunc.load_model(path, suppress_warnings=True)
    reader = RequestReader(model.input_schema, model.params_schema)
    parse = reader.parse_csv if kind == "csv" else reader.parse_parquet
    return format_predictions(model.predict(parse(body).data))


BODIES = [
    pytest.param(f"({SUM}).to_numpy()", id="array"),
    pytest.param(SUM, id="unnamed-series"),
    pytest.param(f"({SUM}).rename('s')", id="series"),
    pytest.param("model_input.assign(c=1)", id="frame"),
    pytest.param("model_input.to_numpy()", id="two-dimensions"),
    pytest.param("{'s': model_input['a'].to_numpy(), 't': list(model_input['b'])}", id="dict"),
    pytest.param(f"({SUM}).tolist()", id="list"),
]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("size", [None, 0, 1, 3, ROWS, 100])
def test_the_document_is_what_a_server_answers(
    saved: Saved, kind: FileFormat, body: str, size: int | None
) -> None:
    path, table = saved(body), LONG_CSV.encode()
    if kind == "parquet":
        buffer = io.BytesIO()
        pd.read_csv(io.StringIO(LONG_CSV), dtype="float64").to_parquet(buffer)
        table = buffer.getvalue()
    found = predicted(path, table, reads=kind, batch_size=size).decode()
    assert found == server_answer(path, table, kind=kind) + "\n"


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("writes", ["csv", "jsonl", "parquet"])
def test_parts_are_written_as_the_whole_is(saved: Saved, body: str, writes: FileFormat) -> None:
    path, table = saved(body), LONG_CSV.encode()
    whole = predicted(path, table, writes=writes, batch_size=0)
    parts = predicted(path, table, writes=writes, batch_size=2)
    if writes == "parquet":
        pd.testing.assert_frame_equal(
            pd.read_parquet(io.BytesIO(whole)), pd.read_parquet(io.BytesIO(parts))
        )
    else:
        assert parts == whole
        assert len(whole.splitlines()) == ROWS + (writes == "csv")


def test_a_part_at_a_time_is_held(saved: Saved) -> None:
    lines = iter(LONG_CSV.encode().splitlines(keepends=True))
    read = 0

    class Source(io.BytesIO):
        """A pipe into which a line is written whenever it is read."""

        def read1(self, size: int | None = -1) -> bytes:
            nonlocal read
            read += 1
            return next(lines, b"")

    seen: list[int] = []
    model = pyfunc.load_model(saved(), suppress_warnings=True)
    job = PredictionJob("csv", "csv", batch_size=1)
    source: Any = Source()
    run_predictions(model, job, source, io.BytesIO(), lambda rows: seen.append(read))
    # The first line, the rows done so far, and one part ahead to see whether there is another.
    assert seen == [3, 3, 4, 5, 6, 7, 8]


def test_without_a_signature_all_rows_say_what_type_a_column_has(saved: Saved) -> None:
    path = saved("[str(model_input['a'].dtype)] * len(model_input)", signature=None)
    found = predicted(path, b"a\n1\n2\n0.5\n", batch_size=1)
    assert json.loads(found) == {"predictions": ["float64"] * 3}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param("[1.0]", "no prediction per row", id="one-for-all"),
        pytest.param("{'n': len(model_input)}", "no prediction per row|as a table", id="number"),
        pytest.param("5", "no prediction per row", id="scalar"),
        pytest.param("{('x' if 0 in set(model_input['a']) else 'y'): [1, 1]}", "", id="names"),
    ],
)
@pytest.mark.parametrize("writes", ["json", "jsonl", "csv", "parquet"])
def test_predictions_that_are_not_per_row_need_the_whole_table(
    saved: Saved, body: str, text: str, writes: FileFormat
) -> None:
    path = saved(body)
    table = LONG_CSV.encode().rsplit(b"\n", 2)[0]  # six rows: parts of two
    if text:
        with pytest.raises(InvalidArgumentError, match=text):
            predicted(path, table, writes=writes)
    elif writes in ("json", "csv"):
        with pytest.raises(InvalidArgumentError, match="columns"):
            predicted(path, table, writes=writes)
    assert predicted(path, table, writes="json", batch_size=0)


def test_errors_name_rows_of_the_whole(saved: Saved) -> None:
    with pytest.raises(SchemaError) as caught:
        predicted(saved(), b"a,b\n1,1\n2,2\n3,3\nx,4\n")
    assert [problem.row for problem in caught.value.problems] == [3]


def test_a_mark_before_utf_8_is_no_part_of_a_name(saved: Saved) -> None:
    assert json.loads(predicted(saved(), b"\xef\xbb\xbfa,b\n1,2\n")) == {"predictions": [3.0]}


LONG_CELL = b"x" * 200_000
CELLS = st.text(st.sampled_from('x,"\n '), max_size=5)


@given(st.lists(CELLS, max_size=12), st.integers(1, 5), st.sampled_from(["\n", "\r\n"]))
def test_no_row_is_cut(cells: list[str], size: int, end: str) -> None:
    frame = pd.DataFrame({"t": ["x" + cell for cell in cells], "n": np.arange(len(cells))})
    body = frame.to_csv(index=False, lineterminator=end).encode()
    reader = RequestReader(Schema([ColSpec("string", "t"), ColSpec("long", "n")]))
    parts = [reader.parse_csv(part).data for part in csv_parts(io.BytesIO(body), size)]
    together = pd.concat(parts, ignore_index=True)
    pd.testing.assert_frame_equal(together, reader.parse_csv(body).data, check_dtype=False)


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        pytest.param(b"", [b""], id="empty"),
        pytest.param(b"a\n", [b"a\n"], id="first-line-only"),
        pytest.param(b"\n\na\n1\n", [b"\n\na\n1\n"], id="empty-lines-first"),
        pytest.param(b"a\n1\n2\n3", [b"a\n1\n2\n", b"a\n3"], id="no-last-line-end"),
        pytest.param(b"a\n1\n2\n\n\n", [b"a\n1\n2\n"], id="empty-lines-last"),
        pytest.param(b'"a\nb"\n1\n2\n3\n', [b'"a\nb"\n1\n2\n', b'"a\nb"\n3\n'], id="name"),
        pytest.param(b'a\n1\n"2\n2"\n3\n', [b'a\n1\n"2\n2"\n', b"a\n3\n"], id="cell"),
        pytest.param(b'a\n5" pipe\n2\n3\n', [b'a\n5" pipe\n2\n', b"a\n3\n"], id="quote-inside"),
        pytest.param(b'a\n"1\n2\n3\n', [b'a\n"1\n2\n3\n'], id="unclosed"),
        pytest.param(
            b'a\n"' + LONG_CELL + b'\n"\n2\n3\n4\n',
            [b'a\n"' + LONG_CELL + b'\n"\n', b"a\n2\n3\n", b"a\n4\n"],
            id="long-cell",
        ),
        pytest.param(
            b'a\n5"\n"' + LONG_CELL + b'"\n2\n3\n4\n',
            [b'a\n5"\n"' + LONG_CELL + b'"\n2\n3\n4\n'],
            id="cell-too-long-to-look-into",
        ),
    ],
)
def test_parts_of_csv(body: bytes, parts: list[bytes]) -> None:
    assert list(csv_parts(io.BytesIO(body), 2)) == parts


class Dripping(io.BytesIO):
    """A source that gives a few bytes at a time, as a pipe does."""

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(3)


@given(st.text(st.sampled_from('ab,"\n\n'), max_size=40).map(str.encode), st.integers(1, 5))
def test_parts_do_not_depend_on_how_much_a_source_gives(body: bytes, size: int) -> None:
    assert list(csv_parts(Dripping(body), size)) == list(csv_parts(io.BytesIO(body), size))


@given(st.text(st.sampled_from('ab,"\n\r'), max_size=40), st.integers(1, 3))
def test_rows_are_cut_where_pythons_reader_ends_them(text: str, size: int) -> None:
    def rows_of(body: str) -> list[list[str]]:
        return [row for row in csv.reader(io.StringIO(body, newline="")) if row]

    parts = list(csv_parts(io.BytesIO(f"a\n{text}".encode()), size))
    try:
        whole = rows_of(text)
    except csv.Error:
        return
    assert [row for part in parts for row in rows_of(part.decode())[1:]] == whole


def test_parts_of_parquet_keep_types() -> None:
    frame = pd.DataFrame(
        {
            "i": np.arange(5, dtype="int16"),
            "t": pd.to_datetime(["2020-01-01"] * 5),
            "s": ["x", None, "y", "z", ""],
            "c": pd.Categorical(list("ababa")),
            "n": pd.Series([None, 1, 2, 3, 4], dtype=object),
        }
    )
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    reader = RequestReader(None)
    parts = list(parquet_frames(buffer, 2, lambda part: reader.parse_parquet(part).data))
    whole = reader.parse_parquet(buffer.getvalue()).data
    assert [len(part) for part in parts] == [2, 2, 1]
    for part in parts:
        assert part.dtypes.to_dict() == whole.dtypes.to_dict()


def test_damage_further_on_in_parquet(saved: Saved) -> None:
    buffer = io.BytesIO()
    pd.DataFrame({"a": np.random.rand(1000), "b": np.random.rand(1000)}).to_parquet(buffer)
    damaged = bytearray(buffer.getvalue())
    damaged[4:2000] = bytes(1996)
    with pytest.raises(InvalidArgumentError, match="parquet") as caught:
        predicted(saved(), bytes(damaged), reads="parquet", batch_size=100)
    assert caught.value.error_code == "BAD_REQUEST"


LINES = [
    pytest.param('{"a": 3,', "line 3: the body is not valid JSON", id="json"),
    pytest.param("[3]", "line 3: expected a JSON object", id="kind"),
    pytest.param('{"a": "x", "b": 1}', "line 3: the data", id="cell"),
    pytest.param('{"b": 1}', "line 3: ", id="missing-column"),
    pytest.param('{"inputs": {"a": ["x"], "b": [1]}}', "line 3: ", id="request"),
    pytest.param('{"inputs": 1, "instances": 1}', "line 3: the body must have", id="two"),
]


@pytest.mark.parametrize("size", [None, 0, 1, 2])
@pytest.mark.parametrize(("line", "text"), LINES)
def test_the_lines_before_a_bad_one_are_answered(
    command: Command, saved: Saved, line: str, text: str, size: int | None
) -> None:
    good = '{"a": 1, "b": 1}\n'
    more = [] if size is None else ["--batch-size", size]
    stdin = f"{good}{good}{line}\n{good}{good}"
    done = command("predict", saved(), "-t", "jsonl", *more, stdin=stdin)
    assert (done.code, done.out) == (5, "2.0\n2.0\n")
    assert done.err.startswith(f"error: {text}")
    assert "row 0" not in done.err or "request" in done.err


def test_lines_keep_their_order_and_count(command: Command, saved: Saved) -> None:
    stdin = "".join(f'{{"a": {i}, "b": 0}}\n' for i in range(2500))
    done = command("predict", saved(), "-t", "jsonl", stdin=stdin)
    assert done.out.splitlines() == [f"{i}.0" for i in range(2500)]


def test_a_line_is_answered_when_it_is_there(saved: Saved) -> None:
    process = subprocess.Popen(
        [*PREDICT, str(saved()), "-t", "jsonl", "--batch-size", "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        for i in range(3):
            process.stdin.write(f'{{"a": {i}, "b": 1}}\n'.encode())
            process.stdin.flush()
            assert process.stdout.readline() == f"{i + 1}.0\n".encode()
        process.stdin.close()
        assert process.wait(60) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_ended_command_leaves_nothing_half_written(
    saved: Saved, tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    target = folder / "o.jsonl"
    target.write_text("old")
    process = subprocess.Popen(
        [*PREDICT, str(saved()), "--batch-size", "1", *("-t", "jsonl", "-o", str(target))],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    with process.stdin, process.stderr:
        process.stdin.write(b'{"a": 1, "b": 1}\n')
        process.stdin.flush()
        while not [path for path in folder.glob(".o.jsonl.*") if path.stat().st_size]:
            assert process.poll() is None
        # Python sees a signal between the last instruction and a read only after the read.
        time.sleep(0.3)
        process.send_signal(number)
        assert (process.wait(60), process.stderr.read()) == (130, b"error: interrupted\n")
    assert os.listdir(folder) == ["o.jsonl"]
    assert target.read_text() == "old"


OUTPUTS = [
    pytest.param("gone/o.csv", "there is no folder", id="no-folder"),
    pytest.param(".", "is a folder", id="folder"),
]


@pytest.mark.parametrize(("path", "text"), OUTPUTS)
def test_what_cannot_be_written_is_said_before_anything_runs(
    command: Command, saved: Saved, tmp_path: Path, path: str, text: str
) -> None:
    ran = tmp_path / "ran"
    model = saved(f"open({str(ran)!r}, 'w')")
    done = command("predict", model, "-t", "csv", "-o", tmp_path / path, stdin=LONG_CSV)
    assert (done.code, done.out) == (8, "")
    assert text in done.err
    assert not ran.exists()


def test_an_output_file_has_the_mode_of_new_files(
    command: Command, saved: Saved, tmp_path: Path
) -> None:
    before = os.umask(0o027)
    try:
        command("predict", saved(), "-t", "csv", "-o", tmp_path / "o.csv", stdin=LONG_CSV)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "o.csv").stat().st_mode) == 0o640


def test_devices_and_pipes_are_used_as_they_are(
    command: Command, saved: Saved, tmp_path: Path
) -> None:
    done = command("predict", saved(), "-t", "csv", "-o", "/dev/null", stdin=LONG_CSV)
    assert (done.code, stat.S_ISCHR(os.stat("/dev/null").st_mode)) == (0, True)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        done = command("predict", saved(name="m2"), "-t", "csv", "-o", pipe, stdin="a,b\n1,2\n")
        assert reader.stdout is not None
        assert (done.code, reader.stdout.read()) == (0, b'{"predictions": [3.0]}\n')
    writer = subprocess.Popen(["sh", "-c", f"printf 'a,b\\n1,2\\n' > {pipe}"])
    done = command("predict", saved(name="m3"), "-t", "csv", "-i", pipe)
    assert (done.code, done.out, writer.wait()) == (0, '{"predictions": [3.0]}\n', 0)


PRINTING = "print('hello') or __import__('os').system('echo there') or [1.0] * len(model_input)"


@pytest.mark.parametrize("more", [[], ["--json"], ["--json", "-o", "{out}"]])
def test_what_a_model_prints_is_not_among_the_predictions(
    saved: Saved, tmp_path: Path, more: list[str]
) -> None:
    given = [text.format(out=tmp_path / "o.json") for text in more]
    done = subprocess.run(
        [*PREDICT, str(saved(PRINTING)), "-t", "csv", *given],
        input=LONG_CSV.encode(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, b"hello" in done.stderr, b"there" in done.stderr) == (0, True, True)
    assert len(json.loads(done.stdout).get("predictions", range(7))) == ROWS


def test_what_a_model_prints_goes_elsewhere_in_the_same_process_too(
    command: Command, saved: Saved
) -> None:
    done = command(
        "predict", saved("print('hello') or [1.0]"), stdin='{"inputs": {"a": [1], "b": [1]}}'
    )
    assert (done.code, done.out, done.err) == (0, '{"predictions": [1.0]}\n', "hello\n")


def test_a_remark_on_every_part_is_made_once(command: Command, saved: Saved) -> None:
    table = "a,b,c\n" + "1,2,3\n" * 3
    done = command("predict", saved(), "-t", "csv", "--batch-size", 1, stdin=table)
    assert (done.code, done.err.count("not in the signature")) == (0, 1)


def test_a_dash_is_a_standard_stream(command: Command, saved: Saved) -> None:
    done = command("predict", saved(), "-t", "csv", "-i", "-", "-o", "-", stdin=LONG_CSV)
    assert done.out == predicted(saved(name="other"), LONG_CSV.encode()).decode()


def test_a_file_can_be_written_over_its_source(
    command: Command, saved: Saved, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(LONG_CSV)
    done = command("predict", saved(SUM), "-i", path, "-o", path, "--batch-size", 2)
    assert done.code == 0
    assert path.read_text().splitlines() == ["prediction", *(f"{2.0 * i}" for i in range(ROWS))]


def test_a_model_that_ends_the_process_has_failed(command: Command, saved: Saved) -> None:
    done = command("predict", saved("exit(0)"), "-t", "csv", stdin=LONG_CSV)
    assert (done.code, done.out) == (6, "")
    assert "SystemExit" in done.err


@pytest.mark.parametrize(("path", "writes"), [("o.csv", "csv"), ("o.json", "json"), ("o", "json")])
def test_json_beside_an_output_file_is_a_summary(
    command: Command, saved: Saved, tmp_path: Path, path: str, writes: str
) -> None:
    target = tmp_path / path
    done = command("predict", saved(), "-t", "csv", "-o", target, "--json", stdin=LONG_CSV)
    summary = {"output_path": str(target), "output_type": writes, "rows": ROWS}
    assert (done.code, json.loads(done.out)) == (0, summary)
    assert target.read_text().startswith("prediction\n" if writes == "csv" else '{"predictions"')
