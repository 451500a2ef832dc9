"""Which modules Python source imports; it is parsed and never run."""

from __future__ import annotations

import ast
from collections.abc import Iterator

__all__ = ["imports_of_source", "is_type_checking"]


def imports_of_source(source: str | bytes, *, package: str = "") -> set[str]:
    """Return the dotted names that ``source`` imports, anywhere in it.

    Relative imports are resolved against ``package`` and left out without one. Imports under
    ``if TYPE_CHECKING:`` are left out; ``importlib.import_module`` and ``__import__`` with a
    literal name count. Source that does not parse imports nothing.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    return set(_walk(tree, package))


def _walk(tree: ast.AST, package: str) -> Iterator[str]:
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and is_type_checking(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (module := _absolute(node, package)):
            # "from google.cloud import storage" may name a module too.
            yield from (f"{module}.{alias.name}".removesuffix(".*") for alias in node.names)
        elif isinstance(node, ast.Call) and (name := _literal_import(node)):
            yield name
        waiting += ast.iter_child_nodes(node)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parents = package.split(".") if package else []
    if node.level > len(parents):
        return ""
    return ".".join([*parents[: len(parents) - node.level + 1], *filter(None, [node.module])])


def is_type_checking(test: ast.expr) -> bool:
    """Return whether the condition of an ``if`` holds for type checkers alone."""
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def _literal_import(call: ast.Call) -> str | None:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)
    if name not in ("import_module", "__import__") or not call.args:
        return None
    value = getattr(call.args[0], "value", None)
    return value if isinstance(value, str) and not value.startswith(".") else None
