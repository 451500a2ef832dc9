"""Predicting from one stream of bytes to another, part by part."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from pyfunc.distributed.batch.answers import Answer, write_answers
from pyfunc.distributed.batch.parquet_rows import parquet_frames
from pyfunc.distributed.batch.table_parts import csv_parts
from pyfunc.distributed.batch.tables import FileFormat
from pyfunc.errors import (
    BAD_REQUEST,
    InvalidArgumentError,
    ModelFailedError,
    Problem,
    PyfuncError,
    SchemaError,
    shorten,
)
from pyfunc.schema.wire.json_text import load_json

if TYPE_CHECKING:
    import pandas as pd

    from pyfunc.model.loaded import PyFuncModel
    from pyfunc.schema import RequestReader

__all__ = [
    "ROWS_AT_ONCE",
    "PredictionJob",
    "Progress",
    "called",
    "reader_of",
    "rows_after",
    "run_predictions",
]

_REQUEST_KEYS = frozenset(
    {"dataframe_split", "dataframe_records", "inputs", "instances", "input", "messages", "prompt"}
)
_MARK = b"\xef\xbb\xbf"
_LINES_AT_ONCE = 1000
ROWS_AT_ONCE = 100_000

Progress = Callable[[int], None]
_Line = tuple[int, object]


@dataclass(frozen=True)
class PredictionJob:
    """What is to be predicted, and how it is read and written.

    Attributes:
        input_format: of what is read.
        output_format: of what is written.
        params: parameters of the model, for input that brings none.
        batch_size: rows that are predicted at once; 0 for all. None for 100,000 rows of a
            table, or all if the model has no signature that gives its columns types, and for
            1000 lines.
        samples: the input is one sample, or one per line, for the model's request handler.
    """

    input_format: FileFormat
    output_format: FileFormat
    params: Mapping[str, object] | None = None
    batch_size: int | None = None
    samples: bool = False


def run_predictions(
    model: PyFuncModel,
    job: PredictionJob,
    source: BinaryIO,
    target: BinaryIO,
    progress: Progress = lambda rows: None,
) -> int:
    """Predict all that ``source`` holds and write it to ``target``; return how many rows.

    JSON is a request in one of the forms of a model server. A line of JSON lines is such a
    request, or a row with a value per column; predictions come line by line, and those for the
    lines before one that does not fit are written. ``progress`` is called with the number of
    rows done so far.

    Raises:
        InvalidArgumentError: with ``BAD_REQUEST``, the input cannot be read.
        SchemaError: it does not fit the signature of the model.
        ModelFailedError: the model's own code failed.
    """
    done = 0

    def counted() -> Iterator[Answer]:
        nonlocal done
        for answer in _answers(model, job, source):
            yield answer
            done += answer.rows
            progress(done)

    write_answers(counted(), job.output_format, target)
    return done


def _answers(model: PyFuncModel, job: PredictionJob, source: BinaryIO) -> Iterator[Answer]:
    if job.samples:
        yield from _answers_to_samples(model, job.input_format, source)
    elif job.input_format == "jsonl":
        yield from _answers_to_lines(model, job, source)
    elif job.input_format == "json":
        yield _answer_request(model, job, _filled(source), "request")
    else:
        yield from _answers_to_table(model, job, source)


def _filled(source: BinaryIO) -> bytes:
    """Return all that ``source`` holds, without the mark of a byte order.

    Raises:
        InvalidArgumentError: with ``BAD_REQUEST``, it is empty.
    """
    body = source.read().removeprefix(_MARK)
    if not body.strip():
        raise InvalidArgumentError(
            "the input is empty\nhint: give a request, in one of the forms of a model server",
            BAD_REQUEST,
        )
    return body


def _answer_request(
    model: PyFuncModel, job: PredictionJob, body: Any, of: Literal["request", "line"]
) -> Answer:
    request = reader_of(model).parse_json(body)
    params = job.params if request.params is None else request.params
    value = called(model.predict, request.data, params)
    return Answer(value, _rows_of(request.data), of, request.unified)


def _answers_to_samples(
    model: PyFuncModel, kind: FileFormat, source: BinaryIO
) -> Iterator[Answer]:
    if kind == "json":
        yield Answer(called(model.predict_sample, load_json(source.read())), 1, "sample")
    elif kind == "jsonl":
        for _, tree in _trees(source):
            if isinstance(tree, InvalidArgumentError):
                raise tree
            yield Answer(called(model.predict_sample, tree), 1, "entry")
    else:
        raise InvalidArgumentError(f"samples are json or jsonl, not {kind}")


def _answers_to_table(
    model: PyFuncModel, job: PredictionJob, source: BinaryIO
) -> Iterator[Answer]:
    frames = _frames(model, job, source)
    first, second = next(frames), next(frames, None)
    if second is None:
        yield Answer(called(model.predict, first, job.params), len(first), "table")
        return
    frames = chain([first, second], frames)
    del first, second  # one part at a time is held
    done = 0
    for frame in frames:
        with rows_after(done):
            value = called(model.predict, frame, job.params)
        rows = len(frame)
        del frame
        yield Answer(value, rows, "part")
        done += rows


def _frames(model: PyFuncModel, job: PredictionJob, source: BinaryIO) -> Iterator[pd.DataFrame]:
    """Yield the table, in parts if it is long; there is at least one."""
    reader = reader_of(model)
    is_csv = job.input_format == "csv"
    parse = reader.parse_csv if is_csv else reader.parse_parquet
    size = ROWS_AT_ONCE if job.batch_size is None else job.batch_size or sys.maxsize
    if model.input_schema is None:
        # What type a column has is seen from all of its rows.
        size = job.batch_size or sys.maxsize
        yield from _slices(parse(source.read()).data, size)
        return
    if not is_csv:
        yield from parquet_frames(source, size, lambda part: parse(part).data)
        return
    done = 0
    for part in csv_parts(source, size):
        with rows_after(done):
            frame: pd.DataFrame = parse(part).data
        del part
        done += len(frame)
        yield frame
        del frame


def _slices(frame: pd.DataFrame, size: int) -> Iterator[pd.DataFrame]:
    if len(frame) <= size:
        yield frame
        return
    for start in range(0, len(frame), size):
        yield frame.iloc[start : start + size]


@contextlib.contextmanager
def rows_after(done: int) -> Iterator[None]:
    """Let an error name rows of the whole input, not of the part after the first ``done``."""
    try:
        yield
    except SchemaError as error:
        if not done:
            raise
        problems = [p if p.row is None else replace(p, row=p.row + done) for p in error.problems]
        raise _retold(error, problems, error.subject) from error


def _retold(error: SchemaError, problems: Sequence[Problem], subject: str) -> SchemaError:
    return SchemaError(
        problems,
        hint=error.hint,
        subject=subject,
        error_code=error.error_code,
        error_class=error.error_class,
        sqlstate=error.sqlstate,
    )


def _answers_to_lines(
    model: PyFuncModel, job: PredictionJob, source: BinaryIO
) -> Iterator[Answer]:
    """Answer requests one by one, and rows many at once; in order, up to what cannot be read."""
    size = _LINES_AT_ONCE if job.batch_size is None else job.batch_size or sys.maxsize
    needed = _needed_names(model)
    rows: list[_Line] = []
    for number, tree in _objects(source):
        is_request = isinstance(tree, dict) and bool(tree.keys() & _REQUEST_KEYS)
        is_row = isinstance(tree, dict) and not is_request and needed <= tree.keys()
        if is_row:
            rows.append((number, tree))
        if rows and (not is_row or len(rows) >= size):
            yield from _answer_rows(model, job, rows)
            rows = []
        if isinstance(tree, InvalidArgumentError):
            raise tree
        if is_request:
            with _at_line(number):
                answer = _answer_request(model, job, tree, "line")
            yield answer
        elif not is_row:
            yield from _answer_rows(model, job, [(number, tree)])
    if rows:
        yield from _answer_rows(model, job, rows)


def _needed_names(model: PyFuncModel) -> set[object]:
    """Return the columns that a row has to have to be predicted among others.

    Beside rows that have them, one that has not would count as one with a missing value.
    """
    schema = model.input_schema
    if schema is None or not schema.has_input_names():
        return set()
    return set(schema.required_input_names())


def _answer_rows(model: PyFuncModel, job: PredictionJob, rows: list[_Line]) -> Iterator[Answer]:
    """Answer rows together; if one does not fit, those before it, and raise for its line."""
    trees = [tree for _, tree in rows]
    try:
        data = reader_of(model).parse_json({"dataframe_records": trees}).data
        value = called(model.predict, data, job.params)
    except SchemaError as error:
        first = min((p.row for p in error.problems if p.row is not None), default=0)
        if len(rows) > 1 and first < len(rows):
            if first:
                yield from _answer_rows(model, job, rows[:first])
            yield from _answer_rows(model, job, rows[first : first + 1])
            raise  # the row alone would do, its fault lies in those around it
        problems = [replace(problem, row=None) for problem in error.problems]
        raise _retold(error, problems, f"line {rows[0][0]}: {error.subject}") from error
    yield Answer(value, len(rows), "part")


@contextlib.contextmanager
def _at_line(number: int) -> Iterator[None]:
    try:
        yield
    except SchemaError as error:
        raise _retold(error, error.problems, f"line {number}: {error.subject}") from error
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"line {number}: {error}", error.error_code) from error


def _objects(source: BinaryIO) -> Iterator[_Line]:
    """Yield what :func:`_trees` does; the last may also be an error for what is no object."""
    for number, tree in _trees(source):
        if isinstance(tree, (dict, InvalidArgumentError)):
            yield number, tree
        else:
            problem = f"line {number}: expected a JSON object, got {shorten(tree)}"
            yield number, InvalidArgumentError(problem, BAD_REQUEST)
            return


def _trees(source: BinaryIO) -> Iterator[_Line]:
    """Yield the values of the lines that are not empty, each with its number.

    The last may be an error for the line that is no JSON.
    """
    for number, line in enumerate(source, 1):
        if not line.strip():
            continue
        try:
            tree = load_json(
                line.removeprefix(_MARK if number == 1 else b"").strip(), allow_nan=True
            )
        except InvalidArgumentError as error:
            yield number, InvalidArgumentError(f"line {number}: {error}", BAD_REQUEST)
            return
        yield number, tree


def reader_of(model: PyFuncModel) -> RequestReader:
    """Return what reads the input of a model as its server would."""
    from pyfunc.schema import RequestReader

    signature = model.metadata.signature
    return RequestReader(
        model.input_schema,
        model.params_schema,
        from_type_hint=bool(getattr(signature, "_is_signature_from_type_hint", False)),
        allow_nan=True,  # a file is the caller's own, and MLflow takes NaN
    )


def _rows_of(data: Any) -> int:
    try:
        return len(data)
    except TypeError:
        return 1


def called(method: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a method of a model does.

    Raises:
        ModelFailedError: it raised what is no error of this library.
    """
    try:
        return method(*arguments)
    except PyfuncError:
        raise
    except (Exception, SystemExit) as error:
        raise ModelFailedError(f"the model failed: {type(error).__name__}: {error}") from error
