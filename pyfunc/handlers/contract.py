"""What the functions of a request handler are called and which arguments they take.

Known to the save, which reads the file without running it, and to the loader, which runs it.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["HOOKS", "INIT", "INIT_ARGUMENTS", "find_problem_of_function", "find_source_problems"]

INIT = "init"
INIT_ARGUMENTS = frozenset({"sample", "signature", "metadata", "model_path", "model"})
HOOKS = {
    "pre_inference": ("sample", "signature", "metadata"),
    "post_inference": ("prediction", "signature", "metadata"),
}


def find_problem_of_function(name: str, value: object) -> str | None:
    """Return why ``value`` cannot be the function ``name`` of a handler, or None if it can."""
    if not inspect.isfunction(value):
        return f"function {name}: not a function"
    if inspect.iscoroutinefunction(value) or inspect.isasyncgenfunction(value):
        return f"function {name}: must not be async"
    return _judge(name, *_parameters_of(value))


def find_source_problems(source: bytes, file: str) -> Iterator[str]:
    """Yield what is wrong with the functions that the source of a handler defines at its top.

    Nothing is run; a function that comes into being in another way is judged when it is loaded.

    Raises:
        SyntaxError: the source is not Python.
        ValueError: the source holds NUL characters or is of an unknown encoding.
    """
    for node in ast.parse(source, filename=file).body:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if node.name != INIT and node.name not in HOOKS:
            continue
        problem = (
            f"function {node.name}: must not be async"
            if isinstance(node, ast.AsyncFunctionDef)
            # A decorator may change the arguments.
            else None
            if node.decorator_list
            else _judge(node.name, *_parameters_in(node.args))
        )
        if problem is not None:
            yield problem


def _parameters_of(function: Callable[..., Any]) -> tuple[list[str], bool]:
    """Return the names of the parameters, and whether all are plain positional ones."""
    parameters = inspect.signature(function).parameters.values()
    plain = all(p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty for p in parameters)
    return [p.name for p in parameters], plain


def _parameters_in(arguments: ast.arguments) -> tuple[list[str], bool]:
    extra = (arguments.posonlyargs, arguments.vararg, arguments.kwonlyargs, arguments.kwarg)
    return [a.arg for a in arguments.args], not any((*extra, arguments.defaults))


def _judge(name: str, found: list[str], plain: bool) -> str | None:
    if not plain:
        return (
            f"function {name}: invalid function signature, can only accept positional arguments "
            "without defaults"
        )
    if name == INIT:
        odd = [argument for argument in found if argument not in INIT_ARGUMENTS]
        if odd:
            return (
                f"function init: expected arguments among ({', '.join(sorted(INIT_ARGUMENTS))}) "
                f"but found ({', '.join(odd)})"
            )
        return None
    if tuple(found) != HOOKS[name]:
        return (
            f"function {name}: expected function arguments ({', '.join(HOOKS[name])}) "
            f"but found ({', '.join(found)})"
        )
    return None
