"""Rows of numbers for a model that takes them as an array, in place of a frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from pyfunc.schema import DataType, Schema

__all__ = ["RowMethod", "RowPredictor", "RowTaker"]

_TYPES = (DataType.double, DataType.float, DataType.long, DataType.integer)

RowMethod = Callable[[npt.NDArray[np.generic]], object]
"""Takes an array of shape (rows, columns), and returns what the model does for such a frame."""


@runtime_checkable
class RowTaker(Protocol):
    """A loaded model of a library that may take rows of numbers as an array."""

    def row_method(self, name: str, columns: list[str]) -> RowMethod | None:
        """Return what the method of that name is for rows of these columns.

        None if it must get a frame, or if anything happens in it but the computing of libraries:
        code of the model's author, or waiting for something.
        """


@dataclass(frozen=True, slots=True)
class RowPredictor:
    """What predicts rows of a signature whose columns are all of one number type.

    It does nothing but compute.

    Attributes:
        names: of the columns, in the order of an array's.
        dtype: of the array.
        predict: takes the array.
    """

    names: list[str]
    dtype: np.dtype[np.generic]
    predict: RowMethod

    @classmethod
    def of(cls, model: object, method: str, schema: Schema) -> RowPredictor | None:
        """Return that of a library's model, None where an array could make a difference."""
        found = _number_columns(schema)
        if found is None or not isinstance(model, RowTaker):
            return None
        predict = model.row_method(method, found[0])
        return None if predict is None else cls(*found, predict)


def _number_columns(schema: Schema) -> tuple[list[str], np.dtype[np.generic]] | None:
    """Return the names and the dtype of columns that are all of one number type, else None."""
    if schema.is_tensor_spec() or not schema.has_input_names():
        return None
    names, types = schema.input_names(), schema.input_types()
    only = types[0]
    if any(found is not only for found in types) or not isinstance(only, DataType):
        return None
    if only not in _TYPES or set(map(type, names)) != {str} or len(set(names)) != len(names):
        return None
    return [str(name) for name in names], np.dtype(only.to_numpy())
