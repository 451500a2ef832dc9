"""The models that a worker process of Spark holds: each loaded once, a few at a time."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator

from pyfunc.distributed.spark.models import HeldModel, ShippedModel

__all__ = ["MODELS", "ModelCache"]


class ModelCache:
    """Loaded models by their keys; the one that was used least lately goes first.

    A model that is in use is not closed before it is given back.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[str, HeldModel] = OrderedDict()
        self._uses: dict[int, int] = {}
        self._lock = threading.RLock()  # one load at a time

    def __len__(self) -> int:
        return len(self._held)

    @contextlib.contextmanager
    def using(self, shipped: ShippedModel) -> Iterator[HeldModel]:
        """Give the loaded model for the block; it is loaded unless it is held already.

        Raises:
            PyfuncError: it cannot be loaded; the next one to ask tries again.
        """
        with self._lock:
            model = self._take(shipped)
            self._uses[id(model)] = self._uses.get(id(model), 0) + 1
        try:
            yield model
        finally:
            with self._lock:
                self._uses[id(model)] -= 1
                self._close_if_unused(model)

    def _take(self, shipped: ShippedModel) -> HeldModel:
        key = shipped.key
        if key not in self._held:
            self._held[key] = shipped.load()
            while len(self._held) > self._most:
                self._close_if_unused(self._held.popitem(last=False)[1])
        self._held.move_to_end(key)
        return self._held[key]

    def _close_if_unused(self, model: HeldModel) -> None:
        is_held = any(model is held for held in self._held.values())
        if not is_held and not self._uses.get(id(model)):
            self._uses.pop(id(model), None)
            model.close()


MODELS = ModelCache(4)
"""Those of this process."""
