"""The store: one directory, no server; the documents of entities and the files that they hold.

::

    <root>/<project>/entity.json
                     dataitems/<name>/<id>/entity.json and data/, likewise artifacts, functions,
                     models and secrets
                     tasks/<id>/entity.json, runs/<id>/entity.json
                     sources/<digest>/

An entity is there if its ``entity.json`` is there, and that file appears and changes in one step:
whatever is killed at whatever moment, each entity is as it was or as it was to be. Entities with
data are flushed to disk; documents of runs are not, since a run writes its own a few times and a
flush takes longer than the run may. Only a power failure can tell the difference.

The outputs of a run appear together, at the moment that its document says COMPLETED: until then
a file ``pending`` in each names the run, and nobody sees them.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeGuard

from pyfunc.errors import EntityNotFoundError, InvalidArgumentError, ModelFormatError
from pyfunc.files.atomic_files import write_file_atomically
from pyfunc.files.locks import wait_for_lock
from pyfunc.files.publishing import staged_directory
from pyfunc.files.temporaries import is_staging_name
from pyfunc.functions.documents import Document, from_document, new_document, now
from pyfunc.functions.names import UNNAMED_TYPES, VERSIONED_TYPES, Key, check_name
from pyfunc.variables import FUNCTIONS_ROOT

__all__ = ["DOCUMENT", "Store", "default_root"]

_DEFAULT_ROOT = ".pyfunc-functions"
DOCUMENT = "entity.json"
_PENDING = "pending"
_LOCK = "lock"
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0)  # as on Windows
_LOCKED = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
_AT_ONCE = 1 << 16
_FOLDERS = {name: f"{name}s" for name in (*VERSIONED_TYPES, *UNNAMED_TYPES)}

Fill = Callable[[Path], None]


def default_root() -> Path:
    """Return the directory of the store: what the environment names, else one right here."""
    return Path(FUNCTIONS_ROOT.read() or _DEFAULT_ROOT).absolute()


class Store:
    """The entities below one directory. Processes and threads may share it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, key: Key) -> Path:
        """Return the directory of the entity that ``key`` names, with its version."""
        project = self.root / key.project
        if key.entity_type == "project":
            return project
        above = project / _FOLDERS[key.entity_type]
        if key.entity_type in UNNAMED_TYPES:
            return above / str(key.id)
        return above / key.name / str(key.id)

    def create(self, key: Key, document: Document, fill: Fill, *, pending: str = "") -> None:
        """Put a new entity in place with the files that ``fill`` writes into its directory.

        Args:
            key: of the entity, with its id.
            document: what is written about it.
            fill: is given a directory that becomes that of the entity.
            pending: id of the run that the entity is an output of; it is seen once that run
                is complete.

        Raises:
            SaveConflictError: there is an entity with this id.
            SaveError: the disk does not take it.
        """
        with staged_directory(self.folder(key)) as directory:
            fill(directory)
            if pending:
                (directory / _PENDING).write_text(pending, encoding="ascii")
            (directory / DOCUMENT).write_bytes(_to_bytes(document))

    def create_light(self, key: Key, document: Document) -> Path:
        """Put a new entity without data in place, not flushed to disk; return its directory.

        Raises:
            InvalidArgumentError: there is an entity with this id.
        """
        folder = self.folder(key)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            raise InvalidArgumentError(f"{key}: there is an entity with this id") from None
        self.replace(key, document)
        return folder

    def replace(self, key: Key, document: Document, *, flush: bool = False) -> None:
        """Give an entity another document, in one step."""
        path = self.folder(key) / DOCUMENT
        data = _to_bytes(document)
        if flush:
            write_file_atomically(path, data)
            return
        # Ends like a temporary of a save, so that nobody takes it for something else.
        temporary = path.with_name(f".{DOCUMENT}.{secrets.token_hex(8)}.tmp")
        temporary.write_bytes(data)
        os.replace(temporary, path)

    def change(self, key: Key, change: Callable[[Document], object]) -> Document:
        """Let ``change`` edit the document of an entity while nobody else does; return it.

        Raises:
            EntityNotFoundError: there is no such entity.
        """
        with self.locked(key):
            document = self.read(key)
            change(document)
            document["metadata"]["updated"] = now()
            self.replace(key, document)
        return document

    @contextlib.contextmanager
    def locked(self, key: Key) -> Iterator[None]:
        """Hold the lock on the document of an entity.

        Raises:
            EntityNotFoundError: there is no such entity.
        """
        try:
            descriptor = os.open(self.folder(key) / _LOCK, _LOCKED)
        except FileNotFoundError:
            raise _not_found(key) from None
        try:
            with contextlib.suppress(OSError):  # a file system without locks
                wait_for_lock(descriptor)
            yield
        finally:
            os.close(descriptor)

    def read(self, key: Key) -> Document:
        """Return the document of an entity: of the newest version if ``key`` names none.

        Raises:
            EntityNotFoundError: there is no such entity.
            ModelFormatError: its file holds something else.
        """
        if key.id is None and key.entity_type in VERSIONED_TYPES:
            return self._newest(key)
        document = self._read_visible(self.folder(key))
        if document is None or key.kind not in ("", document["kind"]):
            raise _not_found(key)
        return document

    def read_all(self, project: str, entity_type: str, name: str | None = None) -> list[Document]:
        """Return the documents of all entities of a type, all versions, the oldest first."""
        above = self.root / project / _FOLDERS[entity_type]
        if entity_type in UNNAMED_TYPES:
            return sorted(_documents_in(_folders_in(above)), key=_age)
        names = _folders_in(above) if name is None else [f"{above}/{name}"]
        folders = [folder for named in names for folder in _folders_in(named)]
        found = [self._read_visible(folder) for folder in folders]
        return sorted(filter(None, found), key=_age)

    def count(self, project: str, entity_type: str) -> int:
        """Return how many names of a type there are, or how many runs: a look at folders only."""
        return len(_folders_in(self.root / project / _FOLDERS[entity_type]))

    def projects(self) -> list[str]:
        """Return the names of the projects, sorted."""
        found = (os.path.basename(folder) for folder in _folders_in(self.root))
        return sorted(name for name in found if self.has(Key(name)))

    def has(self, key: Key) -> bool:
        """Return whether there is an entity with this key, seen or not yet."""
        return (self.folder(key) / DOCUMENT).is_file()

    def delete(self, key: Key) -> None:
        """Remove an entity: it is gone in one step, its files soon after.

        Raises:
            EntityNotFoundError: there is no such entity.
        """
        folder = self.folder(key)
        try:
            os.unlink(folder / DOCUMENT)
        except FileNotFoundError:
            raise _not_found(key) from None
        shutil.rmtree(folder, ignore_errors=True)

    def publish(self, key: Key) -> None:
        """Let everybody see an output whose run is complete."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.folder(key) / _PENDING)

    def find_hidden(self, project: str) -> Iterator[tuple[Path, str]]:
        """Yield the directories of outputs that nobody sees, each with the id of its run."""
        for entity_type in VERSIONED_TYPES:
            for named in _folders_in(self.root / project / _FOLDERS[entity_type]):
                for folder in _folders_in(named):
                    run = _read_bytes(f"{folder}/{_PENDING}")
                    if run is not None and self._read_visible(folder) is None:
                        yield Path(folder), run.decode("ascii")

    def ensure_project(self, name: str, metadata: Mapping[str, object]) -> bool:
        """Create the project ``name`` unless it is there; return whether it is new."""
        key = Key(check_name(name, "project"))
        folder = self.folder(key)
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / _LOCK, "ab") as file:
            with contextlib.suppress(OSError):
                wait_for_lock(file.fileno())
            if self.has(key):
                return False
            self.replace(key, new_document(key, {"context": "./"}, metadata), flush=True)
        return True

    def _newest(self, key: Key) -> Document:
        kinds = (key.kind, "")
        for document in reversed(self.read_all(key.project, key.entity_type, key.name)):
            if document["kind"] in kinds or not key.kind:
                return document
        raise _not_found(key)

    def _read_visible(self, folder: Path | str) -> Document | None:
        """Return the document in a directory, or None if there is none that may be seen."""
        data = _read_bytes(f"{folder}/{DOCUMENT}")
        if data is None:
            return None
        document = _from_bytes(data, f"{folder}/{DOCUMENT}")
        run = _read_bytes(f"{folder}/{_PENDING}")
        if run is not None and not self._is_output(document, run.decode("ascii")):
            return None
        return document

    def _is_output(self, document: Document, run: str) -> bool:
        """Return whether the run says that it is complete and has this entity as an output."""
        data = _read_bytes(
            f"{self.folder(Key(document['project'], 'run', '', '', run))}/{DOCUMENT}"
        )
        status = _from_bytes(data, run)["status"] if data else {}
        outputs = status.get("outputs")
        keys = outputs.values() if isinstance(outputs, dict) else ()
        return status.get("state") == "COMPLETED" and document["key"] in keys


def _folders_in(above: Path | str) -> list[str]:
    try:
        with os.scandir(above) as entries:
            return [
                entry.path
                for entry in entries
                if not is_staging_name(entry.name) and entry.is_dir(follow_symlinks=False)
            ]
    except FileNotFoundError:
        return []


def _documents_in(folders: Iterable[str]) -> Iterator[Document]:
    """Yield the documents of entities that are never outputs, so that all may be seen."""
    for folder in folders:
        data = _read_bytes(f"{folder}/{DOCUMENT}")
        if data is not None:
            yield _from_bytes(data, f"{folder}/{DOCUMENT}")


def _age(document: Document) -> tuple[str, str]:
    return str(document["metadata"].get("created", "")), document["id"]


def _read_bytes(path: str) -> bytes | None:
    # A file object takes twice the time, and a store may hold thousands.
    try:
        descriptor = os.open(path, _READ)
    except FileNotFoundError:
        return None
    try:
        data = part = os.read(descriptor, _AT_ONCE)
        while len(part) == _AT_ONCE:
            part = os.read(descriptor, _AT_ONCE)
            data += part
        return data
    finally:
        os.close(descriptor)


def _to_bytes(document: Document) -> bytes:
    # Without an indent, which json writes ten times more slowly.
    return json.dumps(document).encode("ascii") + b"\n"


def _from_bytes(data: bytes, path: str) -> Document:
    try:
        tree: object = json.loads(data)
        # What this library wrote is in the stored form, and is read thousands at a time.
        return tree if _is_stored(tree) else from_document(tree)
    except (ValueError, RecursionError) as error:
        raise ModelFormatError(f"not the document of an entity: {error}", path=path) from error


def _is_stored(tree: object) -> TypeGuard[Document]:
    if not isinstance(tree, dict) or tree.keys() != Document.__required_keys__:
        return False
    return type(tree["metadata"]) is type(tree["spec"]) is type(tree["status"]) is dict


def _not_found(key: Key) -> EntityNotFoundError:
    what = str(key) if key.kind else f"{key.name or key.id} in store://{key.project}"
    return EntityNotFoundError(f"there is no {key.entity_type} {what}")
