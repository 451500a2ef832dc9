"""What is installed and works of docker, podman and buildah, and building an image with it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pyfunc.errors import (
    EnvironmentCreationError,
    InvalidArgumentError,
    MissingDependencyError,
    shorten,
)

__all__ = ["ENGINES", "RUNNING_ENGINES", "build_image", "check_tag", "find_engine"]

ENGINES = ("docker", "podman", "buildah")
RUNNING_ENGINES = ("docker", "podman")
"""Those that also run what they build."""

_STANDARD_ERROR = 2
_PATIENCE = 60.0  # seconds in which an engine says whether it works
# What each answers with status 0 only if it can build: docker needs its daemon for it.
_QUESTIONS = {
    "docker": ("version", "--format", "{{.Server.Version}}"),
    "podman": ("info",),
    "buildah": ("info",),
}
# Their own format of images has no place for HEALTHCHECK, which they then drop.
_OPTIONS = {"podman": ("--format", "docker"), "buildah": ("--format", "docker")}
_TAG = re.compile(r"[a-z0-9]+(?:[._/:-]+\w+)*(?::[\w.-]+)?", re.ASCII)


def find_engine(name: str | None = None, among: Sequence[str] = ENGINES) -> str:
    """Return the path of the engine ``name``, or of the first that is installed and works.

    Args:
        name: of the one that is meant.
        among: those that will do.

    Raises:
        InvalidArgumentError: the engine is none of those known.
        MissingDependencyError: none is installed.
        EnvironmentCreationError: none of those that are installed works; the message has what
            each answered.
    """
    if name is not None and name not in among:
        raise InvalidArgumentError(
            f"engine: expected one of {', '.join(among)}, got {shorten(name)}"
        )
    answers = []
    for candidate in among if name is None else (name,):
        path = shutil.which(candidate)
        if path is None:
            continue
        complaint = _ask(path, candidate)
        if complaint is None:
            return path
        answers.append(f"  - {candidate}: {complaint}")
    if not answers:
        purpose = "building an image" if among == ENGINES else "running a container"
        known = f"{', '.join(among[:-1])} or {among[-1]}"
        raise MissingDependencyError(purpose, f"install {name or known}")
    what = "builds images" if among == ENGINES else "runs containers"
    raise EnvironmentCreationError("\n".join([f"no engine that {what} works", *answers]))


def _ask(path: str, engine: str) -> str | None:
    """Return why an engine does not work, None if it does."""
    try:
        done = subprocess.run(
            [path, *_QUESTIONS[engine]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_PATIENCE:g} seconds"
    except OSError as error:
        return str(error)
    if done.returncode == 0:
        return None
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"status {done.returncode}"


def check_tag(tag: str) -> str:
    """Return ``tag`` unchanged if an image can be named so.

    Raises:
        InvalidArgumentError: it cannot.
    """
    if not _TAG.fullmatch(tag):
        raise InvalidArgumentError(f"tag: not the name of an image: {shorten(tag)}")
    return tag


def build_image(
    context: Path, tag: str, *, engine: str | None = None, secrets: Sequence[str] = ()
) -> list[str]:
    """Build the image ``tag`` from the folder ``context``; return the command that did it.

    What the engine writes goes to standard error. The ``secrets`` of the build are variables of
    this process that the engine reads itself.

    Raises:
        MissingDependencyError: no engine is installed.
        InvalidArgumentError: the tag cannot be one.
        EnvironmentCreationError: no engine works, or the build failed.
    """
    check_tag(tag)
    program = find_engine(engine)
    options = [*_OPTIONS.get(Path(program).name, ())]
    options += [part for name in secrets for part in ("--secret", f"id={name},env={name}")]
    command = [program, "build", *options, "--tag", tag, "--file", "Dockerfile", "."]
    done = subprocess.run(command, cwd=context, stdout=_STANDARD_ERROR, check=False)
    if done.returncode != 0:
        raise EnvironmentCreationError(
            f"{Path(program).name} ended with status {done.returncode}; the build context is "
            f"still in {context}"
        )
    return command
