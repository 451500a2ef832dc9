"""Dataclasses that hold their values against the types of their fields."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

from pyfunc.errors import INVALID_PARAMETER_VALUE, Problem, SchemaError, shorten

__all__ = ["Checked"]

C = TypeVar("C", bound="Checked")


@dataclasses.dataclass
class Checked:
    """Base of dataclasses whose fields are checked, and made of dicts, when one is created.

    The type of a field says what it takes: a class, a list or dict of values, another dataclass
    of this kind (an instance, or a dict of its fields), or alternatives of these. A bool passes
    for an int, and an int does not pass for a float. What is assigned later is not looked at.

    Creating one raises :class:`~pyfunc.SchemaError`, a ``ValueError``, with all problems.
    """

    def __post_init__(self) -> None:
        problems = list(self._settle())
        if problems:
            raise SchemaError(
                problems,
                subject=f"{type(self).__name__} does not take these values",
                error_code=INVALID_PARAMETER_VALUE,
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that are not None as a dict, and so those of dataclasses inside."""
        return dataclasses.asdict(self, dict_factory=_without_none)

    @classmethod
    def from_dict(cls: type[C], data: Mapping[str, object]) -> C:
        """Return one of the fields in ``data``; what else is in it is left out.

        Raises:
            TypeError: a field without a default is missing.
            SchemaError: a value is not what its field takes.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in data.items() if name in names})

    def find_more_problems(self) -> Iterator[Problem]:
        """Yield what is wrong with the values beside each other."""
        yield from ()

    def _settle(self) -> Iterator[Problem]:
        """Put what dicts stand for in their place; yield everything that is wrong."""
        found = False
        for name, kind in _kinds_of(type(self)).items():
            value, problems = _settled(kind, getattr(self, name), name)
            setattr(self, name, value)
            yield from problems
            found = found or bool(problems)
        if not found:
            yield from self.find_more_problems()


def _without_none(items: list[tuple[str, object]]) -> dict[str, object]:
    return {name: value for name, value in items if value is not None}


_known: dict[type[Any], dict[str, object]] = {}


def _kinds_of(cls: type[Checked]) -> dict[str, object]:
    """Return the types of the fields of ``cls``, read once."""
    if cls not in _known:
        hints = typing.get_type_hints(cls)
        _known[cls] = {field.name: hints[field.name] for field in dataclasses.fields(cls)}
    return _known[cls]


def _settled(kind: Any, value: object, path: str) -> tuple[object, list[Problem]]:
    """Return ``value`` as a field of the type ``kind`` holds it, and what is wrong with it."""
    choices = _choices(kind)
    if kind is Any or (value is None and type(None) in choices):
        return value, []
    choices = [choice for choice in choices if choice is not type(None)]
    if value is None:
        return value, [Problem(path, _named(choices), "nothing")]
    tried = [_settled_as(choice, value, path) for choice in choices]
    fitting = [attempt for attempt in tried if not attempt[1]]
    if fitting or len(tried) == 1:
        return (fitting or tried)[0]
    return value, [_wrong(path, choices, value)]


def _settled_as(kind: Any, value: object, path: str) -> tuple[object, list[Problem]]:
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if origin is not Literal and issubclass(origin, Checked):
        return _settled_record(origin, value, path)
    fits = value in inner if origin is Literal else isinstance(value, origin)
    if not fits:
        return value, [_wrong(path, [kind], value)]
    if isinstance(value, list) and inner:
        return _settled_list(inner[0], value, path)
    if isinstance(value, dict) and inner:
        return _settled_map(inner[1], value, path)
    return value, []


def _settled_record(kind: type[Checked], value: object, path: str) -> tuple[object, list[Problem]]:
    if isinstance(value, kind):
        return value, []
    if not isinstance(value, dict):
        return value, [_wrong(path, [kind], value)]
    made = object.__new__(kind)
    for field in dataclasses.fields(kind):
        setattr(made, field.name, value.get(field.name, _default(field)))
    problems = made._settle()
    return made, [dataclasses.replace(p, path=f"{path}.{p.path}") for p in problems]


def _default(field: dataclasses.Field[object]) -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _settled_list(
    kind: object, values: list[object], path: str
) -> tuple[list[object], list[Problem]]:
    records = isinstance(kind, type) and issubclass(kind, Checked)
    if records and len({isinstance(value, dict) for value in values}) > 1:
        return values, [Problem(path, f"dicts or {_named([kind])} objects", "both in one list")]
    settled = [_settled(kind, value, f"{path}[{at}]") for at, value in enumerate(values)]
    made = [value for value, _ in settled] if records else values
    return made, [problem for _, problems in settled for problem in problems]


def _settled_map(
    kind: object, values: dict[object, object], path: str
) -> tuple[dict[object, object], list[Problem]]:
    problems = [
        Problem(f"{path}[{shorten(key)}]", "a key that is str", type(key).__name__)
        for key in values
        if not isinstance(key, str)
    ]
    made: dict[object, object] = {}
    for key, value in values.items():
        made[key], wrong = _settled(kind, value, f"{path}[{shorten(key)}]")
        problems += wrong
    return made, problems


def _choices(kind: object) -> list[object]:
    if get_origin(kind) in (typing.Union, types.UnionType):
        return list(get_args(kind))
    return [kind]


def _wrong(path: str, choices: list[object], value: object) -> Problem:
    return Problem(path, _named(choices), f"{type(value).__name__} {shorten(value)}")


def _named(choices: list[object]) -> str:
    return " or ".join(
        " or ".join(map(repr, get_args(choice)))
        if get_origin(choice) is Literal
        else getattr(choice, "__name__", "")
        if get_origin(choice) is None
        else str(choice).replace("typing.", "").replace(f"{__package__}.llm.", "")
        for choice in choices
    )
