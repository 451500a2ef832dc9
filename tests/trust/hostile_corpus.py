"""Hostile pickles with harmless payloads: each that is ``live`` creates a marker when loaded.

They are built here, byte by byte where a pickler would not write them, and never stored.
"""

from __future__ import annotations

import bz2
import gzip
import io
import marshal
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["HOSTILE", "Hostile"]


@dataclass(frozen=True)
class Hostile:
    """One hostile pickle.

    Attributes:
        name: what it tries.
        build: returns the bytes; the argument is the path of the marker.
        live: whether plain ``pickle.load`` creates the marker.
        needs: a package without which it is not live.
    """

    name: str
    build: Callable[[str], bytes]
    live: bool = True
    needs: str = "pickle"


PROTO = b"\x80\x04"
STOP = b"."
NONE = b"N"


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def raw(value: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(value)) + value


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def name(module: str, attribute: str) -> bytes:
    """Import through GLOBAL."""
    return f"c{module}\n{attribute}\n".encode()


def stack_name(module: str, attribute: str) -> bytes:
    """Import through STACK_GLOBAL."""
    return text(module) + text(attribute) + b"\x93"


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def items(*values: bytes) -> bytes:
    return b"](" + b"".join(values) + b"e"


def program(*parts: bytes) -> bytes:
    return PROTO + b"".join(parts) + STOP


def touch(marker: str) -> bytes:
    """Return the text of a shell command that creates the marker."""
    return text(f"touch '{marker}'")


def code(marker: str) -> bytes:
    """Return the text of a Python expression that creates the marker."""
    return text(f"open({marker!r}, 'w').close()")


def evil(marker: str) -> bytes:
    """Return a plain hostile pickle, for nesting in others."""
    return program(call(name("builtins", "eval"), code(marker)))


def compiled(marker: str) -> bytes:
    return raw(marshal.dumps(compile(f"open({marker!r}, 'w').close()", "x", "exec")))


def module_attribute(module: str, attribute: str) -> bytes:
    imported = call(name("builtins", "__import__"), text(module))
    return call(name("builtins", "getattr"), imported, text(attribute))


def beside(marker: str, suffix: str, data: bytes) -> bytes:
    """Write ``data`` beside the marker; return the text of its path."""
    with open(marker + suffix, "wb") as file:
        file.write(data)
    return text(marker + suffix)


def by_value_call(marker: str) -> bytes:
    """A call of a function that comes by value."""
    import cloudpickle

    function = eval("lambda path: open(path, 'w').close()", {})

    class Caller:
        def __reduce__(self) -> tuple[object, ...]:
            return function, (marker,)

    return bytes(cloudpickle.dumps(Caller()))


def by_value_state(marker: str) -> bytes:
    """An instance whose class comes by value and acts when its state is set."""
    import cloudpickle

    scope: dict[str, Any] = {}
    exec(
        "class Sleeper:\n"
        "    def __getstate__(self):\n"
        "        return self.path\n"
        "    def __setstate__(self, path):\n"
        "        open(path, 'w').close()\n",
        {"__name__": "__main__"},
        scope,
    )
    sleeper = scope["Sleeper"]()
    sleeper.path = marker
    return bytes(cloudpickle.dumps(sleeper))


def object_array(marker: str) -> bytes:
    """A numpy file that holds the hostile pickle instead of an array of objects."""
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    header = header.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + evil(marker)


def zip_of(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data.pkl", data)
    return buffer.getvalue()


def doubling(levels: int) -> bytes:
    """Tuples that each hold the one before twice."""
    return program(b")", *[b"q\x002h\x00\x86" for _ in range(levels)])


HOSTILE = [
    # Calls of imported functions
    Hostile("os-system-protocol-0", lambda m: call(name("os", "system"), touch(m)) + STOP),
    Hostile("posix-system", lambda m: program(call(stack_name("posix", "system"), touch(m)))),
    Hostile(
        "popen",
        lambda m: program(call(name("subprocess", "Popen"), items(text("touch"), text(m)))),
    ),
    Hostile(
        "check-output",
        lambda m: program(call(name("subprocess", "check_output"), items(text("touch"), text(m)))),
    ),
    Hostile("getoutput", lambda m: program(call(name("subprocess", "getoutput"), touch(m)))),
    Hostile("eval", evil),
    Hostile("exec", lambda m: program(call(name("builtins", "exec"), code(m)))),
    Hostile(
        "exec-of-compile",
        lambda m: program(
            call(
                name("builtins", "exec"),
                call(name("builtins", "compile"), code(m), text("x"), text("exec")),
            )
        ),
    ),
    Hostile("open", lambda m: program(call(name("builtins", "open"), text(m), text("w")))),
    Hostile("makedirs", lambda m: program(call(name("os", "makedirs"), text(m)))),
    Hostile(
        "copyfile",
        lambda m: program(
            call(name("shutil", "copyfile"), beside(m, ".txt", b"x"), text(m)),
        ),
    ),
    Hostile("log-file", lambda m: program(call(name("logging", "FileHandler"), text(m)))),
    Hostile(
        "timeit",
        lambda m: program(
            call(name("timeit", "timeit"), code(m), text("pass"), name("time", "time"), number(1))
        ),
    ),
    Hostile("profile", lambda m: program(call(name("cProfile", "run"), code(m)))),
    Hostile(
        "run-path",
        lambda m: program(
            call(name("runpy", "run_path"), beside(m, ".py", f"open({m!r}, 'w').close()".encode()))
        ),
    ),
    Hostile(
        "spawn",
        lambda m: program(call(name("pty", "spawn"), items(text("touch"), text(m)))),
        False,
    ),
    # Old names and other opcodes for the same
    Hostile(
        "python-2-builtins",
        lambda m: b"\x80\x02" + call(name("__builtin__", "eval"), code(m)) + STOP,
    ),
    Hostile(
        "python-2-commands",
        lambda m: b"\x80\x02" + call(name("commands", "getoutput"), touch(m)) + STOP,
    ),
    Hostile("inst", lambda m: b"(" + touch(m) + b"ios\nsystem\n."),
    Hostile("obj", lambda m: b"(" + name("os", "system") + touch(m) + b"o.", live=False),
    Hostile("obj-of-class", lambda m: b"(" + name("logging", "FileHandler") + text(m) + b"o."),
    Hostile(
        "newobj",
        lambda m: program(name("subprocess", "Popen"), touch(m), b"\x85\x81"),
        live=False,
    ),
    Hostile(
        "newobj-ex",
        lambda m: program(name("subprocess", "Popen"), touch(m), b"\x85}\x92"),
        live=False,
    ),
    Hostile(
        "dotted-name",
        lambda m: program(
            call(stack_name("pathlib", "Path.touch"), call(name("pathlib", "Path"), text(m)))
        ),
    ),
    Hostile(
        "dotted-name-into-another-module",
        lambda m: program(call(stack_name("logging", "os.system"), touch(m))),
    ),
    Hostile("alias-module", lambda m: program(call(stack_name("shutil", "os.system"), touch(m)))),
    # Functions that run others
    Hostile("import-getattr", lambda m: program(call(module_attribute("os", "system"), touch(m)))),
    Hostile(
        "importlib",
        lambda m: program(
            call(
                call(
                    name("builtins", "getattr"),
                    call(name("importlib", "import_module"), text("os")),
                    text("system"),
                ),
                touch(m),
            )
        ),
    ),
    Hostile(
        "methodcaller",
        lambda m: program(
            call(
                call(name("operator", "methodcaller"), text("system"), touch(m)),
                call(name("builtins", "__import__"), text("os")),
            )
        ),
    ),
    Hostile(
        "attrgetter",
        lambda m: program(
            call(
                call(
                    call(name("operator", "attrgetter"), text("system")),
                    call(name("builtins", "__import__"), text("os")),
                ),
                touch(m),
            )
        ),
    ),
    Hostile(
        "partial",
        lambda m: program(
            call(call(name("functools", "partial"), name("os", "system"), touch(m)))
        ),
    ),
    Hostile(
        "reduce",
        lambda m: program(
            call(name("functools", "reduce"), name("builtins", "exec"), items(code(m), b"}"))
        ),
    ),
    Hostile(
        "map",
        lambda m: program(
            call(
                name("builtins", "list"),
                call(name("builtins", "map"), name("builtins", "eval"), items(code(m))),
            )
        ),
    ),
    Hostile(
        "filter",
        lambda m: program(
            call(
                name("builtins", "tuple"),
                call(name("builtins", "filter"), name("builtins", "eval"), items(code(m))),
            )
        ),
    ),
    Hostile(
        "starmap",
        lambda m: program(
            call(
                name("collections", "deque"),
                call(
                    name("itertools", "starmap"),
                    name("builtins", "eval"),
                    items(b"(" + code(m) + b"t"),
                ),
            )
        ),
    ),
    Hostile(
        "c-library",
        lambda m: program(
            call(
                call(
                    name("builtins", "getattr"), call(name("ctypes", "CDLL"), NONE), text("system")
                ),
                raw(f"touch '{m}'".encode()),
            )
        ),
    ),
    # Code in data
    Hostile("nested", lambda m: program(call(name("pickle", "loads"), raw(evil(m))))),
    Hostile("nested-c", lambda m: program(call(name("_pickle", "loads"), raw(evil(m))))),
    Hostile(
        "marshal",
        lambda m: program(
            call(
                call(
                    name("types", "FunctionType"),
                    call(name("marshal", "loads"), compiled(m)),
                    call(name("builtins", "dict")),
                )
            )
        ),
        live=False,
    ),
    Hostile(
        "exec-of-marshal",
        lambda m: program(
            call(name("builtins", "exec"), call(name("marshal", "loads"), compiled(m)))
        ),
    ),
    Hostile("by-value-function", by_value_call, needs="cloudpickle"),
    Hostile("by-value-class", by_value_state, needs="cloudpickle"),
    Hostile(
        "subimport",
        lambda m: program(
            call(
                call(
                    name("builtins", "getattr"),
                    call(name("cloudpickle.cloudpickle", "subimport"), text("os")),
                    text("system"),
                ),
                touch(m),
            )
        ),
        needs="cloudpickle",
    ),
    Hostile(
        "numpy-load",
        lambda m: program(
            call(name("numpy", "load"), beside(m, ".npy", object_array(m)), NONE, b"\x88")
        ),
        needs="numpy",
    ),
    Hostile(
        "numpy-runstring",
        lambda m: program(call(name("numpy.testing._private.utils", "runstring"), code(m), b"}")),
        needs="numpy",
    ),
    Hostile(
        "pandas-read-pickle",
        lambda m: program(call(name("pandas", "read_pickle"), beside(m, ".pkl", evil(m)))),
        needs="pandas",
    ),
    Hostile(
        "joblib-load",
        lambda m: program(call(name("joblib", "load"), beside(m, ".joblib", evil(m)))),
        needs="joblib",
    ),
    # Changes of what is already there
    Hostile(
        "class-poisoning",
        lambda m: program(
            name("decimal", "Decimal"),
            NONE,
            b"}",
            text("__bool__"),
            name("os", "system"),
            b"s\x86b",
        ),
        live=False,
    ),
    Hostile(
        "environment",
        lambda m: program(name("os", "environ"), text("PYTHONSTARTUP"), text(m), b"s"),
        live=False,
    ),
    Hostile("module-path", lambda m: program(name("sys", "path"), text(m), b"a"), live=False),
    Hostile(
        "module-table",
        lambda m: program(name("sys", "modules"), b"(", text("json"), NONE, b"u"),
        live=False,
    ),
    # What a walk over the opcodes has to follow
    Hostile("popped", lambda m: program(call(name("builtins", "eval"), code(m)), b"0K\x01")),
    Hostile(
        "popped-to-mark",
        lambda m: program(b"(", call(name("builtins", "eval"), code(m)), b"1K\x01"),
    ),
    Hostile(
        "memo-overwritten",
        lambda m: program(
            text("collections"),
            b"q\x000",
            text("os"),
            b"q\x000",
            b"h\x00",
            call(text("system") + b"\x93", touch(m)),
        ),
    ),
    Hostile(
        "memo-from-dictionary",
        lambda m: program(
            b"}",
            text("os"),
            b"q\x05",
            text("system"),
            b"q\x06s0h\x05h\x06\x93",
            b"(" + touch(m) + b"tR",
        ),
    ),
    Hostile(
        "duplicated-operand",
        lambda m: program(text("os"), b"2q\x000", text("system"), b"\x93(" + touch(m) + b"tR"),
    ),
    Hostile(
        "computed-module",
        lambda m: program(
            call(name("builtins", "str"), text("os")), text("system"), b"\x93(" + touch(m) + b"tR"
        ),
    ),
    Hostile(
        "computed-name",
        lambda m: program(
            text("builtins"),
            call(name("builtins", "str"), text("eval")),
            b"\x93(" + code(m) + b"tR",
        ),
    ),
    Hostile(
        "old-string-operands",
        lambda m: b"\x80\x02S'os'\nU\x06system\x93(" + touch(m) + b"tR.",
    ),
    Hostile(
        "raw-unicode-operands",
        lambda m: PROTO + b"Vo\\u0073\nVsystem\n\x93(" + touch(m) + b"tR.",
    ),
    Hostile(
        "long-name",
        lambda m: program(text("x" * 70_000), text("x"), b"\x93"),
        live=False,
    ),
    Hostile("before-the-end-is-missing", lambda m: evil(m)[:-1]),
    Hostile("before-an-unknown-opcode", lambda m: evil(m)[:-1] + b"\xff."),
    Hostile("before-an-underflow", lambda m: evil(m)[:-1] + b"000."),
    Hostile("after-the-end", lambda m: pickle.dumps(1) + evil(m), live=False),
    Hostile(
        "in-a-frame-that-is-too-long",
        lambda m: PROTO + b"\x95" + struct.pack("<Q", 1 << 40) + evil(m)[2:],
        live=False,
    ),
    Hostile(
        "across-a-frame",  # read from a file, the first letter is lost
        lambda m: (
            PROTO + b"\x95" + struct.pack("<Q", 2) + call(name("xos", "system"), touch(m)) + STOP
        ),
        live=False,
    ),
    Hostile("extension", lambda m: program(b"\x82\x01"), live=False),
    Hostile("extension-of-four-bytes", lambda m: program(b"\x84\x01\x00\x00\x7f"), live=False),
    Hostile("persistent", lambda m: b"P" + m.encode() + b"\n.", live=False),
    Hostile("persistent-binary", lambda m: program(text(m), b"Q"), live=False),
    Hostile("out-of-band", lambda m: b"\x80\x05\x97.", live=False),
    Hostile("protocol-6", lambda m: b"\x80\x06" + evil(m)[2:], live=False),
    # Containers
    Hostile("gzip", lambda m: gzip.compress(evil(m)), live=False),
    Hostile("bzip2", lambda m: bz2.compress(evil(m)), live=False),
    Hostile("zlib", lambda m: zlib.compress(evil(m)), live=False),
    Hostile("zip", lambda m: zip_of(evil(m)), live=False),
    Hostile("npy", object_array, live=False),
    # Sizes
    Hostile("nothing", lambda m: b"", live=False),
    Hostile("deep-lists", lambda m: program(b"]" * 100_000, b"a" * 99_999), live=False),
    Hostile("deep-tuples", lambda m: program(b")", b"\x85" * 100_000), live=False),
    Hostile("doubling-tuples", lambda m: doubling(64), live=False),
    Hostile("huge-memo-index", lambda m: program(b"Nr\xff\xff\xff\xff"), live=False),
    Hostile(
        "huge-bytearray", lambda m: b"\x80\x05\x96" + struct.pack("<Q", 1 << 60) + b".", live=False
    ),
    Hostile("huge-bytes", lambda m: program(b"\x8e" + struct.pack("<Q", 1 << 60)), live=False),
    Hostile(
        "long-integer",
        lambda m: program(b"\x8b" + struct.pack("<i", 100_000) + b"\x01" * 100_000),
        live=False,
    ),
    Hostile("long-decimal", lambda m: b"L" + b"9" * 100_000 + b"L\n.", live=False),
]
