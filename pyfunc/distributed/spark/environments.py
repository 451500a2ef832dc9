"""The environments that executors run a model in: made there, or sent as an archive."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from pyfunc.distributed.spark.shipping import Shipment
from pyfunc.env.creating.environments import (
    Environment,
    environments_root,
    prepare_environment,
)
from pyfunc.env.creating.installers import EnvManager, find_python
from pyfunc.env.creating.recipe import read_recipe
from pyfunc.env.requirements.lines import parse_requirement
from pyfunc.errors import EnvironmentCreationError, InvalidArgumentError
from pyfunc.files.atomic_files import staged_file
from pyfunc.files.locations import resolve_model
from pyfunc.files.locks import wait_for_lock

__all__ = ["ModelEnvironment", "PrebuiltEnvironment", "arrow_requirements", "build_model_env"]

_MARKER = ".pyfunc-unpacked"
_CHECK = "import pyarrow, pyfunc.loading.worker, sys; print(sys.version.split()[0])"
# The newest that also works with numpy 1; releases of pyarrow do not say which numpy they need.
_ARROW = "pyarrow>=16,<25"


@dataclass(frozen=True, slots=True)
class ModelEnvironment:
    """An environment that each machine makes, once, from what the model was saved with."""

    manager: EnvManager

    def prepare(self, directory: Path) -> Environment:
        """Return the environment for the model in ``directory``, made unless it is there.

        Raises:
            EnvironmentCreationError: it cannot be made.
        """
        return prepare_environment(
            directory,
            env_manager=self.manager,
            pip_requirements_override=arrow_requirements(directory),
        )


@dataclass(frozen=True, slots=True)
class PrebuiltEnvironment:
    """An environment that came as an archive, which each machine unpacks once."""

    digest: str
    archive: Shipment

    def prepare(self, directory: Path) -> Environment:
        """Return the environment, unpacked unless it is there; the model is of no matter.

        Raises:
            EnvironmentCreationError: it is no environment, or lacks what a model needs to run.
        """
        del directory
        found = self.archive.find()
        root = found if self.archive.how == "unpacked" else _unpacked_once(found, self.digest)
        python = _find_python(root)
        version = _check_python(python)
        return Environment("virtualenv", python.parent.parent, python, version, reused=True)


def arrow_requirements(directory: Path) -> tuple[str, ...]:
    """Return what a model's environment needs to read Arrow data, unless the model names it."""
    found = [parse_requirement(line) for line in read_recipe(directory).requirements]
    is_there = any(item is not None and item.name.lower() == "pyarrow" for item in found)
    return () if is_there else (_ARROW,)


def build_model_env(
    model_uri: str | os.PathLike[str], save_path: str, env_manager: EnvManager = "virtualenv"
) -> str:
    """Write an archive of a model's environment for ``spark_udf(prebuilt_env_uri=...)``.

    It works where the machine, the system and the place of the base interpreter are the same.

    Args:
        model_uri: a model, as for ``load_model``.
        save_path: the folder that the archive is put in.
        env_manager: what makes the environment.

    Returns:
        The path of the archive, whose name stands for its content.

    Raises:
        EnvironmentCreationError: the environment cannot be made.
        InvalidArgumentError: ``env_manager`` makes none.
    """
    if env_manager == "local":
        raise InvalidArgumentError("env_manager: expected one that makes an environment")
    made = ModelEnvironment(env_manager).prepare(resolve_model(model_uri))
    path = Path(save_path).absolute() / f"{made.directory.name}.tar.gz"
    with staged_file(path) as target, tarfile.open(fileobj=target, mode="w:gz") as archive:
        archive.add(made.directory, arcname=".")
    return str(path)


def _unpacked_once(archive: Path, digest: str) -> Path:
    target = environments_root().absolute() / f"prebuilt-{digest}"
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.with_name(f"{target.name}.lock"), "a", encoding="utf-8") as lock:
        wait_for_lock(lock.fileno())
        if not (target / _MARKER).exists():
            shutil.rmtree(target, ignore_errors=True)  # of a process that was killed meanwhile
            _unpack(archive, target)
            (target / _MARKER).touch()
    return target


def _unpack(archive: Path, target: Path) -> None:
    try:
        with tarfile.open(archive) as opened:
            # Its interpreter is a link that leads outside, so the stricter filter is of no use.
            opened.extractall(target, filter="tar")
    except (tarfile.TarError, OSError) as error:
        raise EnvironmentCreationError(
            f"{archive.name} cannot be unpacked ({error})\n"
            "hint: prebuilt_env_uri names a .tar.gz, as build_model_env writes it"
        ) from error


def _find_python(root: Path) -> Path:
    """Return the interpreter of an environment that is in ``root`` or in its only folder."""
    folders = [root, *(path for path in sorted(root.iterdir()) if path.is_dir())]
    for folder in folders:
        python = find_python(folder)
        if os.access(python, os.X_OK):
            return python
    raise EnvironmentCreationError(
        "the archive of prebuilt_env_uri holds no environment with an interpreter that is there\n"
        "hint: make it by build_model_env, on a machine like those of the executors"
    )


def _check_python(python: Path) -> str:
    command = [str(python), "-I", "-c", _CHECK]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EnvironmentCreationError(
            "the environment of prebuilt_env_uri cannot run models: "
            f"{done.stderr.strip().rpartition(os.linesep)[2]}\n"
            "hint: it needs pyfunc-format and pyarrow; build_model_env puts them there"
        )
    return done.stdout.strip()
