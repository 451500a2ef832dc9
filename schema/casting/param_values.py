"""Cast one value to what a parameter asks for, by MLflow's rules.

Only exact classes count: a bool is no integer and a numpy scalar of another width is refused.
"""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyfunc.errors import InvalidArgumentError, Problem, shorten
from pyfunc.schema.data_types import FACTS, DataType
from pyfunc.schema.types import Object

__all__ = ["ParamMisfitError", "cast_param"]


class ParamMisfitError(InvalidArgumentError):
    """The value of one parameter does not fit; ``problems`` say where and why."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, problems)))


def _misfit(path: str, expected: object, value: object) -> ParamMisfitError:
    got = f"{type(value).__name__} {shorten(value)}"
    return ParamMisfitError([Problem(path, str(expected), got)])


def cast_param(
    name: str, value: object, dtype: DataType | Object, shape: tuple[int, ...] | None
) -> object:
    """Return ``value`` as plain Python: a scalar, a list of scalars, or the given dict itself.

    None stays None for a scalar and inside a list.

    Raises:
        ParamMisfitError: the value does not fit.
        InvalidArgumentError: a list of objects is asked for.
    """
    path = f"params[{name!r}]"
    if isinstance(dtype, Object):
        return _check_object(path, value, dtype, shape)
    if shape is None:
        return _cast_scalar(path, value, dtype)
    if not isinstance(value, list) and not (isinstance(value, np.ndarray) and value.ndim == 1):
        raise _misfit(path, f"a list or one-dimensional array of {dtype!r}", value)
    return [_cast_scalar(f"{path}[{i}]", item, dtype) for i, item in enumerate(value)]


def _cast_scalar(path: str, value: object, dtype: DataType) -> object:
    if value is None:
        return None
    if dtype is DataType.datetime:
        return _cast_datetime(path, value)
    facts = FACTS[dtype]
    if type(value) not in facts.params:
        raise _misfit(path, repr(dtype), value)
    try:
        return facts.python(value)
    except OverflowError as error:  # an int beyond the range of a double
        raise _misfit(path, repr(dtype), value) from error


def _cast_datetime(path: str, value: Any) -> dt.date | None:
    """Return the date or datetime that numpy reads ``value`` as, None for ``NaT``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy warns that it drops a zone; the instant stays
            found: object = np.datetime64(value).item()
    except (ValueError, TypeError, OverflowError) as error:
        raise _misfit(path, "datetime", value) from error
    if found is not None and not isinstance(found, dt.date):
        raise _misfit(path, "datetime", value)
    return found


def _check_object(
    path: str, value: Any, dtype: Object, shape: tuple[int, ...] | None
) -> dict[str, object]:
    if shape is not None:
        raise InvalidArgumentError(
            f"{path}: a list of objects is not supported, leave out the shape"
        )
    from pyfunc.schema.casting.param_objects import find_object_problems

    problems = find_object_problems(path, value, dtype)
    if problems:
        raise ParamMisfitError(problems)
    return value  # type: ignore[no-any-return]  # checked to be a dict
