"""From what ``pre_inference`` returns to arrays of the types and shapes that a model declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pyfunc.errors import BAD_REQUEST, InvalidArgumentError
from pyfunc.handlers.signatures import HandlerSignature, SignatureField
from pyfunc.schema.casting.arrays import cast_array
from pyfunc.schema.casting.findings import Misfit

__all__ = ["pick_values", "to_array", "to_feeds"]


def to_feeds(prepared: object, inputs: HandlerSignature) -> dict[str, npt.NDArray[np.generic]]:
    """Return input name -> array for one sample, as an ONNX session takes it.

    Args:
        prepared: name -> list or array; for a model of one input also the bare value. Further
            keys do not matter.
        inputs: the inputs of the model. A length that they leave open becomes 1.

    Raises:
        InvalidArgumentError: with ``BAD_REQUEST``, an input is missing or does not fit.
    """
    values = pick_values(prepared, inputs)
    named = len(inputs) > 1
    return {
        field.name: to_array(values[field.name], field, named=named, keep_batches=False)
        for field in inputs
    }


def pick_values(prepared: object, inputs: Sequence[SignatureField]) -> dict[str, object]:
    """Return input name -> value, each as it is in ``prepared``.

    Raises:
        InvalidArgumentError: with ``BAD_REQUEST``, there is no value for an input.
    """
    if not isinstance(prepared, Mapping):
        if len(inputs) == 1:
            return {inputs[0].name: prepared}
        keys = ", ".join(f'"{field.name}"' for field in inputs)
        raise _bad(f"expected sample to be a dictionary with keys {keys}")
    for field in inputs:
        if prepared.get(field.name) is None:
            raise _bad(f'missing key "{field.name}"')
    return {field.name: prepared[field.name] for field in inputs}


def to_array(
    value: object, field: SignatureField, *, named: bool, keep_batches: bool
) -> npt.NDArray[np.generic]:
    """Return ``value`` as an array of the dtype and shape of ``field``.

    Args:
        value: a list, a number, an array; never changed.
        field: what it has to be; open lengths of its shape count as 1.
        named: messages say which input it is.
        keep_batches: an array that fits the shape as it is, with whatever lengths where these are
            open, stays so.

    Raises:
        InvalidArgumentError: with ``BAD_REQUEST``, it cannot be that.
    """
    prefix = f'key "{field.name}": ' if named else ""
    target = field.dtype
    if target is None:
        raise _bad(f"{prefix}the type {field.type} cannot be made from a sample")
    failed = f"{prefix}failed to convert to numpy array: "
    if isinstance(value, np.ndarray) and _is_numeric(value.dtype) != _is_numeric(target):
        raise _bad(f"{failed}expected dtype '{target}' but found '{value.dtype}'")
    try:
        array = cast_array(value, target)
        if keep_batches and _fits(array.shape, field.shape):
            return array
        return array.reshape([n if _is_length(n) else 1 for n in field.shape])
    except Misfit as misfit:
        raise _bad(f"{failed}{misfit.got}") from misfit
    except ValueError as error:
        raise _bad(f"{failed}{error}") from error


def _is_numeric(dtype: np.dtype[np.generic]) -> bool:
    return dtype.kind in "biufc"


def _is_length(length: object) -> bool:
    return isinstance(length, int) and length >= 0


def _fits(found: tuple[int, ...], declared: Sequence[object]) -> bool:
    return len(found) == len(declared) and all(
        not _is_length(wanted) or wanted == length
        for wanted, length in zip(declared, found, strict=True)
    )


def _bad(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(message, BAD_REQUEST)
