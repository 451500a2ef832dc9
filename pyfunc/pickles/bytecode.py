"""Stand-ins for the values of a pickle, and the names inside code that comes by value."""

from __future__ import annotations

import opcode
from typing import Any

__all__ = ["CodeNames", "Imported", "Node"]

MAX_CODE_BYTES = 1 << 20

_CODE_ARGUMENTS = 16  # of CodeType since Python 3.8
_CODE, _CONSTANTS, _NAMES = 6, 7, 8  # their positions among the arguments

# What cloudpickle and dill call to build code that came by value.
_CODE_MAKERS = frozenset(
    (
        "_create_code", "_create_function", "_create_type", "_fill_function", "_make_cell",
        "_make_function", "_make_skel_func", "_make_skeleton_class", "_make_skeleton_enum",
        "_make_typevar", "_rehydrate_skeleton_class",
    )
)  # fmt: skip
_CODE_TYPES = frozenset(("CodeType", "FunctionType", "LambdaType", "code", "function"))
_IMPORTERS = frozenset(("import_module", "__import__"))
_BY_VALUE_PICKLERS = frozenset(("cloudpickle", "dill", "_dill", "cloudpickle_fast"))


class Node:
    """A tuple, a container, or the result of a call.

    ``depth`` and ``size`` are of the value when it is written out as a tree.
    """

    __slots__ = ("depth", "items", "made_by", "size")

    def __init__(
        self, items: tuple[Any, ...] | None = None, made_by: Imported | Node | None = None
    ) -> None:
        self.items = items
        self.made_by = made_by
        self.depth = 1
        self.size = 1


class Imported:
    """An imported name."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name

    def is_by_value_pickler(self) -> bool:
        """Return whether the module is one of cloudpickle or dill, wherever it is vendored."""
        return not _BY_VALUE_PICKLERS.isdisjoint(self.module.split("."))

    def makes_code(self) -> bool:
        """Return whether it builds functions, classes or code objects."""
        if self.module in ("types", "builtins"):
            return self.name in _CODE_TYPES
        return self.is_by_value_pickler() and self.name in _CODE_MAKERS


def is_code_type(function: object) -> bool:
    """Return whether calling ``function`` builds a code object."""
    if isinstance(function, Imported):
        return function.module in ("types", "builtins") and function.name == "CodeType"
    made_by = function.made_by if isinstance(function, Node) else None
    return isinstance(made_by, Imported) and made_by.name == "_builtin_type"


def is_known_type(function: object) -> bool:
    """Return whether ``function`` is a type that cloudpickle named or made."""
    made_by = function.made_by if isinstance(function, Node) else None
    return isinstance(made_by, Imported) and made_by.is_by_value_pickler()


class CodeNames:
    """Names and constants of the code objects of one pickle, each once and in order."""

    def __init__(self) -> None:
        self.imported: dict[str, None] = {}
        self.names: dict[str, None] = {}
        self.constants: dict[str, None] = {}
        self.asked: dict[str, None] = {}  # constants of code that imports what a text names

    def add(self, arguments: Any, data: bytes) -> None:
        """Collect from the arguments that rebuild a code object out of the pickle ``data``."""
        if not isinstance(arguments, tuple) or len(arguments) < _CODE_ARGUMENTS:
            for argument in arguments or ():  # of a Python that is too old or too new
                self.names.update(dict.fromkeys(_texts(argument)))
            return
        constants = _constants_in(arguments[_CONSTANTS])
        names = _texts(arguments[_NAMES])
        self.constants.update(dict.fromkeys(constants))
        if not _IMPORTERS.isdisjoint(names):
            self.asked.update(dict.fromkeys(constants))
        self.names.update(dict.fromkeys(names))
        if isinstance(arguments[_CODE], tuple):
            start, size = arguments[_CODE]
            self.imported.update(dict.fromkeys(_find_imports(data[start : start + size], names)))


def _constants_in(group: object) -> list[str]:
    """Return the texts among the constants of a code object, also those inside a tuple."""
    found = _texts(group)
    for constant in (group.items or ()) if isinstance(group, Node) else ():
        if isinstance(constant, Node) and constant.made_by is None:
            found += _texts(constant)
    return found


def _texts(group: object) -> list[str]:
    """Return the text among the items of a tuple."""
    items = group.items if isinstance(group, Node) else None
    return [item for item in items or () if isinstance(item, str)]


def _find_imports(code: bytes, names: list[str]) -> list[str]:
    """Return the modules that bytecode of the running Python imports."""
    import_name, extended = opcode.opmap["IMPORT_NAME"], opcode.opmap["EXTENDED_ARG"]
    found = []
    high = 0
    for at in range(0, len(code) - 1, 2):
        argument = high | code[at + 1]
        high = argument << 8 if code[at] == extended else 0
        if code[at] == import_name and argument < len(names):
            found.append(names[argument])
    return found
