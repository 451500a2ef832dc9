"""Options from the signature of a function: their help, and the arguments that they come to."""

from __future__ import annotations

import enum
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
    is true by ``--name`` alone, and false by ``--no-name``. A list is given as a whole, or each
    element by an option of its own.

    Raises:
        InvalidArgumentError: a word is no option of the function, a value is none for it, or one
            is missing; all of that is named, and nothing was logged.
    """
    from pyfunc.functions.arguments import find_input_types
    from pyfunc.functions.signatures import read_parameters, takes_any_name

    found = read_parameters(function)
    types, parameters = find_input_types(found), _named(found)
    given, problems = _read(words, parameters, takes_any_name(found))
    arguments, files = GivenArguments(), dict[str, str]()
    for name, texts in given.items():
        if name in types or texts[-1].startswith("store://"):
            files[name] = texts[-1]
            continue
        annotation = parameters[name].annotation if name in parameters else _NONE
        try:
            arguments.parameters[name] = _value(option_of(name), texts, annotation)
        except InvalidArgumentError as error:
            problems.append(str(error))
    if problems:
        raise _refusal(problems)
    for name, text in files.items():
        arguments.inputs[name] = _input(project, name, text, types.get(name, ()))
    return arguments


def _read(
    words: Sequence[str], parameters: Mapping[str, inspect.Parameter], takes_more: bool
) -> tuple[dict[str, list[str]], list[str]]:
    """Return the texts that are given for each parameter, and what is wrong with the options."""
    given: dict[str, list[str]] = {}
    problems = []
    for option, text in _pairs(words, parameters):
        name = _name_of(option)
        if name in parameters or takes_more:
            given.setdefault(name, []).append(text)
        else:
            known = ", ".join(map(option_of, parameters)) or "none"
            problems.append(f"no option {option}; the function has: {known}")
    problems += [
        f"{option_of(name)}: expected a value, as it is required"
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty and name not in given
    ]
    return given, problems


def _refusal(problems: Sequence[str]) -> InvalidArgumentError:
    if len(problems) == 1:
        return InvalidArgumentError(problems[0])
    lines = "".join(f"\n  - {problem}" for problem in problems)
    return InvalidArgumentError(
        f"the options do not fit the function ({len(problems)} problem(s)){lines}"
    )


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
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return "one of " + ", ".join(repr(member.value) for member in annotation)
    if annotation is _NONE:
        return "JSON"
    from pyfunc.functions.signatures import without_scopes

    return without_scopes(inspect.formatannotation(annotation))


def _pairs(
    words: Sequence[str], parameters: Mapping[str, inspect.Parameter]
) -> Iterator[tuple[str, str]]:
    """Yield options and their values."""
    flags = {name for name, item in parameters.items() if _is_flag(item.annotation)}
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


def _is_flag(annotation: object) -> bool:
    from pyfunc.functions.json_values import members_of

    return {*members_of(annotation)} - {None, type(None)} == {bool}


def _value(option: str, texts: Sequence[str], annotation: object) -> object:
    """Return what the texts stand for: an element each, where the type is a list of any length.

    A single one may also be the whole list; of other types the last one counts.
    """
    from pyfunc.functions.json_values import find_element

    element = find_element(annotation)
    whole = [*_readings(texts[-1], annotation)]
    if element is None or (whole and len(texts) == 1):
        wrong = [] if whole else [texts[-1]]
        found: object = whole[0] if whole else None
    else:
        items = {text: [*_readings(text, element)] for text in texts}
        wrong = [text for text in texts if not items[text]]
        found = [items[text][0] for text in texts if not wrong]
    if wrong:
        expected = _type_name(annotation)
        raise InvalidArgumentError(f"{option}: expected {expected}, got {shorten(wrong[0])}")
    return found


def _readings(text: str, annotation: object) -> Iterator[object]:
    """Yield the values that a text may stand for: of JSON where that fits, and the text itself."""
    if annotation is str:
        yield text
        return
    try:
        value: object = json.loads(text)
    except ValueError:
        value = {"True": True, "False": False}.get(text, text)
    if annotation is float and type(value) is int:
        value = float(value)
    convert = _converter(annotation)
    for candidate in (value, text):
        problems: list[Problem] = []
        convert(candidate, "", problems)
        if not problems:
            yield candidate


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
    from pyfunc.functions.names import to_name

    if text.startswith("store://"):
        return text
    name = to_name(name)
    if types[:1] == (Dataitem,):
        return project.log_dataitem(name, "dataitem", source=text)
    if types[:1] == (Model,):
        return project.log_model(name, source=text)
    return project.log_artifact(name, source=text)
