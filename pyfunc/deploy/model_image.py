"""The image of a model: its requirements, or its lock, and the server as what runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from packaging.utils import canonicalize_name

from pyfunc.deploy.image import BuildContext, ImageContents, names_in, write_image
from pyfunc.directory.opened import ModelFiles
from pyfunc.env.checking.lock_file import LOCK_PATH, LockedPackage, read_lock
from pyfunc.env.creating.recipe import Recipe, read_recipe
from pyfunc.env.requirements.sources import Source
from pyfunc.env.specification import OWN_NAME
from pyfunc.errors import InvalidArgumentError
from pyfunc.files.locations import resolve_model
from pyfunc.handlers.mounting import MOUNT_POINT
from pyfunc.handlers.project import HANDLER_FLAVOR, PROJECT_FOLDER

__all__ = ["MODEL_FOLDER", "write_context"]

MODEL_FOLDER = "/opt/ml/model"
_STRONG = ("sha256", "sha384", "sha512")


def write_context(
    model_uri: str | os.PathLike[str],
    directory: str | os.PathLike[str],
    *,
    system_packages: Sequence[str] = (),
    base_image: str | None = None,
    port: int = 8080,
    install_mlflow: bool | None = None,
    overwrite: bool = False,
) -> BuildContext:
    """Write the build context for the model at ``model_uri`` into the new folder ``directory``.

    The same model and options give the same files, byte by byte. Nothing of the model is run.

    Args:
        model_uri: the model.
        directory: must not exist, or be empty.
        system_packages: Debian packages, such as ``libgomp1`` or ``libgomp1=12.2.0-14``, beside
            those that wheels among the requirements are known to need.
        base_image: instead of the slim image of the model's Python version.
        port: that the server in the image listens on.
        install_mlflow: whether MLflow is in the image, as in :func:`prepare_environment`.
        overwrite: replace what is at ``directory``.

    Raises:
        ModelNotFoundError: there is no model.
        ModelIntegrityError: files of the model are not those that were saved.
        SaveConflictError: there is something at ``directory``.
        InvalidArgumentError: an option, or a requirement of the model, cannot be used.
    """
    root = resolve_model(model_uri)
    files = ModelFiles.open(root)
    mlmodel = files.read_mlmodel()
    files.verify_all()
    recipe = read_recipe(root, mlmodel, install_mlflow=install_mlflow, files=files)
    locked = read_lock(root / LOCK_PATH) if (root / LOCK_PATH).is_file() else None
    lines = _requirement_lines(recipe) if locked is None else _locked_lines(locked)
    if install_mlflow and locked is not None and "mlflow" not in names_in(lines):
        raise InvalidArgumentError(
            "MLflow cannot be added to the image: the lock of the model says all that is in it\n"
            "hint: pyfunc env lock, where MLflow is installed"
        )
    copies = [("model", MODEL_FOLDER)]
    if HANDLER_FLAVOR in mlmodel.flavors and (root / PROJECT_FOLDER).is_dir():
        copies.append((f"model/{PROJECT_FOLDER}", MOUNT_POINT))
    contents = ImageContents(
        python=recipe.python,
        requirements=lines,
        command=_serve_command(port),
        constraints=recipe.constraints if locked is None else (),
        is_locked=locked is not None,
        folders={"model": root},
        copies=tuple(copies),
        libraries=mlmodel.flavors.keys(),
        system_packages=system_packages,
        base_image=base_image,
        port=port,
    )
    return write_image(contents, Path(directory), overwrite=overwrite)


def _serve_command(port: int) -> tuple[str, ...]:
    command = ("python", "-m", "pyfunc", "serve", "--model-uri", MODEL_FOLDER)
    # By what names a container is reached, only those know who run it.
    return (*command, "--host", "0.0.0.0", "--allowed-host", "*", "--port", str(port))


def _requirement_lines(recipe: Recipe) -> list[str]:
    """Return the model's requirements, none of which may be a file beside it."""
    for line in recipe.files:
        raise InvalidArgumentError(
            f"the requirement {line!r} is a file of the model, which an image cannot install\n"
            "hint: name the package and its version"
        )
    return list(recipe.check_restorable().requirements)


def _locked_lines(packages: Sequence[LockedPackage]) -> list[str]:
    """Return what installs each package of a lock as it is locked, sorted.

    Raises:
        InvalidArgumentError: some came from folders or files of the machine that was locked;
            all of them are named.
    """
    found = {
        package.name: _locked_line(package)
        for package in sorted(packages, key=lambda item: canonicalize_name(item.name))
        if canonicalize_name(package.name) != OWN_NAME
    }
    missing = [f"  - {name}: {line}\n" for name, line in found.items() if line.startswith("#")]
    if missing:
        raise InvalidArgumentError(
            f"{LOCK_PATH}: an image cannot install what one machine alone has:\n"
            + "".join(missing)
            + "hint: install it from a commit or an index and lock again, or delete the lock and "
            "save the model with the code in code_paths"
        )
    return list(found.values())


def _locked_line(package: LockedPackage) -> str:
    if package.line:
        return package.line
    source = _source_of(package)
    if source is None:
        place, hashes = f"{package.name}=={package.version}", _hashes(package)
    elif source.reference:
        hashes = [f"{name}:{value}" for name, value in source.hashes.items() if name in _STRONG]
        place = f"{package.name} @ {replace(source, hashes={}).reference}"
    else:
        return f"# {package.version}, {source.told}"
    return "".join([place, *(f" --hash={value}" for value in sorted(hashes))])


def _source_of(package: LockedPackage) -> Source | None:
    """Return where a locked package came from, None for an index."""
    keys = package.source
    if "directory" in keys:
        return Source("directory")
    if "vcs" in keys:
        vcs = keys["vcs"]
        return Source(
            "vcs",
            str(vcs.get("url", "")),
            vcs=str(vcs.get("type", "")),
            commit=str(vcs.get("commit-id", "")),
            subdirectory=str(vcs.get("subdirectory", "")),
        )
    if "archive" not in keys:
        return None
    archive = keys["archive"]
    return Source(
        "archive",
        str(archive.get("url", "")),
        hashes=archive.get("hashes", {}),
        subdirectory=str(archive.get("subdirectory", "")),
    )


def _hashes(package: LockedPackage) -> list[str]:
    files = [*package.source.get("wheels", ()), package.source.get("sdist") or {}]
    found = {
        f"{kind}:{digest}"
        for file in files
        for kind, digest in file.get("hashes", {}).items()
        if kind in _STRONG
    }
    return sorted(found)
