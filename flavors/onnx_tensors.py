"""Data on its way into the tensors of an ONNX graph, and out of them into a frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pyfunc.errors import InvalidArgumentError, shorten

__all__ = ["GraphInput", "columns_to_tensors", "table_to_tensor", "tensors_to_frame"]

_DTYPES: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(double)": np.dtype(np.float64),
    **{
        f"tensor({name})": np.dtype(name)
        for name in (
            "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
        )
    },
}  # fmt: skip


@dataclass(frozen=True)
class GraphInput:
    """One input of a graph.

    Attributes:
        name: what the graph calls it.
        dtype: of its numbers; None for text, booleans and what is no tensor.
        shape: the lengths of its axes, names and None for any; None for what is no tensor.
    """

    name: str
    dtype: np.dtype[Any] | None
    shape: Sequence[int | str | None] | None

    @classmethod
    def of_node(cls, node: Any) -> GraphInput:
        """Return what an input node of onnxruntime says."""
        shape = node.shape if str(node.type).startswith("tensor(") else None
        return cls(str(node.name), _DTYPES.get(node.type), shape)

    def cast(self, value: object) -> object:
        """Return ``value`` with the graph's dtype, if it is an array of numbers of another one.

        Doubles are rounded to single precision, as MLflow does.

        Raises:
            InvalidArgumentError: any other cast would change a value.
        """
        if self.dtype is None or not isinstance(value, np.ndarray) or value.dtype == self.dtype:
            return value
        if value.dtype.kind == "O":
            value = _numbers(value)
        if value.dtype.kind not in "iuf":
            return value
        with np.errstate(invalid="ignore", over="ignore"):
            cast = value.astype(self.dtype)
        is_rounded = value.dtype == np.float64 and self.dtype == np.float32
        if is_rounded or _is_same(value, cast):
            return cast
        raise InvalidArgumentError(
            f"input {self.name!r}: expected {self.dtype}, got {value.dtype} with values that it "
            "cannot hold"
        )

    def shaped(self, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return one column of a frame with the axes of the input, if it is one value per row."""
        if column.dtype == object and len(column) and isinstance(column[0], (list, np.ndarray)):
            column = np.stack([np.asarray(cell) for cell in column])
        if self.shape is None:
            return column
        if len(self.shape) == 1:
            return column.reshape(-1) if column.shape[1:] == (1,) else column
        ones = all(length == 1 for length in self.shape[1:])
        return column.reshape(-1, *self.shape[1:]) if ones and column.ndim == 1 else column


def _numbers(value: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array of objects that are numbers as one of numbers, another one as it is."""
    try:
        found = np.array(value.tolist())
    except ValueError:  # lists of different lengths
        return value
    return found if found.dtype.kind in "iuf" and found.shape == value.shape else value


def _is_same(value: npt.NDArray[Any], cast: npt.NDArray[Any]) -> bool:
    with np.errstate(invalid="ignore", over="ignore"):
        back = cast.astype(value.dtype)
    # A negative integer may come back from an unsigned one.
    is_same = np.array_equal(back, value, equal_nan=value.dtype.kind == "f")
    return is_same and bool(((cast < 0) == (value < 0)).all())


def columns_to_tensors(inputs: Sequence[GraphInput], frame: pd.DataFrame) -> dict[str, object]:
    """Return the columns of ``frame`` by input: all for a graph of one, else one for each."""
    if len(inputs) == 1:
        return table_to_tensor(inputs[0], frame.to_numpy())
    return {
        item.name: item.shaped(frame[item.name].to_numpy())
        for item in inputs
        if item.name in frame
    }


def table_to_tensor(item: GraphInput, values: npt.NDArray[Any]) -> dict[str, object]:
    """Return the values of a frame as those of the only input of a graph, by its name."""
    return {item.name: item.shaped(values[:, 0]) if _takes_column(item, values) else values}


def _takes_column(item: GraphInput, values: npt.NDArray[Any]) -> bool:
    if values.ndim != 2 or values.shape[1] != 1 or item.shape is None:
        return False
    is_nested = len(values) > 0 and isinstance(values[0, 0], (list, np.ndarray))
    return len(item.shape) == 1 or is_nested


def tensors_to_frame(names: Iterable[str], outputs: Sequence[object], rows: int) -> pd.DataFrame:
    """Return the outputs of a graph as columns.

    Each is flattened, as in MLflow. Where that gives them different lengths, as labels and
    probabilities have, one of several values per row is a column of arrays.

    Raises:
        InvalidArgumentError: they do not have one value, or one array, per row.
    """
    named = {name: np.asarray(output) for name, output in zip(names, outputs, strict=True)}
    if len({array.size for array in named.values()}) == 1:
        columns: dict[str, Any] = {name: array.reshape(-1) for name, array in named.items()}
    else:
        columns = {name: _by_row(name, array, rows) for name, array in named.items()}
    frame: pd.DataFrame = pd.DataFrame.from_dict(columns)
    return frame


def _by_row(name: str, array: npt.NDArray[Any], rows: int) -> object:
    if array.size == rows:
        return array.reshape(-1)
    if array.ndim > 1 and len(array) == rows:
        return pd.Series(list(array), dtype=object)
    raise InvalidArgumentError(
        f"output {name!r}: a frame of {rows} rows cannot hold its shape {shorten(array.shape)}\n"
        "hint: give a dict of arrays, for which the outputs come back as they are"
    )
