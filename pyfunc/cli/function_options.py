"""Options from the signature of a function: their help, and the arguments that they come to."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyfunc.errors import InvalidArgumentError, shorten

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyfunc.functions.entity import Entity
    from pyfunc.functions.project import Project

__all__ = ["GivenArguments", "describe_options", "parse_arguments"]

_FILLED_IN = ("project", "run")


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
    project. Other values are read as the annotation says (str, int, float, bool), and without
    one as JSON, or as text where they are none.

    Raises:
        InvalidArgumentError: a word is no option of the function, or a value is none for it.
    """
    from pyfunc.functions.arguments import find_input_types

    types = find_input_types(function)
    parameters = _parameters_of(function)
    given = GivenArguments()
    for option, text in _pairs(words):
        name = option.removeprefix("--").replace("-", "_")
        if name not in parameters:
            known = ", ".join(_option(known) for known in parameters) or "none"
            raise InvalidArgumentError(f"no option {option}; the function has: {known}")
        if name in types or text.startswith("store://"):
            given.inputs[name] = _input(project, name, text, types.get(name, ()))
        else:
            given.parameters[name] = _value(option, text, parameters[name].annotation)
    return given


def describe_options(function: Callable[..., object]) -> str:
    """Return the docstring of a function and a line per option, for people."""
    from pyfunc.functions.arguments import find_input_types

    types = find_input_types(function)
    lines = [inspect.getdoc(function) or "The function has no docstring.", "", "Its options:"]
    for name, parameter in _parameters_of(function).items():
        is_required = parameter.default is parameter.empty
        what = "a key or a path" if name in types else _type_name(parameter.annotation)
        more = "required" if is_required else f"default: {parameter.default!r}"
        lines.append(f"  {_option(name)}  {what}  [{more}]")
    return "\n".join(lines)


def _parameters_of(function: Callable[..., object]) -> Mapping[str, inspect.Parameter]:
    try:
        found = inspect.signature(function, eval_str=True).parameters
    except Exception:  # annotations of the user that lead nowhere
        found = inspect.signature(function).parameters
    return {name: value for name, value in found.items() if name not in _FILLED_IN}


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _type_name(annotation: object) -> str:
    return (
        "JSON" if annotation is inspect.Parameter.empty else inspect.formatannotation(annotation)
    )


def _pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    pairs = []
    rest = list(words)
    while rest:
        option, sign, text = rest.pop(0).partition("=")
        if not option.startswith("--"):
            raise InvalidArgumentError(f"expected --name value, got {shorten(option)}")
        if not sign and not rest:
            raise InvalidArgumentError(f"{option}: expected a value")
        pairs.append((option, text if sign else rest.pop(0)))
    return pairs


def _value(option: str, text: str, annotation: object) -> object:
    if annotation is str:
        return text
    try:
        value: object = json.loads(text)
    except ValueError:
        value = {"True": True, "False": False}.get(text, text)
    if annotation is float and type(value) is int:
        return float(value)
    if annotation in (int, float, bool) and type(value) is not annotation:
        raise InvalidArgumentError(
            f"{option}: expected {_type_name(annotation)}, got {shorten(text)}"
        )
    return value


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
