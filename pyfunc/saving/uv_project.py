"""Saving the uv project that a model was developed in: its files and the versions that it locks.

Rules: env-serve.md 1.8.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pyfunc.env.installed.interpreters import find_uv
from pyfunc.env.requirements.credentials import without_credentials
from pyfunc.errors import InvalidTypeError, shorten
from pyfunc.files.copying import copy_into
from pyfunc.variables import UV_DETECT, UV_FILES

__all__ = ["UvProject", "find_uv_project"]

_logger = logging.getLogger("pyfunc.saving")

_LOCK_FILE = "uv.lock"
_PROJECT_FILE = "pyproject.toml"
_OPTIONAL_FILE = ".python-version"
_EXPORT = (
    "export",
    "--no-dev",
    "--no-hashes",
    "--frozen",
    "--no-header",
    "--no-emit-project",
    "--no-annotate",
)
_REGISTRY = re.compile(r'source\s*=\s*\{\s*registry\s*=\s*"(https?://[^"]+)"')
_TIMEOUT_SECONDS = 300


@dataclass(frozen=True)
class UvProject:
    """A folder with ``uv.lock`` and ``pyproject.toml``, and the parts of it that a model needs.

    Attributes:
        directory: the folder.
        groups: dependency groups that the model needs.
        extras: extras that the model needs.
        is_copied: whether the files of the project are saved with the model.
    """

    directory: Path
    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    is_copied: bool = True

    def copy_files(self, model_directory: Path) -> None:
        """Copy the files that describe the project into ``model_directory``."""
        if not self.is_copied:
            return
        for name in (_LOCK_FILE, _PROJECT_FILE, _OPTIONAL_FILE):
            source = self.directory / name
            if source.is_file():
                copy_into(source, model_directory / name, key="uv_project_path")

    def export_requirements(self) -> list[str] | None:
        """Return what uv exports as requirement lines, or None after a log line why not.

        Indexes beside the default one come first, as ``--extra-index-url`` lines without
        credentials.
        """
        uv = find_uv()
        if uv is None:
            _logger.warning(
                "uv is not installed, so %s cannot be exported; requirements are inferred",
                self.directory,
            )
            return None
        lines = _run_export(uv, self)
        if not lines:
            return None
        _logger.info("uv exported %d requirements of %s", len(lines), self.directory)
        return [*_own_indexes(self.directory), *lines]


def find_uv_project(
    path: str | os.PathLike[str] | None = None,
    groups: Iterable[str] | None = None,
    extras: Iterable[str] | None = None,
) -> UvProject | None:
    """Return the uv project at ``path``, or of the working directory if that is None.

    Nothing is found in the working directory if ``MLFLOW_UV_AUTO_DETECT`` is false.

    Raises:
        InvalidTypeError: an argument has the wrong type.
        InvalidArgumentError: one of the environment variables is not a boolean.
    """
    detect = UV_DETECT.read(default=True)
    is_copied = UV_FILES.read(default=True)
    named = _names(groups, "uv_groups"), _names(extras, "uv_extras")
    if path is not None and not isinstance(path, (str, os.PathLike)):
        raise InvalidTypeError(f"uv_project_path: expected a path, got {shorten(path)}")
    directory = Path("." if path is None else path)
    if path is not None or detect:
        if all((directory / name).is_file() for name in (_LOCK_FILE, _PROJECT_FILE)):
            return UvProject(directory.absolute(), *named, is_copied=is_copied)
        if path is not None:
            _logger.warning("uv_project_path: %s has no uv.lock and pyproject.toml", path)
    if any(named):
        _logger.warning("uv_groups and uv_extras are ignored: there is no uv project")
    return None


def _names(given: Iterable[str] | None, parameter: str) -> tuple[str, ...]:
    if given is None:
        return ()
    values: object = given
    if isinstance(values, (list, tuple)) and all(isinstance(name, str) for name in values):
        return tuple(values)
    raise InvalidTypeError(f"{parameter}: expected a list of str, got {shorten(given)}")


def _run_export(uv: str, project: UvProject) -> list[str]:
    chosen = [f"--group={name}" for name in project.groups]
    chosen += [f"--extra={name}" for name in project.extras]
    try:
        finished = subprocess.run(
            [uv, *_EXPORT, *chosen],
            cwd=project.directory,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        lines, problem = [], str(error)
    else:
        stripped = (line.strip() for line in finished.stdout.splitlines())
        lines = [line for line in stripped if line and not line.startswith("#")]
        problem = (finished.stderr.strip() or "it failed") if finished.returncode else ""
    if problem or not lines:
        _logger.warning(
            "uv cannot export %s, so requirements are inferred: %s",
            project.directory,
            problem or "there are none",
        )
        return []
    return lines


def _own_indexes(directory: Path) -> list[str]:
    """Return options for the indexes that the project names and its lock uses.

    What the lock uses and the project does not name is the default index of whoever locked it;
    whoever installs the model has a default of their own.
    """
    project = (directory / _PROJECT_FILE).read_text(encoding="utf-8")
    found = {
        without_credentials(f"--extra-index-url {url}")
        for url in _REGISTRY.findall((directory / _LOCK_FILE).read_text(encoding="utf-8"))
        if str(urlsplit(url).hostname) in project
    }
    return sorted(found)
