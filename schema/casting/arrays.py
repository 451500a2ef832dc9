"""Values of any shape as an array of one dtype, for tensors: cast where nothing is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pyfunc.schema.casting.dtype_rules import NUMPY
from pyfunc.schema.casting.findings import Misfit
from pyfunc.schema.casting.object_columns import PANDAS_ERRORS
from pyfunc.schema.data_types import DataType

__all__ = ["cast_array", "fit_numbers"]


def cast_array(values: Any, dtype: np.dtype[np.generic]) -> npt.NDArray[np.generic]:
    """Return ``values``, an array or what numpy makes one of, as a new array of ``dtype``.

    Rounding to a narrower float changes no value, overflow to infinity does. Text may spell
    numbers, but no truth, which any text would be to numpy.

    Raises:
        Misfit: numpy cannot cast them, or a value would change.
    """
    try:
        source = np.asarray(values)
        if source.dtype.kind == "c" and dtype.kind not in "cOSU":
            raise TypeError(f"{source.dtype} has an imaginary part")
        with np.errstate(all="ignore"):
            cast = np.array(values, dtype=dtype)
            lost = np.flatnonzero(_find_lost(source, cast))
    except PANDAS_ERRORS as error:
        text = str(error).partition("\n")[0][:80]
        raise Misfit(f"values that are none ({text})") from error
    if not len(lost):
        return cast
    place = np.unravel_index(int(lost[0]), source.shape)
    raise Misfit(
        f"{source.dtype} values that it does not hold, such as {str(source[place])[:40]}",
        int(place[0]) if place else None,
        "convert the values before the call if the loss is meant",
    )


def fit_numbers(
    numbers: npt.NDArray[np.number], target: DataType
) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.bool_]]:
    """Return the cast numbers, and which of them are what they were."""
    goal = NUMPY[target]
    if target is DataType.boolean:
        return numbers == 1, (numbers == 0) | (numbers == 1)
    if goal.kind == "i":
        limits = np.iinfo(goal.name)
        # The upper limit of int64 is no float, but the number after it is.
        fits = (numbers >= limits.min) & (numbers < -float(limits.min))
        if numbers.dtype.kind == "f":
            fits &= numbers == np.trunc(numbers)
        else:
            fits &= numbers <= limits.max
        return np.where(fits, numbers, 0).astype(goal), fits
    if numbers.dtype.kind in "iu":
        bound = 2 ** (np.finfo(goal.name).nmant + 1)
        return numbers.astype(goal), (numbers <= bound) & (numbers >= -bound)
    with np.errstate(over="ignore"):
        cast = numbers.astype(goal)
    return cast, (cast == numbers) | np.isnan(numbers)


def _find_lost(source: npt.NDArray[Any], cast: npt.NDArray[Any]) -> Any:
    """Return for each value whether it is not what it was."""
    kind = cast.dtype.kind
    if source.dtype.kind in "OSU" and kind in "biu":
        takes_text = kind != "b"
        cells = zip(source.reshape(-1).tolist(), cast.reshape(-1).tolist(), strict=True)
        return [old != new and not (takes_text and isinstance(old, str)) for old, new in cells]
    numbers = "iufbmM"
    if source.dtype == cast.dtype or source.dtype.kind not in numbers or kind not in numbers:
        return False
    if kind == "f" and source.dtype.kind in "iufb":
        return np.isinf(cast) & (source.astype(np.float64) != cast)
    missing = (source != source) & (cast != cast)  # noqa: PLR0124 - NaN and NaT
    lost = (cast.astype(source.dtype) != source) & ~missing
    if source.dtype.kind in "if" and kind in "iu":
        lost |= (source < 0) != (cast < 0)  # wrapped around and back
    return lost
