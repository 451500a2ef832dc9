"""What all entities share: a document in the store, seen as attributes, exported and deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, Problem, shorten
from pyfunc.files.copying import copy_into
from pyfunc.files.paths import confine
from pyfunc.functions.documents import Document, Form, read_relationships, to_form
from pyfunc.functions.names import ID_EXPECTED, Key, is_id, parse_key
from pyfunc.functions.store import Store

__all__ = ["DATA", "Entity", "FileEntity", "Section", "check_metadata", "find_metadata_problems"]

DATA = "data"  # the folder below an entity with the files that it holds


class Section(Mapping[str, object]):
    """A part of a document: a mapping whose keys are attributes too, all of them to be read.

    ``fields`` are the keys that it may have: one that is not there reads as None.
    """

    def __init__(self, values: Mapping[str, object], fields: Sequence[str] = ()) -> None:
        self._values = values
        self._fields = fields

    def __getitem__(self, name: str) -> object:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:  # whatever JSON can hold
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._values or name in self._fields:
            return self._values.get(name)
        known = ", ".join(sorted({*self._values, *self._fields}))
        raise AttributeError(f"there is no {name!r} here, only {known}")

    def __repr__(self) -> str:
        return f"Section({dict(self._values)!r})"

    def to_dict(self) -> dict[str, object]:
        """Return a copy as plain values."""
        copied: dict[str, object] = json.loads(json.dumps(dict(self._values)))
        return copied


class Entity:
    """Something that a project holds, as its document in the store says.

    The object shows the document as it was read; :meth:`refresh` reads it again.
    """

    entity_type: ClassVar[str]
    spec_fields: ClassVar[tuple[str, ...]] = ()
    status_fields: ClassVar[tuple[str, ...]] = ("state", "message")

    def __init__(self, store: Store, document: Document) -> None:
        self._store = store
        self._document = document

    @property
    def _key(self) -> Key:
        return parse_key(self._document["key"])

    @property
    def kind(self) -> str:
        """The kind, such as ``table``."""
        return self._document["kind"]

    @property
    def project(self) -> str:
        """The name of the project."""
        return self._document["project"]

    @property
    def name(self) -> str:
        """The name; the id for a run and a task."""
        return self._document["name"]

    @property
    def id(self) -> str:
        """The id: of this version, where a name has several."""
        return self._document["id"]

    @property
    def key(self) -> str:
        """The key by which runs and others refer to this version."""
        return self._document["key"]

    @property
    def metadata(self) -> Section:
        """Description, labels, moments, relationships."""
        return Section(
            self._document["metadata"],
            ("description", "labels", "version", "embedded", "relationships"),
        )

    @property
    def spec(self) -> Section:
        """What the entity is."""
        return Section(self._document["spec"], self.spec_fields)

    @property
    def status(self) -> Section:
        """How it is doing; ``status.state`` first of all."""
        return Section(self._document["status"], self.status_fields)

    @property
    def relationships(self) -> list[dict[str, str]]:
        """What it says of other entities, each as ``{"type": ..., "dest": key}``."""
        return read_relationships(self._document)

    @property
    def path(self) -> Path:
        """The directory of the entity in the store; what is in it must not be changed."""
        return self._store.folder(self._key)

    def refresh(self) -> None:
        """Read the document again.

        Raises:
            EntityNotFoundError: the entity has been deleted.
        """
        self._document = self._store.read(self._key)

    def delete(self) -> None:
        """Remove this version and its files from the store."""
        self._store.delete(self._key)

    def to_dict(self, form: Form = "0.10") -> Document:
        """Return the document as DigitalHub of that version writes it."""
        return to_form(self._document, form)

    def export(self, path: str | Path | None = None, *, form: Form = "0.10") -> Path:
        """Write the document into a file and return its path.

        Args:
            path: a file; by default ``<type>-<name>-<id>.yaml`` in the working directory. It
                holds JSON, which readers of YAML read too.
            form: the version of DigitalHub that is to read it.
        """
        default = f"{self.entity_type}-{self.name}-{self.id}.yaml"
        target = Path(default if path is None else path)
        text = json.dumps(self.to_dict(form), indent=1) + "\n"
        target.write_text(text, encoding="utf-8")
        return target

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entity) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


class FileEntity(Entity):
    """An entity that is a file or a folder: an artifact, a dataitem or a model."""

    def as_file(self) -> Path:
        """Return the path of the file or folder in the store: no copy, only to be read.

        Raises:
            ModelPathError: the document, from an archive perhaps, names a path that leads out
                of the entity.
            ModelIncompleteError: nothing is there.
        """
        said = self._document["spec"].get("path")
        return confine(self.path, said, key="spec.path", file=self.path / "entity.json")

    def download(self, destination: str | Path) -> Path:
        """Copy the file or folder to ``destination``, where nothing may be; return its path."""
        copy_into(self.as_file(), destination, key="destination")
        return Path(destination)


def check_metadata(
    *, uuid: object, description: object, labels: object, embedded: object = None
) -> tuple[str | None, dict[str, object]]:
    """Return the id that was asked for, or None, and the metadata that the arguments make.

    Raises:
        InvalidTypeError: one has another type.
        InvalidArgumentError: the id is none.
    """
    given = {"description": description, "labels": labels, "embedded": embedded}
    for problem in find_metadata_problems(uuid=uuid, **given):
        kind = InvalidArgumentError if problem.path == "uuid" else InvalidTypeError
        raise kind(f"{problem.path}: expected {problem.expected}, got {problem.got}")
    return None if uuid is None else str(uuid), given


def find_metadata_problems(
    *, uuid: object, description: object, labels: object, embedded: object = None
) -> Iterator[Problem]:
    """Yield what is wrong with what every entity takes."""
    if description is not None and not isinstance(description, str):
        yield Problem("description", "a str", shorten(description))
    is_list = isinstance(labels, (list, tuple)) and all(isinstance(item, str) for item in labels)
    if labels is not None and not is_list:
        yield Problem("labels", "a list of str", shorten(labels))
    if embedded is not None and not isinstance(embedded, bool):
        yield Problem("embedded", "a bool", shorten(embedded))
    if uuid is not None and not is_id(uuid):
        yield Problem("uuid", ID_EXPECTED, shorten(uuid))
