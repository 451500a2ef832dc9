"""Type hints of ``predict``: wrapping a function so that it checks its input by its own hints.

Rules: format.md 5. The rules for values and schemas are in :mod:`pyfunc.schema.hints.schemas`.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
import warnings
from collections.abc import Callable, Iterator
from typing import (
    TYPE_CHECKING,
    Any,
    NamedTuple,
    TypeVar,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from pyfunc.errors import PyfuncError, PyfuncWarning, shorten
from pyfunc.variables import IN_SERVER

if TYPE_CHECKING:
    from pyfunc.schema import Schema

__all__ = [
    "FuncInfo",
    "TypeHints",
    "is_from_example",
    "plain_hint",
    "pyfunc",
    "read_type_hints",
    "resolved_annotations",
    "schemas_from_hints",
    "validate_model_input",
    "without_alias",
    "wrap_method",
]

Function = TypeVar("Function", bound=Callable[..., Any])

# Known also where an annotation is text and its module does not import them.
# What ``type Rows[T] = list[T]`` makes, as numpy 2.5 does on Python 3.12.
_ALIAS: Any = getattr(typing, "TypeAliasType", ())
_TYPING = {"typing": typing, **{name: getattr(typing, name) for name in typing.__all__}}


class FuncInfo(NamedTuple):
    """What MLflow's pickled wrappers know of the function they wrap."""

    input_type_hint: object
    input_param_name: str


class TypeHints:
    """The hints on the input and the output of a predict; None where there is none."""

    def __init__(self, input: object = None, output: object = None) -> None:
        self.input = input
        self.output = output

    def __repr__(self) -> str:
        return f"<input: {self.input}, output: {self.output}>"


def read_type_hints(function: Callable[..., object]) -> TypeHints:
    """Return the hints of ``function``, with annotations that are text resolved."""
    annotations = resolved_annotations(function)
    if not annotations:
        return TypeHints()
    found = _input_parameter(function)
    hint = None if found is None else annotations.get(found[1])
    return TypeHints(plain_hint(hint), plain_hint(annotations.get("return")))


def plain_hint(hint: Any) -> Any:
    """Return a hint in one of its spellings: ``List[str]`` is ``list[str]``, and so inside."""
    hint = without_alias(hint)
    origin, arguments = get_origin(hint), tuple(map(plain_hint, get_args(hint)))
    if origin in (list, dict):
        return origin[arguments] if arguments else origin
    if origin in (typing.Union, types.UnionType):
        return typing.Union[arguments]  # noqa: UP007 - however many
    return hint


def without_alias(hint: Any) -> Any:
    """Return what a name that a ``type`` statement made stands for; another hint as it is.

    A name that stands for something with itself inside stays, since there is no end to that.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    named = hint if origin is None else origin
    if not isinstance(named, _ALIAS) or _is_endless(named, ()):
        return hint
    return without_alias(named.__value__[arguments] if arguments else named.__value__)


def _is_endless(alias: Any, around: tuple[object, ...]) -> bool:
    if any(alias is other for other in around):
        return True
    return any(_is_endless(inner, (*around, alias)) for inner in _aliases_in(alias.__value__))


def _aliases_in(hint: object) -> Iterator[Any]:
    named = get_origin(hint) or hint
    if isinstance(named, _ALIAS):
        yield named
    for argument in get_args(hint):
        yield from _aliases_in(argument)


def wrap_method(predict: Function) -> Function:
    """Return the method ``predict`` with its input checked by its hint, if it has a usable one.

    Raises:
        InvalidTypeHintError: the hint is a list whose elements cannot be checked.
    """
    hint = read_type_hints(predict).input
    if _mentions_any(hint):
        warnings.warn(
            f"values with the hint Any in {shorten(hint)} on the input of predict are not checked",
            PyfuncWarning,
            stacklevel=3,
        )
    return _wrap(predict)


def pyfunc(func: Function) -> Function:
    """Return the function ``func`` with its input checked by its hint, if it has a usable one.

    Raises:
        InvalidTypeHintError: the hint is a list whose elements cannot be checked.
    """
    return _wrap(func)


def is_from_example(hint: object) -> bool:
    """Return whether ``hint`` says that the signature comes from the input example."""
    return isinstance(hint, TypeVar) and hint.__name__ == "TypeFromExample"


def schemas_from_hints(hints: TypeHints) -> tuple[Schema | None, Schema | None]:
    """Return the schemas of input and output that ``hints`` stand for; None where none.

    An output without a usable hint may be anything.
    """
    if not _is_checkable(hints.input):
        return None, None
    from pyfunc.schema import AnyType, ColSpec, Schema
    from pyfunc.schema.hints.schemas import (
        is_list_hint,
        schema_from_hint,
        schema_from_list_hint,
    )

    inputs = schema_from_list_hint(hints.input)
    try:
        of_output = schema_from_list_hint if is_list_hint(hints.output) else schema_from_hint
        return inputs, of_output(hints.output)
    except PyfuncError:
        return inputs, Schema([ColSpec(AnyType())])


def validate_model_input(
    args: tuple[object, ...],
    kwargs: dict[str, object],
    model_input_index_in_sig: int,
    type_hint: object,
    model_input_param_name: str,
) -> tuple[tuple[object, ...], dict[str, object]]:
    """Return the arguments of a call with the model input checked and converted by its hint.

    Neither ``args`` nor ``kwargs`` is changed. MLflow's pickled wrappers call this under the
    name ``_validate_model_input``.

    Raises:
        SchemaError: the input does not fit.
    """
    index, name = model_input_index_in_sig, model_input_param_name
    if name in kwargs:
        return args, {**kwargs, name: _validated(kwargs[name], type_hint)}
    if index < len(args):
        return (*args[:index], _validated(args[index], type_hint), *args[index + 1 :]), kwargs
    return args, kwargs  # the call itself says which argument is missing


def _validated(data: object, hint: object) -> object:
    from pyfunc.schema import convert_to_hint, validate_against_hint

    from_json = IN_SERVER.read(default=False)
    return validate_against_hint(convert_to_hint(data, hint), hint, from_json=from_json)


def _wrap(function: Function) -> Function:
    if getattr(function, "_is_pyfunc", False):
        return function
    found = _input_parameter(function)
    hint = read_type_hints(function).input
    if found is None or not _is_checkable(hint, warn=True):
        return function
    index, name = found

    @functools.wraps(function)
    def wrapper(*args: object, **kwargs: object) -> object:
        args, kwargs = validate_model_input(args, kwargs, index, hint, name)
        return function(*args, **kwargs)

    wrapper._is_pyfunc = True  # type: ignore[attr-defined]
    wrapper._pyfunc_original = function  # type: ignore[attr-defined]
    return cast("Function", wrapper)


def _is_checkable(hint: object, *, warn: bool = False) -> bool:
    """Return whether data can be held against ``hint``.

    Raises:
        InvalidTypeHintError: it is a list whose elements cannot be checked.
    """
    if hint is None or hint is Any or is_from_example(hint):
        return False
    from pyfunc.schema.hints.schemas import (
        UnsupportedTypeHintError,
        is_list_hint,
        is_unchecked_hint,
        schema_from_list_hint,
    )

    if is_unchecked_hint(hint):
        return False
    if is_list_hint(hint):
        try:
            schema_from_list_hint(hint)
        except UnsupportedTypeHintError:
            pass
        else:
            return True
    if warn:
        warnings.warn(
            f"the hint {shorten(hint)} on the input of predict is not checked\n"
            "hint: write list[...] of int, str, bool, float, bytes, datetime, pydantic models, "
            "lists or dicts",
            PyfuncWarning,
            stacklevel=5,
        )
    return False


def _mentions_any(hint: object) -> bool:
    return any(part is Any or _mentions_any(part) for part in get_args(hint))


def _input_parameter(function: Callable[..., object]) -> tuple[int, str] | None:
    """Return the position and name of the parameter that takes the model input."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # a builtin without a signature
        return None
    if "model_input" in names:
        return names.index("model_input"), "model_input"
    candidates = [name for name in names if name not in ("self", "context", "params")]
    if not 1 <= len(candidates) <= 2:
        return None
    return names.index(candidates[-1]), candidates[-1]


def resolved_annotations(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of ``function``; those that cannot be resolved are left out."""
    target = function
    if not hasattr(function, "__annotations__") and not isinstance(function, type):
        target = type(function).__call__  # a callable object of the user
    raw = getattr(target, "__annotations__", None)
    if not isinstance(raw, dict) or not raw:
        return {}
    try:
        return get_type_hints(target)
    except Exception:  # an annotation may be any expression of the user
        known = {**_TYPING, **getattr(inspect.unwrap(target), "__globals__", {})}
        return {name: _resolved(hint, known) for name, hint in raw.items()}


def _resolved(hint: object, known: dict[str, object]) -> object:
    """Return what an annotation stands for by itself, None if its names cannot be found."""
    alone = types.SimpleNamespace(__annotations__={"hint": hint})
    try:
        return get_type_hints(alone, known)["hint"]
    except Exception:  # as above
        return None
