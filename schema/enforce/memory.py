"""How the columns of a frame lie in memory, which a model can tell by the last bit of a sum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

__all__ = ["make_columns_contiguous"]


def make_columns_contiguous(frame: pd.DataFrame) -> pd.DataFrame:
    """Return ``frame`` itself if the cells of each column lie side by side, else a copy.

    MLflow hands such frames to models. Pandas takes evenly spaced columns as a view with
    strides, and older releases keep the rows of an array together; numpy hands either to BLAS
    in another order, which then adds up in another one.
    """
    blocks: Any = getattr(getattr(frame, "_mgr", None), "blocks", ())
    if all(_is_contiguous(block.values) for block in blocks):
        return frame
    result: pd.DataFrame
    if len(blocks) == 1:
        cells = np.asfortranarray(frame.to_numpy())
        result = pd.DataFrame(cells, index=frame.index, dtype=cells.dtype, copy=False)
    else:
        columns = {i: frame.iloc[:, i] for i in range(frame.shape[1])}
        result = pd.DataFrame(columns, index=frame.index, copy=True)
    result.columns = frame.columns
    return result


def _is_contiguous(values: Any) -> bool:
    return not isinstance(values, np.ndarray) or bool(values.flags.c_contiguous)
