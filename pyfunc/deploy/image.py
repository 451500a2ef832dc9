"""The build context of an image: requirements, this library, files, a Dockerfile.

What is in the image, and what it runs, is the caller's; nothing here knows of models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import canonicalize_name

from pyfunc.deploy.dockerfile import UNHASHED_FILE, DockerfilePlan, render_dockerfile
from pyfunc.env.creating.own_wheel import read_own_source
from pyfunc.env.requirements.lines import parse_requirement
from pyfunc.files.copying import copy_into
from pyfunc.files.publishing import staged_directory

__all__ = ["EXTRAS", "BuildContext", "ImageContents", "names_in", "write_image"]

# What this library needs for more than its core, by the names of its extras.
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "cli": ("rich>=13.0", "typer>=0.26.1"),
    "serve": (
        "orjson>=3.10",
        "prometheus-client>=0.23",
        "starlette>=0.49.1",
        "uvicorn[standard]>=0.30.6",
    ),
}
# Packages whose wheels load a library that slim images do not have; a flavor has the name of
# its package.
_NEEDED_LIBRARIES = {
    "lightgbm": "libgomp1",
    "paddle": "libgomp1",
    "paddlepaddle": "libgomp1",
}
# What an address of a version control system needs to be installed from.
_NEEDED_PROGRAMS = {"git": "git", "hg": "mercurial", "svn": "subversion", "bzr": "brz"}
_VCS = re.compile(r"\b(git|hg|svn|bzr)\+[a-z]+:")
_REFERENCE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_IGNORED = "**/__pycache__\n**/*.pyc\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageContents:
    """What is in an image beside this library.

    Attributes:
        python: the Python version.
        requirements: lines for pip; they are installed before what this library needs.
        command: what runs in a container; answers ``GET /ping`` at ``port``.
        constraints: lines for pip that bound the requirements.
        is_locked: whether the requirements are those of a lock, with all that they need.
        extras: of this library.
        folders: folders to copy, by their names in the build context.
        copies: names in the build context, each with its place in the image.
        libraries: what runs in the image beside the requirements, such as flavors.
        system_packages: Debian packages beside those that libraries are known to need.
        base_image: instead of the slim Python image.
        port: that the command listens on.
    """

    python: str
    requirements: Sequence[str]
    command: tuple[str, ...]
    constraints: Sequence[str] = ()
    is_locked: bool = False
    extras: Sequence[str] = ("cli", "serve")
    folders: Mapping[str, Path] = field(default_factory=dict)
    copies: tuple[tuple[str, str], ...] = ()
    libraries: Set[str] = frozenset()
    system_packages: Sequence[str] = ()
    base_image: str | None = None
    port: int = 8080


@dataclass(frozen=True, slots=True)
class BuildContext:
    """A folder that an engine builds an image from.

    Attributes:
        directory: the folder, with a ``Dockerfile``.
        dockerfile: its text.
        is_locked: whether the requirements are those of a lock, with all that they need.
        image: the image that it starts from.
        system_packages: Debian packages that are installed, sorted.
        secrets: names of the secrets that the build has to be given, sorted.
    """

    directory: Path
    dockerfile: str
    is_locked: bool
    image: str
    system_packages: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


def write_image(
    contents: ImageContents, directory: Path, *, overwrite: bool = False
) -> BuildContext:
    """Write the build context of an image into the new folder ``directory``.

    Equal contents give the same files, byte by byte.

    Raises:
        SaveConflictError: there is something at ``directory``, and not ``overwrite``.
        InvalidArgumentError: a value cannot be part of a Dockerfile.
    """
    lines, constraints = contents.requirements, contents.constraints
    packages = _system_packages(contents)
    hashed = [line for line in lines if " --hash=" in line]
    # pip asks for hashes of everything that it installs at once, or of nothing.
    unhashed = [line for line in lines if contents.is_locked and hashed and line not in hashed]
    secrets = tuple(
        sorted({n for line in (*lines, *constraints) for n in _REFERENCE.findall(line)})
    )
    source = read_own_source()
    with staged_directory(directory, overwrite=overwrite) as staged:
        wheel = source.write_wheel(staged)
        plan = DockerfilePlan(
            python=contents.python,
            wheel=wheel.name,
            command=contents.command,
            copies=contents.copies,
            has_constraints=bool(constraints),
            has_hashes=bool(hashed) and len(hashed) + len(unhashed) == len(lines),
            has_unhashed=bool(unhashed),
            secrets=secrets,
            system_packages=packages,
            base_image=contents.base_image,
            port=contents.port,
        )
        text = render_dockerfile(plan)
        bound = ["-c constraints.txt"] if constraints else []
        _write_lines(staged / "requirements.txt", [*bound, *(hashed if unhashed else lines)])
        if unhashed:
            _write_lines(staged / UNHASHED_FILE, unhashed)
        if constraints:
            _write_lines(staged / "constraints.txt", constraints)
        own = sorted(line for extra in contents.extras for line in EXTRAS[extra])
        _write_lines(staged / "server-requirements.txt", own)
        (staged / ".dockerignore").write_text(_IGNORED, encoding="utf-8")
        (staged / "Dockerfile").write_text(text, encoding="utf-8")
        for name, folder in contents.folders.items():
            copy_into(folder, staged / name)
    image = plan.base_image or f"python:{plan.python}-slim"
    return BuildContext(directory, text, contents.is_locked, image, packages, secrets)


def names_in(lines: Iterable[str]) -> set[str]:
    """Return the canonical names of the packages that are required."""
    parsed = map(parse_requirement, lines)
    return {canonicalize_name(item.name) for item in parsed if item is not None}


def _system_packages(contents: ImageContents) -> tuple[str, ...]:
    """Return what is wanted and what the contents need that slim images lack, sorted."""
    wanted, lines = contents.system_packages, contents.requirements
    named = {package.partition("=")[0] for package in wanted}
    libraries = names_in(lines) | contents.libraries
    needed = {_NEEDED_LIBRARIES[name] for name in libraries & _NEEDED_LIBRARIES.keys()}
    needed |= {_NEEDED_PROGRAMS[name] for line in lines for name in _VCS.findall(line)}
    return tuple(sorted({*wanted, *(needed - named)}))


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
