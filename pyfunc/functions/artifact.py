"""Artifacts: a file, a folder, or a Python object that was pickled."""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

from pyfunc.code.finder import PREFIX
from pyfunc.code.inherited import inheriting
from pyfunc.code.scope import CodeScope
from pyfunc.code.shipped import CODE_FOLDER
from pyfunc.errors import (
    IncompatiblePythonError,
    InvalidArgumentError,
    InvalidTypeError,
    ModelIncompleteError,
    ModelNotFoundError,
    PyfuncError,
    PyfuncWarning,
    shorten,
)
from pyfunc.files.copying import copy_into
from pyfunc.files.paths import check_relative
from pyfunc.functions.entity import DATA, FileEntity
from pyfunc.functions.signatures import name_of_type
from pyfunc.functions.user_code import open_code
from pyfunc.model import pickle_loading, pickle_writing
from pyfunc.trust import check_pickles_are_allowed, current_policy

__all__ = ["Artifact", "check_source", "pickle_writer", "source_writer"]

_PICKLE = "object.pickle"
_VERSIONS = "versions.json"

Fill = Callable[[Path], None]


class Artifact(FileEntity):
    """A file, a folder or an object; see ``Project.log_artifact``."""

    entity_type = "artifact"
    spec_fields = ("path", "src_path")

    @property
    def is_object(self) -> bool:
        """Whether it is an object that was pickled, which :meth:`as_object` returns."""
        return self.path.joinpath(_VERSIONS).is_file()

    def as_object(self) -> object:
        """Return the object that was pickled, under the trust rules of ``pyfunc``.

        Raises:
            InvalidArgumentError: the artifact is a file.
            UntrustedModelError: the policy in force does not let the pickle run.
            IncompatiblePythonError: the pickle holds code of another Python version.
            ModelIncompleteError: it cannot be read; the versions that wrote it are named.
        """
        if not self.is_object:
            raise InvalidArgumentError(f"{self.key} is a file\nhint: as_file() returns its path")
        path = self.as_file()
        versions = json.loads((self.path / _VERSIONS).read_bytes())
        differences = _describe_differences(versions)
        check_pickles_are_allowed(path)
        _check_python(path, versions)
        if differences:
            warnings.warn(f"{self.key}: {differences}", PyfuncWarning, stacklevel=2)
        scopes = _code_beside(path)
        try:
            value = pickle_loading.load(path.read_bytes(), scope=CodeScope(), path=path)
        except PyfuncError:
            raise
        except Exception as error:  # whatever unpickling objects of the user raises
            reason = f"the object cannot be read: {type(error).__name__}: {error}"
            hint = f"\nhint: {differences}" if differences else ""
            raise ModelIncompleteError(reason + hint, path=path) from error
        for scope in scopes:
            with contextlib.suppress(TypeError):  # a list, for one, does not say when it ends
                scope.end_with(value)
        return value


def _code_beside(pickle: Path) -> list[CodeScope]:
    """Return the code of functions whose classes an object may be of, to be imported."""
    folders = sorted((pickle.parent / CODE_FOLDER).glob(f"{PREFIX}*"))
    return [open_code(folder, folder.name) for folder in folders]


def _check_python(path: Path, versions: Mapping[str, str]) -> None:
    from pyfunc.pickles.walking import walk_pickle

    if _minor(versions["python"]) == _minor(platform.python_version()):
        return
    if not current_policy().allow_other_python and walk_pickle(path.read_bytes()).has_code:
        raise IncompatiblePythonError(
            f"{path}: holds code of Python {versions['python']}, and this is Python "
            f"{platform.python_version()}\nhint: read it with Python {_minor(versions['python'])}"
        )


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _describe_differences(versions: Mapping[str, str]) -> str:
    """Return what was another version when the object was pickled; nothing if all is equal."""
    here = _versions_of(versions)
    found = [
        f"{name} {version} (here: {here.get(name, 'not installed')})"
        for name, version in versions.items()
        if here.get(name) != version
    ]
    return f"pickled with {', '.join(found)}" if found else ""


def _versions_of(names: Mapping[str, object]) -> dict[str, str]:
    from pyfunc.env.installed.distributions import installed_version

    found = {name: installed_version(name) for name in names if name != "python"}
    present = {name: version for name, version in found.items() if version is not None}
    return {"python": platform.python_version(), **present}


def _libraries_in(data: bytes) -> dict[str, object]:
    """Return the distributions whose modules a pickle names."""
    from pyfunc.env.installed.module_owners import find_owners
    from pyfunc.pickles.walking import walk_pickle

    report = walk_pickle(data)
    names = {*(module for module, _ in report.globals), *report.submodules}
    owners = find_owners(names | set(report.imported_names))
    return {owner.name: None for found in owners.values() for owner in found}


def pickle_writer(value: object, what: str) -> tuple[str, Fill]:
    """Pickle ``value`` now; return the path below the entity and what writes it there.

    The code of a function whose classes it refers to goes with it.

    Raises:
        InvalidArgumentError: it cannot be pickled; ``what`` and its type are named.
    """
    buffer = io.BytesIO()
    try:
        with inheriting() as inherited:
            pickle_writing.dump(value, buffer)
    except Exception as error:  # whatever pickling an object of the user raises
        raise InvalidArgumentError(
            f"{what} of type {name_of_type(type(value))} cannot be pickled: "
            f"{type(error).__name__}: {error}\n"
            "hint: return what can be stored, such as a frame, a number or the path of a file"
        ) from error
    data = buffer.getvalue()
    versions = _versions_of(_libraries_in(data))

    def fill(directory: Path) -> None:
        (directory / DATA).mkdir()
        (directory / DATA / _PICKLE).write_bytes(data)
        inherited.write(directory / DATA)
        (directory / _VERSIONS).write_text(json.dumps(versions), encoding="ascii")

    return f"{DATA}/{_PICKLE}", fill


def check_source(source: object, what: str) -> Path:
    """Return the local path ``source`` if something is there.

    Raises:
        InvalidTypeError: it is no path.
        ModelNotFoundError: nothing is.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise InvalidTypeError(f"{what}: source: expected a path, got {shorten(source)}")
    path = Path(source)
    if not path.exists():
        raise ModelNotFoundError(f"{what}: source {os.fspath(source)!r} does not exist")
    return path


def source_writer(source: Path) -> tuple[str, Fill]:
    """Return the path below the entity for a copy of ``source``, and what makes the copy.

    Raises:
        ModelPathError: its name is none that every system takes for a name, such as one with
            a backslash.
    """
    name = source.absolute().name
    check_relative(f"{DATA}/{name}", key="source", file=source)

    def fill(directory: Path) -> None:
        copy_into(source, directory / DATA / name, key="source")

    return f"{DATA}/{name}", fill
