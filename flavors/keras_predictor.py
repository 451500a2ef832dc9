"""Running a Keras model on frames and arrays."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from pyfunc.flavors.predictors import NativePredictor

__all__ = ["KerasPredictor"]


class KerasPredictor(NativePredictor):
    """A Keras model; a frame is given to it as one array."""

    def predict(self, data: object, params: Mapping[str, object] | None = None) -> object:
        """Return the predictions, for a frame as a frame with the same index."""
        if not isinstance(data, pd.DataFrame):
            return self.model.predict(data, verbose=0)
        found = pd.DataFrame(self.model.predict(data.to_numpy(), verbose=0))
        found.index = data.index
        return found
