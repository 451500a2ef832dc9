"""Predicting from one stream of bytes to another: the work of ``pyfunc predict``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from pyfunc.cli.exits import ModelFailedError
from pyfunc.cli.tables_io import FileFormat, frame_of_predictions, write_table
from pyfunc.errors import BAD_REQUEST, InvalidArgumentError, PyfuncError
from pyfunc.schema.bodies.json_text import dump_json, load_json

if TYPE_CHECKING:
    import pandas as pd

    from pyfunc.loaded_model import PyFuncModel
    from pyfunc.schema import RequestReader

__all__ = ["PredictionJob", "run_predictions"]

_REQUEST_KEYS = frozenset(
    {"dataframe_split", "dataframe_records", "inputs", "instances", "input", "messages", "prompt"}
)
_LINES_AT_ONCE = 1000

Progress = Callable[[int], None]


@dataclass(frozen=True)
class PredictionJob:
    """What is to be predicted, and how it is read and written.

    Attributes:
        input_format: of what is read.
        output_format: of what is written.
        params: parameters of the model, for input that brings none.
        batch_size: rows that are predicted at once; None for all of a table, and 1000 lines.
        samples: the input is one sample, or one per line, for the model's request handler.
    """

    input_format: FileFormat
    output_format: FileFormat
    params: Mapping[str, Any] | None = None
    batch_size: int | None = None
    samples: bool = False


@dataclass(frozen=True, slots=True)
class _Answer:
    """A prediction, and what it is of.

    Attributes:
        value: what the model gave.
        rows: how many rows it is for.
        of: a ``table``, one ``row``, a ``sample``, a ``request`` that is all of the input, or a
            request that is one ``line`` of it.
        unified: the request was in the form of chat models, so the answer is not wrapped.
    """

    value: Any
    rows: int
    of: Literal["table", "row", "sample", "request", "line"]
    unified: bool = False


def run_predictions(
    model: PyFuncModel,
    job: PredictionJob,
    source: BinaryIO,
    target: BinaryIO,
    progress: Progress = lambda rows: None,
) -> int:
    """Predict all that ``source`` holds and write it to ``target``; return how many rows.

    JSON is a request in one of the forms of a model server. A line of JSON lines is such a
    request, or a row with a value per column; predictions come line by line. ``progress`` is
    called with the number of rows done so far.

    Raises:
        InvalidArgumentError: with ``BAD_REQUEST``, the input cannot be read.
        SchemaError: it does not fit the signature of the model.
        ModelFailedError: the model's own code failed.
    """
    done = 0

    def counted() -> Iterator[_Answer]:
        nonlocal done
        for answer in _answers(model, job, source):
            yield answer
            done += answer.rows
            progress(done)

    if job.output_format == "jsonl":
        for answer in counted():
            for line in _lines_of(answer):
                target.write(line.encode("ascii") + b"\n")
    elif job.output_format == "json":
        target.write(_document(list(counted())).encode("ascii") + b"\n")
    else:
        target.write(write_table(_table(list(counted())), job.output_format))
    target.flush()
    return done


def _answers(model: PyFuncModel, job: PredictionJob, source: BinaryIO) -> Iterator[_Answer]:
    if job.samples:
        for sample in _samples(job.input_format, source):
            yield _Answer(_called(model.predict_sample, sample), 1, "sample")
    elif job.input_format == "jsonl":
        yield from _answers_to_lines(model, job, source)
    elif job.input_format == "json":
        yield _answer_request(model, job, source.read(), "request")
    else:
        reader = _reader(model)
        parse = reader.parse_csv if job.input_format == "csv" else reader.parse_parquet
        for part in _parts(parse(source.read()).data, job.batch_size):
            yield _Answer(_called(model.predict, part, job.params), len(part), "table")


def _answer_request(
    model: PyFuncModel, job: PredictionJob, body: Any, of: Literal["request", "line"]
) -> _Answer:
    request = _reader(model).parse_json(body)
    params = job.params if request.params is None else request.params
    value = _called(model.predict, request.data, params)
    return _Answer(value, _rows_of(request.data), of, request.unified)


def _samples(kind: FileFormat, source: BinaryIO) -> Iterator[Any]:
    if kind == "json":
        yield load_json(source.read())
    elif kind == "jsonl":
        for _, tree in _trees(source):
            yield tree
    else:
        raise InvalidArgumentError(f"samples are json or jsonl, not {kind}")


def _answers_to_lines(
    model: PyFuncModel, job: PredictionJob, source: BinaryIO
) -> Iterator[_Answer]:
    """Answer requests one by one, and rows many at once."""
    records: list[Any] = []
    for number, tree in _trees(source):
        if not isinstance(tree, dict):
            raise InvalidArgumentError(f"line {number}: expected a JSON object", BAD_REQUEST)
        if tree.keys() & _REQUEST_KEYS:
            yield from _answer_records(model, job, records)
            yield _answer_request(model, job, tree, "line")
            continue
        records.append(tree)
        if len(records) >= (job.batch_size or _LINES_AT_ONCE):
            yield from _answer_records(model, job, records)
    yield from _answer_records(model, job, records)


def _answer_records(
    model: PyFuncModel, job: PredictionJob, records: list[Any]
) -> Iterator[_Answer]:
    """Answer rows and forget them."""
    if not records:
        return
    data = _reader(model).parse_json({"dataframe_records": list(records)}).data
    records.clear()
    value = _called(model.predict, data, job.params)
    rows = _tree(value)
    if not isinstance(rows, list) or len(rows) != len(data):
        raise InvalidArgumentError(
            f"the model gave no prediction per row for {len(data)} row(s)\n"
            'hint: write each line as a request, such as {"inputs": ...}',
            BAD_REQUEST,
        )
    for row in rows:
        yield _Answer(row, 1, "row")


def _trees(source: BinaryIO) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(source, 1):
        if not line.strip():
            continue
        try:
            yield number, load_json(line)
        except InvalidArgumentError as error:
            raise InvalidArgumentError(f"line {number}: {error}", BAD_REQUEST) from error


def _reader(model: PyFuncModel) -> RequestReader:
    from pyfunc.schema import RequestReader

    signature = model.metadata.signature
    return RequestReader(
        model.input_schema,
        model.params_schema,
        from_type_hint=bool(getattr(signature, "_is_signature_from_type_hint", False)),
    )


def _parts(frame: pd.DataFrame, size: int | None) -> Iterator[pd.DataFrame]:
    step = len(frame) if size is None else size
    for start in range(0, max(len(frame), 1), max(step, 1)):
        yield frame.iloc[start : start + step] if step < len(frame) else frame


def _rows_of(data: Any) -> int:
    try:
        return len(data)
    except TypeError:
        return 1


def _called(method: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return method(*arguments)
    except PyfuncError:
        raise
    except Exception as error:
        raise ModelFailedError(f"the model failed: {type(error).__name__}: {error}") from error


def _json_of(value: Any, *, unified: bool) -> str:
    from pyfunc.schema import format_predictions

    try:
        return format_predictions(value, unified=unified)
    except PyfuncError as error:
        raise ModelFailedError(f"the prediction has no JSON form: {error}") from error


def _tree(value: Any) -> Any:
    return json.loads(_json_of(value, unified=True))


def _items(answer: _Answer) -> list[Any]:
    """Return a prediction as a list with one entry per row."""
    tree = _tree(answer.value)
    if answer.of in ("table", "request") and isinstance(tree, list):
        return tree
    return [tree]


def _lines_of(answer: _Answer) -> list[str]:
    if answer.of == "line":
        return [_json_of(answer.value, unified=answer.unified)]
    return [dump_json(item) for item in _items(answer)]


def _document(answers: list[_Answer]) -> str:
    if len(answers) == 1 and answers[0].of in ("request", "table", "sample"):
        [answer] = answers
        return _json_of(answer.value, unified=answer.unified or answer.of == "sample")
    return dump_json({"predictions": [item for answer in answers for item in _items(answer)]})


def _table(answers: list[_Answer]) -> pd.DataFrame:
    import pandas as pd

    frames = []
    for answer in answers:
        single = answer.of in ("row", "sample") or not hasattr(answer.value, "__len__")
        frames.append(frame_of_predictions([answer.value] if single else answer.value))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
