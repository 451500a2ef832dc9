"""Values of a JSON text as what an annotation asks for.

A converter is made once for an annotation, so that one that no JSON value fits is refused before
there is a value; it then returns the value, or adds problems with their places.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime as dt
import enum
import sys
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union

from pyfunc.errors import InvalidArgumentError, Problem, shorten
from pyfunc.functions.signatures import plain_annotation

__all__ = ["Converter", "find_converter", "find_element", "members_of"]

Converter = Callable[[object, str, list[Problem]], object]
"""Returns the value to go on with, or adds problems; the text is the place of the value."""

_UNCHECKED = (object, Any)
_LISTS = (list, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_COLLECTIONS: dict[object, Callable[[list[object]], object]] = {
    tuple: tuple,
    set: set,
    frozenset: frozenset,
}

_CONTAINERS = frozenset({*_LISTS, *_COLLECTIONS, *_MAPPINGS})


def find_converter(hint: object, name: str) -> Converter:
    """Return what makes values of the type ``hint`` for the parameter ``name``.

    Raises:
        InvalidArgumentError: no JSON value can become such a value.
    """
    found = _find(hint)
    if found is None:
        raise InvalidArgumentError(
            f"{name}: no JSON value becomes {_describe(hint)}\n"
            "hint: annotate it with plain types, a dataclass, a pydantic model, a DataFrame or "
            "an array, or not at all"
        )
    return found


def members_of(hint: object) -> tuple[object, ...]:
    """Return the types that a union allows; any other hint by itself."""
    hint = plain_annotation(hint)
    is_union = typing.get_origin(hint) in (Union, types.UnionType)
    return typing.get_args(hint) if is_union else (hint,)


def find_element(hint: object) -> object:
    """Return the type of the elements of a list of any length, None if ``hint`` allows none."""
    for member in members_of(hint):
        cls, arguments = typing.get_origin(member) or member, typing.get_args(member)
        is_fixed = cls is tuple and arguments and arguments[-1] is not Ellipsis
        if cls in (*_LISTS, *_COLLECTIONS) and not is_fixed:
            return arguments[0] if arguments else object
    return None


def _find(hint: object) -> Converter | None:
    """Return the converter for ``hint``, None if there is none."""
    hint = plain_annotation(hint)
    if hint in _UNCHECKED or isinstance(hint, TypeVar):
        return _accept
    if hint is None or hint is type(None):
        return _none
    if hint in _SCALARS:
        return _SCALARS[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    return _find_class(hint) if origin is None else _find_generic(origin, arguments)


def _find_generic(origin: object, arguments: tuple[object, ...]) -> Converter | None:
    if origin is Annotated:
        return _find(arguments[0])
    if origin is Literal:
        return _literal(arguments)
    if origin in (Union, types.UnionType):
        return _union(arguments)
    return _find_container(origin, arguments) if origin in _CONTAINERS else _find_class(origin)


def _find_container(cls: object, arguments: tuple[object, ...]) -> Converter | None:
    if cls in _LISTS:
        return _list(arguments[0] if arguments else object, list)
    if cls is tuple and arguments and arguments[-1] is not Ellipsis:
        return _fixed_tuple(arguments)
    if cls in _COLLECTIONS:
        return _list(arguments[0] if arguments else object, _COLLECTIONS[cls])
    return _dict(arguments) if cls in _MAPPINGS else None


def _find_class(cls: object) -> Converter | None:
    if not isinstance(cls, type):
        return None
    if cls in _CONTAINERS:
        return _find_container(cls, ())
    if _is_of(cls, "pydantic", "BaseModel"):
        return _pydantic(cls)
    if dataclasses.is_dataclass(cls):
        return _dataclass(cls)
    if issubclass(cls, enum.Enum):
        return _enum(cls)
    return _find_data(cls)


def _find_data(cls: type) -> Converter | None:
    if _is_of(cls, "pandas", "DataFrame"):
        return _frame
    return _array if _is_of(cls, "numpy", "ndarray") else None


def _is_of(cls: type, module: str, name: str) -> bool:
    """Return whether ``cls`` is that class or one below it, without importing its module."""
    base = getattr(sys.modules.get(module), name, None)
    return base is not None and issubclass(cls, base)


def _describe(hint: object) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


def _report(problems: list[Problem], path: str, expected: str, value: object) -> object:
    got = shorten(value) if value is None else f"{type(value).__name__} {shorten(value)}"
    problems.append(Problem(path, expected, got))
    return value


def _accept(value: object, path: str, problems: list[Problem]) -> object:
    return value


def _none(value: object, path: str, problems: list[Problem]) -> object:
    return value if value is None else _report(problems, path, "null", value)


def _scalar(cls: type) -> Converter:
    def convert(value: object, path: str, problems: list[Problem]) -> object:
        return value if type(value) is cls else _report(problems, path, cls.__name__, value)

    return convert


def _float(value: object, path: str, problems: list[Problem]) -> object:
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            return _report(problems, path, "float", value)
    return value if type(value) is float else _report(problems, path, "float", value)


def _text(expected: str, parse: Callable[[str], object]) -> Converter:
    def convert(value: object, path: str, problems: list[Problem]) -> object:
        if isinstance(value, str):
            try:
                return parse(value)
            except ValueError:
                pass
        return _report(problems, path, expected, value)

    return convert


def _parse_datetime(text: str) -> dt.datetime:
    from pyfunc.schema.text_forms import parse_datetime  # which loads numpy

    return parse_datetime(text)


def _decode_base64(text: str) -> bytes:
    from pyfunc.schema.text_forms import decode_bytes

    return decode_bytes(text)


_SCALARS: dict[object, Converter] = {
    bool: _scalar(bool),
    bytes: _text("base64 text", _decode_base64),
    dt.date: _text("an ISO date", dt.date.fromisoformat),
    dt.datetime: _text("an ISO date and time", _parse_datetime),
    float: _float,
    int: _scalar(int),
    Path: _text("a path", Path),
    str: _scalar(str),
}


def _literal(allowed: tuple[object, ...]) -> Converter:
    expected = "one of " + ", ".join(map(repr, allowed))

    def convert(value: object, path: str, problems: list[Problem]) -> object:
        for item in allowed:
            if type(item) is type(value) and item == value:
                return item
        return _report(problems, path, expected, value)

    return convert


def _enum(cls: type[enum.Enum]) -> Converter:
    expected = "one of " + ", ".join(repr(member.value) for member in cls)

    def convert(value: object, path: str, problems: list[Problem]) -> object:
        for member in cls:
            if type(member.value) is type(value) and member.value == value:
                return member
        return _report(problems, path, expected, value)

    return convert


def _union(members: tuple[object, ...]) -> Converter | None:
    expected = " or ".join(map(_describe, members))
    found = [_find(member) for member in members]
    converters = [converter for converter in found if converter is not None]
    if len(converters) < len(found):
        return None
    nullable = _none in converters
    others = [converter for converter in converters if converter is not _none]

    def convert(value: object, path: str, problems: list[Problem]) -> object:
        if value is None and nullable:
            return None
        if len(others) == 1:
            return others[0](value, path, problems)
        for converter in others:
            found: list[Problem] = []
            converted = converter(value, path, found)
            if not found:
                return converted
        return _report(problems, path, expected, value)

    return convert


def _list(element: object, make: Callable[[list[object]], object]) -> Converter | None:
    convert_element = _find(element)
    if convert_element is None:
        return None

    def convert(value: object, path: str, problems: list[Problem]) -> object:
        if not isinstance(value, list):
            return _report(problems, path, "list", value)
        before = len(problems)
        items = [convert_element(item, f"{path}[{i}]", problems) for i, item in enumerate(value)]
        return items if len(problems) > before else make(items)

    return convert


def _fixed_tuple(elements: tuple[object, ...]) -> Converter | None:
    found = [_find(element) for element in elements]
    converters = [converter for converter in found if converter is not None]
    if len(converters) < len(elements):
        return None

    def convert(value: object, path: str, problems: list[Problem]) -> object:
        if not isinstance(value, list) or len(value) != len(converters):
            return _report(problems, path, f"a list of {len(converters)} values", value)
        pairs = enumerate(zip(converters, value, strict=True))
        return tuple(each(item, f"{path}[{i}]", problems) for i, (each, item) in pairs)

    return convert


def _dict(arguments: tuple[object, ...]) -> Converter | None:
    key, element = arguments if len(arguments) == 2 else (str, object)
    convert_element = _find(element)
    if convert_element is None or (key is not str and key not in _UNCHECKED):
        return None

    def convert(value: object, path: str, problems: list[Problem]) -> object:
        if not isinstance(value, dict):
            return _report(problems, path, "dict", value)
        return {
            name: convert_element(item, f"{path}[{name!r}]", problems)
            for name, item in value.items()
        }

    return convert


def _dataclass(cls: type) -> Converter | None:
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    found = {name: _find(hints[name]) for name in fields}
    converters = {name: each for name, each in found.items() if each is not None}
    if len(converters) < len(found):
        return None
    required = [name for name, field in fields.items() if _is_required(field)]

    def convert(value: object, path: str, problems: list[Problem]) -> object:
        if not isinstance(value, dict):
            return _report(problems, path, f"an object of {cls.__name__}", value)
        before = len(problems)
        problems += [
            Problem(f"{path}.{name}", "a value", "nothing")
            for name in required
            if name not in value
        ]
        problems += [
            Problem(f"{path}.{name}", "no such key", shorten(value[name]))
            for name in value
            if name not in converters
        ]
        values = {
            name: converter(value[name], f"{path}.{name}", problems)
            for name, converter in converters.items()
            if name in value
        }
        return value if len(problems) > before else _build(cls, values, path, problems)

    return convert


def _is_required(field: dataclasses.Field[object]) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _build(cls: type, values: Mapping[str, object], path: str, problems: list[Problem]) -> object:
    try:
        built: object = cls(**values)
    except (TypeError, ValueError) as error:  # what its own checks say of the values
        problems.append(Problem(path, cls.__name__, str(error)))
        return values
    return built


def _pydantic(cls: type) -> Converter:
    from pydantic import TypeAdapter, ValidationError

    adapter: TypeAdapter[object] = TypeAdapter(cls)

    def convert(value: object, path: str, problems: list[Problem]) -> object:
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            for item in error.errors(include_url=False):
                place = "".join(
                    f"[{key}]" if isinstance(key, int) else f".{key}" for key in item["loc"]
                )
                problems.append(Problem(path + place, item["msg"], shorten(item["input"])))
            return value

    return convert


def _frame(value: object, path: str, problems: list[Problem]) -> object:
    import pandas as pd

    if isinstance(value, list) and all(isinstance(row, dict) for row in value):
        return pd.DataFrame(value)
    if isinstance(value, dict) and all(isinstance(column, list) for column in value.values()):
        if len(set(map(len, value.values()))) <= 1:
            return pd.DataFrame(value)
        return _report(problems, path, "columns of one length", value)
    return _report(problems, path, "a list of records, or an object of columns", value)


def _array(value: object, path: str, problems: list[Problem]) -> object:
    import numpy as np

    if isinstance(value, list):
        try:
            array = np.array(value)
        except (ValueError, OverflowError):
            return _report(problems, path, "lists of one length", value)
        if array.dtype != object:
            return array
    return _report(problems, path, "an array of numbers, texts or booleans", value)
