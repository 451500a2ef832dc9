"""Creates, caches and finds the isolated environments that models are run in.

An environment is known by its content. It counts only once its marker file is there, which is
written last; a lock file lets one process create it while others wait.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from pyfunc.directory.opened import ModelFiles
from pyfunc.env.creating.installers import (
    EnvManager,
    Installer,
    Progress,
    find_python,
    make_installer,
)
from pyfunc.env.creating.overriding import override_requirements
from pyfunc.env.creating.own_wheel import OwnSource, read_own_source, requirement_names
from pyfunc.env.creating.recipe import Recipe, read_recipe
from pyfunc.env.installed.interpreters import Interpreter, find_interpreter, find_uv
from pyfunc.env.specification import python_version
from pyfunc.errors import EnvironmentCreationError, InvalidArgumentError
from pyfunc.files.locations import resolve_model
from pyfunc.files.locks import lock_now, wait_for_lock
from pyfunc.variables import CACHE_FOLDER, ENV_ROOT, MLFLOW_ENV_ROOT

__all__ = [
    "Environment",
    "default_manager",
    "environments_root",
    "prepare_environment",
    "show_progress",
]

_MARKER = ".pyfunc-ready.json"


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment that is ready to run a model.

    Attributes:
        manager: what made it; ``local`` is the running one.
        directory: where it is.
        python: its interpreter.
        python_version: the interpreter's version.
        reused: whether it existed before.
    """

    manager: EnvManager
    directory: Path
    python: Path
    python_version: str
    reused: bool


def environments_root() -> Path:
    """Return the folder of cached environments: ``PYFUNC_ENV_ROOT`` or the user's cache.

    Raises:
        EnvironmentCreationError: there is none, as the user has no home.
    """
    named = ENV_ROOT.read() or MLFLOW_ENV_ROOT.read()
    if named is not None:
        return Path(named)
    return Path(CACHE_FOLDER.read() or _home() / ".cache", "pyfunc", "envs")


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:  # a user without a name, as containers have
        raise EnvironmentCreationError(
            "the user of this process has no home directory for environments\n"
            f"hint: name a folder by {ENV_ROOT.name}"
        ) from error


def default_manager() -> Literal["uv", "virtualenv"]:
    """Return ``uv`` if it is installed, else ``virtualenv``."""
    return "virtualenv" if find_uv() is None else "uv"


def show_progress(text: str) -> None:
    """Write one line about what is being done to standard error."""
    print(f"pyfunc: {text}", file=sys.stderr, flush=True)


def prepare_environment(
    path: str | os.PathLike[str],
    *,
    env_manager: EnvManager | None = None,
    root: str | Path | None = None,
    install_mlflow: bool | None = None,
    pip_requirements_override: Sequence[str] = (),
    progress: Progress = show_progress,
    files: ModelFiles | None = None,
) -> Environment:
    """Return an environment with what the model at ``path`` requires and this very library.

    Args:
        path: the model, as for ``load_model``.
        env_manager: ``local`` (the running environment as it is), ``virtualenv``, ``uv`` or
            ``conda``; by default uv if installed, else virtualenv.
        root: the folder of cached environments; by default :func:`environments_root`.
        install_mlflow: whether MLflow is installed: as the model asks for it, or else in the
            version that it was saved with. By default it is if the model asks for it and its
            code uses parts that this library has no stand-in for.
        pip_requirements_override: requirements that take the place of the model's of the same
            names, or come on top of them.
        progress: is called with one line of text before each step.
        files: reads the files of the model that is there, and checks what it reads.

    Raises:
        ModelIntegrityError: a file is not the one that ``files`` lists.
        InvalidArgumentError: the manager is unknown, or a requirement line cannot be used.
        ModelNotFoundError: there is no such model, or no interpreter of its version.
        MissingDependencyError: the manager's program is not installed.
        EnvironmentCreationError: creating it failed; nothing is left behind.
    """
    manager = _check_manager(env_manager)
    directory = resolve_model(path) if files is None else files.root
    files = files or ModelFiles(directory, None)
    if manager == "local":
        return Environment(
            "local", Path(sys.prefix), Path(sys.executable), python_version(), reused=True
        )
    recipe = override_requirements(
        read_recipe(directory, install_mlflow=install_mlflow, files=files),
        pip_requirements_override,
    ).check_restorable()
    source = read_own_source()
    python = None if manager == "conda" else find_interpreter(recipe.python)
    version = recipe.python if python is None else python.text
    key = recipe.key(manager, version, source.digest, *(() if python is None else (python.path,)))
    target = (Path(root) if root is not None else environments_root()).absolute() / key
    reused = _is_ready(target)
    if not reused:
        installer = make_installer(manager, progress)
        with _disk_errors_named(target.parent), _locked(target, progress) as lock:
            reused = _is_ready(target)
            if not reused:
                with tempfile.TemporaryDirectory(prefix="pyfunc-files-") as folder:
                    copied = recipe.with_copies(files, Path(folder))
                    _create(target, copied, python, source, replace(installer, lock=lock))
    return Environment(manager, target, find_python(target), version, reused)


def _check_manager(manager: EnvManager | None) -> EnvManager:
    if manager is None:
        return default_manager()
    if manager not in get_args(EnvManager):
        allowed = ", ".join(map(repr, get_args(EnvManager)))
        raise InvalidArgumentError(f"env_manager: expected one of {allowed}, got {manager!r}")
    return manager


def _is_ready(target: Path) -> bool:
    return (target / _MARKER).is_file() and find_python(target).exists()


@contextlib.contextmanager
def _disk_errors_named(folder: Path) -> Iterator[None]:
    """Turn what the system says of a disk in the body into our error.

    Raises:
        EnvironmentCreationError: it is full, or failed; nothing is left behind.
    """
    try:
        yield
    except OSError as error:
        raise EnvironmentCreationError(
            f"{folder}: the environment cannot be written there ({error.strerror or error})\n"
            f"hint: {ENV_ROOT.name} can name another folder"
        ) from error


@contextlib.contextmanager
def _locked(target: Path, progress: Progress) -> Iterator[int]:
    """Hold the lock of ``target`` and yield its descriptor.

    If this process dies, the system gives the lock back once those that inherited it end.

    Raises:
        EnvironmentCreationError: files cannot be locked there.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.with_name(f"{target.name}.lock"), "a", encoding="utf-8") as file:
        try:
            _lock(file.fileno(), progress)
        except OSError as error:
            raise EnvironmentCreationError(
                f"{target.parent}: files cannot be locked here ({error.strerror}), so two "
                "processes could create the same environment at once\n"
                f"hint: set {ENV_ROOT.name} to a folder on a local disk"
            ) from error
        yield file.fileno()


def _lock(descriptor: int, progress: Progress) -> None:
    try:
        lock_now(descriptor)
    except BlockingIOError:
        progress("waiting for another process that creates the same environment")
        wait_for_lock(descriptor)


def _create(
    target: Path,
    recipe: Recipe,
    python: Interpreter | None,
    source: OwnSource,
    installer: Installer,
) -> None:
    started = time.monotonic()
    if target.exists():
        # What a process left that was killed while it created this environment.
        shutil.rmtree(target)
    version = recipe.python if python is None else python.text
    installer.progress(
        f"creating an environment with Python {version} and {len(recipe.requirements)} "
        f"requirement(s) by {installer.manager} in {target}"
    )
    try:
        _fill(target, recipe, python, source, installer)
        _write_marker(target, recipe, version)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    installer.progress(f"the environment is ready after {time.monotonic() - started:.0f} s")


def _fill(
    target: Path,
    recipe: Recipe,
    python: Interpreter | None,
    source: OwnSource,
    installer: Installer,
) -> None:
    installer.create(target, python, _conda_arguments(recipe))
    if recipe.build:
        try:
            installer.install(target, recipe.build, purpose="install the build tools")
        except EnvironmentCreationError:
            # Build tools of that version are rarely needed and not always published.
            installer.progress("the model's build tools cannot be installed; going on without")
    if recipe.requirements:
        installer.install(target, recipe.requirements, recipe.constraints)
    # The model's constraints hold for what this library needs as well; their hashes would ask
    # for those of everything.
    bounds = [re.split(r"\s+--hash", line)[0] for line in recipe.constraints]
    installer.install(target, requirement_names(), bounds, purpose="install what pyfunc needs")
    with tempfile.TemporaryDirectory(prefix="pyfunc-wheel-") as folder:
        installer.install_wheel(target, source.write_wheel(Path(folder)))


def _conda_arguments(recipe: Recipe) -> list[str]:
    channels = [part for channel in recipe.channels for part in ("--channel", channel)]
    names = list(recipe.conda) or [f"python={recipe.python}", "pip"]
    return [*channels, *names]


def _write_marker(target: Path, recipe: Recipe, version: str) -> None:
    content = {"python": version, "requirements": recipe.requirements, "created": time.time()}
    temporary = target / f"{_MARKER}.tmp"
    temporary.write_text(json.dumps(content), encoding="utf-8")
    os.replace(temporary, target / _MARKER)
