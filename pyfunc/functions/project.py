"""Projects: what a person works with, and the whole of it as one archive."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pyfunc.errors import InvalidArgumentError, ModelFormatError, SaveConflictError, shorten
from pyfunc.files.atomic_files import staged_file
from pyfunc.files.copying import copy_into
from pyfunc.files.publishing import staged_directory
from pyfunc.files.temporaries import is_staging_name
from pyfunc.functions.archives import extract_zip
from pyfunc.functions.artifact import Artifact, check_source
from pyfunc.functions.dataitem import Dataitem
from pyfunc.functions.defining import create_function
from pyfunc.functions.documents import from_document, new_document
from pyfunc.functions.entity import Entity, check_metadata
from pyfunc.functions.function import FUNCTION_KIND, Function
from pyfunc.functions.garbage import find_garbage, remove_garbage
from pyfunc.functions.model import Model
from pyfunc.functions.names import VERSIONED_TYPES, Key, check_name, new_id, parse_key
from pyfunc.functions.run import ENDS, Run, settle
from pyfunc.functions.secret import Secret, write_secret
from pyfunc.functions.store import Store, default_root
from pyfunc.functions.task import Task
from pyfunc.functions.writing import Target, write_artifact, write_dataitem, write_model

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Project",
    "delete_project",
    "get_or_create_project",
    "get_project",
    "import_project",
    "list_projects",
    "load_project",
    "new_function",
    "new_project",
]

E = TypeVar("E", bound=Entity)
Root = str | os.PathLike[str] | None


class Project(Entity):
    """A folder of the store with functions, runs, data, models and secrets."""

    entity_type = "project"
    spec_fields = ("context",)

    @classmethod
    def open(cls, store: Store, name: str) -> Project:
        """Return the project ``name`` of a store.

        Raises:
            EntityNotFoundError: there is none.
        """
        return cls(store, store.read(Key(check_name(name, "project"))))

    def new_function(
        self,
        name: str,
        kind: str = FUNCTION_KIND,
        *,
        python_version: str,
        handler: str | None = None,
        code_src: str | None = None,
        code: str | None = None,
        base64: str | None = None,
        source: Mapping[str, object] | None = None,
        init_function: str | None = None,
        uuid: str | None = None,
        description: str | None = None,
        labels: Sequence[str] | None = None,
        embedded: bool = False,
        lang: str | None = None,
        image: str | None = None,
        base_image: str | None = None,
        requirements: Sequence[str] | None = None,
    ) -> Function:
        """Create a function, or another version of the one that has the name, and return it.

        Args:
            name: letters, digits and ``._+-``.
            kind: ``python``.
            python_version: ``PYTHON3_9`` to ``PYTHON3_13``.
            handler: the function in the code: ``function``, or ``pkg.mod:function``.
            code_src: a file, whose content becomes part of the function, or where the code is
                fetched for each run: see ``pyfunc.functions.sources``.
            code: the code as text; it goes before the others.
            base64: the code as base64.
            source: a dict with the keys source, base64, handler and init_function instead.
            init_function: a function of the same module that a server calls when it starts.
            uuid: the id of this version; a new one if None.
            description: for people.
            labels: for people.
            embedded: kept in the document.
            lang: has no effect; the language is Python.
            image: the image that the function runs in elsewhere.
            base_image: what that image is built from.
            requirements: packages that the function needs, as pip takes them.

        Raises:
            SchemaError: arguments cannot work; all of them are named.
        """
        return create_function(
            self._store, self.name, self,
            name=name, kind=kind, uuid=uuid, description=description, labels=labels,
            embedded=embedded, code_src=code_src, code=code, base64=base64, source=source,
            handler=handler, init_function=init_function, python_version=python_version,
            lang=lang, image=image, base_image=base_image, requirements=requirements,
        )  # fmt: skip

    def log_dataitem(
        self,
        name: str,
        kind: str = "table",
        *,
        data: pd.DataFrame | None = None,
        source: str | os.PathLike[str] | None = None,
        uuid: str | None = None,
        description: str | None = None,
        labels: Sequence[str] | None = None,
    ) -> Dataitem:
        """Store a frame (``data``) or a file (``source``) and return it as a dataitem.

        A name that is there already gets another version; the earlier ones stay as they are.

        Raises:
            InvalidArgumentError: both were given or none, or the frame cannot be written.
            ModelNotFoundError: there is no file ``source``.
        """
        target = self._target(name, kind, uuid, description, labels)
        return write_dataitem(target, data=data, source=source)

    def log_artifact(
        self,
        name: str,
        kind: str = "artifact",
        *,
        source: str | os.PathLike[str],
        uuid: str | None = None,
        description: str | None = None,
        labels: Sequence[str] | None = None,
    ) -> Artifact:
        """Store a file or a folder and return it as an artifact; versions as for dataitems.

        Raises:
            ModelNotFoundError: there is no file ``source``.
        """
        target = self._target(name, kind, uuid, description, labels)
        return write_artifact(target, source=check_source(source, f"artifact {name!r}"))

    def log_model(
        self,
        name: str,
        kind: str = "model",
        *,
        source: object,
        uuid: str | None = None,
        description: str | None = None,
        labels: Sequence[str] | None = None,
    ) -> Model:
        """Store a model and return it; versions as for dataitems.

        Args:
            name: letters, digits and ``._+-``.
            kind: ``model``, ``mlflow`` or ``sklearn``; all are model directories.
            source: the path of a model directory, or an object that ``pyfunc.flavors.save``
                takes, such as a PythonModel or a fitted estimator.
            uuid: the id of this version; a new one if None.
            description: for people.
            labels: for people.

        Raises:
            ModelNotFoundError: there is no directory ``source``.
            FlavorNotFoundError: nothing saves such an object.
        """
        return write_model(self._target(name, kind, uuid, description, labels), source)

    def new_secret(
        self,
        name: str,
        secret_value: str,
        *,
        uuid: str | None = None,
        description: str | None = None,
        labels: Sequence[str] | None = None,
    ) -> Secret:
        """Store a secret and return it; its value is in a file that only its owner reads."""
        check_name(name, "secret")
        version, metadata = check_metadata(uuid=uuid, description=description, labels=labels)
        key = Key(self.name, "secret", "secret", name, version or new_id())
        document = new_document(key, {"path": f"secret://{name}", "provider": "local"}, metadata)
        write_secret(self._store, key, document, secret_value)
        return Secret(self._store, document)

    def get_function(self, identifier: str) -> Function:
        """Return a function by key, or the newest one by name.

        Raises:
            EntityNotFoundError: there is none.
        """
        found = self._get(Function, identifier)
        return Function(self._store, found.to_dict(), self)

    def get_dataitem(self, identifier: str) -> Dataitem:
        """Return a dataitem by key, or the newest one by name."""
        return self._get(Dataitem, identifier)

    def get_artifact(self, identifier: str) -> Artifact:
        """Return an artifact by key, or the newest one by name."""
        return self._get(Artifact, identifier)

    def get_model(self, identifier: str) -> Model:
        """Return a model by key, or the newest one by name."""
        return self._get(Model, identifier)

    def get_secret(self, identifier: str) -> Secret:
        """Return a secret by key, or the newest one by name."""
        return self._get(Secret, identifier)

    def get_run(self, identifier: str) -> Run:
        """Return a run by key or id."""
        run = self._get(Run, identifier)
        run.refresh()
        return run

    def get_task(self, identifier: str) -> Task:
        """Return a task by key or id."""
        return self._get(Task, identifier)

    def list_functions(self, name: str | None = None) -> list[Function]:
        """Return all versions of all functions, or of one name, the oldest first."""
        found = self._store.read_all(self.name, "function", name)
        return [Function(self._store, document, self) for document in found]

    def list_dataitems(self, name: str | None = None) -> list[Dataitem]:
        """Return all versions of all dataitems, or of one name, the oldest first."""
        return self._list(Dataitem, name)

    def list_artifacts(self, name: str | None = None) -> list[Artifact]:
        """Return all versions of all artifacts, or of one name, the oldest first."""
        return self._list(Artifact, name)

    def list_models(self, name: str | None = None) -> list[Model]:
        """Return all versions of all models, or of one name, the oldest first."""
        return self._list(Model, name)

    def list_secrets(self, name: str | None = None) -> list[Secret]:
        """Return all versions of all secrets, or of one name, the oldest first."""
        return self._list(Secret, name)

    def list_tasks(self) -> list[Task]:
        """Return all tasks, the oldest first."""
        return self._list(Task)

    def list_runs(self) -> list[Run]:
        """Return all runs, the oldest first; those whose process is gone are in state ERROR."""
        found = self._store.read_all(self.name, "run")
        return [Run(self._store, settle(self._store, document)) for document in found]

    def delete_function(self, identifier: str) -> None:
        """Remove one version of a function: by key, or the newest one by name."""
        self.get_function(identifier).delete()

    def delete_dataitem(self, identifier: str) -> None:
        """Remove one version of a dataitem: by key, or the newest one by name."""
        self.get_dataitem(identifier).delete()

    def delete_artifact(self, identifier: str) -> None:
        """Remove one version of an artifact: by key, or the newest one by name."""
        self.get_artifact(identifier).delete()

    def delete_model(self, identifier: str) -> None:
        """Remove one version of a model: by key, or the newest one by name."""
        self.get_model(identifier).delete()

    def delete_secret(self, identifier: str) -> None:
        """Remove one version of a secret: by key, or the newest one by name."""
        self.get_secret(identifier).delete()

    def delete_run(self, identifier: str) -> None:
        """Remove a run that has ended; its outputs stay.

        Raises:
            InvalidArgumentError: it goes on.
        """
        run = self.get_run(identifier)
        if run.status["state"] not in ENDS:
            raise InvalidArgumentError(f"{run.key} is {run.status['state']}\nhint: stop it first")
        run.delete()

    def collect_garbage(self, *, dry_run: bool = False) -> list[Path]:
        """Remove what nobody can see or use any more, and return its files and folders.

        That is outputs of runs that did not complete, what killed processes had begun, code
        that no function and no run is made of, and notes of the cache about runs that are
        gone. What a living process is writing stays.

        Args:
            dry_run: True removes nothing.
        """
        found = find_garbage(self._store, self.name)
        if not dry_run:
            remove_garbage(found)
        return found

    def export(self, path: str | Path | None = None, *, form: str = "0.10") -> Path:
        """Write the whole project into one zip archive and return its path.

        Values of secrets are left out, and so are runs that have not ended.

        Args:
            path: the archive; by default ``<name>.zip`` in the working directory.
            form: ``0.10``; other forms are of single entities.
        """
        if form != "0.10":
            raise InvalidArgumentError(f"form: expected '0.10', got {shorten(form)}")
        going = {run.path for run in self.list_runs() if run.status["state"] not in ENDS}
        hidden = {folder for folder, _ in self._store.find_hidden(self.name)}
        target = Path(f"{self.name}.zip" if path is None else path)
        with staged_file(target) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
            for found in sorted(self.path.rglob("*")):
                above = {found, *found.parents}
                if found.is_file() and not (above & going or above & hidden):
                    relative = found.relative_to(self.path)
                    if _is_exported(relative):
                        out.write(found, relative.as_posix())
        return target

    def _target(
        self,
        name: str,
        kind: str,
        uuid: str | None,
        description: str | None,
        labels: Sequence[str] | None,
    ) -> Target:
        version, metadata = check_metadata(uuid=uuid, description=description, labels=labels)
        return Target(self._store, self.name, name, kind, version, metadata)

    def _get(self, cls: type[E], identifier: str) -> E:
        if "://" in identifier:
            key = parse_key(identifier)
            if key.entity_type != cls.entity_type or key.project != self.name:
                raise InvalidArgumentError(
                    f"{identifier}: expected the key of a {cls.entity_type} of {self.name!r}"
                )
        elif cls.entity_type in VERSIONED_TYPES:
            key = Key(self.name, cls.entity_type, "", check_name(identifier, cls.entity_type))
        else:
            key = Key(self.name, cls.entity_type, "", "", check_name(identifier, cls.entity_type))
        return cls(self._store, self._store.read(key))

    def _list(self, cls: type[E], name: str | None = None) -> list[E]:
        found = self._store.read_all(self.name, cls.entity_type, name)
        return [cls(self._store, document) for document in found]


def _is_exported(relative: Path) -> bool:
    is_value = relative.parts[0] == "secrets" and relative.name == "value"
    left_out = relative.name in ("lock", "alive") or any(map(is_staging_name, relative.parts))
    return not (is_value or left_out)


def _store(root: Root) -> Store:
    return Store(default_root() if root is None else Path(root).absolute())


def new_project(
    name: str,
    *,
    description: str | None = None,
    labels: Sequence[str] | None = None,
    root: Root = None,
) -> Project:
    """Create a project and return it.

    Args:
        name: letters, digits and ``._+-``.
        description: for people.
        labels: for people.
        root: the directory of the store; by default what the environment variable
            ``PYFUNC_FUNCTIONS_ROOT`` names, else ``.pyfunc-functions`` in the working directory.

    Raises:
        InvalidArgumentError: there is one of this name.
    """
    _, metadata = check_metadata(uuid=None, description=description, labels=labels)
    store = _store(root)
    if not store.ensure_project(name, metadata):
        raise InvalidArgumentError(f"there is a project {name!r} already in {store.root}")
    return Project.open(store, name)


def get_project(name: str, *, root: Root = None) -> Project:
    """Return the project ``name``.

    Raises:
        EntityNotFoundError: there is none.
    """
    return Project.open(_store(root), name)


def get_or_create_project(
    name: str,
    *,
    description: str | None = None,
    labels: Sequence[str] | None = None,
    root: Root = None,
) -> Project:
    """Return the project ``name``, which is created if there is none; see :func:`new_project`."""
    _, metadata = check_metadata(uuid=None, description=description, labels=labels)
    store = _store(root)
    store.ensure_project(name, metadata)
    return Project.open(store, name)


def list_projects(*, root: Root = None) -> list[Project]:
    """Return all projects of the store, by name."""
    store = _store(root)
    return [Project.open(store, name) for name in store.projects()]


def delete_project(name: str, *, root: Root = None) -> None:
    """Remove a project with everything in it.

    Raises:
        EntityNotFoundError: there is none.
    """
    get_project(name, root=root).delete()


def import_project(path: str | os.PathLike[str], *, root: Root = None) -> Project:
    """Create the project that ``Project.export`` wrote into an archive and return it.

    Raises:
        ModelFormatError: the archive holds something else; nothing was created.
        ModelPathError: it leads outside; nothing was created.
        SaveConflictError: there is a project of this name.
    """
    store = _store(root)
    path = Path(path)
    with tempfile.TemporaryDirectory(prefix="pyfunc-import-") as folder:
        extract_zip(path, Path(folder))
        try:
            data = Path(folder, "entity.json").read_bytes()
            document = from_document(json.loads(data))
            name = check_name(document["name"], "project")
        except (OSError, ValueError, RecursionError) as error:
            raise ModelFormatError(f"not the archive of a project: {error}", path=path) from error
        if document["kind"] != "project":
            raise ModelFormatError(f"holds a {document['kind']}, no project", path=path)
        try:
            with staged_directory(store.folder(Key(name))) as directory:
                for entry in sorted(Path(folder).iterdir()):
                    copy_into(entry, directory / entry.name)
        except SaveConflictError as error:
            raise SaveConflictError(
                f"{path}: there is a project {name!r} already in {store.root}\n"
                "hint: import it below another root=, or delete_project() the one that is there"
            ) from error
    return Project.open(store, name)


load_project = import_project


def new_function(
    project: str, name: str, kind: str = FUNCTION_KIND, *, root: Root = None, **arguments: object
) -> Function:
    """Create a function in the project ``project`` below ``root``; see ``Project.new_function``.

    Raises:
        EntityNotFoundError: there is no such project.
    """
    opened = get_project(project, root=root)
    return opened.new_function(name, kind, **arguments)  # type: ignore[arg-type]
