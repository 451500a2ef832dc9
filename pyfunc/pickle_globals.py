"""Says what a pickle would import and call, by walking its opcodes; nothing is ever run.

The walk follows the unpickler's stack and memo with stand-ins for values: text, tuples and
imported names are kept, everything else is opaque. What it cannot follow becomes a problem of
the report, so that a policy can refuse what was not understood.
"""

from __future__ import annotations

import _compat_pickle
import codecs
import opcode
from collections.abc import Callable
from dataclasses import dataclass
from struct import unpack_from
from typing import Any, Literal

__all__ = ["PickleProblem", "PickleReport", "ProblemKind", "map_global", "walk_pickle"]

MAX_OPCODES = 50_000_000

_MAX_TEXT = 4_096
_MAX_DIGITS = 4_300
_MAX_LONG_BYTES = 65_536
_MAX_DEPTH = 1_000
_MAX_EXPANSION = 10_000_000
_MAX_PROBLEMS = 100
_HIGHEST_PROTOCOL = 5

ProblemKind = Literal[
    "malformed",  # the unpickler would fail here; nothing behind it was looked at
    "trailing-data",  # bytes follow the end of the pickle
    "unresolved-global",  # an import whose name is computed
    "extension",  # an import through the registry of extension codes
    "persistent-id",  # a value that the unpickler's owner is asked for
    "out-of-band-buffer",  # a buffer that is not in the pickle
    "computed-call",  # a call of something that is not an imported name
    "global-changed",  # state or items are given to an imported object itself
    "too-deep",
    "too-large",
    "too-many-opcodes",
]


@dataclass(frozen=True, slots=True)
class PickleProblem:
    """Something that makes a pickle unfit for judging by the names it imports.

    Attributes:
        kind: a stable word.
        offset: position of the opcode in the data.
        detail: a few words for people.
    """

    kind: ProblemKind
    offset: int
    detail: str

    def __str__(self) -> str:
        return f"{self.kind} at byte {self.offset}: {self.detail}"


@dataclass(frozen=True, slots=True)
class PickleReport:
    """What unpickling some bytes would import and call. Each tuple has no repetitions.

    Attributes:
        globals: ``(module, name)`` of every import, in order; as the running Python would look
            them up, that is with the Python 2 names of old protocols already mapped. The name
            has dots where an attribute of an attribute is meant.
        called: the globals that are called or instantiated.
        submodules: modules that cloudpickle imports by a constant name (its ``subimport``).
        has_code: whether functions, classes or code objects come by value.
        imported_names: what the code objects import, such as ``sklearn.linear_model``. Exact
            where the pickling Python has the bytecode of the running one, empty otherwise.
        code_names: the names that the code objects use for globals, attributes and imports
            (``co_names``), whatever the Python version.
        code_constants: the short strings among their constants.
        problems: what could not be followed; see :data:`ProblemKind`.
        protocol: of the pickle; 0 when it does not say.
        opcodes: how many were walked.
    """

    globals: tuple[tuple[str, str], ...]
    called: tuple[tuple[str, str], ...]
    submodules: tuple[str, ...]
    has_code: bool
    imported_names: tuple[str, ...]
    code_names: tuple[str, ...]
    code_constants: tuple[str, ...]
    problems: tuple[PickleProblem, ...]
    protocol: int
    opcodes: int

    @property
    def is_complete(self) -> bool:
        """Whether the walk reached the end, so that no import was missed."""
        missed = ("malformed", "too-many-opcodes", "unresolved-global", "extension")
        return not any(problem.kind in missed for problem in self.problems)

    @property
    def modules(self) -> tuple[str, ...]:
        """Every module that loading imports by name: those of globals, then submodules."""
        names = [module for module, _ in self.globals]
        return tuple(dict.fromkeys([*names, *self.submodules]))


def walk_pickle(
    data: bytes | bytearray | memoryview, *, max_opcodes: int = MAX_OPCODES
) -> PickleReport:
    """Return what unpickling ``data`` would import and call; nothing is imported or run.

    Large payloads are skipped, not copied. Never raises for any bytes: what is wrong with
    them is in ``problems``.
    """
    walker = _Walker(data, max_opcodes)
    walker.walk()
    return walker.report()


def map_global(module: str, name: str, protocol: int) -> tuple[str, str]:
    """Return where the running Python looks up an import of a pickle of that protocol."""
    if protocol < 3:
        if (module, name) in _compat_pickle.NAME_MAPPING:
            return _compat_pickle.NAME_MAPPING[module, name]
        return _compat_pickle.IMPORT_MAPPING.get(module, module), name
    return module, name


# What cloudpickle and dill call to build code that came by value.
_CODE_MAKERS = frozenset(
    (
        "_create_code", "_create_function", "_create_type", "_fill_function", "_make_cell",
        "_make_function", "_make_skel_func", "_make_skeleton_class", "_make_skeleton_enum",
        "_make_typevar", "_rehydrate_skeleton_class",
    )
)  # fmt: skip
_CODE_TYPES = frozenset(("CodeType", "FunctionType", "LambdaType", "code", "function"))
_BY_VALUE_PICKLERS = frozenset(("cloudpickle", "dill", "_dill", "cloudpickle_fast"))


class _Malformed(Exception):  # noqa: N818 - ends the walk, never leaves this module
    """The unpickler would fail here."""


class _Node:
    """A value on the stack: a tuple, a container, or the result of a call.

    ``depth`` and ``size`` are of the value when it is written out as a tree.
    """

    __slots__ = ("depth", "items", "made_by", "size")

    def __init__(
        self, items: tuple[Any, ...] | None = None, made_by: _Global | _Node | None = None
    ) -> None:
        self.items = items
        self.made_by = made_by
        self.depth = 1
        self.size = 1


class _Global:
    """An imported name on the stack."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name

    def is_by_value_pickler(self) -> bool:
        return not _BY_VALUE_PICKLERS.isdisjoint(self.module.split("."))

    def makes_code(self) -> bool:
        if self.module in ("types", "builtins"):
            return self.name in _CODE_TYPES
        return self.is_by_value_pickler() and self.name in _CODE_MAKERS


# Opcodes that push something opaque, with the number of bytes that follow them.
_OPAQUE = {b"N": 0, b"\x88": 0, b"\x89": 0, b"K": 1, b"M": 2, b"J": 4, b"G": 8}
# Opcodes that push something after a length of that many bytes.
_SIZED_TEXT = {b"\x8c": 1, b"X": 4, b"\x8d": 8}
_SIZED_BYTES = {b"C": 1, b"B": 4, b"\x8e": 8, b"\x96": 8}
_SIZED_STRINGS = {b"U": 1, b"T": 4}
_SIZED_LONGS = {b"\x8a": 1, b"\x8b": 4}
_LENGTH_FORMAT = {1: "<B", 4: "<I", 8: "<Q"}


class _Walker:
    def __init__(self, data: bytes | bytearray | memoryview, max_opcodes: int) -> None:
        self._view = memoryview(data).cast("B")
        self._data = data if isinstance(data, (bytes, bytearray)) else bytes(data)
        self._end = len(self._data)
        self._at = 0
        self._start = 0
        self._max_opcodes = max_opcodes
        self._opcodes = 0
        self._protocol = 0
        self._highest = 0
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # the stacks under each mark
        self._memo: dict[int, Any] = {}
        self._globals: dict[tuple[str, str], None] = {}
        self._called: dict[tuple[str, str], None] = {}
        self._submodules: dict[str, None] = {}
        self._imported: dict[str, None] = {}
        self._names: dict[str, None] = {}
        self._constants: dict[str, None] = {}
        self._has_code = False
        self._problems: list[PickleProblem] = []

    def report(self) -> PickleReport:
        return PickleReport(
            globals=tuple(self._globals),
            called=tuple(self._called),
            submodules=tuple(self._submodules),
            has_code=self._has_code,
            imported_names=tuple(self._imported),
            code_names=tuple(self._names),
            code_constants=tuple(self._constants),
            problems=tuple(self._problems),
            protocol=self._highest,
            opcodes=self._opcodes,
        )

    def walk(self) -> None:
        try:
            self._walk()
        except _Malformed as error:
            self._add("malformed", str(error))
        except IndexError:
            self._add("malformed", "the stack has too few values or the data ends early")

    def _walk(self) -> None:
        data, memo = self._data, self._memo
        while True:
            code = data[self._at]
            self._start = self._at
            self._at += 1
            self._opcodes += 1
            if code == 0x94:  # MEMOIZE
                memo[len(memo)] = self._stack[-1]
            elif code == 0x68:  # BINGET
                self._push_memo(data[self._at])
                self._at += 1
            elif code == 0x2E:  # STOP
                self._stop()
                return
            else:
                act = _ACTIONS[code]
                if act is None:
                    raise _Malformed(f"unknown opcode {code:#04x}")
                act(self)
            if self._opcodes >= self._max_opcodes:
                self._add("too-many-opcodes", f"more than {self._max_opcodes}")
                return

    def _stop(self) -> None:
        if not self._stack:
            raise _Malformed("there is no value at the end")
        if self._at != self._end:
            self._add("trailing-data", f"{self._end - self._at} bytes after the end")

    def _add(self, kind: ProblemKind, detail: str) -> None:
        if len(self._problems) < _MAX_PROBLEMS or kind in ("malformed", "too-many-opcodes"):
            self._problems.append(PickleProblem(kind, self._start, detail))

    # -- reading arguments

    def _take(self, size: int) -> int:
        """Move over ``size`` bytes; return where they start."""
        start = self._at
        if size > self._end - start:
            raise _Malformed("the data ends early")
        self._at = start + size
        return start

    def _take_number(self, size: int) -> int:
        number: int = unpack_from(_LENGTH_FORMAT[size], self._data, self._take(size))[0]
        return number

    def _take_line(self) -> bytes:
        end = self._data.find(b"\n", self._at)
        if end < 0:
            # An unpickler that reads a file takes the rest and drops its last byte.
            line = bytes(self._view[self._at : max(self._at, self._end - 1)])
            self._at = self._end
            return line
        line = bytes(self._view[self._at : end])
        self._at = end + 1
        return line

    # -- pushing

    def push_opaque(self, size: int) -> None:
        self._take(size)
        self._stack.append(None)

    def push_text(self, width: int) -> None:
        size = self._take_number(width)
        start = self._take(size)
        self._stack.append(self._decode(start, size, "utf-8", "surrogatepass"))

    def push_string(self, width: int) -> None:
        size = self._take_number(width)
        start = self._take(size)
        self._stack.append(self._decode(start, size, "ascii", "strict"))

    def _decode(self, start: int, size: int, encoding: str, errors: str) -> str | None:
        if size > _MAX_TEXT:
            return None
        try:
            return str(self._view[start : start + size], encoding, errors)
        except UnicodeDecodeError:
            return None

    def push_bytes(self, width: int) -> None:
        size = self._take_number(width)
        start = self._take(size)
        small = size <= _MAX_CODE_BYTES
        self._stack.append((start, size) if small else None)

    def push_long(self, width: int) -> None:
        size = self._take_number(width)
        self._take(size)
        if size > _MAX_LONG_BYTES:
            self._add("too-large", f"an integer of {size} bytes")
        self._stack.append(None)

    def push_line_number(self) -> None:
        size = len(self._take_line())
        if size > _MAX_DIGITS:
            self._add("too-large", f"a number of {size} digits")
        self._stack.append(None)

    def push_line_string(self) -> None:
        line = self._take_line().strip()
        text = None
        if len(line) >= 2 and line[0] == line[-1] and line[:1] in b"'\"":
            try:
                text = codecs.escape_decode(line[1:-1])[0].decode("ascii")
            except ValueError:
                text = None
        self._stack.append(text)

    def push_line_text(self) -> None:
        try:
            text = self._take_line().decode("raw-unicode-escape")
        except UnicodeDecodeError:
            text = None
        self._stack.append(text)

    def push_container(self) -> None:
        self._stack.append(_Node())

    def push_empty_tuple(self) -> None:
        self._stack.append(_Node(()))

    def push_tuple(self, size: int) -> None:
        if len(self._stack) < size:
            raise IndexError
        items = tuple(self._stack[-size:])
        del self._stack[-size:]
        self._stack.append(self._grow(_Node(items), items))

    def push_mark(self) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _pop_mark(self) -> list[Any]:
        items = self._stack
        if not self._below:
            raise _Malformed("there is no mark")
        self._stack = self._below.pop()
        return items

    def push_marked_tuple(self) -> None:
        items = tuple(self._pop_mark())
        self._stack.append(self._grow(_Node(items), items))

    def push_marked_container(self) -> None:
        items = self._pop_mark()
        self._stack.append(self._grow(_Node(), items))

    def _grow(self, node: _Node, items: Any) -> _Node:
        """Count ``items`` into ``node``."""
        depth, size = node.depth, node.size + len(items)
        for item in items:
            if type(item) is _Node:
                depth = max(depth, item.depth + 1)
                size += item.size
        if depth > _MAX_DEPTH >= node.depth:
            self._add("too-deep", f"values nested deeper than {_MAX_DEPTH}")
        if size > max(_MAX_EXPANSION, 20 * self._opcodes) and node.size <= _MAX_EXPANSION:
            self._add("too-large", "shared values expand to too many")
        node.depth, node.size = depth, size
        return node

    # -- stack and memo

    def pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_mark()

    def pop_to_mark(self) -> None:
        self._pop_mark()

    def duplicate(self) -> None:
        self._stack.append(self._stack[-1])

    def _push_memo(self, index: int) -> None:
        try:
            self._stack.append(self._memo[index])
        except KeyError:
            raise _Malformed(f"there is no memo entry {index}") from None

    def push_memo(self, width: int) -> None:
        self._push_memo(self._take_number(width))

    def push_line_memo(self) -> None:
        self._push_memo(self._take_index())

    def _take_index(self) -> int:
        line = self._take_line()
        try:
            index = int(line) if len(line) <= _MAX_DIGITS else -1
        except ValueError:
            index = -1
        if index < 0:
            raise _Malformed("a memo index is not a number")
        return index

    def memoize(self, width: int) -> None:
        self._put(self._take_number(width))

    def memoize_line(self) -> None:
        self._put(self._take_index())

    def _put(self, index: int) -> None:
        # Picklers count up; a leap makes the unpickler allocate everything in between.
        if index > self._at:
            self._add("too-large", f"memo entry {index}")
        self._memo[index] = self._stack[-1]

    # -- imports

    def push_global(self) -> None:
        module, name = self._take_line(), self._take_line()
        self._stack.append(self._import(module, name))

    def _import(self, module: bytes, name: bytes) -> _Global | None:
        try:
            return self._add_global(module.decode("utf-8"), name.decode("utf-8"))
        except UnicodeDecodeError:
            raise _Malformed("the name of an import is not UTF-8") from None

    def push_stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if isinstance(name, str) and isinstance(module, str):
            self._stack.append(self._add_global(module, name))
        else:
            self._add("unresolved-global", "the name of an import is computed")
            self._stack.append(_Node())

    def _add_global(self, module: str, name: str) -> _Global:
        module, name = map_global(module, name, self._protocol)
        found = _Global(module, name)
        self._globals[module, name] = None
        self._has_code = self._has_code or found.makes_code()
        return found

    def push_extension(self, size: int) -> None:
        self._take(size)
        self._add("extension", "an import by extension code")
        self._stack.append(_Node())

    # -- calls and changes

    def call(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        self._push_call(function, arguments)

    def call_extended(self) -> None:
        self._stack.pop()
        self.call()

    def instantiate(self) -> None:
        module, name = self._take_line(), self._take_line()
        items = tuple(self._pop_mark())
        self._push_call(self._import(module, name), self._grow(_Node(items), items))

    def instantiate_marked(self) -> None:
        function, *items = self._pop_mark()
        self._push_call(function, self._grow(_Node(tuple(items)), items))

    def _push_call(self, function: Any, arguments: Any) -> None:
        node = _Node(made_by=function if isinstance(function, (_Global, _Node)) else None)
        items = getattr(arguments, "items", None)
        if isinstance(function, _Global):
            self._called[function.module, function.name] = None
            self._note_import(function, items)
        elif not self._is_known_type(function):
            self._add("computed-call", "a call of something that is not an imported name")
        if self._is_code_type(function):
            self._has_code = True
            self._note_code(items)
        self._stack.append(self._grow(node, (arguments,)))

    def _note_import(self, function: _Global, items: Any) -> None:
        if function.is_by_value_pickler() and function.name in ("subimport", "_import_module"):
            for item in items or ():
                if isinstance(item, str):
                    self._submodules[item] = None

    def _is_known_type(self, function: Any) -> bool:
        """Return whether ``function`` is a type that cloudpickle names or makes."""
        made_by = function.made_by if isinstance(function, _Node) else None
        return isinstance(made_by, _Global) and made_by.is_by_value_pickler()

    def _is_code_type(self, function: Any) -> bool:
        if isinstance(function, _Global):
            return function.module in ("types", "builtins") and function.name == "CodeType"
        made_by = function.made_by if isinstance(function, _Node) else None
        return isinstance(made_by, _Global) and made_by.name == "_builtin_type"

    def _note_code(self, items: Any) -> None:
        """Collect the names of a code object from the arguments that rebuild it."""
        tuples = [item.items for item in items or () if isinstance(item, _Node) and item.items]
        texts = [[text for text in group if isinstance(text, str)] for group in tuples]
        if not isinstance(items, tuple) or len(items) < _CODE_ARGUMENTS:
            for group in texts:
                self._names.update(dict.fromkeys(group))
            return
        self._note_constants(items[7])
        entries = items[8].items if isinstance(items[8], _Node) else None
        names = [name for name in entries or () if isinstance(name, str)]
        self._names.update(dict.fromkeys(names))
        if isinstance(items[6], tuple):
            start, size = items[6]
            code = bytes(self._view[start : start + size])
            self._imported.update(dict.fromkeys(_find_imports(code, names)))

    def _note_constants(self, constants: Any) -> None:
        for constant in (constants.items if isinstance(constants, _Node) else None) or ():
            if isinstance(constant, str):
                self._constants[constant] = None
            elif isinstance(constant, _Node) and constant.made_by is None:
                self._note_nested_constants(constant)

    def _note_nested_constants(self, group: _Node) -> None:
        for constant in group.items or ():
            if isinstance(constant, str):
                self._constants[constant] = None

    def build(self) -> None:
        state = self._stack.pop()
        self._change(self._stack[-1], (state,))

    def add_one(self) -> None:
        item = self._stack.pop()
        self._change(self._stack[-1], (item,))

    def set_one(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._change(self._stack[-1], (key, value))

    def add_marked(self) -> None:
        items = self._pop_mark()
        self._change(self._stack[-1], items)

    def _change(self, target: Any, items: Any) -> None:
        if isinstance(target, _Global):
            self._add("global-changed", f"{target.module}.{target.name} itself is changed")
        elif isinstance(target, _Node):
            self._grow(target, items)

    # -- the rest

    def set_protocol(self) -> None:
        protocol = self._take_number(1)
        if protocol > _HIGHEST_PROTOCOL:
            raise _Malformed(f"protocol {protocol} is not known")
        self._protocol = protocol
        self._highest = max(self._highest, protocol)

    def skip_frame(self) -> None:
        if self._take_number(8) > self._end - self._at:
            raise _Malformed("a frame is longer than the data")

    def push_persistent(self) -> None:
        self._stack.pop()
        self._add("persistent-id", "a value that is not in the pickle")
        self._stack.append(_Node())

    def push_line_persistent(self) -> None:
        self._take_line()
        self._add("persistent-id", "a value that is not in the pickle")
        self._stack.append(_Node())

    def push_buffer(self) -> None:
        self._add("out-of-band-buffer", "a buffer that is not in the pickle")
        self._stack.append(None)

    def keep(self) -> None:
        """Leave the stack as it is."""


_CODE_ARGUMENTS = 16  # of CodeType since Python 3.8
_MAX_CODE_BYTES = 1 << 20


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


def _actions() -> list[Callable[[_Walker], None] | None]:
    """Return what to do for each opcode; None for bytes that are not opcodes."""
    plain: dict[bytes, Callable[[_Walker], None]] = {
        b"F": _Walker.push_line_number, b"I": _Walker.push_line_number,
        b"L": _Walker.push_line_number, b"S": _Walker.push_line_string,
        b"V": _Walker.push_line_text, b"(": _Walker.push_mark, b"0": _Walker.pop,
        b"1": _Walker.pop_to_mark,
        b"2": _Walker.duplicate, b"P": _Walker.push_line_persistent,
        b"Q": _Walker.push_persistent, b"R": _Walker.call, b"\x81": _Walker.call,
        b"\x92": _Walker.call_extended, b"i": _Walker.instantiate,
        b"o": _Walker.instantiate_marked, b"c": _Walker.push_global,
        b"\x93": _Walker.push_stack_global, b"b": _Walker.build, b"a": _Walker.add_one,
        b"e": _Walker.add_marked, b"u": _Walker.add_marked, b"\x90": _Walker.add_marked,
        b"s": _Walker.set_one, b"d": _Walker.push_marked_container,
        b"l": _Walker.push_marked_container, b"\x91": _Walker.push_marked_container,
        b"t": _Walker.push_marked_tuple, b")": _Walker.push_empty_tuple,
        b"}": _Walker.push_container, b"]": _Walker.push_container,
        b"\x8f": _Walker.push_container, b"g": _Walker.push_line_memo,
        b"p": _Walker.memoize_line, b"\x80": _Walker.set_protocol, b"\x95": _Walker.skip_frame,
        b"\x97": _Walker.push_buffer, b"\x98": _Walker.keep,
    }  # fmt: skip
    sized: list[tuple[dict[bytes, int], Callable[[_Walker, int], None]]] = [
        (_OPAQUE, _Walker.push_opaque),
        (_SIZED_TEXT, _Walker.push_text),
        (_SIZED_BYTES, _Walker.push_bytes),
        (_SIZED_STRINGS, _Walker.push_string),
        (_SIZED_LONGS, _Walker.push_long),
        ({b"j": 4}, _Walker.push_memo),
        ({b"q": 1, b"r": 4}, _Walker.memoize),
        ({b"\x85": 1, b"\x86": 2, b"\x87": 3}, _Walker.push_tuple),
        ({b"\x82": 1, b"\x83": 2, b"\x84": 4}, _Walker.push_extension),
    ]
    for sizes, act in sized:
        for code, size in sizes.items():
            plain[code] = _bind(act, size)
    return [plain.get(bytes((code,))) for code in range(256)]


def _bind(act: Callable[[_Walker, int], None], size: int) -> Callable[[_Walker], None]:
    return lambda walker: act(walker, size)


_ACTIONS = _actions()
