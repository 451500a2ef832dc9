"""Which modules a pickle refers to, and which the code inside it imports; nothing is unpickled.

The opcodes are followed with stand-ins for all objects but text, numbers, bytes and tuples,
which is enough to see the arguments that code objects are built from.
"""

from __future__ import annotations

import pickletools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from pyfunc.env.imports import imports_of_bytecode

__all__ = ["modules_of_pickle"]

_MAX_OPCODES = 5_000_000
_SKIP_FROM = 1 << 20
_ARGUMENTS_OF_CODE = 16 if sys.version_info < (3, 11) else 18


@dataclass(frozen=True, slots=True)
class _Named:
    """A global that the pickle refers to."""

    module: str
    name: str


class _Mark:
    """The place on the stack that MARK leaves."""


class _Unknown:
    """Stands for every object that is not looked at."""


_MARK = _Mark()
_UNKNOWN = _Unknown()
_CODE = _Named("types", "CodeType")
_CODE_NAMES = frozenset({("types", "CodeType"), ("builtins", "code")})
# cloudpickle puts modules and builtin types in by calling these with a name.
_MODULE_CALLS = frozenset({"subimport", "dynamic_subimport", "import_module", "__import__"})
_TYPE_CALLS = frozenset({"_builtin_type"})

_PUSH_ARGUMENT = (
    frozenset(
        name
        for name in (op.name for op in pickletools.opcodes)
        if name.startswith(("BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES"))
    )
    | {"UNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING", "BINUNICODE8", "BINBYTES8", "INT"}
    | {
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
    }
)


def modules_of_pickle(file: IO[bytes]) -> set[str]:
    """Return the dotted names of the modules that the pickle in ``file`` needs.

    A file that is no whole pickle gives what was found up to the first unreadable opcode.
    """
    machine = _Machine()
    source: Any = _Skipping(file) if file.seekable() else file
    operations = pickletools.genops(source)
    try:
        for count, (operation, argument, _) in enumerate(operations):
            machine.step(operation.name, argument)
            if count >= _MAX_OPCODES:
                break
    # A long text is jumped over too; turning it into str is the TypeError.
    except (ValueError, IndexError, KeyError, EOFError, UnicodeError, OverflowError, TypeError):
        pass
    return machine.modules


class _Skipped:
    """Stands for bytes that were not read; only their number is known."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length


class _Skipping:
    """A file whose large pieces (the arrays of a model) are jumped over instead of read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.readline = file.readline
        self.tell = file.tell

    def read(self, size: int) -> Any:
        if size < _SKIP_FROM:
            return self._file.read(size)
        self._file.seek(size, 1)
        return _Skipped(size)


class _Machine:
    """The stack and memo of an unpickler, with stand-ins for objects."""

    def __init__(self) -> None:
        self.modules: set[str] = set()
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        if name in _PUSH_ARGUMENT:
            self._stack.append(argument)
            return
        handler = getattr(self, f"_do_{name.lower()}", None)
        if handler is not None:
            handler(argument)
        elif name in _STACK_EFFECT:
            taken, given = _STACK_EFFECT[name]
            if taken:
                del self._stack[-taken:]
            self._stack += [_UNKNOWN] * given
        else:
            raise ValueError(name)

    def _pop_to_mark(self) -> list[Any]:
        for index in range(len(self._stack) - 1, -1, -1):
            if self._stack[index] is _MARK:
                items = self._stack[index + 1 :]
                del self._stack[index:]
                return items
        raise IndexError("no mark")

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _do_mark(self, _: Any) -> None:
        self._push(_MARK)

    def _do_pop(self, _: Any) -> None:
        self._stack.pop()

    def _do_pop_mark(self, _: Any) -> None:
        self._pop_to_mark()

    def _do_dup(self, _: Any) -> None:
        self._push(self._stack[-1])

    def _do_memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _do_put(self, argument: Any) -> None:
        self._memo[int(argument)] = self._stack[-1]

    _do_binput = _do_long_binput = _do_put

    def _do_get(self, argument: Any) -> None:
        self._push(self._memo.get(int(argument), _UNKNOWN))

    _do_binget = _do_long_binget = _do_get

    def _do_empty_tuple(self, _: Any) -> None:
        self._push(())

    def _do_tuple(self, _: Any) -> None:
        self._push(tuple(self._pop_to_mark()))

    def _take(self, count: int) -> None:
        items = tuple(self._stack[-count:])
        del self._stack[-count:]
        self._push(items)

    def _do_tuple1(self, _: Any) -> None:
        self._take(1)

    def _do_tuple2(self, _: Any) -> None:
        self._take(2)

    def _do_tuple3(self, _: Any) -> None:
        self._take(3)

    def _discard_items(self, _: Any) -> None:
        self._pop_to_mark()

    _do_appends = _do_setitems = _do_additems = _discard_items

    def _collect(self, _: Any) -> None:
        self._pop_to_mark()
        self._push(_UNKNOWN)

    _do_list = _do_dict = _do_frozenset = _collect

    def _name(self, module: Any, name: Any) -> None:
        if isinstance(module, str) and isinstance(name, str):
            self.modules.add(module)
            self._push(_CODE if (module, name) in _CODE_NAMES else _Named(module, name))
        else:
            self._push(_UNKNOWN)

    def _do_global(self, argument: Any) -> None:
        module, _, name = str(argument).partition(" ")
        self._name(module, name)

    def _do_stack_global(self, _: Any) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._name(module, name)

    def _do_inst(self, argument: Any) -> None:
        self._pop_to_mark()
        self._do_global(argument)
        self._stack[-1] = _UNKNOWN

    def _do_reduce(self, _: Any) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        self._push(self._call(function, arguments))

    def _call(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, _Named) or not isinstance(arguments, tuple):
            return _UNKNOWN
        first = arguments[0] if arguments else None
        if function is _CODE:
            self.modules |= set(_imports_of(arguments))
        elif function.name in _TYPE_CALLS and first == "CodeType":
            return _CODE
        elif function.name in _MODULE_CALLS and isinstance(first, str):
            self.modules.add(first)
        elif function == _Named("builtins", "getattr") and isinstance(first, _Named):
            return first
        return _UNKNOWN


def _imports_of(arguments: tuple[Any, ...]) -> Iterator[str]:
    """Yield the imports of a code object built from ``arguments``: code, constants, names."""
    for index, value in enumerate(arguments[:-2]):
        if isinstance(value, bytes):
            names = arguments[index + 2]
            if isinstance(names, tuple):
                same = len(arguments) == _ARGUMENTS_OF_CODE
                yield from imports_of_bytecode(value, names, same_python=same)
            return


def _stack_effects() -> dict[str, tuple[int, int]]:
    """Return how many values each remaining opcode takes from and puts on the stack."""
    return {
        operation.name: (len(operation.stack_before), len(operation.stack_after))
        for operation in pickletools.opcodes
        if pickletools.markobject not in operation.stack_before
    }


_STACK_EFFECT = _stack_effects()
