"""Predictions on their way out: as JSON, lines of JSON, CSV or parquet, written as they come."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal

from pyfunc.distributed.batch.tables import (
    FileFormat,
    format_parquet,
    frame_of_predictions,
    only_utf_8,
)
from pyfunc.errors import BAD_REQUEST, InvalidArgumentError, ModelFailedError, PyfuncError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Answer", "check_columns", "frame_of_answer", "write_answers"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A prediction, and what it is of.

    Attributes:
        value: what the model gave.
        rows: how many rows it is for.
        of: all of a ``table``, a ``part`` of the rows, a ``sample`` or ``request`` that is all of
            the input, an ``entry`` (a sample that is one line of it), or a request that is one
            ``line``.
        unified: the request was in the form of chat models, so the answer is not wrapped.
    """

    value: object
    rows: int
    of: Literal["table", "part", "sample", "request", "entry", "line"]
    unified: bool = False


def write_answers(answers: Iterable[Answer], kind: FileFormat, target: BinaryIO) -> None:
    """Write predictions to ``target``, each as soon as it is there.

    A document of JSON has the form that a model server answers in, also if the rows were
    predicted in parts. Parquet is written at the end, when the types of its columns are known.

    Raises:
        InvalidArgumentError: with ``BAD_REQUEST``, a prediction for part of the rows has no
            entry per row, or one cannot be a table.
        ModelFailedError: a prediction has no JSON form.
    """
    if kind == "jsonl":
        for answer in answers:
            target.writelines(line.encode("ascii") + b"\n" for line in _lines_of(answer))
            target.flush()
    elif kind == "json":
        _write_document(answers, target)
    elif kind == "csv":
        _write_csv(answers, target)
    else:
        _write_parquet(answers, target)
    target.flush()


def _lines_of(answer: Answer) -> list[str]:
    if answer.of == "line":
        return [_json_of(answer.value, unified=answer.unified)]
    return [json.dumps(item) for item in _items(answer)]


def _write_document(answers: Iterable[Answer], target: BinaryIO) -> None:
    document: _WholeDocument | _ListDocument | _DictDocument | None = None
    for answer in answers:
        if document is None:
            document = _document_for(answer)(target)
        document.add(answer)
    (document or _ListDocument(target)).end()


def _document_for(
    answer: Answer,
) -> type[_WholeDocument] | type[_ListDocument] | type[_DictDocument]:
    if answer.of in ("request", "table", "sample"):
        return _WholeDocument
    if answer.of == "part" and isinstance(_tree(answer.value), dict):
        return _DictDocument
    return _ListDocument


class _WholeDocument:
    """The one answer there is, as a server writes it."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target

    def add(self, answer: Answer) -> None:
        text = _json_of(answer.value, unified=answer.unified or answer.of == "sample")
        self._target.write(text.encode("ascii"))

    def end(self) -> None:
        self._target.write(b"\n")


class _ListDocument:
    """``{"predictions": [...]}``, the entries of which are written as they come."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self._before = b'{"predictions": ['

    def add(self, answer: Answer) -> None:
        items = _items(answer)
        if items:
            self._target.write(self._before + json.dumps(items)[1:-1].encode("ascii"))
            self._before = b", "

    def end(self) -> None:
        if self._before != b", ":
            self._target.write(self._before)
        self._target.write(b"]}\n")


class _DictDocument:
    """``{"predictions": {name: [...], ...}}`` of parts that each have a list per name."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self._columns: dict[str, list[object]] = {}

    def add(self, answer: Answer) -> None:
        tree = _tree(answer.value)
        if not _has_entry_per_row(tree, answer.rows) or not isinstance(tree, dict):
            raise _no_rows(answer)
        if self._columns:
            check_columns(sorted(self._columns), sorted(tree))
        for name, entries in tree.items():
            self._columns.setdefault(name, []).extend(entries)

    def end(self) -> None:
        self._target.write(json.dumps({"predictions": self._columns}).encode("ascii") + b"\n")


def _write_csv(answers: Iterable[Answer], target: BinaryIO) -> None:
    from pyfunc.distributed.batch.csv_numbers import format_csv

    columns: list[str] | None = None
    for answer in answers:
        frame = frame_of_answer(answer)
        found = list(frame.columns)
        if columns is not None:
            check_columns(columns, found)
        with only_utf_8():
            text = format_csv(frame, header=columns is None)
        target.write(text)
        target.flush()
        columns = found


def _write_parquet(answers: Iterable[Answer], target: BinaryIO) -> None:
    import pandas as pd

    frames = [frame_of_answer(answer) for answer in answers]
    whole = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    target.write(format_parquet(whole))


def frame_of_answer(answer: Answer) -> pd.DataFrame:
    """Return a prediction as a table.

    Raises:
        InvalidArgumentError: with ``BAD_REQUEST``, it cannot be one, or is one for part of the
            rows that has another number of them.
    """
    single = answer.of in ("sample", "entry") or not hasattr(answer.value, "__len__")
    frame = frame_of_predictions([answer.value] if single else answer.value)
    if answer.of == "part" and len(frame) != answer.rows:
        raise _no_rows(answer)
    return frame


def _items(answer: Answer) -> list[object]:
    """Return a prediction as a list, with one entry per row where it has one."""
    tree = _tree(answer.value)
    if answer.of in ("sample", "entry", "line"):
        return [tree]
    per_row = _has_entry_per_row(tree, answer.rows)
    if answer.of == "part" and not per_row:
        raise _no_rows(answer)
    if isinstance(tree, dict) and per_row and answer.of != "request":
        return [dict(zip(tree, row, strict=True)) for row in zip(*tree.values(), strict=True)]
    return tree if isinstance(tree, list) else [tree]


def _has_entry_per_row(tree: object, rows: int) -> bool:
    if isinstance(tree, dict):
        return bool(tree) and all(isinstance(v, list) and len(v) == rows for v in tree.values())
    return isinstance(tree, list) and len(tree) == rows


def _no_rows(answer: Answer) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"the model gave no prediction per row for {answer.rows} row(s)\n"
        "hint: --batch-size 0 predicts a whole table at once, and a line of jsonl can be a "
        'request, such as {"inputs": ...}',
        BAD_REQUEST,
    )


def check_columns(before: Sequence[object], now: Sequence[object]) -> None:
    """Check that the predictions for later rows have the columns of those before.

    Raises:
        InvalidArgumentError: with ``BAD_REQUEST``, they have not.
    """
    if now != before:
        raise InvalidArgumentError(
            f"the predictions for later rows have the columns {now}, those before {before}\n"
            "hint: --batch-size 0 predicts everything at once",
            BAD_REQUEST,
        )


def _json_of(value: object, *, unified: bool) -> str:
    from pyfunc.schema import format_predictions

    try:
        return format_predictions(value, unified=unified)
    except PyfuncError as error:
        raise ModelFailedError(f"the prediction has no JSON form: {error}") from error


def _tree(value: object) -> object:
    return json.loads(_json_of(value, unified=True))
