"""Which arguments a served function is called with for one event.

Strict binding gives a function only what is reserved: ``project``, ``run``, ``context`` and
``event``. Binding by JSON fills its other parameters from the keys of the body. What can be
wrong with a function is found once, before the first request.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Literal

from pyfunc.errors import (
    INVALID_PARAMETER_VALUE,
    InvalidArgumentError,
    Problem,
    SchemaError,
    shorten,
)
from pyfunc.functions.events import Context, Event
from pyfunc.functions.json_values import Converter, find_converter
from pyfunc.functions.signatures import VARIABLE, read_parameters, takes_any_name

__all__ = [
    "RESERVED",
    "BindingError",
    "Binding",
    "Function",
    "call_init",
    "plan_binding",
]

RESERVED = ("project", "run", "context", "event")

Function = Callable[..., object]
_Parameter = inspect.Parameter


class BindingError(SchemaError):
    """A request does not give a function the arguments that it needs; all is listed."""

    error_code = INVALID_PARAMETER_VALUE


class Binding:
    """Makes the arguments of one function; made by :func:`plan_binding`.

    Args:
        reserved: the reserved names that the function declares.
        constants: values of those that are the same for every event.
        body: fills the other parameters, or None for strict binding.
    """

    def __init__(
        self,
        reserved: frozenset[str],
        constants: Mapping[str, object],
        body: _BodyParameters | None,
    ) -> None:
        self._constants = {name: constants[name] for name in constants if name in reserved}
        self._takes_event = "event" in reserved
        self._body = body

    def arguments(self, event: Event) -> dict[str, object]:
        """Return the keyword arguments for ``event``.

        Raises:
            BindingError: the body does not fill the parameters.
        """
        arguments = dict(self._constants)
        if self._takes_event:
            arguments["event"] = event
        if self._body is not None:
            arguments.update(self._body.read(event))
        return arguments


def plan_binding(
    function: Function,
    *,
    bind: Literal["strict", "json"] = "strict",
    project: object = None,
    run: object = None,
    context: Context | None = None,
) -> Binding:
    """Return how ``function`` is called.

    Raises:
        InvalidArgumentError: it could never be called so; the parameters are named.
    """
    if bind not in ("strict", "json"):
        raise InvalidArgumentError(f"bind: expected 'strict' or 'json', got {shorten(bind)}")
    parameters = read_parameters(function)
    _check_can_be_named(parameters)
    reserved = frozenset(name for name in parameters if name in RESERVED)
    others = {
        name: parameter
        for name, parameter in parameters.items()
        if name not in RESERVED and parameter.kind not in VARIABLE
    }
    body = None
    if bind == "json":
        converters = _find_converters(others)
        body = _BodyParameters(others, converters, takes_any_name(parameters))
    else:
        _check_nothing_is_required(others)
    constants = {"project": project, "run": run, "context": context}
    return Binding(reserved, constants, body)


def _check_can_be_named(parameters: Mapping[str, _Parameter]) -> None:
    unnamed = [
        name for name, item in parameters.items() if item.kind is _Parameter.POSITIONAL_ONLY
    ]
    if unnamed:
        raise InvalidArgumentError(
            f"a served function is called by keyword, but {', '.join(unnamed)} can only be given "
            "by position\nhint: leave out the / in its signature"
        )


def _check_nothing_is_required(others: Mapping[str, _Parameter]) -> None:
    required = [name for name, item in others.items() if item.default is _Parameter.empty]
    if required:
        raise InvalidArgumentError(
            f"no request can call this function: its parameters {', '.join(required)} have no "
            f"default, and a served function is given only {', '.join(RESERVED)}\n"
            "hint: read event.body, or serve with bind='json', which fills parameters from the "
            "keys of a JSON body"
        )


def _find_converters(parameters: Mapping[str, _Parameter]) -> dict[str, Converter]:
    hints = {
        name: object if item.annotation is _Parameter.empty else item.annotation
        for name, item in parameters.items()
    }
    texts = [f"{name}: {hint}" for name, hint in hints.items() if isinstance(hint, str)]
    if texts:
        raise InvalidArgumentError(
            f"the annotations of the function cannot be read: {', '.join(texts)}\n"
            "hint: bind='json' needs every name in them when the server starts"
        )
    return {name: find_converter(hint, name) for name, hint in hints.items()}


class _BodyParameters:
    """The parameters of a function that the keys of a JSON object fill."""

    def __init__(
        self,
        parameters: Mapping[str, _Parameter],
        converters: Mapping[str, Converter],
        takes_more: bool,
    ) -> None:
        self._converters = converters
        self._required = tuple(
            name for name, item in parameters.items() if item.default is _Parameter.empty
        )
        self._takes_more = takes_more

    def read(self, event: Event) -> dict[str, object]:
        """Return the arguments that the body of ``event`` gives.

        Raises:
            BindingError: a key is missing or unknown, or a value does not fit.
        """
        body = {} if event.size == 0 else event.body
        if not isinstance(body, dict):
            raise _misfit([Problem("body", "a JSON object", _what_came(event))])
        problems = [
            Problem(name, "a value", "nothing") for name in self._required if name not in body
        ]
        arguments = {}
        for name, value in body.items():
            converter = self._converters.get(name)
            if converter is not None:
                arguments[name] = converter(value, name, problems)
            elif self._takes_more and name not in RESERVED:
                arguments[name] = value
            else:
                problems.append(Problem(name, "no such key", shorten(value)))
        if problems:
            raise _misfit(problems)
        return arguments


def _what_came(event: Event) -> str:
    body = event.body
    if isinstance(body, bytes):
        return f"{event.size} bytes: {event.body_fault}"
    return f"{type(body).__name__} {shorten(body)}"


def _misfit(problems: list[Problem]) -> BindingError:
    return BindingError(problems, subject="the request does not fit the function's parameters")


def call_init(
    init: Function, context: Context, parameters: Mapping[str, object] | None = None
) -> object:
    """Return what ``init`` returns for the context and its parameters by name.

    Raises:
        InvalidArgumentError: it does not declare ``context``, or the parameters are not those
            that it takes; all are named.
    """
    given = dict(parameters or {})
    declared = read_parameters(init)
    if "context" not in declared:
        raise InvalidArgumentError("the init function must have a parameter context")
    known = {name for name, item in declared.items() if item.kind not in VARIABLE}
    problems = [
        f"{name} has no value"
        for name in declared
        if name in known - {"context"} - given.keys()
        and declared[name].default is _Parameter.empty
    ]
    refused = {"context"} if takes_any_name(declared) else given.keys() - (known - {"context"})
    problems += [f"{name} is no parameter of it" for name in given if name in refused]
    if problems:
        raise InvalidArgumentError(f"init_parameters: {'; '.join(problems)}")
    return init(context=context, **given)
