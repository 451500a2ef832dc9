"""A column of a frame as a tensor: of scalars, of lists or of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pyfunc.errors import INTERNAL_ERROR, INVALID_PARAMETER_VALUE
from pyfunc.schema.casting.arrays import cast_array
from pyfunc.schema.casting.findings import Findings, Misfit, name_type
from pyfunc.schema.casting.object_columns import PANDAS_ERRORS
from pyfunc.schema.specs import TensorSpec

__all__ = ["convert_column"]


def convert_column(column: pd.Series, spec: TensorSpec, path: str, findings: Findings) -> object:
    """Return the column as a new array of ``spec``, as MLflow builds it.

    The first cell decides: scalars give shape ``(-1,)`` or ``(-1, 1)``; lists of scalars and
    arrays are stacked and reshaped. Scalars and lists are cast if no value is lost, arrays keep
    their dtype. What cannot be built becomes a finding, and the column is returned.
    """
    shape = tuple(spec.shape)
    if not shape or shape[0] != -1 or any(length < 0 for length in shape[1:]):
        findings.add(
            f"{path}.shape",
            "a free first axis and fixed others, as a column of a frame has",
            str(shape),
            code=INTERNAL_ERROR,
        )
        return column
    if not len(column):
        findings.add(path, "a column with rows", "an empty column", code=INTERNAL_ERROR)
        return column
    first = column.iloc[0]
    if np.isscalar(first):
        return _convert_scalars(column, spec, path, findings)
    is_flat_list = isinstance(first, list) and len(first) > 0 and np.isscalar(first[0])
    if is_flat_list or isinstance(first, np.ndarray):
        return _stack(column, spec, path, findings)
    findings.add(
        path,
        "scalars, lists of scalars or arrays",
        name_type(first),
        row=0,
        code=INVALID_PARAMETER_VALUE,
    )
    return column


def _convert_scalars(column: pd.Series, spec: TensorSpec, path: str, findings: Findings) -> object:
    shape = tuple(spec.shape)
    if shape not in ((-1,), (-1, 1)):
        findings.add(
            path,
            f"lists or arrays for the shape {shape}",
            name_type(column.iloc[0]),
            row=0,
            code=INVALID_PARAMETER_VALUE,
        )
        return column
    values = _cast(column, spec.type, path, findings)
    return column if values is None else values.reshape(shape)


def _stack(column: pd.Series, spec: TensorSpec, path: str, findings: Findings) -> object:
    cells = column.tolist()
    is_list = isinstance(cells[0], list)
    try:
        stacked = np.vstack(cells).reshape(spec.shape)
    except PANDAS_ERRORS:
        stacked = None
    if stacked is None or len(stacked) != len(column):
        findings.add(
            f"{path}.shape",
            str(tuple(spec.shape)),
            f"rows of {_describe_lengths(cells)} elements",
            code=INVALID_PARAMETER_VALUE,
        )
        return column
    if not is_list:
        return stacked
    values = _cast(stacked, spec.type, path, findings)
    return column if values is None else values


def _describe_lengths(cells: list[object]) -> str:
    lengths = sorted({np.asarray(cell, dtype=object).size for cell in cells})
    return ", ".join(map(str, lengths[:4])) + (", ..." if len(lengths) > 4 else "")


def _cast(values: Any, dtype: np.dtype[np.generic], path: str, findings: Findings) -> Any:
    """Return ``values`` as an array of ``dtype``, None after a finding.

    MLflow casts without a look at the values; here a cast that changes one is refused.
    """
    try:
        return cast_array(values, dtype)
    except Misfit as misfit:
        expected = f"values that {dtype} holds"
        findings.add(path, expected, misfit.got, row=misfit.row, hint=misfit.hint)
    return None
