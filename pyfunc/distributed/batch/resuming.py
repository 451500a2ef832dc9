"""Predicting for a parquet file so that a run that was killed goes on where it stood."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from functools import partial
from typing import TYPE_CHECKING

from pyfunc.distributed.batch.answers import Answer, frame_of_answer
from pyfunc.distributed.batch.files import opened_source, opened_target
from pyfunc.distributed.batch.journal import opened_journal
from pyfunc.distributed.batch.parquet_rows import open_parquet
from pyfunc.distributed.batch.prediction import (
    ROWS_AT_ONCE,
    PredictionJob,
    Progress,
    called,
    reader_of,
    rows_after,
)
from pyfunc.distributed.batch.row_groups import RowGroups, shard_of, write_joined
from pyfunc.distributed.batch.shards import Shard
from pyfunc.distributed.batch.tables import FileFormat, format_parquet
from pyfunc.errors import SaveConflictError

if TYPE_CHECKING:
    import pandas as pd

    from pyfunc.model.loaded import PyFuncModel

__all__ = ["find_obstacle", "count_row_groups", "predict_row_groups", "rows_of"]

_logger = logging.getLogger(__name__)

_BLOCK = 1 << 20


def find_obstacle(job: PredictionJob, source: str, target: str) -> str | None:
    """Return why a prediction cannot be resumed or shared; None if it can.

    Raises:
        ModelNotFoundError: with ``BAD_REQUEST``, there is no file ``source``.
    """
    if (job.input_format, job.output_format) != ("parquet", "parquet"):
        return (
            f"{job.input_format} to {job.output_format}: only parquet to parquet has row groups, "
            "of which each can be finished by itself"
        )
    if job.samples or job.batch_size == 0:
        return "all of the input is predicted at once"
    if any(os.path.exists(path) and not os.path.isfile(path) for path in (source, target)):
        return "both input and output have to be ordinary files"
    with opened_source(source) as file:
        if open_parquet(file) is None:
            return "pyarrow is not installed, or the input is no parquet file"
    return None


def rows_of(source: str | None, kind: FileFormat, shard: Shard | None = None) -> int | None:
    """Return how many rows are to be predicted, where the file says so before it is read."""
    if source is None or kind != "parquet" or not os.path.isfile(source):
        return None
    with opened_source(source) as file:
        opened = open_parquet(file)
        if opened is None:
            return None
        sizes: list[int] = RowGroups(opened).sizes
        return sum(sizes[group] for group in (shard or Shard(0, 1)).of(len(sizes)))


def count_row_groups(source: str) -> int:
    """Return how many row groups of a parquet file have rows."""
    with opened_source(source) as file:
        return len(RowGroups(open_parquet(file)))


def predict_row_groups(
    model: PyFuncModel,
    job: PredictionJob,
    source: str,
    target: str,
    *,
    shard: Shard | None = None,
    restart: bool = False,
    progress: Progress = lambda rows: None,
) -> int:
    """Predict a parquet file, or one share of it; return how many rows.

    Each row group is predicted once, whatever becomes of the process: what is finished is kept
    in a journal beside ``target`` until all is, and ``target`` then appears in one step. The
    outcome is the same bytes as without a break.

    Raises:
        SaveConflictError: another process is at it, what is finished is of another model,
            input or parameters, or another share is at ``target``.
        InvalidArgumentError: with ``BAD_REQUEST``, the input cannot be read, or the predictions
            are no one table.
        SchemaError: the input does not fit the signature of the model.
        ModelFailedError: the model's own code failed.
    """
    with opened_source(source) as file:
        groups = RowGroups(open_parquet(file))
        chosen = (shard or Shard(0, 1)).of(len(groups))
        what = _what_follows_from(model, job, source, shard)
        done = 0
        with opened_journal(target, what, restart=restart) as journal:
            if shard is not None:
                _check_no_other(shard, target)
            if finished := sum(map(journal.is_finished, chosen)):
                _logger.info("%d of %d row groups are finished already", finished, len(chosen))
            for group in chosen:
                if not journal.is_finished(group):
                    within = partial(_add, progress, done)
                    table = _predicted(model, job, groups, group, within)
                    journal.finish(group, format_parquet(table))
                done += groups.sizes[group]
                progress(done)
            with opened_target(target) as joined:
                write_joined([journal.path_of(group) for group in chosen], joined, shard)
    return done


def _check_no_other(shard: Shard, target: str) -> None:
    """Check that ``target`` is not what another share of the same input was written to."""
    if not os.path.isfile(target):
        return
    with opened_source(target) as file:
        there = shard_of(open_parquet(file))
    if there is not None and there.index != shard.index:
        raise SaveConflictError(
            f"{target} holds share {there}, which share {shard} would replace\n"
            "hint: write {shard} in the name of the output, or remove the file first"
        )


def _add(progress: Progress, before: int, rows: int) -> None:
    progress(before + rows)


def _predicted(
    model: PyFuncModel, job: PredictionJob, groups: RowGroups, group: int, progress: Progress
) -> pd.DataFrame:
    """Return the predictions for a row group as one table."""
    import pandas as pd

    reader = reader_of(model)

    def parse(body: bytes) -> pd.DataFrame:
        frame: pd.DataFrame = reader.parse_parquet(body).data
        return frame

    # Without a signature nothing but the file says what type a column has.
    default = None if model.input_schema is None else ROWS_AT_ONCE
    done, tables = 0, []
    for frame in groups.frames(group, parse, job.batch_size or default):
        with rows_after(groups.starts[group] + done):
            value = called(model.predict, frame, job.params)
        tables.append(frame_of_answer(Answer(value, len(frame), "part")))
        done += len(frame)
        progress(done)
    return pd.concat(tables, ignore_index=True)


def _what_follows_from(
    model: PyFuncModel, job: PredictionJob, source: str, shard: Shard | None
) -> dict[str, object]:
    """Return all that the predictions follow from, as it is read back from JSON."""
    what = {
        "model": model.digest or model.metadata.to_dict(),
        "model_config": model.model_config,
        "input": _digest_of(source),
        "parameters": job.params,
        "batch_size": job.batch_size,
        "shard": None if shard is None else str(shard),
    }
    plain: dict[str, object] = json.loads(json.dumps(what, default=repr))
    return plain


def _digest_of(source: str) -> str:
    digest = hashlib.sha256()
    with opened_source(source) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
