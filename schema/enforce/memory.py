"""How the columns of a frame lie in memory, which a model can tell by the last bit of a sum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

__all__ = ["consolidate"]


def consolidate(frame: pd.DataFrame) -> pd.DataFrame:
    """Return ``frame`` itself if it lies in memory as MLflow hands it over, else such a copy.

    All columns of a dtype are one block, and the cells of each lie side by side. Pandas takes
    evenly spaced columns as a view with strides, and older releases keep the rows of an array
    together; numpy hands either to BLAS in another order. Pandas itself sums up several
    blocks in another order than one.
    """
    blocks: Any = getattr(getattr(frame, "_mgr", None), "blocks", ())
    arrays = [block.values for block in blocks if isinstance(block.values, np.ndarray)]
    result: pd.DataFrame
    if all(values.flags.c_contiguous for values in arrays):
        if len({values.dtype for values in arrays}) == len(arrays):
            return frame
        result = frame.copy()
    elif len(blocks) == 1:
        cells = np.asfortranarray(frame.to_numpy())
        result = pd.DataFrame(cells, index=frame.index, dtype=cells.dtype, copy=False)
    else:
        columns = {i: frame.iloc[:, i] for i in range(frame.shape[1])}
        result = pd.DataFrame(columns, index=frame.index, copy=True)
    result.columns = frame.columns
    return result
