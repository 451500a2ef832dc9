"""Loads the function of a user from the folder with its code, in a scope of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pyfunc.code.scope import CodeScope
from pyfunc.errors import HandlerError, InvalidArgumentError, shorten
from pyfunc.functions.sources import MAIN

__all__ = ["UserFunction", "adopt", "find_handler_problem", "load_function", "open_code"]

_adopted: dict[str, CodeScope] = {}


@dataclass(frozen=True)
class UserFunction:
    """A function of the user, with the scope that its imports belong to.

    Attributes:
        function: what ``handler`` names; may be any callable.
        init: what ``init_function`` names in the same module, if it names something.
        scope: is to be active while one of them runs.
    """

    function: Callable[..., object]
    init: Callable[..., object] | None
    scope: CodeScope

    def __post_init__(self) -> None:
        self.scope.end_with(self)


def find_handler_problem(handler: object) -> str | None:
    """Return what a handler should be if it is not: ``function`` or ``pkg.mod:function``."""
    module, _, name = handler.rpartition(":") if isinstance(handler, str) else ("", "", "")
    dotted = [*module.replace("/", ".").split("."), name] if module else [name]
    if all(part.isidentifier() for part in dotted):
        return None
    return "the name of a function, or module:function"


def load_function(tree: Path, handler: str, init_function: str | None = None) -> UserFunction:
    """Return the function that ``handler`` names among the modules below ``tree``.

    Each call imports the modules anew, so that nothing of an earlier run is left in them.
    Modules of the folder import each other by their plain names; two functions with a module
    of the same name each get their own.

    Raises:
        HandlerError: the module cannot be imported; what it raised is the cause.
        InvalidArgumentError: it has no such function, or it cannot be called.
    """
    if find_handler_problem(handler):
        raise InvalidArgumentError(f"handler: {shorten(handler)} is not module:function")
    module_name, _, name = handler.rpartition(":")
    dotted = module_name.replace("/", ".") or MAIN
    scope = open_code(tree)
    if not scope.provides(dotted):
        raise InvalidArgumentError(
            f"handler: the source has no module {dotted!r}\n"
            "hint: give it as package.module:function, counted from the top of the source"
        )
    try:
        module = scope.import_module(dotted)
    except Exception as error:  # whatever code of the user raises
        raise HandlerError(
            f"the code of the function cannot be imported: {type(error).__name__}: {error}"
            f"{_hint(error)}",
            stage="import",
        ) from error
    init = None if init_function is None else _callable_in(vars(module), init_function, "init")
    return UserFunction(_callable_in(vars(module), name, "handler"), init, scope)


def open_code(tree: Path, package: str | None = None) -> CodeScope:
    """Return the scope of the modules below ``tree``, which are nobody else's.

    Args:
        tree: the folder.
        package: the private name above the modules, where it is known already.
    """
    folder = str(tree.absolute())

    def recipe(name: str, _: Mapping[str, str]) -> str:
        return f"from {__name__} import adopt\nadopt({name!r}, {folder!r})"

    return CodeScope([tree], recipe=recipe, alone=True, package=package)


def adopt(name: str, tree: str) -> None:
    """Put the package above the modules of a function in the place of the module that calls.

    Processes that a function starts, such as those of joblib, call this to find its modules.
    """
    _adopted[name] = open_code(Path(tree), name)
    _adopted[name].import_in_place(name)


def _callable_in(names: dict[str, object], name: str, what: str) -> Callable[..., object]:
    found = names.get(name)
    if not callable(found):
        problem = "is not there" if name not in names else "cannot be called"
        known = sorted(n for n, value in names.items() if callable(value) and n[0] != "_")
        raise InvalidArgumentError(
            f"{what}: {name!r} {problem}; the module has {', '.join(known) or 'no functions'}"
        )
    return found


def _hint(error: Exception) -> str:
    if not isinstance(error, ModuleNotFoundError):
        return ""
    return (
        f"\nhint: {error.name!r} is neither installed nor in the source; a source of several "
        "files comes from git or a zip archive, packages from requirements"
    )
