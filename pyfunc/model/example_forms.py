"""Giving a model its input in the form that its input example had.

A model whose hint is ``TypeFromExample`` is called with what the example was, although the
schema turned the input into a frame (format.md 4.4).
"""

from __future__ import annotations

from typing import Any

from pyfunc.errors import INVALID_PARAMETER_VALUE, PyfuncError

__all__ = ["frame_to_example_form", "single_stream_input"]


def frame_to_example_form(data: object, example: object) -> object:
    """Return the frame ``data`` as the kind of value that ``example`` is."""
    import pandas as pd

    if not isinstance(data, pd.DataFrame) or isinstance(example, (pd.DataFrame, type(None))):
        return data
    if isinstance(example, pd.Series):
        return pd.Series(data.iloc[:, 0], name=example.name)
    if isinstance(example, dict):
        return data.to_dict("records")[0]
    if not isinstance(example, (list, tuple)):
        return data.iloc[0, 0]
    of_records = bool(example) and isinstance(example[0], dict)
    if of_records or data.shape[1] != 1:
        return data.to_dict("records")
    return data.iloc[:, 0].tolist()


def single_stream_input(data: object) -> object:
    """Return the one input in ``data``, as a model that streams takes it.

    Raises:
        PyfuncError: a frame, an array or a list has more or less than one.
    """
    import numpy as np
    import pandas as pd

    rows: Any = data
    if isinstance(data, pd.DataFrame):
        unnamed = data.columns.equals(pd.RangeIndex(1))
        rows = data.iloc[:, 0].tolist() if unnamed else data.to_dict("records")
    elif isinstance(data, np.ndarray):
        rows = data.tolist()
    if not isinstance(rows, list):
        return data
    if len(rows) != 1:
        raise PyfuncError(
            f"predict_stream takes a single input: expected 1, got {len(rows)}",
            INVALID_PARAMETER_VALUE,
        )
    return rows[0]
