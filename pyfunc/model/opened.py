"""A model directory whose MLmodel file has been read and checked, before anything of it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyfunc.code.finder import PREFIX
from pyfunc.code.scope import CodeScope
from pyfunc.directory.mlmodel import FLAVOR_NAME, MLMODEL_FILE, check_section
from pyfunc.directory.opened import ModelFiles
from pyfunc.errors import BAD_REQUEST, RESOURCE_DOES_NOT_EXIST, PyfuncError
from pyfunc.model.adopting import code_reader, recipe_of
from pyfunc.model.description import Model
from pyfunc.model.mlflow_standin import stand_in_module

__all__ = ["OpenedModel", "code_scope", "open_model", "python_function_section"]

_EXTERNAL = "mlflow.model.isExternal"


@dataclass(frozen=True)
class OpenedModel:
    """What a loader needs: the files, the MLmodel, and the name space for the model's code.

    Attributes:
        files: reads and confines every file of the directory.
        meta: the MLmodel file.
        section: its python_function section.
        scope: where the code of the model is imported.
        model_config: the configuration after overrides, or None.
    """

    files: ModelFiles
    meta: Model
    section: Mapping[str, Any]
    scope: CodeScope
    model_config: dict[str, Any] | None = None

    @property
    def root(self) -> Path:
        """The model directory."""
        return self.files.root

    def flavor(self, name: str) -> Mapping[str, Any]:
        """Return the section of the flavor ``name``; empty if there is none."""
        return self.meta.flavors.get(name, {})

    def data_path(self) -> Path:
        """Return the path that a loader module is given: the data, or the whole directory."""
        data = self.section.get("data")
        if data is None:
            return self.root
        return self.files.resolve(data, key=f"flavors.{FLAVOR_NAME}.data", kind="any")


def open_model(files: ModelFiles) -> Model:
    """Return the MLmodel file of the directory, parsed once.

    Raises:
        ModelNotFoundError: the directory has none.
        ModelFormatError: it is malformed.
    """
    return Model.from_mlmodel(files.read_mlmodel())


def python_function_section(model: Model, root: Path) -> Mapping[str, Any]:
    """Return the python_function section of ``model``, with the types of its keys checked.

    Raises:
        PyfuncError: the model lives outside its directory, or has no such section.
        ModelFormatError: a key of it has the wrong type.
    """
    file = root / MLMODEL_FILE
    metadata = model.metadata
    if isinstance(metadata, Mapping) and metadata.get(_EXTERNAL) is True:
        raise PyfuncError(f"{file}: the model is external and cannot be loaded", BAD_REQUEST)
    section = model.flavors.get(FLAVOR_NAME)
    if section is None:
        raise PyfuncError(
            f'{file}: the model has no "{FLAVOR_NAME}" flavor, it has: '
            f"{', '.join(sorted(model.flavors)) or 'none'}\n"
            "hint: load it with the flavor that wrote it",
            RESOURCE_DOES_NOT_EXIST,
        )
    return check_section(section, file)


def code_scope(files: ModelFiles, section: Mapping[str, object], meta: Model) -> CodeScope:
    """Return the name space for the code of a model; it imports nothing yet.

    Raises:
        ModelPathError: the code directory is outside the model, or not a directory.
    """
    code = section.get("code")
    directories: list[Path] = []
    if code:
        key = f"flavors.{FLAVOR_NAME}.code"
        directory = files.resolve(code, key=key, kind="dir", must_exist=False)
        # MLflow names a folder that it does not make where `code_paths` is an empty list.
        if directory.is_dir():
            directories.append(directory)
        # MLflow 1.x put every folder below it on sys.path as well.
        if directories and str(meta.mlflow_version or "").startswith("1."):
            directories += sorted(
                path
                for path in directory.rglob("*")
                if path.is_dir() and path.name != "__pycache__"
            )

    scope = _scope_of(files, directories)
    for directory in directories:
        for folder in sorted(directory.glob(f"{PREFIX}*")):
            scope.keep(_scope_of(files, [folder], package=folder.name))
    return scope


def _scope_of(
    files: ModelFiles, directories: list[Path], *, package: str | None = None
) -> CodeScope:
    return CodeScope(
        directories,
        read=code_reader(files),
        stand_in=stand_in_module,
        recipe=recipe_of(files, directories, package=package),
        identity=f"{_identity(files)}{package or ''}",
        package=package,
    )


def _identity(files: ModelFiles) -> str:
    digest = "" if files.manifest is None else files.manifest.digest
    return f"{digest} {str(files.root.absolute())!r}"
