"""Named tensors as the data that a model takes, and its prediction as named tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.extensions import ExtensionArray

from pyfunc.errors import ModelFailedError, Problem, PyfuncError, shorten
from pyfunc.schema import DataType, RequestLimits, RequestReader, Schema
from pyfunc.schema.casting.object_columns import object_array
from pyfunc.schema.data_types import is_missing
from pyfunc.schema.types import AnyType, Array, ColumnType, Map, Object
from pyfunc.schema.wire.json_cells import CellError, cast_flat, fixed_width
from pyfunc.schema.wire.json_frames import misfit
from pyfunc.schema.wire.json_text import bad_request, load_json
from pyfunc.serving.open_inference.tensors import DATATYPES, datatype_of

if TYPE_CHECKING:
    from pyfunc.model.loaded import PyFuncModel

__all__ = ["DEFAULT_INPUT", "DEFAULT_OUTPUT", "InputBuilder", "output_tensors", "tensor_forms"]

DEFAULT_INPUT = "inputs"
DEFAULT_OUTPUT = "predictions"

Tensors = dict[str, npt.NDArray[np.generic]]


def tensor_forms(schema: Schema | None, default: str) -> list[dict[str, object]]:
    """Return the inputs or outputs of a model as the protocol describes them.

    Columns without names are one tensor of rows called ``default``.
    """
    if schema is None:
        return []
    specs = list(schema)
    if schema.is_tensor_spec():
        return [
            _form(default if s.name is None else s.name, datatype_of(s.type), list(s.shape))
            for s in specs
        ]
    datatypes = [_datatype_of_column(spec.type) for spec in specs]
    if schema.has_input_names():
        return [_form(spec.name, word, [-1]) for spec, word in zip(specs, datatypes, strict=True)]
    word = datatypes[0] if len(set(datatypes)) == 1 else "BYTES"
    return [_form(default, word, [-1] if len(specs) == 1 else [-1, len(specs)])]


def _datatype_of_column(dtype: ColumnType) -> str:
    return datatype_of(dtype.to_numpy()) if isinstance(dtype, DataType) else "BYTES"


def _form(name: object, datatype: str, shape: list[int]) -> dict[str, object]:
    return {"name": str(name), "datatype": datatype, "shape": shape}


class InputBuilder:
    """Makes the data for one model out of named tensors; safe to share between threads."""

    def __init__(
        self, model: PyFuncModel, reader: RequestReader, limits: RequestLimits | None = None
    ) -> None:
        signature = model.metadata.signature
        self._hinted = bool(getattr(signature, "_is_signature_from_type_hint", False))
        self._schema = schema = model.input_schema
        self._reader = reader
        self._limits = limits
        names = [] if schema is None or schema.is_tensor_spec() else schema.input_names()
        self._names: list[object] = []
        self._labels: pd.Index = pd.RangeIndex(0)
        with suppress(UnicodeEncodeError, TypeError):  # names that no request can have
            self._labels = pd.DataFrame(dict.fromkeys(names, ())).columns
            self._names = names

    def build(self, tensors: Tensors) -> object:
        """Return the data.

        Columns come from tensors of shape ``[n]`` or ``[n, 1]``, or all from one of shape
        ``[n, columns]``; text for datetimes, base64 for bytes, JSON for nested values. For
        tensors, too, text stands for moments, and base64 for bytes that JSON carries.

        Raises:
            PyfuncError: the tensors cannot be what the signature declares.
        """
        schema = self._schema
        if self._hinted:
            return self._read_rows(tensors)
        if schema is None or schema.is_tensor_spec():
            named = schema is not None and schema.has_input_names()
            types = {} if schema is None else {s.name: s.type for s in schema}
            decoded = {
                name: _as_tensor(name, array, types.get(name if named else None))
                for name, array in tensors.items()
            }
            return decoded if named or len(decoded) > 1 else next(iter(decoded.values()))
        columns = _columns_of(tensors, schema)
        dtypes = {array.dtype for array in columns.values()}
        if np.dtype(object) in dtypes:
            return self._read_columns(columns, schema)
        if len(dtypes) > 1 or list(columns) != self._names:
            return pd.DataFrame(columns, copy=False)
        block = np.concatenate(list(columns.values())).reshape(len(columns), -1)
        return pd.DataFrame(block.T, columns=self._labels.view(), copy=False)

    def _read_columns(
        self, columns: dict[object, npt.NDArray[np.generic]], schema: Schema
    ) -> object:
        """Return a frame of columns some of which are text, in the way of other requests."""
        types = dict(zip(schema.input_names(), schema.input_types(), strict=True))
        cells: dict[object, list[object]] = {}
        binary: dict[object, list[bytes]] = {}
        for label, array in columns.items():
            values = array.tolist()
            if types.get(label) is DataType.binary and set(map(type, values)) == {bytes}:
                binary[label] = values
                continue
            texts = array.dtype == object
            nested = isinstance(types.get(label), (Array, Object, Map, AnyType))
            if nested and texts and self._limits is not None:
                self._limits.check_texts([v for v in values if isinstance(v, (str, bytes))])
            cells[label] = [_cell(label, v, nested) for v in values] if texts else values
        frame = self._frame(cells) if cells else pd.DataFrame()
        for label, values in binary.items():
            frame[label] = pd.Series(values, dtype=object)
        return frame[list(columns)] if binary else frame

    def _frame(self, cells: dict[object, list[object]]) -> pd.DataFrame:
        rows = [list(row) for row in zip(*cells.values(), strict=True)]
        split = {"columns": list(cells), "data": rows}
        parsed: pd.DataFrame = self._reader.parse_json({"dataframe_split": split}).data
        return parsed

    def _read_rows(self, tensors: Tensors) -> object:
        """Return what a type hint takes: one value or dict a row, text as in other requests."""
        schema = self._schema
        if len(tensors) == 1 and schema is not None and schema.inputs[0].type is DataType.binary:
            (array,) = tensors.values()
            cells: list[object] = array.reshape(-1).tolist()
            if set(map(type, cells)) == {bytes}:  # sent in binary, so as they are
                return cells
        return self._reader.parse_json({"inputs": _rows_of_values(tensors)}).data


def _rows_of_values(tensors: Tensors) -> list[object]:
    lists = {name: _decoded(name, array).tolist() for name, array in tensors.items()}
    if len(lists) == 1:
        (values,) = lists.values()
        return values if isinstance(values, list) else [values]
    _check_lengths(tensors)
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def _columns_of(tensors: Tensors, schema: Schema) -> dict[object, npt.NDArray[np.generic]]:
    names = schema.input_names()
    by_text = {str(name): name for name in names}
    lists = _lists_of(tensors, schema)
    if lists:
        _check_lengths(tensors)
        others = {name: array for name, array in tensors.items() if name not in lists}
        found = _columns_of(others, schema) if others else {}
        return found | {
            by_text.get(name, name) if schema.has_input_names() else 0: array
            for name, array in lists.items()
        }
    if len(tensors) == 1:
        (name, array), *_ = tensors.items()
        if name not in by_text or not schema.has_input_names():
            table = array.reshape(-1, 1) if array.ndim == 1 and len(names) == 1 else array
            if table.ndim != 2 or table.shape[1] != len(names):
                raise bad_request(
                    f"input {shorten(name)} has shape {list(array.shape)}, expected [n, "
                    f"{len(names)}] or one input for each of the columns {shorten(names)}"
                )
            return {label: table[:, i] for i, label in enumerate(names)}
    columns: dict[object, npt.NDArray[np.generic]] = {}
    for name, array in tensors.items():
        if array.ndim != 1 and array.shape[1:] != (1,):
            raise bad_request(
                f"input {shorten(name)} has shape {list(array.shape)}, a column has [n] or [n, 1]"
            )
        columns[by_text.get(name, name)] = array.reshape(-1)
    _check_lengths(tensors)
    return columns


def _lists_of(tensors: Tensors, schema: Schema) -> Tensors:
    """Return the tensors that hold a list for each row of a column of lists, as such columns.

    Text of shape ``[n, 1]`` is the JSON of each list instead, and one of any type no list.
    """
    types = {str(spec.name): spec.type for spec in schema}
    if len(tensors) == len(schema) == 1:
        types |= dict.fromkeys(tensors, schema.inputs[0].type)
    return {
        name: object_array(array.tolist())
        for name, array in tensors.items()
        if isinstance(types.get(name), (Array, AnyType))
        and array.ndim > 1
        and (array.shape[1:] != (1,) or not _is_one_cell(array, types[name]))
    }


def _is_one_cell(array: npt.NDArray[np.generic], dtype: ColumnType) -> bool:
    return array.dtype == object or isinstance(dtype, AnyType)


def _check_lengths(tensors: Tensors) -> None:
    lengths = {name: len(array) if array.ndim else 0 for name, array in tensors.items()}
    if len(set(lengths.values())) > 1:
        raise bad_request(f"the inputs have different lengths: {shorten(lengths)}")


def _cell(label: object, value: object, nested: bool) -> object:
    if isinstance(value, list):
        return [_cell(label, item, nested=False) for item in value]
    if not isinstance(value, (str, bytes)):
        return value
    text = _text(label, value)
    return load_json(text) if nested else text


def _text(name: Any, value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError:
        raise bad_request(f"input {shorten(name)} holds bytes that are not UTF-8") from None


def _as_tensor(
    name: str, array: npt.NDArray[np.generic], dtype: np.dtype[np.generic] | None
) -> npt.NDArray[np.generic]:
    """Return texts as the fixed-width texts, bytes or moments that a tensor is declared to be."""
    if array.dtype != object or dtype is None or dtype.kind not in "USmM":
        return _decoded(name, array)
    cells = array.reshape(-1).tolist()
    try:
        if dtype.kind == "S" and set(map(type, cells)) == {bytes}:
            return fixed_width(cells, dtype).reshape(array.shape)
        return cast_flat([_text(name, cell) for cell in cells], dtype).reshape(array.shape)
    except CellError as error:
        raise misfit(
            [Problem(f"inputs[{name!r}]", error.expected, error.got, error.row)]
        ) from error


def _decoded(name: str, array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    if array.dtype != object:
        return array
    found: npt.NDArray[np.generic] = np.empty(array.shape, dtype=object)
    found.reshape(-1)[:] = [_text(name, value) for value in array.reshape(-1).tolist()]
    return found


def output_tensors(value: object, schema: Schema | None) -> Tensors:
    """Return a prediction as named tensors, in order.

    A frame gives one for each column, a dict of arrays one for each key; anything else is
    one, with the name that the signature gives a single output.

    Raises:
        ModelFailedError: the prediction has no such form.
    """
    try:
        return _as_declared(_tensors_of(value, _default_name(schema)), schema)
    except (PyfuncError, ValueError, TypeError) as error:
        raise ModelFailedError("the prediction has no form as tensors") from error


def _default_name(schema: Schema | None) -> str:
    if schema is not None and len(schema) == 1 and schema.has_input_names():
        return str(schema.input_names()[0])
    return DEFAULT_OUTPUT


def _tensors_of(value: object, default: str) -> Tensors:
    if isinstance(value, pd.DataFrame):
        names = [str(label) for label in value.columns]
        if len(set(names)) != len(names):
            raise ValueError("the prediction has several columns of one name")
        return {name: _column(value.iloc[:, i]) for i, name in enumerate(names)}
    if isinstance(value, pd.Series):
        return {default if value.name is None else str(value.name): _column(value)}
    if isinstance(value, Mapping) and value:
        return {str(key): _array(item) for key, item in value.items()}
    return {default: _array(value)}


def _as_declared(tensors: Tensors, schema: Schema | None) -> Tensors:
    """Return the outputs with the datatypes of the signature, those that keep every value."""
    specs = [] if schema is None else list(schema)
    types = {str(spec.name): spec.type for spec in specs}
    if len(specs) == 1:
        types |= dict.fromkeys(tensors if len(tensors) == 1 else (), specs[0].type)
    return {name: _as_type(array, types.get(name)) for name, array in tensors.items()}


def _as_type(array: npt.NDArray[Any], dtype: object) -> npt.NDArray[Any]:
    goal = dtype.to_numpy() if isinstance(dtype, DataType) else dtype
    if not isinstance(goal, np.dtype) or goal.kind not in "biuf" or array.dtype == goal:
        return array
    if (array.dtype.kind == "b") != (goal.kind == "b") and array.dtype.kind != "O":
        return array
    if array.dtype.kind == goal.kind == "f":  # rounding to the declared floats is no change
        return np.asarray(array.astype(goal)) if goal.itemsize > array.dtype.itemsize else array
    found = _mask_nulls(array, goal)
    return array if found is None else found


def _mask_nulls(
    array: npt.NDArray[Any], dtype: np.dtype[np.generic] | None
) -> npt.NDArray[Any] | None:
    """Return numbers with what is missing masked, as ``dtype`` or as the dtype of the others.

    None if a value would change, or is no number.
    """
    flat = array.reshape(-1).tolist()
    missing = [is_missing(cell) for cell in flat]
    present = [cell for cell, is_null in zip(flat, missing, strict=True) if not is_null]
    if not all(isinstance(cell, (bool, int, float, np.generic)) for cell in present):
        return None
    try:
        found = np.array(present, dtype=dtype)
    except (ValueError, OverflowError, TypeError):
        return None
    is_truth = dtype is not None and dtype.kind == "b"
    if is_truth and not set(map(type, present)) <= {bool, np.bool_}:
        return None
    is_other = found.tolist() != present if dtype is not None else not present
    if found.dtype.kind not in "biuf" or is_other:
        return None
    filled = np.zeros(len(flat), dtype=found.dtype)
    mask = np.array(missing, dtype=bool)
    filled[~mask] = found
    if found.dtype.kind == "f":
        filled[mask] = np.nan
        return filled.reshape(array.shape)
    masked = np.ma.MaskedArray(filled, mask=mask).reshape(array.shape)
    return masked if mask.any() else np.asarray(masked)


def _numpy_dtype_of(dtype: Any) -> Any:
    """Return the numpy dtype of a column's values, whatever holds them."""
    if isinstance(dtype, pd.CategoricalDtype):
        dtype = dtype.categories.dtype
    if isinstance(dtype, pd.SparseDtype):
        dtype = dtype.subtype
    return getattr(dtype, "numpy_dtype", dtype)


def _column(column: pd.Series) -> npt.NDArray[np.generic]:
    numpy_dtype = _numpy_dtype_of(column.dtype)
    numeric = isinstance(numpy_dtype, np.dtype) and datatype_of(numpy_dtype) != "BYTES"
    if numeric and not column.hasnans:
        return column.to_numpy(dtype=str(numpy_dtype))
    if numeric and numpy_dtype.kind == "f":
        return column.to_numpy(dtype=str(numpy_dtype), na_value=np.nan)
    if numeric and (numpy_dtype.kind == "b" or isinstance(column.dtype, pd.CategoricalDtype)):
        cells = object_array(column.tolist())  # these do not take a number for a null
        masked = _mask_nulls(cells, numpy_dtype)
        return cells if masked is None else masked
    if numeric:  # floats could not hold every integer
        cells = column.to_numpy(dtype=str(numpy_dtype), na_value=0)
        return np.ma.MaskedArray(cells, mask=column.isna().to_numpy())
    return object_array([None if is_missing(cell) else cell for cell in column.tolist()])


def _array(value: Any) -> npt.NDArray[np.generic]:
    if isinstance(value, np.ndarray):
        if value.dtype in DATATYPES.values():
            return value
        cells: npt.NDArray[np.generic] = object_array(value.reshape(-1).tolist()).reshape(
            value.shape
        )
        return cells
    if isinstance(value, ExtensionArray):
        return _column(pd.Series(value))
    if not isinstance(value, (list, tuple)):
        return _array(np.array([value])) if np.isscalar(value) else object_array([value])
    return _array_of_list(value)


def _array_of_list(value: Sequence[object]) -> npt.NDArray[np.generic]:
    try:
        found = np.array(value)
    except ValueError:  # ragged
        return object_array(value)
    if found.dtype.kind in "biufUS":
        return _array(found)
    numbers = _mask_nulls(found, None) if found.dtype.kind == "O" else None
    return object_array(value) if numbers is None else numbers
