"""Puts dataitems, artifacts and models into the store: what is logged and what runs return."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, shorten
from pyfunc.functions.artifact import Artifact, check_source, pickle_writer, source_writer
from pyfunc.functions.dataitem import Dataitem, frame_writer, is_frame
from pyfunc.functions.documents import new_document, relate
from pyfunc.functions.entity import Entity
from pyfunc.functions.model import MODEL_KINDS, Model, model_writer
from pyfunc.functions.names import Key, check_name, new_id
from pyfunc.functions.store import Store

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DATAITEM_KINDS", "Target", "write_artifact", "write_dataitem", "write_model"]

DATAITEM_KINDS = ("dataitem", "table")

E = TypeVar("E", bound=Entity)


@dataclass(frozen=True, slots=True)
class Target:
    """Where an entity goes, and what its document says beside its spec.

    Attributes:
        store: the store.
        project: name of the project.
        name: name of the entity; one that is there already gets another version.
        kind: kind of the entity.
        id: its id, or None for a new one.
        metadata: description and labels.
        spec: more keys for the spec.
        run: key of the run that it is an output of, or empty; nobody sees it before that run
            is complete.
    """

    store: Store
    project: str
    name: str
    kind: str
    id: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    spec: Mapping[str, object] = field(default_factory=dict)
    run: str = ""


def write_dataitem(
    target: Target,
    *,
    data: pd.DataFrame | None = None,
    source: str | os.PathLike[str] | None = None,
) -> Dataitem:
    """Put a frame or a file into the store as a dataitem.

    Raises:
        InvalidArgumentError: both were given or none, or the kind is unknown.
        InvalidTypeError: ``data`` is no frame.
        ModelNotFoundError: there is no file ``source``.
    """
    _check_kind(target, DATAITEM_KINDS, "dataitem")
    if (data is None) == (source is None):
        raise InvalidArgumentError(f"dataitem {target.name!r}: give either data or source")
    if source is not None:
        path, fill = source_writer(check_source(source, f"dataitem {target.name!r}"))
        return _write(Dataitem, target, path, fill)
    if not is_frame(data):
        raise InvalidTypeError(
            f"dataitem {target.name!r}: data: expected a frame of pandas, got {shorten(data)}"
        )
    assert data is not None
    path, fill = frame_writer(data, f"dataitem {target.name!r}")
    return _write(Dataitem, target, path, fill)


def write_artifact(
    target: Target, *, source: str | os.PathLike[str] | None = None, value: object = None
) -> Artifact:
    """Put a file or folder, or else the pickled object ``value``, into the store.

    Raises:
        InvalidArgumentError: the object cannot be pickled, or the kind is unknown.
        ModelNotFoundError: there is no file ``source``.
    """
    _check_kind(target, ("artifact",), "artifact")
    what = f"artifact {target.name!r}"
    if source is not None:
        return _write(Artifact, target, *source_writer(check_source(source, what)))
    return _write(Artifact, target, *pickle_writer(value, f"output {target.name!r}"))


def write_model(target: Target, source: object) -> Model:
    """Put a model directory, or an object that a flavor saves, into the store.

    Raises:
        ModelNotFoundError: there is no directory ``source``.
        FlavorNotFoundError: no flavor saves such an object.
        InvalidArgumentError: the directory is that of no model, or the kind is unknown.
    """
    _check_kind(target, MODEL_KINDS, "model")
    return _write(Model, target, *model_writer(source, f"model {target.name!r}"))


def _check_kind(target: Target, kinds: tuple[str, ...], what: str) -> None:
    check_name(target.name, what)
    if target.kind not in kinds:
        raise InvalidArgumentError(
            f"{what} {target.name!r}: kind: expected one of {', '.join(kinds)}, "
            f"got {shorten(target.kind)}"
        )


def _write(cls: type[E], target: Target, path: str, fill: Callable[[Path], None]) -> E:
    version = target.id or new_id()
    key = Key(target.project, cls.entity_type, target.kind, target.name, version)
    document = new_document(key, {**target.spec, "path": path}, target.metadata)
    if target.run:
        relate(document, "produced_by", target.run)
    target.store.create(key, document, fill, pending=target.run.rpartition("/")[2])
    return cls(target.store, document)
