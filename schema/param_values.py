"""Cast one value to what a parameter asks for, by MLflow's rules.

Only exact classes count: a bool is no integer and a numpy scalar of another width is refused.
"""

from __future__ import annotations

import datetime as dt
import warnings
from typing import Any

import numpy as np

from pyfunc.errors import InvalidArgumentError, shorten
from pyfunc.schema.types import DataType, Object

__all__ = ["cast_param"]

_TO_INT = (int, np.int32)
_TO_LONG = (int, np.int32, np.int64, np.longlong)
_TO_FLOAT = (float, np.float32, *_TO_LONG)
_TO_DOUBLE = (*_TO_FLOAT, np.float64)

_CASTS: dict[DataType, tuple[frozenset[type], type]] = {
    DataType.boolean: (frozenset({bool, np.bool_}), bool),
    DataType.integer: (frozenset(_TO_INT), int),
    DataType.long: (frozenset(_TO_LONG), int),
    DataType.float: (frozenset(_TO_FLOAT), float),
    DataType.double: (frozenset(_TO_DOUBLE), float),
    DataType.string: (frozenset({str, np.str_}), str),
}
"""For each type the classes of values it takes and the Python class that they become."""


def cast_param(
    name: str, value: Any, dtype: DataType | Object, shape: tuple[int, ...] | None
) -> Any:
    """Return ``value`` as plain Python: a scalar, a list of scalars, or the given dict itself.

    None stays None for a scalar and inside a list.

    Raises:
        InvalidArgumentError: the value does not fit; the message names the parameter.
    """
    if isinstance(dtype, Object):
        return _check_object(name, value, dtype, shape)
    if shape is None:
        return _cast_scalar(name, value, dtype)
    if not isinstance(value, list) and not (isinstance(value, np.ndarray) and value.ndim == 1):
        raise InvalidArgumentError(
            f"parameter {name!r}: expected a list or a one-dimensional array of {dtype!r}, "
            f"got {type(value).__name__} {shorten(value)}"
        )
    return [_cast_scalar(f"{name}[{i}]", item, dtype) for i, item in enumerate(value)]


def _cast_scalar(name: str, value: Any, dtype: DataType) -> Any:
    if value is None:
        return None
    if dtype is DataType.datetime:
        return _cast_datetime(name, value)
    accepted, target = _CASTS[dtype]
    if type(value) not in accepted:
        raise _refusal(name, value, dtype)
    try:
        return target(value)
    except OverflowError as error:  # an int beyond the range of a double
        raise _refusal(name, value, dtype) from error


def _cast_datetime(name: str, value: Any) -> dt.date | None:
    """Return the date or datetime that numpy reads ``value`` as, None for ``NaT``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy warns that it drops a zone; the instant stays
            found: object = np.datetime64(value).item()
    except (ValueError, TypeError, OverflowError) as error:
        raise _refusal(name, value, DataType.datetime) from error
    if found is not None and not isinstance(found, dt.date):
        raise _refusal(name, value, DataType.datetime)
    return found


def _check_object(
    name: str, value: Any, dtype: Object, shape: tuple[int, ...] | None
) -> dict[str, Any]:
    if shape is not None:
        raise InvalidArgumentError(
            f"parameter {name!r}: a list of objects is not supported, use a scalar shape"
        )
    from pyfunc.schema.param_objects import check_object

    check_object(name, value, dtype)
    return value  # type: ignore[no-any-return]  # checked to be a dict


def _refusal(name: str, value: Any, dtype: DataType) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"parameter {name!r}: expected {dtype!r}, got {type(value).__name__} {shorten(value)}"
    )
