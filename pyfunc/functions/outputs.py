"""What a function returns, as named outputs: ``handler`` and the rules of naming.

Rules (``compat="digitalhub"`` is what DigitalHub does, to the letter):

* None makes no outputs; a tuple is unpacked, under ``compat`` a list too; all else is one item.
* Item i is called as the i-th entry of ``outputs`` says, else ``output_<i>``. An entry that names
  nothing is told by a warning, two items of one name by an error; under ``compat`` neither is,
  and the later item wins.
* str, int, float, bool and bytes are results, and the numbers of numpy (under ``compat`` only
  those that are a float of Python); a frame becomes a Dataitem (under ``compat`` only if its
  class is exactly the one that pandas before 3 has); an entity stays that entity; all else
  becomes an Artifact with the pickled object, or what its entry asks for by ``kind``.
"""

from __future__ import annotations

import math
import warnings
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar, get_args

from pyfunc.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    PyfuncWarning,
    find_repeated,
    shorten,
)
from pyfunc.functions.names import check_name
from pyfunc.functions.signatures import core_of

__all__ = [
    "Compat",
    "OutputEntry",
    "Primitive",
    "as_primitive",
    "check_compat",
    "decode_value",
    "encode_value",
    "handler",
    "name_items",
    "outputs_of",
    "parse_entries",
]

Compat = Literal["digitalhub"] | None
OutputKind = Literal["artifact", "dataitem", "mlflow", "model", "sklearn", "table"]
Primitive = str | int | float | bool | bytes
F = TypeVar("F", bound=Callable[..., object])

_ATTRIBUTE = "__pyfunc_outputs__"
_BYTES, _FLOAT, _DICT = "$bytes", "$float", "$dict"
_TAGS = ({_BYTES}, {_FLOAT}, {_DICT})
_ENTRY_KEYS = {"name", "kind", "spec_kwargs"}


@dataclass(frozen=True, slots=True)
class OutputEntry:
    """One entry of ``outputs``: a name, and what the item is to be logged as.

    Attributes:
        name: of the output.
        kind: kind of entity, or None where the item itself decides.
        spec_kwargs: more keys for the spec of the entity.
    """

    name: str
    kind: str | None = None
    spec_kwargs: Mapping[str, object] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Return the entry as ``outputs`` takes it."""
        return {"name": self.name, "kind": self.kind, "spec_kwargs": dict(self.spec_kwargs)}


def handler(outputs: Sequence[str | Mapping[str, object]] | None = None) -> Callable[[F], F]:
    """Return a decorator that names what a function returns and leaves the function as it is.

    Args:
        outputs: per item a name, or ``{"name", "kind", "spec_kwargs"}`` with the kind of entity
            that it is logged as: table, dataitem, artifact, model, mlflow or sklearn.

    Raises:
        InvalidArgumentError: a name is none or stands twice, or a kind is unknown.
    """
    if callable(outputs):
        raise InvalidTypeError("handler has to be called: @handler() or @handler(outputs=[...])")
    entries = parse_entries(outputs)

    def mark(function: F) -> F:
        # What stands in a class is not what the class hands out.
        marked = (
            function.__func__ if isinstance(function, (staticmethod, classmethod)) else function
        )
        try:
            setattr(marked, _ATTRIBUTE, entries)
        except AttributeError:
            raise InvalidTypeError(
                f"{shorten(function)} takes no attributes\nhint: name its outputs by run(outputs=)"
            ) from None
        return function

    return mark


def outputs_of(function: object) -> tuple[OutputEntry, ...] | None:
    """Return the entries that :func:`handler` gave to a function; None if it was not used."""
    for place in (function, core_of(function) if callable(function) else None):
        found = getattr(place, _ATTRIBUTE, None)
        if isinstance(found, tuple):
            return found
    return None


def parse_entries(
    outputs: Sequence[str | Mapping[str, object]] | None,
) -> tuple[OutputEntry, ...]:
    """Return the entries of an ``outputs`` argument.

    Raises:
        InvalidTypeError: it is no list, or an entry is neither a name nor a dict.
        InvalidArgumentError: a name is none or stands twice, or a key or kind is unknown.
    """
    if outputs is None:
        return ()
    if not isinstance(outputs, (list, tuple)):
        raise InvalidTypeError(f"outputs: expected a list of names, got {shorten(outputs)}")
    entries = tuple(_parse_entry(item, position) for position, item in enumerate(outputs))
    names = [entry.name for entry in entries]
    twice = sorted(find_repeated(names))
    if twice:
        raise InvalidArgumentError(f"outputs: these names stand twice: {', '.join(twice)}")
    return entries


def _parse_entry(item: object, position: int) -> OutputEntry:
    where = f"outputs[{position}]"
    if isinstance(item, str):
        return OutputEntry(check_name(item, where))
    if not isinstance(item, Mapping):
        raise InvalidTypeError(f"{where}: expected a name or a dict, got {shorten(item)}")
    if not {"name"} <= item.keys() <= _ENTRY_KEYS:
        raise InvalidArgumentError(
            f"{where}: expected the keys name, kind and spec_kwargs, got {sorted(item)}"
        )
    kind, more = item.get("kind"), item.get("spec_kwargs")
    if kind is not None and kind not in get_args(OutputKind):
        raise InvalidArgumentError(
            f"{where}.kind: expected one of {', '.join(get_args(OutputKind))}, got {shorten(kind)}"
        )
    if more is not None and not isinstance(more, Mapping):
        raise InvalidTypeError(f"{where}.spec_kwargs: expected a dict, got {shorten(more)}")
    return OutputEntry(check_name(item["name"], where), kind, dict(more or {}))


def check_compat(compat: object) -> Compat:
    """Return ``compat`` if it is None or the name of a system whose rules are known.

    Raises:
        InvalidArgumentError: it is something else.
    """
    if compat is None or compat == "digitalhub":
        return None if compat is None else "digitalhub"
    raise InvalidArgumentError(f"compat: expected None or 'digitalhub', got {shorten(compat)}")


def name_items(
    value: object, entries: Sequence[OutputEntry], *, compat: Compat = None, warn: bool = True
) -> dict[str, tuple[OutputEntry, object]]:
    """Return what a function returned as items by name, in order, each with its entry.

    Raises:
        InvalidArgumentError: two items have the same name.
    """
    items = _unpack(value, compat)
    named: dict[str, tuple[OutputEntry, object]] = {}
    for position, item in enumerate(items):
        entry = entries[position] if position < len(entries) else OutputEntry(f"output_{position}")
        if entry.name in named and compat is None:
            raise InvalidArgumentError(
                f"two items that the function returned are called {entry.name!r}\n"
                f"hint: it returned {len(items)} items; name all of them in outputs"
            )
        named[entry.name] = (entry, item)
    unused = [entry.name for entry in entries[len(items) :]]
    if unused and warn and compat is None:
        warnings.warn(
            f"the function returned {len(items)} item(s); these outputs got none: "
            f"{', '.join(unused)}",
            PyfuncWarning,
            stacklevel=2,
        )
    return named


def _unpack(value: object, compat: Compat) -> list[object]:
    if value is None:
        return []
    unpacked = (tuple, list) if compat else (tuple,)
    return [*value] if isinstance(value, unpacked) else [value]


def as_primitive(item: object, *, compat: Compat = None) -> Primitive | None:
    """Return ``item`` as the result that it is, or None if it is none."""
    if isinstance(item, (str, int, float, bool, bytes)):
        return item
    module = type(item).__module__.partition(".")[0]
    if compat is None and module == "numpy" and hasattr(item, "item"):
        import numpy as np

        no_number = (np.complexfloating, np.timedelta64)  # a duration is an integer of numpy
        if isinstance(item, (np.bool_, np.number)) and not isinstance(item, no_number):
            plain: object = item.item()
            return plain if isinstance(plain, (int, float)) else float(item)
    return None


def encode_value(value: object) -> object:
    """Return a value as JSON holds it: bytes, and floats that JSON has not, are tagged.

    A dict that looks like a tag is tagged, too.
    """
    if isinstance(value, dict):
        encoded = {name: encode_value(item) for name, item in value.items()}
        return {_DICT: encoded} if encoded.keys() in _TAGS else encoded
    if isinstance(value, list):
        return [encode_value(item) for item in value]
    if isinstance(value, bytes):
        return {_BYTES: b64encode(value).decode("ascii")}
    if isinstance(value, float) and not math.isfinite(value):
        return {_FLOAT: repr(float(value))}
    # Subclasses, such as members of an enum, are the plain value that they are.
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value) if kind is not str else str.__str__(value)
    return value


def decode_value(value: object) -> object:
    """Return the value that :func:`encode_value` was given."""
    if isinstance(value, list):
        return [decode_value(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_BYTES}:
        return b64decode(value[_BYTES])
    if value.keys() == {_FLOAT}:
        return float(value[_FLOAT])
    inner = value.get(_DICT)
    found = inner if value.keys() == {_DICT} and isinstance(inner, dict) else value
    return {name: decode_value(item) for name, item in found.items()}
