"""Exceptions in the form of :mod:`pyfunc.processes.wire_values`: they arrive as what they were.

Nothing is imported for an exception that arrives: its class has to be a builtin one, one of
this library, or of a module that is loaded already.
"""

from __future__ import annotations

import builtins
import sys
import traceback
from dataclasses import fields, is_dataclass
from typing import Any

from pyfunc.errors import InvalidTypeError, PyfuncError
from pyfunc.processes.wire_values import ValueReader, ValueWriter

__all__ = ["RemoteTraceback", "read_error", "write_error"]


class RemoteTraceback(Exception):  # noqa: N818 - the name says what it shows in a traceback
    """The traceback of an error in another process, as the cause of that error here."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n{self.text}"


def write_error(writer: ValueWriter, error: BaseException) -> dict[str, Any]:
    """Return the tree of an exception, with its traceback as text."""
    return {
        "module": type(error).__module__,
        "name": type(error).__qualname__,
        "text": str(error),
        "args": [_write_attribute(writer, value) for value in _arguments(error)],
        "state": {
            name: _write_attribute(writer, value)
            for name, value in vars(error).items()
            if not name.startswith("__")
        },
        "traceback": "".join(traceback.format_exception(error)),
    }


def _arguments(error: BaseException) -> tuple[Any, ...]:
    """Return what builds the error again; the file names of an OSError are not in ``args``."""
    if isinstance(error, OSError) and not isinstance(error, PyfuncError):
        arguments = error.__reduce__()[1]
        return arguments if isinstance(arguments, tuple) else error.args
    return error.args


def _write_attribute(writer: ValueWriter, value: Any) -> Any:
    if isinstance(value, tuple):
        return ["tuple-of", [_write_attribute(writer, item) for item in value]]
    if is_dataclass(value) and not isinstance(value, type) and _is_own(type(value)):
        content = {f.name: _write_attribute(writer, getattr(value, f.name)) for f in fields(value)}
        return ["own", type(value).__module__, type(value).__qualname__, content]
    try:
        return ["value", writer.write(value)]
    except InvalidTypeError:
        return ["value", str(value)]


def _is_own(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "pyfunc"


def read_error(reader: ValueReader, tree: dict[str, Any]) -> BaseException:
    """Return the exception, with the remote traceback as its cause.

    A class that is not known here becomes a :class:`~pyfunc.errors.PyfuncError` that names it.

    Raises:
        ValueError: the tree is none of an exception.
    """
    _check_tree(tree)
    kind = _find_class(tree["module"], tree["name"])
    error = None if kind is None else _build(reader, kind, tree)
    if error is None:
        error = PyfuncError(f"{tree['module']}.{tree['name']}: {tree['text']}")
    error.__cause__ = RemoteTraceback(tree["traceback"])
    return error


def _check_tree(tree: object) -> None:
    texts = ("module", "name", "text", "traceback")
    known = (
        isinstance(tree, dict)
        and all(isinstance(tree.get(key), str) for key in texts)
        and isinstance(tree.get("args"), list)
        and isinstance(tree.get("state"), dict)
    )
    if not known:
        raise ValueError("an error is not described as one")


def _find_loaded(module: str, name: str) -> object:
    """Return what is called so in a module that is loaded; one that is not is not imported.

    The module is not asked: some import what they are asked for.
    """
    home = builtins if module == "builtins" else sys.modules.get(module)
    return None if home is None else vars(home).get(name)


def _find_class(module: str, name: str) -> type[BaseException] | None:
    found = _find_loaded(module, name)
    if not isinstance(found, type) or not issubclass(found, BaseException):
        return None
    # SystemExit and KeyboardInterrupt of the child must not end the parent.
    return found if issubclass(found, Exception) else None


def _build(
    reader: ValueReader, kind: type[BaseException], tree: dict[str, Any]
) -> BaseException | None:
    arguments = tuple(_read_attribute(reader, item) for item in tree["args"])
    try:
        error = kind.__new__(kind, *arguments)
        if not issubclass(kind, PyfuncError):
            error.__init__(*arguments)  # type: ignore[misc]
        if not isinstance(error, OSError) or isinstance(error, PyfuncError):
            error.args = arguments
        for name, item in tree["state"].items():
            vars(error)[name] = _read_attribute(reader, item)
    except Exception:  # the constructor of a foreign class: anything can happen
        return None
    return error


def _read_attribute(reader: ValueReader, tree: Any) -> Any:
    kind, *parts = tree
    if kind == "tuple-of":
        return tuple(_read_attribute(reader, item) for item in parts[0])
    if kind == "own":
        module, name, content = parts
        values = {key: _read_attribute(reader, item) for key, item in content.items()}
        found = _find_loaded(module, name)
        known = isinstance(found, type) and is_dataclass(found) and _is_own(found)
        return found(**values) if known and callable(found) else values
    return reader.read(parts[0])
