"""What a worker process of Spark does: batches of columns in, batches of predictions out."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyfunc.distributed.spark.cache import MODELS
from pyfunc.distributed.spark.models import Answer, HeldModel, ShippedModel
from pyfunc.errors import ModelFailedError
from pyfunc.variables import SPARK_HIDES_TRACEBACK, TextVariable

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Job", "score_batches"]


@dataclass(frozen=True)
class Job:
    """All that a worker process needs to know."""

    model: ShippedModel
    answer: Answer


def score_batches(job: Job, batches: Iterable[Sequence[pa.Array]]) -> Iterator[pa.Array]:
    """Yield the predictions for each batch that has rows.

    Raises:
        ModelFailedError: the model failed, or did not answer with one value per row; says in
            which partition and batch.
    """
    with _variables(job.model.extra_env), contextlib.ExitStack() as stack:
        model = None
        for number, columns in enumerate(batches):
            if not len(columns[0]):
                continue
            with _told_where(number, len(columns[0])):
                if model is None:
                    model = stack.enter_context(MODELS.using(job.model))
                scored = _score(model, columns, job.answer)
            yield scored


def _score(model: HeldModel, columns: Sequence[pa.Array], answer: Answer) -> pa.Array:
    return model.score(columns, answer)


@contextlib.contextmanager
def _variables(given: Iterable[tuple[str, str]]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for name, text in given:
            variable = TextVariable(name, "the model", "of extra_env")
            stack.enter_context(variable.setting(text))
        yield


@contextlib.contextmanager
def _told_where(batch: int, rows: int) -> Iterator[None]:
    """Raise one error from any of the body: what happened first, then where, then how."""
    try:
        yield
    except (Exception, SystemExit) as error:
        where = f"partition {_partition()}, batch {batch}, rows in {rows}"
        # Spark shows the traceback of its own code first otherwise; the process ends here anyway.
        SPARK_HIDES_TRACEBACK.set("1")
        # It waits without end for an error that is no UTF-8, which the cause of this may be.
        text = _tell(error, where).encode("utf-8", "backslashreplace").decode("utf-8")
        raise ModelFailedError(text) from None


def _tell(error: BaseException, where: str) -> str:
    last = "".join(traceback.format_exception_only(error)).strip()
    if isinstance(error, ModelFailedError) and error.__cause__ is not None:
        return f"{error}\n{where}"
    trace = "".join(traceback.format_exception(error)).strip()
    return f"{last}\n{where}\n{trace}"


def _partition() -> object:
    try:
        from pyspark import TaskContext
    except ImportError:
        return "unknown"
    context = TaskContext.get()
    return "unknown" if context is None else context.partitionId()
