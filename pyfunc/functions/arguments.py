"""What a function is called with, found and checked before it is called."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, Problem, SchemaError, shorten
from pyfunc.functions.artifact import Artifact
from pyfunc.functions.dataitem import Dataitem
from pyfunc.functions.entity import Entity, FileEntity
from pyfunc.functions.json_values import members_of
from pyfunc.functions.model import Model
from pyfunc.functions.outputs import Compat, encode_value
from pyfunc.functions.signatures import (
    VARIABLE,
    plain_annotation,
    read_parameters,
    takes_any_name,
)

__all__ = ["check_json", "compose_arguments", "find_input_types"]

_SERVED = ("context", "event")


def check_json(values: object, what: str) -> dict[str, object]:
    """Return a copy of a dict as documents hold it; ``decode_value`` gives its values back.

    Raises:
        InvalidTypeError: it is no dict.
        SchemaError: it holds what JSON does not; all such values are named.
        InvalidArgumentError: it is nested too deeply.
    """
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise InvalidTypeError(f"{what}: expected a dict, got {shorten(values)}")
    try:
        problems = [*_find_problems(dict(values), what)]
    except RecursionError as error:
        raise InvalidArgumentError(
            f"{what}: a value is nested too deeply, or in itself"
        ) from error
    if problems:
        raise SchemaError(
            problems,
            subject=f"{what} hold what JSON cannot",
            hint="log frames, models and objects in the project and pass them by inputs",
        )
    return {name: encode_value(value) for name, value in values.items()}


def _find_problems(value: object, path: str) -> Iterator[Problem]:
    if isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):
                yield Problem(path, "keys that are text", shorten(name))
            yield from _find_problems(item, f"{path}[{name!r}]")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _find_problems(item, f"{path}[{position}]")
    elif type(value) not in (str, int, float, bool, type(None)):
        yield Problem(path, "a value of JSON", shorten(value))


def compose_arguments(
    function: Callable[..., object],
    *,
    parameters: Mapping[str, object],
    inputs: Mapping[str, Entity],
    reserved: Mapping[str, object],
    compat: Compat = None,
) -> dict[str, object]:
    """Return the arguments for ``function`` by name.

    An input is given as what its parameter is annotated with: ``pd.DataFrame``,
    ``pathlib.Path`` or ``pyfunc.PyFuncModel``, else as the entity; of a union, as the first that
    it can be. ``reserved`` arguments are given to a function that declares them. Under ``compat``
    inputs are entities, an input wins over a parameter of the same name, and Python itself says
    what does not fit.

    Raises:
        SchemaError: arguments are missing, unknown, reserved, given twice, or cannot be what
            the annotation says; all of them are named, and nothing was called.
    """
    signature = read_parameters(function)
    declared = {name: value for name, value in reserved.items() if name in signature}
    if compat is not None:
        return {**parameters, **inputs, **declared}
    given = {**parameters, **inputs}
    twice = parameters.keys() & inputs.keys()
    taken = reserved.keys() & given.keys()
    problems = [
        *(Problem(name, "one value", "a parameter and an input") for name in twice),
        *(Problem(name, "nothing: it is filled in", shorten(given[name])) for name in taken),
        *_find_misfits(signature, {**given, **declared}),
    ]
    converted = {}
    for name, entity in inputs.items():
        wanted = _wanted(signature[name].annotation) if name in signature else None
        if wanted is not None and not isinstance(entity, wanted.takes):
            expected = " or ".join(cls.__name__ for cls in wanted.takes)
            problems.append(Problem(name, f"an input of type {expected}", entity.key))
        elif not problems:
            converted[name] = entity if wanted is None else wanted.convert(entity)
    if problems:
        raise SchemaError(problems, subject="the arguments do not fit the function")
    return {**parameters, **converted, **declared}


def _find_misfits(
    parameters: Mapping[str, inspect.Parameter], given: Mapping[str, object]
) -> Iterator[Problem]:
    known = []
    for name, parameter in parameters.items():
        is_required = parameter.default is parameter.empty
        if parameter.kind in VARIABLE:
            continue
        known.append(name)
        if parameter.kind is parameter.POSITIONAL_ONLY:
            if is_required or name in given:
                yield Problem(name, "an argument by name", "a positional-only one")
        elif is_required and name not in given:
            hint = " (filled in where the function is served)" if name in _SERVED else ""
            yield Problem(name, "a value in parameters or inputs", f"nothing{hint}")
    if not takes_any_name(parameters):
        expected = f"one of {', '.join(known)}" if known else "no arguments"
        for name in given:
            if name not in known:
                yield Problem(name, expected, "an unknown argument")


class _Wanted(typing.NamedTuple):
    """What an annotation asks for: the entities that can be that, and how one becomes it."""

    takes: tuple[type[Entity], ...]
    convert: Callable[[Entity], object]


def _as_frame(entity: Entity) -> object:
    return entity.as_df() if isinstance(entity, Dataitem) else entity


def _as_path(entity: Entity) -> object:
    return entity.as_file() if isinstance(entity, FileEntity) else entity


def _as_model(entity: Entity) -> object:
    return entity.load() if isinstance(entity, Model) else entity


def _as_it_is(entity: Entity) -> object:
    return entity


# By name, so that a library is not loaded to see that an annotation is none of its classes.
_CONVERSIONS = {
    ("pandas", "DataFrame"): _Wanted((Dataitem,), _as_frame),
    ("pathlib", "Path"): _Wanted((Artifact, Dataitem, Model), _as_path),
    ("pyfunc", "PyFuncModel"): _Wanted((Model,), _as_model),
    ("pyfunc", "Artifact"): _Wanted((Artifact,), _as_it_is),
    ("pyfunc", "Dataitem"): _Wanted((Dataitem,), _as_it_is),
    ("pyfunc", "Model"): _Wanted((Model,), _as_it_is),
}


def find_input_types(
    parameters: Mapping[str, inspect.Parameter],
) -> dict[str, tuple[type[Entity], ...]]:
    """Return the parameters whose annotation asks for an input, with the entities it can be."""
    wanted = {name: _wanted(item.annotation) for name, item in parameters.items()}
    return {name: found.takes for name, found in wanted.items() if found}


def _wanted(hint: object) -> _Wanted | None:
    """Return what an annotation asks for; of a union, whatever one of its types asks for."""
    found = [*_conversions(hint)]
    if not found:
        return None
    takes = dict.fromkeys(cls for option in found for cls in option.takes)

    def convert(entity: Entity) -> object:
        return next(item.convert(entity) for item in found if isinstance(entity, item.takes))

    return _Wanted(tuple(takes), convert)


def _conversions(hint: object) -> Iterator[_Wanted]:
    for option in map(plain_annotation, members_of(hint)):
        top = str(getattr(option, "__module__", "")).partition(".")[0]
        found = _CONVERSIONS.get((top, str(getattr(option, "__name__", ""))))
        if found is not None:
            yield found
