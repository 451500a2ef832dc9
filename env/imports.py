"""Which modules Python code imports, read from its source or its bytecode, never run."""

from __future__ import annotations

import ast
import opcode
from collections.abc import Iterator, Sequence

__all__ = ["imports_of_bytecode", "imports_of_source"]

# IMPORT_NAME, IMPORT_FROM and EXTENDED_ARG of this Python, and of 3.8 to 3.12 for pickles that
# hold code of another version.
_HERE = tuple(opcode.opmap[name] for name in ("IMPORT_NAME", "IMPORT_FROM", "EXTENDED_ARG"))
_BEFORE_313 = (108, 109, 144)


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
        if isinstance(node, ast.If) and _is_type_checking(node.test):
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


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def _literal_import(call: ast.Call) -> str | None:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)
    if name not in ("import_module", "__import__") or not call.args:
        return None
    value = getattr(call.args[0], "value", None)
    return value if isinstance(value, str) and not value.startswith(".") else None


def imports_of_bytecode(code: bytes, names: Sequence[object], *, same_python: bool) -> set[str]:
    """Return the dotted names that the bytecode of one function or class body imports.

    Args:
        code: ``co_code``; two bytes per instruction, as since Python 3.6.
        names: ``co_names``.
        same_python: whether the running Python compiled it; otherwise the instruction numbers
            of Python 3.8 to 3.12 are assumed.
    """
    import_name, import_from, extended = _HERE if same_python else _BEFORE_313
    found: set[str] = set()
    module = ""
    high = 0
    for operation, low in zip(code[::2], code[1::2], strict=False):
        argument = high << 8 | low
        high = argument if operation == extended else 0
        if operation not in (import_name, import_from) or argument >= len(names):
            continue
        name = str(names[argument])
        if operation == import_name:
            module = name
        found.add(module if operation == import_name else f"{module}.{name}")
    return {name for name in found if name and not name.startswith(".")}
