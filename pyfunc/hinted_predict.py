"""Type hints of ``predict``: wrapping a function so that it checks its input by its own hints.

Rules: format.md 5. The rules for values and schemas are in :mod:`pyfunc.schema.type_hints`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from pyfunc.schema import Schema

__all__ = [
    "FuncInfo",
    "TypeHints",
    "is_from_example",
    "pyfunc",
    "read_type_hints",
    "schemas_from_hints",
    "validate_model_input",
    "wrap_method",
]

Function = TypeVar("Function", bound=Callable[..., Any])


class FuncInfo(NamedTuple):
    """What MLflow's pickled wrappers know of the function they wrap."""

    input_type_hint: Any
    input_param_name: str


class TypeHints:
    """The hints on the input and the output of a predict; None where there is none."""

    def __init__(self, input: Any = None, output: Any = None) -> None:
        self.input = input
        self.output = output

    def __repr__(self) -> str:
        return f"<input: {self.input}, output: {self.output}>"


def read_type_hints(function: Callable[..., Any]) -> TypeHints:
    """Return the hints of ``function``, with annotations that are text resolved."""
    name = _input_name(function)
    annotations = _annotations(function)
    if not annotations:
        return TypeHints()
    return TypeHints(annotations.get(name), annotations.get("return"))


def wrap_method(predict: Function) -> Function:
    """Return the method ``predict`` with its input checked by its hint, if it has a usable one."""
    return _wrap(predict, skip=1)


def pyfunc(func: Function) -> Function:
    """Return the function ``func`` with its input checked by its hint, if it has a usable one."""
    return _wrap(func, skip=0)


def is_from_example(hint: Any) -> bool:
    """Return whether ``hint`` says that the signature comes from the input example."""
    return getattr(hint, "__name__", None) == "TypeFromExample" and isinstance(hint, TypeVar)


def schemas_from_hints(hints: TypeHints) -> tuple[Schema | None, Schema | None]:
    """Return the schemas of input and output that ``hints`` stand for; None where none."""
    return None, None


def validate_model_input(
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    model_input_index_in_sig: int,
    type_hint: Any,
    model_input_param_name: str,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call with the model input checked and converted by its hint.

    Raises:
        PyfuncError: the input does not fit.
    """
    raise NotImplementedError


def _annotations(function):
    return {}


def _input_name(function):
    return "model_input"


def _wrap(function, skip):
    return function
