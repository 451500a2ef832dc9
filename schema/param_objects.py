"""Check a dict that is supplied for a parameter of an Object type; nothing is cast.

The rules are those for a nested value in a column, which MLflow applies to a copy and then
hands the original to the model.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pyfunc.schema.param_values import ParamMisfitError
from pyfunc.schema.types import AnyType, Array, DataType, Map, Object
from pyfunc.schema.value_types import is_missing

__all__ = ["check_object"]


def check_object(path: str, value: Any, dtype: Object, required: bool = True) -> None:
    """Return if ``value`` is a dict with the properties of ``dtype``.

    Raises:
        ParamMisfitError: a key is missing, unknown or has a value of another type.
    """
    if not required and (value is None or value == {}):
        return
    if not isinstance(value, dict):
        raise ParamMisfitError(path, repr(dtype), value)
    properties = {prop.name: prop for prop in dtype.properties}
    missing = [p.name for p in dtype.properties if p.required and p.name not in value]
    extra = [key for key in value if key not in properties]
    if missing or extra:
        wanted = f"the keys {[prop.name for prop in dtype.properties]}"
        raise ParamMisfitError(path, wanted, list(value))
    for key, item in value.items():
        prop = properties[key]
        _check(f"{path}.{key}", item, prop.dtype, bool(prop.required))


def _check(path: str, value: Any, dtype: Any, required: bool) -> None:
    if isinstance(dtype, AnyType):
        return
    if isinstance(dtype, Object):
        check_object(path, value, dtype, required)
    elif isinstance(dtype, Array):
        _check_array(path, value, dtype, required)
    elif isinstance(dtype, Map):
        _check_map(path, value, dtype, required)
    elif not required and is_missing(value):
        return
    elif not np.isscalar(value) or not _fits([value], dtype):
        raise ParamMisfitError(path, repr(dtype), value)


def _check_array(path: str, value: Any, dtype: Array, required: bool) -> None:
    lenient = not required or isinstance(dtype.dtype, AnyType)
    if lenient and value is None:
        return
    if not isinstance(value, (list, np.ndarray)):
        raise ParamMisfitError(path, repr(dtype), value)
    if isinstance(dtype.dtype, DataType):
        if len(value) and not (_fits(value, dtype.dtype) and _is_flat(value)):
            raise ParamMisfitError(path, repr(dtype), value)
        return
    for i, item in enumerate(value):
        _check(f"{path}[{i}]", item, dtype.dtype, required)


def _check_map(path: str, value: Any, dtype: Map, required: bool) -> None:
    lenient = not required or isinstance(dtype.value_type, AnyType)
    if lenient and (value is None or value == {}):
        return
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ParamMisfitError(path, repr(dtype), value)
    for key, item in value.items():
        _check(f"{path}.{key}", item, dtype.value_type, required)


def _is_flat(values: Any) -> bool:
    return not any(isinstance(value, (list, tuple, np.ndarray)) for value in values)


def _fits(values: Any, dtype: DataType) -> bool:
    """Return whether a column of these values could be cast to ``dtype``."""
    try:
        column = pd.Series(values)
        if column.dtype == object and dtype not in (DataType.string, DataType.binary):
            column = column.infer_objects()
        return _column_fits(column, dtype)
    except (TypeError, ValueError, OverflowError):
        return False


def _column_fits(column: pd.Series[Any], dtype: DataType) -> bool:
    found: Any = column.dtype  # numpy's, or an extension of pandas
    if found == np.dtype(object) or isinstance(found, pd.StringDtype):
        return _text_fits(column, dtype, is_object=not isinstance(found, pd.StringDtype))
    if dtype is DataType.binary:
        return bool(found.kind == "S")
    if dtype is DataType.datetime:
        return found.kind == "M" and getattr(found, "tz", None) is None
    return found == dtype.to_numpy() or (
        found.kind in "iuf" and _number_fits(column, found, dtype.to_numpy())
    )


def _text_fits(column: pd.Series[Any], dtype: DataType, *, is_object: bool) -> bool:
    if is_object and dtype is DataType.double:
        pd.to_numeric(column, errors="raise")
        return True
    if is_object and dtype is DataType.datetime:
        column.astype("datetime64[ns]")
        return True
    textual = (DataType.string, DataType.binary)
    return dtype in textual or (is_object and dtype is DataType.boolean)


def _number_fits(column: pd.Series[Any], found: np.dtype[Any], target: np.dtype[Any]) -> bool:
    """Return whether every number of the one dtype, or these 0 and 1, is one of the other."""
    if target.kind not in "if":
        return False
    if found.kind == target.kind:
        return found.itemsize <= target.itemsize
    if target.kind == "i":
        return found.kind == "u" and found.itemsize < target.itemsize
    if found.itemsize < 8:
        return target.itemsize == 8
    return found == np.int64 and bool(column.isin([0, 1]).all())
