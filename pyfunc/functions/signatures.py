"""The parameters of a callable of the user, each with what its annotation stands for."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pyfunc.errors import InvalidArgumentError, shorten

if TYPE_CHECKING:
    import ast

__all__ = [
    "VARIABLE", "core_of", "name_of_type", "plain_annotation", "read_parameters",
    "takes_any_name", "without_scopes",
]  # fmt: skip

VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
"""Kinds of parameters that stand for any number of arguments."""


def read_parameters(function: Callable[..., object]) -> dict[str, inspect.Parameter]:
    """Return the parameters by name; an annotation whose names lead nowhere stays text.

    Names count that the module imports for type checkers alone.

    Raises:
        InvalidArgumentError: it does not say what it takes, as some functions in C do not.
    """
    try:
        found = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(
            f"{shorten(function)} does not say which arguments it takes\n"
            "hint: let the handler be a function of your own that calls it"
        ) from error
    known = getattr(core_of(function), "__globals__", {})
    return {
        name: parameter.replace(annotation=_resolved(parameter.annotation, known))
        for name, parameter in found.items()
    }


def takes_any_name(parameters: Mapping[str, inspect.Parameter]) -> bool:
    """Return whether arguments of further names can be given."""
    return any(item.kind is inspect.Parameter.VAR_KEYWORD for item in parameters.values())


def core_of(function: Callable[..., object]) -> Callable[..., object]:
    """Return the function of Python that runs when ``function`` is called, as far as it shows."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, type):
            function = function.__init__  # type: ignore[misc]
        elif inspect.ismethod(function):
            function = function.__func__
        elif (wrapped := getattr(function, "__wrapped__", None)) is not None:
            function = wrapped
        elif isinstance(call := type(function).__call__, types.FunctionType):
            function = call  # of an object of the user
        else:
            return function


def plain_annotation(annotation: object) -> object:
    """Return the type that another name was given by ``NewType`` or ``type``."""
    from pyfunc.model.hints import without_alias  # functions that are marked need none of it

    annotation = without_alias(annotation)
    while (below := getattr(annotation, "__supertype__", None)) is not None:
        annotation = without_alias(below)
    return annotation


def without_scopes(text: str) -> str:
    """Return ``text`` with the modules of functions as their sources call them.

    While a function is loaded its modules have names of their own where theirs are taken.
    """
    from pyfunc.code.finder import PREFIX  # functions that are marked need none of it

    return re.sub(rf"\b{PREFIX}\w+\.", "", text)


def name_of_type(cls: type) -> str:
    """Return the module of a class and its name there."""
    return without_scopes(f"{cls.__module__}.{cls.__qualname__}")


def _resolved(annotation: object, known: Mapping[str, object]) -> object:
    try:
        return _evaluated(annotation, known)
    except Exception:  # an annotation may be any expression of the user
        pass
    try:
        return _evaluated(annotation, {**known, **_names_for_checkers(known)})
    except Exception:  # as above
        return annotation


def _evaluated(annotation: object, known: Mapping[str, object]) -> object:
    if annotation is inspect.Parameter.empty:
        return annotation
    alone = types.SimpleNamespace(__annotations__={"hint": annotation})
    return typing.get_type_hints(alone, dict(known))["hint"]


def _names_for_checkers(known: Mapping[str, object]) -> dict[str, object]:
    """Return what a module imports under ``if TYPE_CHECKING:``, as far as it is there."""
    import ast

    from pyfunc.code.source_imports import is_type_checking

    names: dict[str, object] = {}
    for node in ast.walk(ast.parse(Path(str(known.get("__file__"))).read_bytes())):
        if isinstance(node, ast.If) and is_type_checking(node.test):
            for statement in node.body:
                with contextlib.suppress(ImportError, AttributeError):
                    names.update(_imported(statement))
    return names


def _imported(statement: ast.stmt) -> Iterator[tuple[str, object]]:
    """Yield what an absolute import binds."""
    import ast

    if isinstance(statement, ast.Import):
        for alias in statement.names:
            module = importlib.import_module(alias.name)
            top = importlib.import_module(alias.name.partition(".")[0])
            yield (alias.asname, module) if alias.asname else (top.__name__, top)
    elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
        module = importlib.import_module(statement.module)
        for alias in statement.names:
            yield alias.asname or alias.name, getattr(module, alias.name)
