"""The stack machine of pickle, run on stand-ins: no import, no call, no copy of payloads."""

from __future__ import annotations

import _compat_pickle
import codecs
from collections.abc import Callable
from struct import unpack_from
from typing import Any

from pyfunc.pickles.bytecode import (
    MAX_CODE_BYTES,
    CodeNames,
    Imported,
    Node,
    is_code_type,
    is_known_type,
)
from pyfunc.pickles.report import PickleProblem, PickleReport, ProblemKind

__all__ = ["MAX_OPCODES", "Machine", "map_global"]

MAX_OPCODES = 50_000_000

_MAX_TEXT = 4_096
_MAX_DIGITS = 4_300
_MAX_LONG_BYTES = 65_536
_MAX_DEPTH = 1_000
_MAX_EXPANSION = 10_000_000
_MAX_PROBLEMS = 100
_HIGHEST_PROTOCOL = 5


def map_global(module: str, name: str, protocol: int) -> tuple[str, str]:
    """Return where the running Python looks up an import of a pickle of that protocol."""
    if protocol < 3:
        if (module, name) in _compat_pickle.NAME_MAPPING:
            return _compat_pickle.NAME_MAPPING[module, name]
        return _compat_pickle.IMPORT_MAPPING.get(module, module), name
    return module, name


class _Malformed(Exception):  # noqa: N818 - ends the walk, never leaves this module
    """The unpickler would fail here."""


# Opcodes that push something opaque, with the number of bytes that they take.
_OPAQUE = {b"N": 1, b"\x88": 1, b"\x89": 1, b"K": 2, b"M": 3, b"J": 5, b"G": 9}
_SKIPS = [_OPAQUE.get(bytes((code,)), 0) for code in range(256)]
_MEMOIZE, _BINGET, _SHORT_TEXT, _STOP = 0x94, 0x68, 0x8C, 0x2E
# Opcodes that push something after a length of that many bytes.
_SIZED_TEXT = {b"X": 4, b"\x8d": 8}
_SIZED_BYTES = {b"C": 1, b"B": 4, b"\x8e": 8, b"\x96": 8}
_SIZED_STRINGS = {b"U": 1, b"T": 4}
_SIZED_LONGS = {b"\x8a": 1, b"\x8b": 4}
_LENGTH_FORMAT = {1: "<B", 4: "<I", 8: "<Q"}


class Machine:
    """Walks one pickle; every method but the first two is what one kind of opcode does."""

    def __init__(self, data: bytes, max_opcodes: int) -> None:
        self._data = data
        self._end = len(data)
        self._at = 0
        self._start = 0
        self._max_opcodes = max_opcodes
        self._opcodes = 0
        self._frame_end = self._end + 1  # where the current frame ends; never, outside of one
        self._protocol = 0
        self._highest = 0
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # the stacks under each mark
        self._memo: dict[int, Any] = {}
        self._globals: dict[tuple[str, str], None] = {}
        self._submodules: dict[str, None] = {}
        self._code = CodeNames()
        self._has_code = False
        self._problems: list[PickleProblem] = []

    def report(self) -> PickleReport:
        """Return what has been found so far."""
        return PickleReport(
            globals=tuple(self._globals),
            submodules=tuple(self._submodules),
            has_code=self._has_code,
            imported_names=tuple(self._code.imported),
            code_names=tuple(self._code.names),
            code_constants=tuple(self._code.constants),
            problems=tuple(self._problems),
            protocol=self._highest,
            opcodes=self._opcodes,
            asked_names=tuple(self._code.asked),
        )

    def run(self) -> None:
        """Walk to the end of the pickle, or to the first opcode that cannot be followed."""
        try:
            self._run()
        except _Malformed as error:
            self._add("malformed", str(error))
        except IndexError:
            self._add("malformed", "the stack has too few values or the data ends early")

    def _run(self) -> None:
        # Most of a large pickle is numbers, text and memo entries: those are done in here.
        data, memo, skips, actions = self._data, self._memo, _SKIPS, _ACTIONS
        while self._opcodes < self._max_opcodes:
            at = self._start = self._at
            if at >= self._frame_end:
                self._leave_frame()
            code = data[at]
            self._opcodes += 1
            skip = skips[code]
            if skip:
                self._at = at + skip
                self._stack.append(None)
            elif code == _MEMOIZE:
                self._at = at + 1
                memo[len(memo)] = self._stack[-1]
            elif code == _BINGET:
                self._at = at + 2
                self._push_entry(data[at + 1])
            elif code == _SHORT_TEXT:
                self._at = at + 2 + data[at + 1]
                self._stack.append(self._decode(at + 2, data[at + 1], "utf-8", "surrogatepass"))
            elif code == _STOP:
                self._stop()
                return
            else:
                self._at = at + 1
                actions[code](self)
        self._add("too-many-opcodes", f"more than {self._max_opcodes}")

    def _leave_frame(self) -> None:
        # An unpickler that reads a file loses bytes where an argument crosses this border, and
        # would import other names than those that stand here.
        if self._at > self._frame_end:
            raise _Malformed("an argument reaches over the end of its frame")
        self._frame_end = self._end + 1

    def _stop(self) -> None:
        if not self._stack:
            raise _Malformed("there is no value at the end")
        rest = self._end - self._at - 1
        if rest:
            self._add("trailing-data", f"{rest} bytes after the end")

    def _refuse_opcode(self) -> None:
        """End the walk at a byte that is no opcode."""
        raise _Malformed(f"unknown opcode {self._data[self._start]:#04x}")

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
        start = self._at
        end = self._data.find(b"\n", start)
        if end < 0:
            # An unpickler that reads a file takes the rest and drops its last byte.
            self._at = self._end
            return self._data[start:-1]
        self._at = end + 1
        return self._data[start:end]

    # -- pushing

    def _push_text(self, width: int) -> None:
        size = self._take_number(width)
        start = self._take(size)
        self._stack.append(self._decode(start, size, "utf-8", "surrogatepass"))

    def _push_string(self, width: int) -> None:
        size = self._take_number(width)
        start = self._take(size)
        self._stack.append(self._decode(start, size, "ascii", "strict"))

    def _decode(self, start: int, size: int, encoding: str, errors: str) -> str | None:
        if size > _MAX_TEXT:
            return None
        try:
            return str(self._data[start : start + size], encoding, errors)
        except UnicodeDecodeError:
            return None

    def _push_bytes(self, width: int) -> None:
        size = self._take_number(width)
        start = self._take(size)
        small = size <= MAX_CODE_BYTES
        self._stack.append((start, size) if small else None)

    def _push_long(self, width: int) -> None:
        size = self._take_number(width)
        self._take(size)
        if size > _MAX_LONG_BYTES:
            self._add("too-large", f"an integer of {size} bytes")
        self._stack.append(None)

    def _push_line_number(self) -> None:
        size = len(self._take_line())
        if size > _MAX_DIGITS:
            self._add("too-large", f"a number of {size} digits")
        self._stack.append(None)

    def _push_line_string(self) -> None:
        line = self._take_line().strip()
        text = None
        if len(line) >= 2 and line[0] == line[-1] and line[:1] in b"'\"":
            try:
                text = codecs.escape_decode(line[1:-1])[0].decode("ascii")
            except ValueError:
                text = None
        self._stack.append(text)

    def _push_line_text(self) -> None:
        try:
            text = self._take_line().decode("raw-unicode-escape")
        except UnicodeDecodeError:
            text = None
        self._stack.append(text)

    def _push_container(self) -> None:
        self._stack.append(Node())

    def _push_empty_tuple(self) -> None:
        self._stack.append(Node(()))

    def _push_tuple(self, size: int) -> None:
        if len(self._stack) < size:
            raise IndexError
        items = tuple(self._stack[-size:])
        del self._stack[-size:]
        self._stack.append(self._grow(Node(items), items))

    def _push_mark(self) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _pop_mark(self) -> list[Any]:
        items = self._stack
        if not self._below:
            raise _Malformed("there is no mark")
        self._stack = self._below.pop()
        return items

    def _push_marked_tuple(self) -> None:
        items = tuple(self._pop_mark())
        self._stack.append(self._grow(Node(items), items))

    def _push_marked_container(self) -> None:
        items = self._pop_mark()
        self._stack.append(self._grow(Node(), items))

    def _grow(self, node: Node, items: Any) -> Node:
        """Count ``items`` into ``node``."""
        depth, size = node.depth, node.size + len(items)
        for item in items:
            if type(item) is Node:
                depth = max(depth, item.depth + 1)
                size += item.size
        if depth > _MAX_DEPTH >= node.depth:
            self._add("too-deep", f"values nested deeper than {_MAX_DEPTH}")
        if size > max(_MAX_EXPANSION, 20 * self._opcodes) and node.size <= _MAX_EXPANSION:
            self._add("too-large", "shared values expand to too many")
        node.depth, node.size = depth, size
        return node

    # -- stack and memo

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_mark()

    def _pop_to_mark(self) -> None:
        self._pop_mark()

    def _duplicate(self) -> None:
        self._stack.append(self._stack[-1])

    def _push_entry(self, index: int) -> None:
        try:
            self._stack.append(self._memo[index])
        except KeyError:
            raise _Malformed(f"there is no memo entry {index}") from None

    def _push_memo(self, width: int) -> None:
        self._push_entry(self._take_number(width))

    def _push_line_memo(self) -> None:
        self._push_entry(self._take_index())

    def _take_index(self) -> int:
        line = self._take_line()
        try:
            index = int(line) if len(line) <= _MAX_DIGITS else -1
        except ValueError:
            index = -1
        if index < 0:
            raise _Malformed("a memo index is not a number")
        return index

    def _memoize(self, width: int) -> None:
        self._put(self._take_number(width))

    def _memoize_line(self) -> None:
        self._put(self._take_index())

    def _put(self, index: int) -> None:
        # Picklers count up; a leap makes the unpickler allocate everything in between.
        if index > self._at:
            self._add("too-large", f"memo entry {index}")
        self._memo[index] = self._stack[-1]

    # -- imports

    def _push_global(self) -> None:
        module, name = self._take_line(), self._take_line()
        self._stack.append(self._import(module, name))

    def _import(self, module: bytes, name: bytes) -> Imported | None:
        try:
            return self._add_global(module.decode("utf-8"), name.decode("utf-8"))
        except UnicodeDecodeError:
            raise _Malformed("the name of an import is not UTF-8") from None

    def _push_stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if isinstance(name, str) and isinstance(module, str):
            self._stack.append(self._add_global(module, name))
        else:
            self._add("unresolved-global", "the name of an import is computed")
            self._stack.append(Node())

    def _add_global(self, module: str, name: str) -> Imported:
        module, name = map_global(module, name, self._protocol)
        found = Imported(module, name)
        self._globals[module, name] = None
        self._has_code = self._has_code or found.makes_code()
        return found

    def _push_extension(self, size: int) -> None:
        self._take(size)
        self._add("extension", "an import by extension code")
        self._stack.append(Node())

    # -- calls and changes

    def _call(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        self._push_call(function, arguments)

    def _call_extended(self) -> None:
        self._stack.pop()
        self._call()

    def _instantiate(self) -> None:
        # The pure Python unpickler imports before it looks for the mark.
        function = self._import(self._take_line(), self._take_line())
        items = tuple(self._pop_mark())
        self._push_call(function, self._grow(Node(items), items))

    def _instantiate_marked(self) -> None:
        items = tuple(self._pop_mark())
        self._push_call(items[0], self._grow(Node(items[1:]), items[1:]))

    def _push_call(self, function: Any, arguments: Any) -> None:
        node = Node(made_by=function if isinstance(function, (Imported, Node)) else None)
        items = getattr(arguments, "items", None)
        if isinstance(function, Imported):
            self._note_import(function, items)
        elif not is_known_type(function):
            self._add("computed-call", "a call of something that is not an imported name")
        if is_code_type(function):
            self._has_code = True
            self._code.add(items, self._data)
        self._stack.append(self._grow(node, (arguments,)))

    def _note_import(self, function: Imported, items: Any) -> None:
        if function.is_by_value_pickler() and function.name in ("subimport", "_import_module"):
            for item in items or ():
                if isinstance(item, str):
                    self._submodules[item] = None

    def _build(self) -> None:
        state = self._stack.pop()
        self._change(self._stack[-1], (state,))

    def _add_one(self) -> None:
        item = self._stack.pop()
        self._change(self._stack[-1], (item,))

    def _set_one(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._change(self._stack[-1], (key, value))

    def _add_marked(self) -> None:
        items = self._pop_mark()
        self._change(self._stack[-1], items)

    def _change(self, target: Any, items: Any) -> None:
        if isinstance(target, Imported):
            self._add("global-changed", f"{target.module}.{target.name} itself is changed")
        elif isinstance(target, Node):
            self._grow(target, items)

    # -- the rest

    def _set_protocol(self) -> None:
        protocol = self._take_number(1)
        if protocol > _HIGHEST_PROTOCOL:
            raise _Malformed(f"protocol {protocol} is not known")
        self._protocol = protocol
        self._highest = max(self._highest, protocol)

    def _skip_frame(self) -> None:
        size = self._take_number(8)
        if size > self._end - self._at:
            raise _Malformed("a frame is longer than the data")
        if self._frame_end <= self._end:
            raise _Malformed("a frame begins inside another")
        self._frame_end = self._at + size

    def _push_persistent(self) -> None:
        self._stack.pop()
        self._add("persistent-id", "a value that is not in the pickle")
        self._stack.append(Node())

    def _push_line_persistent(self) -> None:
        self._take_line()
        self._add("persistent-id", "a value that is not in the pickle")
        self._stack.append(Node())

    def _push_buffer(self) -> None:
        self._add("out-of-band-buffer", "a buffer that is not in the pickle")
        self._stack.append(None)

    def _keep(self) -> None:
        """Leave the stack as it is."""


def _actions() -> list[Callable[[Machine], None]]:
    """Return what to do for each byte that is an opcode or not."""
    plain: dict[bytes, Callable[[Machine], None]] = {
        b"F": Machine._push_line_number, b"I": Machine._push_line_number,
        b"L": Machine._push_line_number, b"S": Machine._push_line_string,
        b"V": Machine._push_line_text, b"(": Machine._push_mark, b"0": Machine._pop,
        b"1": Machine._pop_to_mark,
        b"2": Machine._duplicate, b"P": Machine._push_line_persistent,
        b"Q": Machine._push_persistent, b"R": Machine._call, b"\x81": Machine._call,
        b"\x92": Machine._call_extended, b"i": Machine._instantiate,
        b"o": Machine._instantiate_marked, b"c": Machine._push_global,
        b"\x93": Machine._push_stack_global, b"b": Machine._build, b"a": Machine._add_one,
        b"e": Machine._add_marked, b"u": Machine._add_marked, b"\x90": Machine._add_marked,
        b"s": Machine._set_one, b"d": Machine._push_marked_container,
        b"l": Machine._push_marked_container, b"\x91": Machine._push_marked_container,
        b"t": Machine._push_marked_tuple, b")": Machine._push_empty_tuple,
        b"}": Machine._push_container, b"]": Machine._push_container,
        b"\x8f": Machine._push_container, b"g": Machine._push_line_memo,
        b"p": Machine._memoize_line, b"\x80": Machine._set_protocol, b"\x95": Machine._skip_frame,
        b"\x97": Machine._push_buffer, b"\x98": Machine._keep,
    }  # fmt: skip
    sized: list[tuple[dict[bytes, int], Callable[[Machine, int], None]]] = [
        (_SIZED_TEXT, Machine._push_text),
        (_SIZED_BYTES, Machine._push_bytes),
        (_SIZED_STRINGS, Machine._push_string),
        (_SIZED_LONGS, Machine._push_long),
        ({b"j": 4}, Machine._push_memo),
        ({b"q": 1, b"r": 4}, Machine._memoize),
        ({b"\x85": 1, b"\x86": 2, b"\x87": 3}, Machine._push_tuple),
        ({b"\x82": 1, b"\x83": 2, b"\x84": 4}, Machine._push_extension),
    ]
    for sizes, act in sized:
        for code, size in sizes.items():
            plain[code] = _bind(act, size)
    return [plain.get(bytes((code,)), Machine._refuse_opcode) for code in range(256)]


def _bind(act: Callable[[Machine, int], None], size: int) -> Callable[[Machine], None]:
    return lambda machine: act(machine, size)


_ACTIONS = _actions()
