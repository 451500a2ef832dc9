"""The build context of a model's image: model, requirements, this library, Dockerfile."""

from __future__ import annotations

import os
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from pyfunc.deploy.dockerfile import DockerfilePlan, render_dockerfile
from pyfunc.directory.opened import ModelFiles
from pyfunc.env.checking.lock_file import LOCK_PATH, LockedPackage, read_lock
from pyfunc.env.creating.own_wheel import read_own_source
from pyfunc.env.creating.recipe import Recipe, read_recipe
from pyfunc.env.requirements.environment_files import CONSTRAINTS_FILE, REQUIREMENTS_FILE
from pyfunc.env.requirements.lines import parse_requirement
from pyfunc.env.specification import OWN_NAME
from pyfunc.errors import InvalidArgumentError
from pyfunc.files.copying import copy_into
from pyfunc.files.locations import resolve_model
from pyfunc.files.publishing import staged_directory
from pyfunc.handlers.project import HANDLER_FLAVOR, PROJECT_FOLDER

__all__ = ["SERVER_REQUIREMENTS", "BuildContext", "write_context"]

# What the server needs beside the library itself; the model's own requirements come first.
SERVER_REQUIREMENTS = (
    "orjson>=3.9",
    "prometheus-client>=0.20",
    "rich>=13.0",
    "starlette>=0.37",
    "typer>=0.26",
    "uvicorn[standard]>=0.30",
)
# Packages and flavors whose wheels load a library that slim images do not have.
_NEEDED_LIBRARIES = {
    "lightgbm": "libgomp1",
    "paddle": "libgomp1",
    "paddlepaddle": "libgomp1",
}
_IGNORED = "**/__pycache__\n**/*.pyc\n"


@dataclass(frozen=True, slots=True)
class BuildContext:
    """A folder that an engine builds an image from.

    Attributes:
        directory: the folder, with a ``Dockerfile``.
        dockerfile: its text.
        is_locked: whether the requirements are those of a lock, with all that they need.
        image: the image that it starts from.
        system_packages: Debian packages that are installed, sorted.
    """

    directory: Path
    dockerfile: str
    is_locked: bool
    image: str
    system_packages: tuple[str, ...] = ()


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
    recipe = read_recipe(root, mlmodel, install_mlflow=install_mlflow)
    locked = read_lock(root / LOCK_PATH) if (root / LOCK_PATH).is_file() else None
    lines = _requirement_lines(recipe, root) if locked is None else _locked_lines(locked)
    if install_mlflow and locked is not None and "mlflow" not in _names_in(lines):
        raise InvalidArgumentError(
            "MLflow cannot be added to the image: the lock of the model says all that is in it\n"
            "hint: pyfunc env lock, where MLflow is installed"
        )
    packages = _system_packages(_names_in(lines) | mlmodel.flavors.keys(), system_packages)
    constraints = recipe.constraints if locked is None else ()
    source = read_own_source()
    with staged_directory(Path(directory), overwrite=overwrite) as staged:
        wheel = source.write_wheel(staged)
        plan = DockerfilePlan(
            python=recipe.python,
            wheel=wheel.name,
            has_constraints=bool(constraints),
            has_hashes=bool(lines) and all(" --hash=" in line for line in lines),
            has_project=HANDLER_FLAVOR in mlmodel.flavors and (root / PROJECT_FOLDER).is_dir(),
            system_packages=packages,
            base_image=base_image,
            port=port,
        )
        text = render_dockerfile(plan)
        _write_lines(staged / REQUIREMENTS_FILE, [*_options(constraints), *lines])
        if constraints:
            _write_lines(staged / CONSTRAINTS_FILE, constraints)
        _write_lines(staged / "server-requirements.txt", SERVER_REQUIREMENTS)
        (staged / ".dockerignore").write_text(_IGNORED, encoding="utf-8")
        (staged / "Dockerfile").write_text(text, encoding="utf-8")
        copy_into(root, staged / "model")
    image = plan.base_image or f"python:{plan.python}-slim"
    return BuildContext(Path(directory), text, locked is not None, image, packages)


def _names_in(lines: Sequence[str]) -> set[str]:
    parsed = map(parse_requirement, lines)
    return {canonicalize_name(item.name) for item in parsed if item is not None}


def _system_packages(libraries: Set[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """Return what is wanted and what ``libraries`` need that slim images lack, sorted."""
    named = {package.partition("=")[0] for package in wanted}
    needed = {_NEEDED_LIBRARIES[name] for name in libraries & _NEEDED_LIBRARIES.keys()}
    return tuple(sorted({*wanted, *(needed - named)}))


def _options(constraints: Sequence[str]) -> list[str]:
    return ["-c constraints.txt"] if constraints else []


def _requirement_lines(recipe: Recipe, root: Path) -> list[str]:
    """Return the model's requirements, none of which may be a file beside it."""
    inside = str(root)
    for line in recipe.requirements:
        if inside in line:
            raise InvalidArgumentError(
                f"the requirement {line!r} is a file of the model, which an image cannot install\n"
                "hint: name the package and its version"
            )
    return list(recipe.requirements)


def _locked_lines(packages: Sequence[LockedPackage]) -> list[str]:
    """Return a pinned requirement with its hashes for each package of a lock, sorted."""
    lines = []
    for package in sorted(packages, key=lambda item: canonicalize_name(item.name)):
        if canonicalize_name(package.name) == OWN_NAME:
            continue
        hashes = "".join(f" --hash={name}" for name in _hashes(package))
        lines.append(f"{package.name}=={package.version}{hashes}")
    return lines


def _hashes(package: LockedPackage) -> list[str]:
    files = [*package.source.get("wheels", ()), package.source.get("sdist") or {}]
    found = {
        f"{kind}:{digest}"
        for file in files
        for kind, digest in file.get("hashes", {}).items()
        if kind in ("sha256", "sha384", "sha512")
    }
    return sorted(found)


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
