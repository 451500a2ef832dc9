"""The build context of a function's image: this library, the source, what it needs, a Dockerfile.

The engines of :mod:`pyfunc.deploy` build it. The image serves the function, or runs whatever its
command is set to, as a user that owns nothing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from pyfunc.deploy.image import EXTRAS
from pyfunc.deploy.instructions import find_problems_in_instructions
from pyfunc.deploy.kubernetes.forms import ENV_NAME, IMAGE
from pyfunc.env.creating.own_wheel import read_own_source
from pyfunc.errors import ModelNotFoundError, Problem, SchemaError, shorten
from pyfunc.files.copying import copy_into
from pyfunc.files.publishing import staged_directory
from pyfunc.functions.app import READY_PATH
from pyfunc.functions.names import SERVER_MODULE, SOURCE_FOLDER
from pyfunc.functions.plans import ServerPlan

__all__ = [
    "PLAN_PATH",
    "SERVE_COMMAND",
    "BuildError",
    "FunctionContext",
    "parse_python_version",
    "write_function_context",
]

PLAN_PATH = "/opt/pyfunc/function.json"
SERVE_COMMAND = ("python", "-m", SERVER_MODULE, PLAN_PATH)
"""What the image does by default; a container that runs a job is given another command."""

_HOME = "/opt/pyfunc"
_USER = 10001
_PYTHON = re.compile(r"(?:PYTHON)?3[._](\d{1,2})", re.ASCII)
_IGNORED = "**/__pycache__\n**/*.pyc\n"


class BuildError(SchemaError):
    """An image cannot be described so; ``problems`` lists everything, with its place."""


@dataclass(frozen=True, slots=True)
class FunctionContext:
    """A folder that an engine builds an image from.

    Attributes:
        directory: the folder, with a ``Dockerfile``.
        dockerfile: its text.
        image: the image that it starts from.
    """

    directory: Path
    dockerfile: str
    image: str


def parse_python_version(text: str) -> str | None:
    """Return ``3.11`` for ``PYTHON3_11`` or ``3.11``, None for anything else."""
    found = _PYTHON.fullmatch(text)
    return None if found is None else f"3.{int(found[1])}"


def write_function_context(
    source: str | os.PathLike[str],
    plan: ServerPlan,
    directory: str | os.PathLike[str],
    *,
    python_version: str,
    base_image: str | None = None,
    instructions: Sequence[str] = (),
    requirements: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> FunctionContext:
    """Write the build context for a function into the new folder ``directory``.

    The same arguments give the same files, byte by byte. Nothing of the function is run.

    Args:
        source: its file, or the folder of its modules; it lies in ``/shared`` of the image.
        plan: how the image serves it; ``host`` should be ``0.0.0.0``.
        directory: must not exist, or be empty.
        python_version: such as ``PYTHON3_11`` or ``3.11``.
        base_image: instead of the slim image of that version; it has to have Python and pip.
        instructions: commands of a shell, each run as root, in this order.
        requirements: what pip installs afterwards.
        variables: of the environment, for the instructions and for what runs in the image.
        overwrite: replace what is at ``directory``.

    Raises:
        ModelNotFoundError: there is no source.
        BuildError: arguments cannot be; all problems are listed.
        SaveConflictError: there is something at ``directory``.
    """
    origin = Path(source)
    if not origin.exists():
        raise ModelNotFoundError(f"there is no source at {origin}")
    image = base_image or f"python:{parse_python_version(python_version)}-slim"
    text = _Text(image, plan.port, instructions, requirements, variables or {})
    problems = [*_find_problems(plan, python_version, base_image, text)]
    if problems:
        raise BuildError(problems, subject="the image of the function cannot be described")
    with staged_directory(Path(directory), overwrite=overwrite) as staged:
        wheel = read_own_source().write_wheel(staged)
        _copy_source(origin, staged / "source")
        _write_lines(staged / "server-requirements.txt", EXTRAS["serve"])
        if requirements:
            _write_lines(staged / "requirements.txt", requirements)
        (staged / "function.json").write_text(plan.to_json() + "\n", encoding="utf-8")
        (staged / ".dockerignore").write_text(_IGNORED, encoding="utf-8")
        dockerfile = "\n\n".join("\n".join(part) for part in text.parts(wheel.name)) + "\n"
        (staged / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    return FunctionContext(Path(directory), dockerfile, image)


def _find_problems(
    plan: ServerPlan, python_version: str, base_image: str | None, text: _Text
) -> Iterator[Problem]:
    if parse_python_version(python_version) is None:
        yield Problem("python_version", "such as PYTHON3_11", shorten(python_version))
    if base_image is not None and not IMAGE.fits(base_image):
        yield Problem("base_image", IMAGE.expected, shorten(base_image))
    if not 1024 <= plan.port <= 65535:
        yield Problem("plan.port", "a port from 1024 to 65535", str(plan.port))
    yield from find_problems_in_instructions(text.instructions)
    for name, value in text.variables.items():
        if not ENV_NAME.fits(name) or len(f"{value}.".splitlines()) > 1:
            yield Problem(f"variables[{name!r}]", "a name, and one line of text", shorten(value))
    for position, line in enumerate(text.requirements):
        if not _is_requirement(line):
            expected = "a requirement such as numpy>=2"
            yield Problem(f"requirements[{position}]", expected, shorten(line))


def _is_requirement(line: str) -> bool:
    try:
        Requirement(line)
    except InvalidRequirement:
        return False
    return len(line.splitlines()) == 1


def _copy_source(origin: Path, target: Path) -> None:
    if origin.is_dir():
        copy_into(origin, target)
        return
    target.mkdir()
    copy_into(origin, target / origin.name)


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _quote(value: str) -> str:
    """Return ``value`` as a Dockerfile writes it, with nothing in it that is replaced."""
    return '"' + re.sub(r'(["$\\])', r"\\\1", value) + '"'


@dataclass(frozen=True, slots=True)
class _Text:
    """What decides about the text of the Dockerfile."""

    image: str
    port: int
    instructions: Sequence[str]
    requirements: Sequence[str]
    variables: Mapping[str, str] = field(repr=False)

    def parts(self, wheel: str) -> Iterator[list[str]]:
        """Yield its parts, each as lines; ``wheel`` is the file of this library."""
        yield [f"FROM {self.image}"]
        yield [
            "USER root",
            "ENV PYTHONUNBUFFERED=1 \\",
            "    PYTHONDONTWRITEBYTECODE=1 \\",
            "    PIP_DISABLE_PIP_VERSION_CHECK=1 \\",
            "    PIP_ROOT_USER_ACTION=ignore",
        ]
        yield [
            f"COPY server-requirements.txt {wheel} {_HOME}/",
            f"RUN python -m pip install --no-cache-dir -r {_HOME}/server-requirements.txt "
            f"{_HOME}/{wheel}",
        ]
        yield [f"COPY source {SOURCE_FOLDER}", f"WORKDIR {SOURCE_FOLDER}"]
        if self.variables:
            yield [f"ENV {name}={_quote(value)}" for name, value in self.variables.items()]
        if self.instructions:
            yield [f"RUN {line}" for line in self.instructions]
        if self.requirements:
            yield [
                f"COPY requirements.txt {_HOME}/",
                f"RUN python -m pip install --no-cache-dir -r {_HOME}/requirements.txt",
            ]
        yield [f"COPY function.json {PLAN_PATH}"]
        yield [f"USER {_USER}:{_USER}", f"EXPOSE {self.port}"]
        yield self._end()

    def _end(self) -> list[str]:
        url = f"http://127.0.0.1:{self.port}{READY_PATH}"
        ask = f"import urllib.request as r; r.urlopen('{url}', timeout=4)"
        return [
            "HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \\",
            f"    CMD {json.dumps(['python', '-c', ask])}",
            f"ENTRYPOINT {json.dumps(SERVE_COMMAND[:2])}",
            f"CMD {json.dumps(SERVE_COMMAND[2:])}",
        ]
