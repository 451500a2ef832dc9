"""A model as it travels to a worker process of Spark, and how it is loaded there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pyfunc.distributed.archives import check_digest, unpack_model
from pyfunc.distributed.arrow.scoring import score_columns
from pyfunc.distributed.spark.environments import ModelEnvironment, PrebuiltEnvironment
from pyfunc.distributed.spark.shipping import Shipment
from pyfunc.loading.entry import load_model
from pyfunc.loading.isolated import IsolatedModel, load_isolated
from pyfunc.model.description import Model
from pyfunc.trust import check_code_may_run

if TYPE_CHECKING:
    import pyarrow as pa

    from pyfunc.model.loaded import PyFuncModel

__all__ = ["Answer", "HeldModel", "ShippedModel"]


@dataclass(frozen=True)
class Answer:
    """What is asked of a model beside its input.

    Attributes:
        params: parameters for every batch.
        kind: the Arrow type of the answer.
        zone: the time zone of the session.
    """

    params: Mapping[str, object] | None
    kind: pa.DataType
    zone: str


class HeldModel(Protocol):
    """A loaded model, wherever it runs."""

    def score(self, columns: Sequence[pa.Array], answer: Answer) -> pa.Array:
        """Return one value per row."""

    def close(self) -> None:
        """Give back what it holds."""


@dataclass(frozen=True)
class ShippedModel:
    """A model as it was when the function was made, and how it is loaded.

    Attributes:
        digest: stands for its files.
        archive: where they are.
        model_config: replaces values that were saved with it.
        environment: what it runs in; None is Spark's own Python.
        extra_env: environment variables for it.
    """

    digest: str
    archive: Shipment
    model_config: Mapping[str, object] | None = None
    environment: ModelEnvironment | PrebuiltEnvironment | None = None
    extra_env: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """What two functions have in common if they can use one loaded model."""
        config = json.dumps(self.model_config, sort_keys=True, default=repr)
        return "\n".join([self.digest, config, repr(self.environment), repr(self.extra_env)])

    def load(self) -> HeldModel:
        """Return the model, unpacked, verified and loaded.

        Raises:
            PyfuncError: it cannot be loaded.
        """
        found = self.archive.find()
        if self.archive.how == "unpacked":
            directory = check_digest(found, self.digest)
        else:
            directory = unpack_model(found, self.digest)
        if self.environment is None:
            return _HereModel(_load_here(directory, self.model_config, self.digest))
        return _ApartModel(_load_apart(directory, self.model_config, self.environment))


_warned: set[str] = set()


def _load_here(
    directory: Path, model_config: Mapping[str, object] | None, digest: str
) -> PyFuncModel:
    is_known = digest in _warned  # of a model that was loaded before all has been said
    _warned.add(digest)
    return load_model(
        directory,
        suppress_warnings=is_known,
        model_config=None if model_config is None else dict(model_config),
    )


def _load_apart(
    directory: Path,
    model_config: Mapping[str, object] | None,
    environment: ModelEnvironment | PrebuiltEnvironment,
) -> IsolatedModel:
    check_code_may_run("its environment", directory)
    return load_isolated(
        directory,
        Model.load(directory),
        environment=environment.prepare(directory),
        dies_with_parent=True,
        options={"model_config": None if model_config is None else dict(model_config)},
    )


class _HereModel:
    """A model in this process."""

    def __init__(self, model: PyFuncModel) -> None:
        self._model = model

    def score(self, columns: Sequence[pa.Array], answer: Answer) -> pa.Array:
        """Return one value per row."""
        return score_columns(self._model, columns, answer.params, answer.kind, answer.zone)

    def close(self) -> None:
        """Give back the modules of the model's code."""
        self._model.close()


class _ApartModel:
    """A model in a child process, which is given tables of Arrow and answers with such."""

    def __init__(self, model: IsolatedModel) -> None:
        self._model = model

    def score(self, columns: Sequence[pa.Array], answer: Answer) -> pa.Array:
        """Return one value per row."""
        import pyarrow as pa

        table = pa.Table.from_arrays(list(columns), names=list(map(str, range(len(columns)))))
        wanted = pa.schema([("answer", answer.kind)]).empty_table()
        scored = self._model.score(table, wanted, params=answer.params, zone=answer.zone)
        return scored.column(0).combine_chunks()

    def close(self) -> None:
        """End the child process."""
        self._model.close()
