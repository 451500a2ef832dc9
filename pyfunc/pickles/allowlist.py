"""Refuses pickles that import anything but names which the caller listed one by one.

The list is applied twice: to what a walk over the opcodes finds before anything is loaded, and
to what the unpickler asks for. It says nothing about code that comes by value, which is always
refused: benign and hostile functions import the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, UntrustedModelError, shorten
from pyfunc.pickles.report import PickleReport
from pyfunc.pickles.walking import map_global, walk_pickle

__all__ = ["BASE_GLOBALS", "Allowlist", "PickleVerdict", "VerdictWord", "record_globals"]

VerdictWord = Literal["only-allowlisted-globals", "contains-code", "refused"]
Global = tuple[str, str]

# Names that only hold data: what the pickles of plain values and of numpy arrays import.
BASE_GLOBALS: frozenset[Global] = frozenset(
    [
        *(("builtins", name) for name in ("bytearray", "complex", "frozenset", "object")),
        *(("builtins", name) for name in ("range", "set", "slice")),
        *(("datetime", name) for name in ("date", "datetime", "time", "timedelta", "timezone")),
        *(("collections", name) for name in ("Counter", "OrderedDict", "defaultdict", "deque")),
        *(
            (package + ".multiarray", name)
            for package in ("numpy._core", "numpy.core")
            for name in ("_reconstruct", "scalar")
        ),
        ("numpy._core.numeric", "_frombuffer"),
        ("numpy.core.numeric", "_frombuffer"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("_codecs", "encode"),
        ("copyreg", "_reconstructor"),
        ("decimal", "Decimal"),
        ("fractions", "Fraction"),
        ("uuid", "UUID"),
    ]
)

# Each of these runs whatever its arguments say, so that allowing it allows everything.
_NEVER_MODULES = frozenset(
    (
        "_ctypes", "_operator", "_pickle", "_posixsubprocess", "_winapi", "asyncio", "bdb",
        "cloudpickle", "code", "codeop", "commands", "concurrent", "cProfile", "ctypes", "dill",
        "distutils", "doctest", "ensurepip", "idlelib", "imp", "importlib", "inspect", "lib2to3",
        "marshal", "multiprocessing", "nt", "ntpath", "operator", "os", "pdb", "pickle", "pip",
        "pkgutil", "platform", "popen2", "posix", "posixpath", "profile", "pty", "pydoc",
        "runpy", "setuptools", "shelve", "shutil", "signal", "site", "socket", "subprocess",
        "sys", "sysconfig", "tempfile", "test", "threading", "timeit", "trace", "types", "venv",
        "webbrowser", "zipimport",
    )
)  # fmt: skip
_NEVER_PREFIXES = (
    "joblib.externals.", "logging.config", "numpy.ctypeslib", "numpy.distutils", "numpy.f2py",
    "numpy.testing", "pandas.io.pickle", "torch.hub", "torch.jit", "torch.serialization",
)  # fmt: skip
_NEVER_NAMES = frozenset(
    (
        ("functools", "partial"), ("functools", "partialmethod"), ("functools", "reduce"),
        ("itertools", "starmap"), ("joblib", "load"), ("joblib.numpy_pickle", "load"),
        ("numpy", "load"), ("numpy", "loads"), ("numpy", "fromfile"), ("numpy", "memmap"),
        ("numpy.lib.npyio", "load"), ("numpy.lib._npyio_impl", "load"), ("pandas", "eval"),
        ("pandas", "read_pickle"), ("torch", "load"),
    )
)  # fmt: skip
_BUILTINS = frozenset(
    (
        "bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list",
        "object", "range", "set", "slice", "str", "tuple",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PickleVerdict:
    """What an allowlist says about a pickle; never that it is safe.

    Attributes:
        word: ``only-allowlisted-globals``, ``contains-code`` or ``refused``.
        reasons: why it is not the first; empty otherwise.
    """

    word: VerdictWord
    reasons: tuple[str, ...] = ()


class Allowlist:
    """Names that a pickle may import, each an exact ``(module, name)``."""

    def __init__(self, names: Iterable[str | Global]) -> None:
        """Take names as ``module.name`` or ``(module, name)``.

        Raises:
            InvalidTypeError: an entry is neither.
            InvalidArgumentError: an entry has dots in its name or runs its arguments, such as
                ``builtins.eval`` or ``functools.partial``; nothing would be refused then.
        """
        self.names: frozenset[Global] = frozenset(_parse_name(name) for name in names)

    def judge(self, report: PickleReport) -> PickleVerdict:
        """Return the verdict over a pickle that has been walked."""
        reasons = [str(problem) for problem in report.problems]
        reasons += [
            f"the import of {module}.{name} is not allowed"
            for module, name in report.globals
            if (module, name) not in self.names
        ]
        if report.has_code:
            return PickleVerdict(
                "contains-code", ("contains code by value, which cannot be judged", *reasons)
            )
        if reasons:
            return PickleVerdict("refused", tuple(reasons))
        return PickleVerdict("only-allowlisted-globals")

    def check(self, data: bytes, *, path: Path | str) -> PickleReport:
        """Return the report of the pickle ``data`` if it imports allowed names only.

        Raises:
            UntrustedModelError: it imports another name, contains code by value, or could not
                be followed to its end; ``path`` is named.
        """
        report = walk_pickle(data)
        verdict = self.judge(report)
        if verdict.word != "only-allowlisted-globals":
            raise UntrustedModelError(_render(path, verdict))
        return report

    def guard(self, find_class: Callable[[str, str], Any]) -> Callable[[str, str], Any]:
        """Return ``find_class`` of an unpickler, restricted to the allowed names.

        What comes back raises :class:`UntrustedModelError` for any other name.
        """

        def find_allowed_class(module: str, name: str) -> Any:
            # An old protocol asks for the Python 2 name, and gets the mapped one.
            asked = {(module, name), map_global(module, name, 2)}
            if not asked & self.names or "." in name:
                raise UntrustedModelError(f"the import of {module}.{name} is not allowed")
            return find_class(module, name)

        return find_allowed_class


def record_globals(data: bytes) -> tuple[str, ...]:
    """Return the names that the pickle ``data`` imports, for an :class:`Allowlist`.

    For pickles that are known to be good: what this returns lets them load.

    Raises:
        UntrustedModelError: no list can allow the pickle: it contains code by value, imports
            something that runs its arguments, or could not be followed to its end.
    """
    report = walk_pickle(data)
    try:
        verdict = Allowlist(() if report.has_code else report.globals).judge(report)
    except InvalidArgumentError as error:
        raise UntrustedModelError(str(error)) from error
    if verdict.word != "only-allowlisted-globals":
        raise UntrustedModelError(_render("the pickle", verdict))
    return tuple(f"{module}.{name}" for module, name in report.globals)


def _render(path: Path | str, verdict: PickleVerdict) -> str:
    shown = [f"  - {reason}" for reason in verdict.reasons[:20]]
    if len(verdict.reasons) > 20:
        shown.append(f"  - ... and {len(verdict.reasons) - 20} more")
    return "\n".join([f"{path}: not loaded, since it is not allowed by the list", *shown])


def _parse_name(entry: object) -> Global:
    if isinstance(entry, str):
        module, _, name = entry.rpartition(".")
    elif isinstance(entry, tuple) and len(entry) == 2 and all(isinstance(e, str) for e in entry):
        module, name = entry
    else:
        raise InvalidTypeError(
            f"allowlist: expected 'module.name' or (module, name), got {shorten(entry)}"
        )
    if not module or not name or "." in name:
        raise InvalidArgumentError(
            f"allowlist: expected a module and a name without dots, got {shorten(entry)}"
        )
    if _runs_its_arguments(module, name):
        raise InvalidArgumentError(
            f"allowlist: {module}.{name} runs whatever its arguments say, so that allowing it "
            "would allow everything"
        )
    return module, name


def _runs_its_arguments(module: str, name: str) -> bool:
    if module in ("builtins", "__builtin__"):
        return name not in _BUILTINS
    return (
        module.partition(".")[0] in _NEVER_MODULES
        or "cloudpickle" in module.split(".")
        or module.startswith(_NEVER_PREFIXES)
        or (module, name) in _NEVER_NAMES
    )
