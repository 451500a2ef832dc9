"""Which names a pickle may import because they are known to hold data, and nothing but data.

Two kinds are known: names of an exact list, and classes of the caller's own modules whose
instances come back without any of their code being run. Whether a class is such is looked at.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import types
from abc import ABCMeta

from pyfunc.pickles.estimators import ESTIMATORS

__all__ = ["BASE_GLOBALS", "find_problem_of_global", "is_of_the_standard_library"]

Global = tuple[str, str]

# What the pickles of plain values and of numpy arrays import; each has a way of its own back, in
# ``restoring`` and ``arrays``.
BASE_GLOBALS: frozenset[Global] = frozenset(
    [
        *(("builtins", name) for name in ("bytearray", "bytes", "complex", "frozenset")),
        *(("builtins", name) for name in ("object", "range", "set", "slice")),
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

# What a caller may list beside them.
_MORE_DATA: frozenset[Global] = frozenset(
    [
        *(("builtins", name) for name in ("bool", "dict", "float", "int", "list")),
        *(("builtins", name) for name in ("str", "tuple")),
        *(("pathlib", name) for name in ("Path", "PosixPath", "PurePath", "PurePosixPath")),
        *(("pathlib", name) for name in ("PureWindowsPath", "WindowsPath")),
    ]
)

# The ``__setstate__`` of others that is known to do no more than keep the state.
_OWN_STATE: frozenset[Global] = frozenset([("sklearn.base", "BaseEstimator.__setstate__")])

_LIBRARIES = re.compile(r"[/\\\\](?:site|dist)-packages[/\\\\]")


def find_problem_of_global(module: str, name: str) -> str | None:
    """Return why the name is not known to hold data only, or None if it is.

    What is installed is on a list or not. Any other module is imported, since the caller has named
    it, and its class looked at.
    """
    if (module, name) in BASE_GLOBALS | _MORE_DATA | ESTIMATORS:
        return None
    if is_of_the_standard_library(module) or _is_installed(module):
        return "it is not on the list of names that hold data only"
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # whatever a module does when it is imported
        return f"it cannot be imported ({type(error).__name__}: {error})"
    return _find_problem_of_class(found)


def is_of_the_standard_library(module: str) -> bool:
    """Return whether a module of that name is Python's own."""
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names or top in ("__builtin__", "test")


def _is_installed(module: str) -> bool:
    """Return whether a module belongs to a library; none of it is imported for that.

    Their classes may well come back without their own code being run and do harm all the same: a
    sparse matrix is read by compiled code at the places that its numbers say.
    """
    top = module.partition(".")[0]
    try:
        found = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    places = [found.origin or "", *(found.submodule_search_locations or ())] if found else []
    return top == "pyfunc" or any(_LIBRARIES.search(place) for place in places)


def _find_problem_of_class(found: object) -> str | None:
    if not isinstance(found, type):
        return "it is no class, so that it can only be called"
    if type(found) not in (type, ABCMeta):
        return "its class has a class of its own"
    new: object = found.__new__
    if new is not object.__new__:
        return "its __new__ runs code, or sets memory"
    for special in ("__del__", "__setattr__", "__reduce__", "__reduce_ex__"):
        if getattr(found, special, None) is not getattr(object, special, None):
            return f"its {special} runs code"
    own = getattr(found, "__setstate__", None)
    if own is not None and not _is_known(own):
        return "its __setstate__ runs code"
    return None


def _is_known(function: object) -> bool:
    if not isinstance(function, types.FunctionType):
        return False
    return (function.__module__, function.__qualname__) in _OWN_STATE
