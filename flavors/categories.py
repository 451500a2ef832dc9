"""Plain columns as the categories that a model was trained with.

A request has no categories, only their values; models that were trained with a column of
categories refuse any other column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from pyfunc.errors import BAD_REQUEST, InvalidArgumentError, shorten

__all__ = ["find_plain_columns", "restore_categories"]


def restore_categories(
    frame: pd.DataFrame, categories: Mapping[int, Sequence[object]], *, others: bool
) -> pd.DataFrame:
    """Return ``frame`` with the columns at the given positions as categories.

    Columns that are categories already stay as they are, and ``frame`` is never written to.

    Args:
        frame: what the model is to predict for.
        categories: the values of each column, in the order of the training.
        others: whether any other value counts as missing, as it does for LightGBM.

    Raises:
        InvalidArgumentError: with ``BAD_REQUEST``, a value is no category of the model.
    """
    changed = frame
    for position, values in categories.items():
        column = frame.iloc[:, position]
        if isinstance(column.dtype, pd.CategoricalDtype):
            continue
        known = column.isin(list(values))
        restored = pd.Categorical(column.where(known), categories=list(values))
        odd = column.notna() & ~known
        if odd.any() and not others:
            raise InvalidArgumentError(
                f"inputs[{frame.columns[position]!r}]: {shorten(column[odd].iloc[0])} is none of "
                f"the categories that the model was trained with: {shorten(list(values))}",
                BAD_REQUEST,
            )
        changed = frame.copy(deep=False) if changed is frame else changed
        changed.isetitem(position, pd.Series(restored, index=frame.index))
    return changed


def find_plain_columns(frame: pd.DataFrame) -> list[int]:
    """Return the positions of the columns that are neither numbers nor booleans."""
    return [i for i, dtype in enumerate(frame.dtypes) if dtype.kind not in "biuf"]
