"""The actor that holds a model: what ``Dataset.map_batches`` is given as its function."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pyfunc.distributed.ray.batches import predict_batch
from pyfunc.distributed.ray.folders import ActorFolder
from pyfunc.distributed.ray.shipping import ShippedModel
from pyfunc.env.creating.installers import EnvManager
from pyfunc.errors import ModelFailedError
from pyfunc.loading.entry import load_model

if TYPE_CHECKING:
    import pyarrow as pa

    from pyfunc.model.loaded import PyFuncModel

__all__ = ["BatchPredictor"]


class BatchPredictor:
    """Loads a model once and predicts for Arrow batches, as many as come.

    For ``dataset.map_batches(BatchPredictor, batch_format="pyarrow", fn_constructor_args=...)``,
    where :func:`pyfunc.distributed.ray.predict` has too few arguments. A model that is a path has
    to be on every node.
    """

    def __init__(
        self,
        model: ShippedModel | str,
        *,
        params: Mapping[str, object] | None = None,
        keep: Sequence[str] = (),
        env_manager: EnvManager | None = None,
        model_config: Mapping[str, object] | None = None,
    ) -> None:
        self._params, self._keep = params, tuple(keep)
        # Goes with this object; a model may read from its directory as long as it lives.
        self._folder = ActorFolder()
        place = model if isinstance(model, str) else model.unpack(self._folder.path)
        with _sendable():
            self._model = _load(place, env_manager, model_config)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return the predictions for a batch, one row per row."""
        with _sendable():
            return predict_batch(self._model, batch, self._params, self._keep)


@contextlib.contextmanager
def _sendable() -> Iterator[None]:
    """Make an error that is no UTF-8 one that is.

    Ray takes an actor that could not send its error for one that died, and starts another.
    """
    try:
        yield
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        told = text.encode("utf-8", "backslashreplace").decode("utf-8")
        if told == text:
            raise
        raise ModelFailedError(told) from None


def _load(
    place: str | Path, env_manager: EnvManager | None, model_config: Mapping[str, object] | None
) -> PyFuncModel:
    config = None if model_config is None else dict(model_config)
    if env_manager in (None, "local"):
        return load_model(place, model_config=config)
    return load_model(place, model_config=config, env="isolated", env_manager=env_manager)
