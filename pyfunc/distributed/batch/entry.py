"""Predicting for a file: where it is read from, where the predictions go, in what formats."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, BinaryIO

from pyfunc.distributed.batch.files import opened_source, opened_target
from pyfunc.distributed.batch.prediction import PredictionJob, run_predictions
from pyfunc.distributed.batch.resuming import count_row_groups, find_obstacle, predict_row_groups
from pyfunc.distributed.batch.shards import Shard, parse_shard
from pyfunc.distributed.batch.tables import FileFormat, format_of
from pyfunc.errors import InvalidArgumentError

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
    shard: Shard | str | None = None,
    resume: bool | None = None,
    restart: bool = False,
    progress: Callable[[int], None] = lambda rows: None,
) -> int:
    """Predict all that ``source`` holds and write it to ``target``; return how many rows.

    A file that is named by ``target`` is written beside and takes its place when all is written;
    if anything fails, what was there before stays.

    A parquet file of several row groups that is predicted to a parquet file goes group by group.
    What is finished is kept in a folder beside ``target``, and the next call predicts the rest:
    also after the process was killed, and only if model, input and parameters are the same.

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
        shard: predict only one share of the row groups, ``"0/3"`` to ``"2/3"`` of three;
            ``"env"`` reads which from the environment, see :func:`parse_shard`. In the name
            ``target``, ``{shard}`` becomes the number of the share.
        resume: True insists on a prediction that can be resumed, False on one that cannot; None
            takes what the formats allow.
        restart: drop what an earlier call has finished.
        progress: is called with the number of rows done so far.

    Raises:
        InvalidArgumentError: a format or ``shard`` is unknown, or the prediction cannot be resumed
            or shared; with ``BAD_REQUEST``, the input cannot be read or a prediction cannot be
            written so.
        ModelNotFoundError: with ``BAD_REQUEST``, there is no file ``source``.
        SaveConflictError: there is a folder at ``target``, another process is predicting to it,
            or what is finished is of another model, input or parameters.
        SaveError: ``target`` cannot be written.
        SchemaError: the input does not fit the signature of the model.
        ModelFailedError: the model's own code failed.
    """
    if isinstance(shard, str):
        shard = parse_shard(shard)
    if shard is not None and isinstance(target, (str, os.PathLike)):
        target = shard.named(os.fspath(target))
    reads = format_of(_name_of(source), input_format)
    default: FileFormat = "jsonl" if reads == "jsonl" else "json"
    writes = format_of(_name_of(target), output_format, default)
    job = PredictionJob(reads, writes, params, batch_size, samples)
    if files := _files_with_groups(job, source, target, shard, resume):
        return predict_row_groups(
            model, job, *files, shard=shard, restart=restart, progress=progress
        )
    with _at(source, opened_source) as reading, _at(target, opened_target) as writing:
        return run_predictions(model, job, reading, writing, progress)


def _files_with_groups(
    job: PredictionJob, source: Place, target: Place, shard: Shard | None, resume: bool | None
) -> tuple[str, str] | None:
    """Return both files where row groups are to be finished one by one, else None."""
    if resume is False and shard is None:
        return None
    read_from, write_to = _name_of(source), _name_of(target)
    if read_from is None or write_to is None:
        obstacle: str | None = "both input and output have to be files that are named"
    else:
        obstacle = find_obstacle(job, read_from, write_to)
        if obstacle is None:
            # A file without rows is a table all the same, of which the model gives the columns.
            worthwhile = 1 if resume else 2
            wanted = shard is not None or count_row_groups(read_from) >= worthwhile
            return (read_from, write_to) if wanted else None
    if resume or shard is not None:
        raise InvalidArgumentError(
            f"{'sharing' if shard else 'resuming'} a prediction is impossible here: {obstacle}\n"
            "hint: have the input as parquet, and name an output that ends in .parquet"
        )
    return None


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
