"""Schemas from the type hints of ``predict``."""

from __future__ import annotations

import datetime as dt
import sys
import types
import typing
from typing import Any, TypeVar

from pyfunc.errors import INTERNAL_ERROR, InvalidArgumentError, shorten
from pyfunc.schema.data_types import TYPE_OF_CLASS, DataType
from pyfunc.schema.schemas import Schema
from pyfunc.schema.specs import ColSpec
from pyfunc.schema.types import AnyType, Array, ColumnType, Map, Object, Property

__all__ = [
    "InvalidTypeHintError",
    "TypeFromExample",
    "UnsupportedTypeHintError",
    "is_list_hint",
    "is_pydantic_model",
    "is_unchecked_hint",
    "pydantic_fields",
    "schema_from_hint",
    "schema_from_list_hint",
    "split_optional",
]

TypeFromExample = TypeVar("TypeFromExample")
"""A hint for ``predict`` that says: the type is that of the input example."""

SCALAR_HINTS: dict[object, DataType] = {
    cls: TYPE_OF_CLASS[cls] for cls in (int, str, bool, float, bytes, dt.datetime)
}

_ALLOWED = (
    "use list[...] of int, str, bool, float, bytes, datetime, a pydantic model, "
    "list[...], dict[str, ...] or Any"
)


class InvalidTypeHintError(InvalidArgumentError):
    """A type hint is of a supported kind but says too little or something impossible."""

    error_code = INTERNAL_ERROR


class UnsupportedTypeHintError(InvalidArgumentError):
    """A type hint is of a kind that no schema can be made of."""


def is_list_hint(hint: object) -> bool:
    """Return whether ``hint`` is ``list`` or ``list[...]``."""
    return hint is list or typing.get_origin(hint) is list


def is_unchecked_hint(hint: object) -> bool:
    """Return whether ``hint`` is the class of a frame, array or sparse matrix.

    Such a hint says nothing about columns, so the schema is taken from an example.
    """
    return hint in _data_classes()


def _data_classes() -> list[object]:
    places = (
        ("pandas", "DataFrame"),
        ("pandas", "Series"),
        ("numpy", "ndarray"),
        ("scipy.sparse", "csr_matrix"),
        ("scipy.sparse", "csc_matrix"),
    )
    # A class that is not loaded cannot be meant.
    found = [getattr(sys.modules.get(module), name, None) for module, name in places]
    return [cls for cls in found if cls is not None]


def schema_from_list_hint(hint: object) -> Schema:
    """Return one unnamed column of the elements of ``list[...]``, the hint of an input.

    Raises:
        InvalidTypeHintError: the elements are optional, untyped or of several types.
        UnsupportedTypeHintError: the elements are of a kind that has no type in a schema.
        InvalidArgumentError: it is not a list.
    """
    if split_optional(hint)[1]:
        raise InvalidTypeHintError(
            f"an input cannot be optional, got {describe_hint(hint)}; remove the None"
        )
    if not is_list_hint(hint):
        raise InvalidArgumentError(
            f"an input is a list of instances, got {describe_hint(hint)}; "
            f"write list[{describe_hint(hint)}]"
        )
    element = _only_argument(hint)
    inner, optional = split_optional(element)
    if optional:
        schema_from_hint(inner)  # which may have no schema at all
        raise InvalidTypeHintError(
            f"the elements of an input cannot be optional, got {describe_hint(hint)}; use a "
            "pydantic model with an optional field"
        )
    return schema_from_hint(element)


def schema_from_hint(hint: object) -> Schema:
    """Return one unnamed column of the type that ``hint`` says.

    Raises:
        InvalidTypeHintError, UnsupportedTypeHintError: as :func:`schema_from_list_hint`.
    """
    if split_optional(hint)[1]:
        raise InvalidTypeHintError(
            f"a column without a name cannot be optional, got {describe_hint(hint)}"
        )
    return Schema([ColSpec(_type(hint, ()))])


def split_optional(hint: object) -> tuple[object, bool]:
    """Return what is left of a union without None, and whether None was in it.

    Of several members left the result is ``Any``: their values are not checked.
    """
    if hint is type(None):
        return Any, True
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint, False
    members = [arg for arg in typing.get_args(hint) if arg is not type(None)]
    optional = len(members) < len(typing.get_args(hint))
    return (members[0] if len(members) == 1 else Any), optional


def describe_hint(hint: object) -> str:
    """Return the hint as it is written."""
    if isinstance(hint, type) and not typing.get_args(hint):
        return hint.__name__
    return shorten(hint)


def is_pydantic_model(hint: object) -> bool:
    """Return whether ``hint`` is a pydantic model class; never imports pydantic."""
    model = getattr(sys.modules.get("pydantic"), "BaseModel", None)
    if model is None or typing.get_origin(hint) is not None:
        return False  # list[int] counts as a type in Python 3.10, but is no class
    return isinstance(hint, type) and issubclass(hint, model)


def pydantic_fields(model: Any) -> dict[str, tuple[object, bool]]:
    """Return the annotation of each field and whether it must be given."""
    if hasattr(model, "model_fields"):
        return {
            name: (field.annotation, field.is_required())
            for name, field in model.model_fields.items()
        }
    hints = typing.get_type_hints(model)  # pydantic 1
    return {name: (hints[name], bool(field.required)) for name, field in model.__fields__.items()}


def _type(hint: object, outer: tuple[object, ...]) -> ColumnType:
    """Return the type of a hint; ``outer`` are the models that it stands in."""
    if isinstance(hint, type) and hint in SCALAR_HINTS:
        return SCALAR_HINTS[hint]
    if hint is Any:
        return AnyType()
    if is_pydantic_model(hint):
        return _object(hint, outer)
    inner, optional = split_optional(hint)
    if optional or inner is not hint:
        return _type(inner, outer)
    if is_list_hint(hint):
        return Array(_type(_only_argument(hint), outer))
    if hint is dict or typing.get_origin(hint) is dict:
        return Map(_type(_value_argument(hint), outer))
    raise UnsupportedTypeHintError(f"unsupported type hint {describe_hint(hint)}; {_ALLOWED}")


def _only_argument(hint: object) -> object:
    arguments = typing.get_args(hint)
    if len(arguments) != 1:
        raise InvalidTypeHintError(
            f"a list needs the type of its elements, one, got {describe_hint(hint)}; "
            "write list[str] for a list of strings"
        )
    return arguments[0]


def _value_argument(hint: object) -> object:
    arguments = typing.get_args(hint)
    if len(arguments) != 2:
        raise InvalidTypeHintError(
            f"a dict needs the types of its keys and values, got {describe_hint(hint)}; "
            "write dict[str, int] for integers by name"
        )
    if arguments[0] is not str:
        raise InvalidTypeHintError(
            f"the keys of a dict must be str, got {describe_hint(arguments[0])} in {hint}"
        )
    return arguments[1]


def _object(model: Any, outer: tuple[object, ...]) -> Object:
    if model in outer:
        raise UnsupportedTypeHintError(
            f"pydantic model {model.__name__} contains itself, no schema can say that"
        )
    properties = []
    for name, (annotation, must_be_given) in pydantic_fields(model).items():
        inner, optional = split_optional(annotation)
        dtype = _type(inner, (*outer, model))
        if optional and must_be_given:
            raise InvalidTypeHintError(
                f"optional field {name!r} of {model.__name__} needs a default; set it to None"
            )
        properties.append(Property(name, dtype, required=not optional))
    if not properties:
        raise UnsupportedTypeHintError(
            f"pydantic model {model.__name__} has no fields, no schema can say that"
        )
    return Object(properties)
