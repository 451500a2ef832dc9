"""Predicting for a file: where it is read from, where the predictions go, in what formats."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, BinaryIO

from pyfunc.distributed.batch.files import opened_source, opened_target
from pyfunc.distributed.batch.prediction import PredictionJob, run_predictions
from pyfunc.distributed.batch.tables import FileFormat, format_of

if TYPE_CHECKING:
    from pyfunc.model.loaded import PyFuncModel

__all__ = ["predict_file"]

Place = str | os.PathLike[str] | BinaryIO


def predict_file(
    model: PyFuncModel,
    source: Place,
    target: Place,
    *,
    input_format: FileFormat | None = None,
    output_format: FileFormat | None = None,
    params: Mapping[str, object] | None = None,
    batch_size: int | None = None,
    samples: bool = False,
    progress: Callable[[int], None] = lambda rows: None,
) -> int:
    """Predict all that ``source`` holds and write it to ``target``; return how many rows.

    A file that is named by ``target`` is written beside and takes its place when all is written;
    if anything fails, what was there before stays.

    Args:
        model: a loaded model.
        source: a path, or a binary file that is read from where it stands and not closed.
        target: the same, to write to.
        input_format: ``json``, ``jsonl``, ``csv`` or ``parquet``; by default as the name of
            the file says, else ``json``. JSON is a request in one of the forms of a model server.
            A line of JSON lines is such a request, or a row with a value per column.
        output_format: the same; by default as the name says, else ``jsonl`` for ``jsonl`` and
            ``json`` for everything else.
        params: parameters of the model, for input that brings none.
        batch_size: rows that are predicted at once, see :class:`PredictionJob`.
        samples: the input is one sample, or one per line, for the model's request handler.
        progress: is called with the number of rows done so far.

    Raises:
        InvalidArgumentError: a format is unknown; with ``BAD_REQUEST``, the input cannot be read
            or a prediction cannot be written so.
        ModelNotFoundError: with ``BAD_REQUEST``, there is no file ``source``.
        SaveConflictError: there is a folder at ``target``.
        SaveError: ``target`` cannot be written.
        SchemaError: the input does not fit the signature of the model.
        ModelFailedError: the model's own code failed.
    """
    reads = format_of(_name_of(source), input_format)
    default: FileFormat = "jsonl" if reads == "jsonl" else "json"
    writes = format_of(_name_of(target), output_format, default)
    job = PredictionJob(reads, writes, params, batch_size, samples)
    with _at(source, opened_source) as reading, _at(target, opened_target) as writing:
        return run_predictions(model, job, reading, writing, progress)


def _name_of(place: Place) -> str | None:
    return os.fspath(place) if isinstance(place, (str, os.PathLike)) else None


@contextlib.contextmanager
def _at(
    place: Place, opened: Callable[[str], contextlib.AbstractContextManager[BinaryIO]]
) -> Iterator[BinaryIO]:
    """Give the file at a path, or the file that is there already."""
    if not isinstance(place, (str, os.PathLike)):
        yield place
        return
    with opened(os.fspath(place)) as file:
        yield file
