"""Ids, names and keys of entities: values from text and back, nothing of the disk.

::

    store://<project>                                     a project
    store://<project>/<type>/<kind>/<name>:<id>           an entity with versions
    store://<project>/<type>/<kind>/<id>                  a run or a task
    <kind>://<project>/<name>:<id>                        a function, in the spec of a run
    <kind>://<project>/<id>                               a task, in the spec of a run
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, shorten
from pyfunc.files.temporaries import is_staging_name

__all__ = [
    "ID_EXPECTED",
    "NAME_EXPECTED",
    "SERVER_MODULE",
    "SOURCE_FOLDER",
    "UNNAMED_TYPES",
    "VERSIONED_TYPES",
    "WORKER_MODULE",
    "Key",
    "Reference",
    "check_id",
    "check_name",
    "is_id",
    "is_name",
    "new_id",
    "parse_key",
    "parse_reference",
    "to_name",
]

SERVER_MODULE = f"{__package__}.server"
WORKER_MODULE = f"{__package__}.worker"
"""What the processes of a served function and of a run begin with, for ``python -m``."""

SOURCE_FOLDER = "/shared"
"""Where the source lies in the image of a function."""

VERSIONED_TYPES = ("artifact", "dataitem", "function", "model", "secret")
UNNAMED_TYPES = ("run", "task")

_MAX_NAME = 255  # a name is the name of a directory
NAME_EXPECTED = f"1 to {_MAX_NAME} letters, digits and ._+-"
ID_EXPECTED = "a UUID in lower case"
_NAME = re.compile(r"[a-zA-Z0-9._+-]+")
_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KIND = r"[a-z0-9+:_-]+"
_KEY = re.compile(rf"store://([^/]+)(?:/([a-z]+)/({_KIND})/([^/:]+)(?::([^/:]+))?)?")
_REFERENCE = re.compile(r"([a-z0-9+_-]+)://([^/:]+)/([^/:]+)(?::([^/:]+))?")


@dataclass(frozen=True, slots=True)
class Key:
    """What a ``store://`` key says.

    Attributes:
        project: name of the project.
        entity_type: such as ``dataitem``; ``project`` for the project itself.
        kind: such as ``table``.
        name: name of the entity; its id for a run and a task.
        id: the version, or None for the newest one.
    """

    project: str
    entity_type: str = "project"
    kind: str = "project"
    name: str = ""
    id: str | None = None

    def __str__(self) -> str:
        if self.entity_type == "project":
            return f"store://{self.project}"
        start = f"store://{self.project}/{self.entity_type}/{self.kind}"
        if self.entity_type in UNNAMED_TYPES:
            return f"{start}/{self.id}"
        return f"{start}/{self.name}" + (f":{self.id}" if self.id else "")


def parse_key(text: object) -> Key:
    """Return what the key ``text`` says.

    Raises:
        InvalidTypeError: it is no text.
        InvalidArgumentError: it is not of a form that keys have.
    """
    if not isinstance(text, str):
        raise InvalidTypeError(f"expected a key such as store://..., got {shorten(text)}")
    match = _KEY.fullmatch(text)
    if match is None:
        raise _no_key(text)
    project, entity_type, kind, name, version = match.groups()
    check_name(project, "project")
    if entity_type is None:
        return Key(project)
    if entity_type in UNNAMED_TYPES and version is None:
        return Key(project, entity_type, kind, name, check_id(name))
    if entity_type not in VERSIONED_TYPES:
        raise _no_key(text)
    check_name(name, entity_type)
    return Key(project, entity_type, kind, name, None if version is None else check_id(version))


def _no_key(text: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"invalid key format: {shorten(text)}\n"
        "hint: a key is store://<project>/<type>/<kind>/<name>:<id>, as entity.key has it"
    )


@dataclass(frozen=True, slots=True)
class Reference:
    """What the spec of a run says of its function or task: kind, project, name or id."""

    kind: str
    project: str
    name: str
    id: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}://{self.project}/{self.name}" + (f":{self.id}" if self.id else "")


def parse_reference(text: object) -> Reference:
    """Return what ``python://project/name:id`` or ``python+job://project/id`` says.

    Raises:
        InvalidArgumentError: ``text`` has neither form.
    """
    match = _REFERENCE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise InvalidArgumentError(
            f"expected python://<project>/<name>:<id> or python+job://<project>/<id>, "
            f"got {shorten(text)}"
        )
    return Reference(*match.groups())


def check_name(name: object, what: str) -> str:
    """Return ``name`` if it can be the name of an entity; ``what`` says of which, for messages.

    Raises:
        InvalidTypeError: it is no text.
        InvalidArgumentError: it is empty, too long, or holds other characters.
    """
    if not isinstance(name, str):
        raise InvalidTypeError(f"name of the {what}: expected a str, got {shorten(name)}")
    if not is_name(name):
        raise InvalidArgumentError(
            f"name of the {what}: expected {NAME_EXPECTED}, got {shorten(name)}"
        )
    return name


def is_name(name: object) -> bool:
    """Return whether something can be the name of an entity."""
    if not isinstance(name, str) or name in (".", "..") or is_staging_name(name):
        return False
    return _NAME.fullmatch(name) is not None and len(name) <= _MAX_NAME


def to_name(identifier: str) -> str:
    """Return the name of an entity for what has another one in Python, in any script."""
    return re.sub(f"(?!{_NAME.pattern}).", "-", identifier)[:_MAX_NAME]


def new_id() -> str:
    """Return an id that nothing else has."""
    return uuid.uuid4().hex


def check_id(text: object) -> str:
    """Return ``text`` if it is an id: a UUID, with dashes or without.

    Raises:
        InvalidArgumentError: it is not.
    """
    if not isinstance(text, str) or not _ID.fullmatch(text):
        raise InvalidArgumentError(f"id: expected {ID_EXPECTED}, got {shorten(text)}")
    return text


def is_id(text: object) -> bool:
    """Return whether something is an id."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None
