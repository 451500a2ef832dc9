"""Building an image with whatever engine is installed: docker, podman or buildah."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from pyfunc.errors import (
    EnvironmentCreationError,
    InvalidArgumentError,
    MissingDependencyError,
    shorten,
)

__all__ = ["ENGINES", "build_image", "check_tag", "find_engine"]

ENGINES = ("docker", "podman", "buildah")

_STANDARD_ERROR = 2
_TAG = re.compile(r"[a-z0-9]+(?:[._/:-]+\w+)*(?::[\w.-]+)?", re.ASCII)


def find_engine(name: str | None = None) -> str:
    """Return the path of the engine ``name``, or of the first that is installed.

    Raises:
        InvalidArgumentError: the engine is none of those known.
        MissingDependencyError: none is installed.
    """
    if name is not None and name not in ENGINES:
        raise InvalidArgumentError(
            f"engine: expected one of {', '.join(ENGINES)}, got {shorten(name)}"
        )
    for candidate in ENGINES if name is None else (name,):
        path = shutil.which(candidate)
        if path is not None:
            return path
    raise MissingDependencyError(
        "building an image", f"install {name or 'docker, podman or buildah'}"
    )


def check_tag(tag: str) -> str:
    """Return ``tag`` unchanged if an image can be named so.

    Raises:
        InvalidArgumentError: it cannot.
    """
    if not _TAG.fullmatch(tag):
        raise InvalidArgumentError(f"tag: not the name of an image: {shorten(tag)}")
    return tag


def build_image(context: Path, tag: str, *, engine: str | None = None) -> list[str]:
    """Build the image ``tag`` from the folder ``context``; return the command that did it.

    What the engine writes goes to standard error.

    Raises:
        MissingDependencyError: no engine is installed.
        InvalidArgumentError: the tag cannot be one.
        EnvironmentCreationError: the engine failed.
    """
    check_tag(tag)
    command = [find_engine(engine), "build", "--tag", tag, "--file", "Dockerfile", "."]
    done = subprocess.run(command, cwd=context, stdout=_STANDARD_ERROR, check=False)
    if done.returncode != 0:
        raise EnvironmentCreationError(
            f"{Path(command[0]).name} ended with status {done.returncode}; the build context is "
            f"still in {context}"
        )
    return command
