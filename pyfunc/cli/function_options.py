"""Options from the signature of a function: their help, and the arguments that they come to."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyfunc.errors import InvalidArgumentError, Problem, shorten

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyfunc.functions.entity import Entity
    from pyfunc.functions.json_values import Converter
    from pyfunc.functions.project import Project

__all__ = ["GivenArguments", "describe_options", "option_of", "parse_arguments"]

_FILLED_IN = ("project", "run")
_NONE = inspect.Parameter.empty


@dataclass
class GivenArguments:
    """What a command line says: values by parameter, and entities by parameter."""

    parameters: dict[str, object] = field(default_factory=dict)
    inputs: dict[str, Entity | str] = field(default_factory=dict)


def parse_arguments(
    function: Callable[..., object], words: Sequence[str], project: Project
) -> GivenArguments:
    """Return the arguments that ``--name value`` and ``--name=value`` stand for.

    A parameter that asks for an input takes a key, or a path whose file is logged in the
    project. Another value is JSON where that fits the annotation, else the text itself. A bool
    is true by ``--name`` alone, and false by ``--no-name``.

    Raises:
        InvalidArgumentError: a word is no option of the function, or a value is none for it.
    """
    from pyfunc.functions.arguments import find_input_types
    from pyfunc.functions.signatures import read_parameters, takes_any_name

    found = read_parameters(function)
    types, parameters = find_input_types(found), _named(found)
    given = GivenArguments()
    for option, text in _pairs(words, parameters):
        name = _name_of(option)
        if name not in parameters and not takes_any_name(found):
            known = ", ".join(map(option_of, parameters)) or "none"
            raise InvalidArgumentError(f"no option {option}; the function has: {known}")
        if name in types or text.startswith("store://"):
            given.inputs[name] = _input(project, name, text, types.get(name, ()))
        else:
            annotation = parameters[name].annotation if name in parameters else _NONE
            given.parameters[name] = _value(option, text, annotation)
    return given


def describe_options(function: Callable[..., object]) -> str:
    """Return the docstring of a function and a line per option, for people."""
    from pyfunc.functions.arguments import find_input_types
    from pyfunc.functions.signatures import read_parameters, takes_any_name

    found = read_parameters(function)
    types = find_input_types(found)
    lines = [inspect.getdoc(function) or "The function has no docstring.", "", "Its options:"]
    for name, parameter in _named(found).items():
        is_required = parameter.default is parameter.empty
        what = "a key or a path" if name in types else _type_name(parameter.annotation)
        more = "required" if is_required else f"default: {parameter.default!r}"
        lines.append(f"  {option_of(name)}  {what}  [{more}]")
    if takes_any_name(found):
        lines.append("  and any other")
    return "\n".join(lines)


def _named(parameters: Mapping[str, inspect.Parameter]) -> dict[str, inspect.Parameter]:
    from pyfunc.functions.signatures import VARIABLE

    return {
        name: parameter
        for name, parameter in parameters.items()
        if name not in _FILLED_IN and parameter.kind not in VARIABLE
    }


def option_of(name: str) -> str:
    """Return the option of a parameter."""
    return f"--{name.replace('_', '-')}"


def _name_of(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def _type_name(annotation: object) -> str:
    return "JSON" if annotation is _NONE else inspect.formatannotation(annotation)


def _pairs(
    words: Sequence[str], parameters: Mapping[str, inspect.Parameter]
) -> Iterator[tuple[str, str]]:
    """Yield options and their values."""
    flags = {name for name, item in parameters.items() if item.annotation is bool}
    rest = [*words]
    while rest:
        option, sign, text = rest.pop(0).partition("=")
        if not option.startswith("--"):
            raise InvalidArgumentError(f"expected --name value, got {shorten(option)}")
        if sign:
            yield option, text
        elif _name_of(option) in flags and (not rest or rest[0].startswith("--")):
            yield option, "true"
        elif _name_of(option).removeprefix("no_") in flags - {_name_of(option)}:
            yield option.replace("--no-", "--", 1), "false"
        elif rest:
            yield option, rest.pop(0)
        else:
            raise InvalidArgumentError(f"{option}: expected a value")


def _value(option: str, text: str, annotation: object) -> object:
    if annotation is str:
        return text
    try:
        value: object = json.loads(text)
    except ValueError:
        value = {"True": True, "False": False}.get(text, text)
    if annotation is float and type(value) is int:
        return float(value)
    convert = _converter(annotation)
    problems: list[Problem] = []
    for candidate in (value, text):
        problems.clear()
        convert(candidate, option, problems)
        if not problems:
            return candidate
    raise InvalidArgumentError(f"{option}: expected {_type_name(annotation)}, got {shorten(text)}")


def _converter(annotation: object) -> Converter:
    """Return what finds out whether a value of JSON is one of that type."""
    from pyfunc.functions.json_values import find_converter

    try:
        return find_converter(object if annotation is _NONE else annotation, "")
    except InvalidArgumentError:  # what it says, if anything, is not for values of JSON
        return find_converter(object, "")


def _input(
    project: Project, name: str, text: str, types: tuple[type[Entity], ...]
) -> Entity | str:
    from pyfunc.functions.dataitem import Dataitem
    from pyfunc.functions.model import Model

    if text.startswith("store://"):
        return text
    if Dataitem in types and len(types) == 1:
        return project.log_dataitem(name, "dataitem", source=text)
    if Model in types and len(types) == 1:
        return project.log_model(name, source=text)
    return project.log_artifact(name, source=text)
