"""Turns what a function returned into outputs and results of its run, all of them or none.

Everything is written before anything is seen: the entities become visible at the moment that the
document of the run says COMPLETED and names them.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pyfunc.errors import InvalidArgumentError
from pyfunc.functions.artifact import Artifact
from pyfunc.functions.dataitem import Dataitem, is_frame
from pyfunc.functions.documents import relate
from pyfunc.functions.entity import Entity
from pyfunc.functions.model import MODEL_KINDS, Model
from pyfunc.functions.names import parse_key
from pyfunc.functions.outputs import (
    Compat,
    OutputEntry,
    as_primitive,
    encode_value,
)
from pyfunc.functions.signatures import name_of_type
from pyfunc.functions.store import Store
from pyfunc.functions.writing import (
    DATAITEM_KINDS,
    Target,
    write_artifact,
    write_dataitem,
    write_model,
)

__all__ = ["Outputs"]


@dataclass
class Outputs:
    """The outputs of one attempt of a run.

    Attributes:
        store: where they go.
        run: key of the run.
        keys: keys of the entities by name of the output.
        results: the primitive values by name, as JSON holds them.
    """

    store: Store
    run: str
    compat: Compat = None
    keys: dict[str, str] = field(default_factory=dict)
    results: dict[str, object] = field(default_factory=dict)
    _written: list[str] = field(default_factory=list)

    def write(self, named: Mapping[str, tuple[OutputEntry, object]]) -> None:
        """Write every item; nobody sees the entities yet. After a failure nothing is left.

        Raises:
            InvalidArgumentError: an item cannot be what its entry asks for, or not be pickled.
        """
        try:
            for name, (entry, item) in named.items():
                self._write_item(name, entry, item)
        except BaseException:
            self.discard()
            raise

    def publish(self) -> None:
        """Finish what belongs to a run that says that it is complete: relations and markers."""
        for key in self.keys.values():
            parsed = parse_key(key)
            if key in self._written:
                self.store.publish(parsed)
            else:
                self.store.change(parsed, lambda found: relate(found, "produced_by", self.run))

    def discard(self) -> None:
        """Remove the entities that :meth:`write` wrote."""
        for key in self._written:
            shutil.rmtree(self.store.folder(parse_key(key)), ignore_errors=True)

    def _write_item(self, name: str, entry: OutputEntry, item: object) -> None:
        if isinstance(item, (Artifact, Dataitem, Model)):
            self.keys[name] = item.key
            return
        value = as_primitive(item, compat=self.compat)
        if value is not None and entry.kind is None:
            self.results[name] = encode_value(_check_digits(name, value))
            return
        entity = self._write_entity(name, entry, item)
        self.keys[name] = entity.key
        self._written.append(entity.key)

    def _write_entity(self, name: str, entry: OutputEntry, item: object) -> Entity:
        kind = entry.kind or ("table" if _is_table(item, self.compat) else "artifact")
        target = Target(
            self.store,
            parse_key(self.run).project,
            name,
            kind,
            spec=entry.spec_kwargs,
            run=self.run,
        )
        source = item if isinstance(item, Path) else None
        if kind in MODEL_KINDS:
            return write_model(target, item)
        if kind == "artifact":
            return write_artifact(target, source=source if entry.kind else None, value=item)
        assert kind in DATAITEM_KINDS
        if source is not None:
            return write_dataitem(target, source=source)
        if not is_frame(item):
            raise InvalidArgumentError(
                f"output {name!r}: kind {kind!r} takes a frame or a path, got an object of "
                f"{name_of_type(type(item))}"
            )
        return write_dataitem(target, data=item)


def _check_digits(name: str, value: object) -> object:
    """Return a result, unless it is an integer that Python makes no text of."""
    try:
        str(value)
    except ValueError as error:
        raise InvalidArgumentError(
            f"output {name!r} of type {name_of_type(type(value))} cannot be kept: {error}\n"
            "hint: return it as bytes"
        ) from error
    return value


def _is_table(item: object, compat: Compat) -> bool:
    if compat is None:
        return is_frame(item)
    cls = type(item)
    return f"{cls.__module__}.{cls.__qualname__}" == "pandas.core.frame.DataFrame"
