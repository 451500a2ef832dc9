"""``pyfunc predict``: formats in and out, standard streams, parameters, and what goes wrong."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pyfunc
from pyfunc.distributed.batch.prediction import PredictionJob, run_predictions
from pyfunc.distributed.batch.tables import format_of, format_parquet, frame_of_predictions
from pyfunc.errors import InvalidArgumentError
from pyfunc.schema import ColSpec, ModelSignature, Schema

Command = Callable[..., Any]
Saved = Callable[..., Path]

REQUEST = '{"dataframe_records": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]}'
CSV = "a,b\n1,2\n3,4\n"


def test_json_on_standard_input_is_answered_on_standard_output(
    command: Command, saved: Saved
) -> None:
    done = command("predict", "-m", saved(), stdin=REQUEST)
    assert (done.code, done.out, done.err) == (0, '{"predictions": [3.0, 7.0]}\n', "")


def test_csv_gets_the_types_of_the_signature(command: Command, saved: Saved) -> None:
    done = command("predict", saved(), "-t", "csv", stdin=CSV)
    assert (done.code, json.loads(done.out)) == (0, {"predictions": [3.0, 7.0]})


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json", "jsonl"])
def test_files_are_read_and_written_by_their_names(
    command: Command, saved: Saved, tmp_path: Path, suffix: str
) -> None:
    source, target = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    frame = pd.DataFrame({"a": [1.0, 3.0], "b": [2.0, 4.0]})
    if suffix == "csv":
        source.write_text(CSV)
    elif suffix == "parquet":
        frame.to_parquet(source)
    elif suffix == "json":
        source.write_text(REQUEST)
    else:
        source.write_text('{"a": 1, "b": 2}\n\n{"a": 3, "b": 4}\n')
    done = command("predict", saved(), "-i", source, "-o", target)
    assert (done.code, done.out) == (0, "")
    if suffix == "csv":
        assert target.read_text() == "prediction\n3.0\n7.0\n"
    elif suffix == "parquet":
        assert pd.read_parquet(target)["prediction"].tolist() == [3.0, 7.0]
    elif suffix == "json":
        assert json.loads(target.read_text()) == {"predictions": [3.0, 7.0]}
    else:
        assert target.read_text() == "3.0\n7.0\n"


def test_parameters(command: Command, saved: Saved) -> None:
    done = command("predict", saved(), "--params", '{"scale": 10}', "-t", "csv", stdin=CSV)
    assert json.loads(done.out) == {"predictions": [30.0, 70.0]}
    own = REQUEST[:-1] + ', "params": {"scale": 2}}'
    done = command("predict", saved(name="other"), "--params", '{"scale": 10}', stdin=own)
    assert json.loads(done.out) == {"predictions": [6.0, 14.0]}


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_batches_give_the_same_predictions(command: Command, saved: Saved, size: int) -> None:
    rows = "a,b\n" + "".join(f"{i},{i}\n" for i in range(5))
    done = command("predict", saved(), "-t", "csv", "--batch-size", size, stdin=rows)
    assert json.loads(done.out) == {"predictions": [0.0, 2.0, 4.0, 6.0, 8.0]}


def test_lines_may_be_requests_and_rows(command: Command, saved: Saved) -> None:
    lines = '{"a": 1, "b": 1}\n' + REQUEST + '\n{"a": 2, "b": 2}\n{"a": 3, "b": 3}\n'
    done = command("predict", saved(), "-t", "jsonl", "--batch-size", 1, stdin=lines)
    assert done.out.splitlines() == ["2.0", '{"predictions": [3.0, 7.0]}', "4.0", "6.0"]


def test_lines_can_become_one_document(command: Command, saved: Saved) -> None:
    lines = '{"a": 1, "b": 1}\n{"a": 2, "b": 2}\n'
    done = command("predict", saved(), "-t", "jsonl", "--json", stdin=lines)
    assert json.loads(done.out) == {"predictions": [2.0, 4.0]}


def test_a_chat_request_is_answered_bare(command: Command, saved: Saved) -> None:
    path = saved("{'echo': model_input['messages']}", signature=None)
    done = command("predict", path, stdin='{"messages": [{"role": "user"}]}')
    assert json.loads(done.out) == {"echo": [{"role": "user"}]}


def test_samples_go_through_the_handler(command: Command, saved: Saved, tmp_path: Path) -> None:
    handler = tmp_path / "handler.py"
    handler.write_text(
        "def post_inference(prediction, signature, metadata):\n    return {'got': prediction}\n"
    )
    path = saved("model_input['x'] * 2", signature=None, handler=handler)
    done = command("predict", path, "--sample", stdin='{"x": 4}')
    assert json.loads(done.out) == {"got": 8}
    done = command("predict", path, "--sample", "-t", "jsonl", stdin='{"x": 1}\n{"x": 2}\n')
    assert done.out.splitlines() == ['{"got": 2}', '{"got": 4}']
    done = command("predict", path, "--sample", "-t", "csv", stdin="x\n1\n")
    assert done.code == 2


def test_variables_for_the_model(
    command: Command, saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLOUR_OF_TEST", "red")
    path = saved("[__import__('os').environ['COLOUR_OF_TEST']]", signature=None)
    done = command("predict", path, "--env", "COLOUR_OF_TEST=a=b", stdin='{"inputs": [1]}')
    assert json.loads(done.out) == {"predictions": ["a=b"]}


def test_another_process(command: Command, saved: Saved) -> None:
    path = saved("[__import__('os').getpid()]", signature=None)
    import os

    done = command("predict", path, stdin='{"inputs": [1]}')
    assert json.loads(done.out) == {"predictions": [os.getpid()]}


FAILURES: list[Any] = [
    pytest.param([], "{", (5, "not valid JSON"), id="json"),
    pytest.param([], '{"a": 1}', (5, "dataframe_split"), id="no-request"),
    pytest.param([], '{"inputs": {"a": ["x"], "b": [1]}}', (5, "inputs['a']"), id="schema"),
    pytest.param(["-t", "csv"], "a,b\nx,1\n", (5, "inputs['a']"), id="csv-cell"),
    pytest.param(["-t", "csv"], "", (5, "no first line"), id="csv-empty"),
    pytest.param(["-t", "parquet"], "no", (5, "not a parquet file"), id="parquet"),
    pytest.param(["-t", "jsonl"], "[1]\n", (5, "line 1: expected a JSON object"), id="line-kind"),
    pytest.param(["-t", "jsonl"], "{\n", (5, "line 1: "), id="line-json"),
    pytest.param(["-t", "xml"], "", (2, "expected one of json"), id="format"),
    pytest.param(["--params", "[1]"], "", (2, "--params: expected a JSON object"), id="params"),
    pytest.param(["--params", "{"], "", (2, "--params: "), id="params-json"),
    pytest.param(["--env", "X"], "", (2, "NAME=VALUE"), id="env"),
    pytest.param(["--sample"], "1", (2, "without a request handler"), id="no-handler"),
    pytest.param(["-i", "gone.csv"], "", (3, "there is no file gone.csv"), id="no-file"),
    pytest.param(["--trust", "digest"], "", (2, "needs --expected-digest"), id="digest"),
    pytest.param(["--expected-digest", "00"], "", (4, "manifest digest"), id="other-digest"),
    pytest.param(["--batch-size", "-1"], "", (2, ""), id="usage"),
    pytest.param(["--unheard-of"], "", (2, ""), id="option"),
]


@pytest.mark.parametrize(("options", "stdin", "outcome"), FAILURES)
def test_failures_are_one_line_and_a_code(
    command: Command, saved: Saved, options: list[str], stdin: str, outcome: tuple[int, str]
) -> None:
    code, text = outcome
    done = command("predict", saved(), *options, stdin=stdin)
    assert (done.code, done.out) == (code, "")
    assert text in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(
            "1 / 0", "the model failed: ZeroDivisionError: division by zero", id="raises"
        ),
        pytest.param("[object()]", "no JSON form", id="object"),
    ],
)
def test_a_failing_model_has_a_code_of_its_own(
    command: Command, saved: Saved, body: str, text: str
) -> None:
    done = command("predict", saved(body), stdin=REQUEST)
    assert (done.code, done.out) == (6, "")
    assert text in done.err


def test_errors_in_json(command: Command, saved: Saved) -> None:
    done = command("predict", saved("1 / 0"), "--json", stdin=REQUEST)
    tree = json.loads(done.out)
    assert (tree["exit_code"], tree["kind"]) == (6, "ModelFailedError")
    assert done.err == ""


def test_no_file_is_left_of_a_failed_prediction(
    command: Command, saved: Saved, tmp_path: Path
) -> None:
    done = command("predict", saved("1 / 0"), "-o", tmp_path / "out.json", stdin=REQUEST)
    assert done.code == 6
    assert not (tmp_path / "out.json").exists()


def test_rows_that_get_no_prediction_of_their_own(command: Command, saved: Saved) -> None:
    done = command("predict", saved("[1]"), "-t", "jsonl", stdin='{"a": 1, "b": 1}\n' * 2)
    assert done.code == 5
    assert "no prediction per row" in done.err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        pytest.param([], "no model was named", id="none"),
        pytest.param(["m", "-m", "m"], "named twice", id="twice"),
    ],
)
def test_a_model_has_to_be_named_once(command: Command, arguments: list[str], text: str) -> None:
    done = command("predict", *arguments, "-t", "json", stdin=REQUEST)
    assert done.code == 2
    assert text in done.err


def test_a_model_that_is_not_there(command: Command, tmp_path: Path) -> None:
    done = command("predict", tmp_path / "gone", stdin=REQUEST)
    assert (done.code, done.out) == (3, "")


def test_progress_counts_rows(saved: Saved) -> None:
    model = pyfunc.load_model(saved(), suppress_warnings=True)
    seen: list[int] = []
    job = PredictionJob("csv", "json", batch_size=1)
    count = run_predictions(model, job, io.BytesIO(CSV.encode()), io.BytesIO(), seen.append)
    assert (count, seen) == (2, [1, 2])


def test_an_empty_table_is_predicted_as_one(saved: Saved) -> None:
    model = pyfunc.load_model(saved(), suppress_warnings=True)
    target = io.BytesIO()
    job = PredictionJob("csv", "csv", batch_size=10)
    assert run_predictions(model, job, io.BytesIO(b"a,b\n"), target) == 0
    assert target.getvalue() == b"prediction\n"


def test_no_lines_give_no_predictions(saved: Saved) -> None:
    model = pyfunc.load_model(saved(), suppress_warnings=True)
    for kind, text in (("json", b'{"predictions": []}\n'), ("jsonl", b"")):
        target = io.BytesIO()
        job = PredictionJob("jsonl", kind)  # type: ignore[arg-type]
        assert run_predictions(model, job, io.BytesIO(b"\n"), target) == 0
        assert target.getvalue() == text


@pytest.mark.parametrize(
    ("value", "columns"),
    [
        pytest.param(pd.DataFrame({"x": [1]}), {"x": [1]}, id="frame"),
        pytest.param(pd.Series([1], name="y"), {"y": [1]}, id="series"),
        pytest.param(pd.Series([1]), {"prediction": [1]}, id="unnamed-series"),
        pytest.param(np.array([1, 2]), {"prediction": [1, 2]}, id="one-dimension"),
        pytest.param([[1, 2]], {"prediction_0": [1], "prediction_1": [2]}, id="two-dimensions"),
        pytest.param({"u": [1], "v": np.array([2])}, {"u": [1], "v": [2]}, id="dict"),
        pytest.param([{"u": 1}, {"u": 2}], {"u": [1, 2]}, id="records"),
        pytest.param([[1], [2, 3]], {"prediction": [[1], [2, 3]]}, id="ragged"),
        pytest.param(["a"], {"prediction": ["a"]}, id="texts"),
    ],
)
def test_predictions_as_a_table(value: Any, columns: dict[str, list[Any]]) -> None:
    assert frame_of_predictions(value).to_dict("list") == columns


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(np.zeros((1, 1, 1)), id="three-dimensions"),
        pytest.param({"a": [1], "b": [1, 2]}, id="lengths"),
    ],
)
def test_predictions_that_are_no_table(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="as a table"):
        frame_of_predictions(value)


def test_tables_that_parquet_cannot_hold() -> None:
    with pytest.raises(InvalidArgumentError, match="as a table"):
        format_parquet(pd.DataFrame({"x": [object()]}))


@pytest.mark.parametrize(
    ("path", "said", "expected"),
    [
        pytest.param("a.CSV", None, "csv", id="capitals"),
        pytest.param("a.ndjson", None, "jsonl", id="ndjson"),
        pytest.param("a.txt", None, "json", id="unknown-suffix"),
        pytest.param("a.csv", "json", "json", id="said"),
        pytest.param(None, None, "json", id="nothing"),
    ],
)
def test_formats_by_name(path: str | None, said: str | None, expected: str) -> None:
    assert format_of(path, said) == expected


def test_scalars_and_nested_answers_as_a_table(saved: Saved) -> None:
    signature = ModelSignature(Schema([ColSpec("double", "a")]))
    model = pyfunc.load_model(saved("5", signature=signature), suppress_warnings=True)
    target = io.BytesIO()
    run_predictions(model, PredictionJob("csv", "csv"), io.BytesIO(b"a\n1\n"), target)
    assert target.getvalue() == b"prediction\n5\n"
