"""The text of a Dockerfile: equal plans give equal text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pyfunc.env.requirements.environment_files import CONSTRAINTS_FILE, REQUIREMENTS_FILE
from pyfunc.errors import InvalidArgumentError, shorten

__all__ = ["UNHASHED_FILE", "DockerfilePlan", "render_dockerfile"]

UNHASHED_FILE = "unhashed-requirements.txt"

_HOME = "/opt/pyfunc"
_USER = 10001

_PYTHON = re.compile(r"\d+\.\d+(\.\d+)?")
_IMAGE = re.compile(r"[a-z0-9][\w./:@-]*")
_SYSTEM_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(=[\w.+:~-]+)?")
_PLACE = re.compile(r"[\w./-]+")
_SECRET = re.compile(r"[A-Z0-9_]+")
_WHEEL = re.compile(r"[\w.+-]+\.whl")


@dataclass(frozen=True, slots=True)
class DockerfilePlan:
    """What an image holds.

    Attributes:
        python: the Python version.
        wheel: file name of this library's wheel in the build context.
        command: what runs in a container; answers ``GET /ping`` at ``port``.
        copies: names in the build context, each with its place in the image, in this order.
        has_constraints: whether the context has a ``constraints.txt``.
        has_hashes: whether every requirement has hashes, so that pip checks all of them.
        has_unhashed: whether the context has an ``unhashed-requirements.txt`` beside those,
            so that the two together are all that is needed.
        secrets: names of variables that pip is given, and nothing of which is in the image.
        system_packages: Debian packages to install.
        base_image: instead of the slim Python image.
        port: that the server listens on.
    """

    python: str
    wheel: str
    command: tuple[str, ...]
    copies: tuple[tuple[str, str], ...] = ()
    has_constraints: bool = False
    has_hashes: bool = False
    has_unhashed: bool = False
    secrets: tuple[str, ...] = ()
    system_packages: tuple[str, ...] = ()
    base_image: str | None = None
    port: int = 8080

    def __post_init__(self) -> None:
        """Check what becomes part of commands.

        Raises:
            InvalidArgumentError: a value is not of the form that it has to have.
        """
        for what, pattern, values in (
            ("Python version", _PYTHON, [self.python]),
            ("wheel", _WHEEL, [self.wheel]),
            ("Debian package", _SYSTEM_PACKAGE, self.system_packages),
            ("file in an image", _PLACE, [place for copy in self.copies for place in copy]),
            ("secret", _SECRET, self.secrets),
            ("base image", _IMAGE, [] if self.base_image is None else [self.base_image]),
        ):
            for value in values:
                if not pattern.fullmatch(value):
                    raise InvalidArgumentError(f"not the name of a {what}: {shorten(value)}")
        if not 1024 <= self.port <= 65535:
            raise InvalidArgumentError(f"port: expected 1024 to 65535, got {self.port}")


def render_dockerfile(plan: DockerfilePlan) -> str:
    """Return the text of the Dockerfile.

    Layers that seldom change come first; the server runs as a user that owns nothing.
    """
    return "\n\n".join("\n".join(part) for part in _parts(plan)) + "\n"


def _parts(plan: DockerfilePlan) -> Iterator[list[str]]:
    yield [f"FROM {plan.base_image or f'python:{plan.python}-slim'}"]
    yield [
        "ENV PYTHONUNBUFFERED=1 \\",
        "    PYTHONDONTWRITEBYTECODE=1 \\",
        "    PIP_DISABLE_PIP_VERSION_CHECK=1 \\",
        "    PIP_ROOT_USER_ACTION=ignore",
    ]
    if plan.system_packages:
        yield list(_system_packages(sorted(set(plan.system_packages))))
    yield [
        f"RUN groupadd --gid {_USER} pyfunc \\",
        f" && useradd --uid {_USER} --gid {_USER} --no-create-home --no-log-init \\",
        f"    --home-dir {_HOME} --shell /usr/sbin/nologin pyfunc",
    ]
    yield [f"WORKDIR {_HOME}"]
    files = [REQUIREMENTS_FILE, *([CONSTRAINTS_FILE] if plan.has_constraints else [])]
    hashes = "--require-hashes " if plan.has_hashes else ""
    only = "--no-deps " if plan.has_unhashed else ""
    yield [f"COPY {' '.join(files)} ./", *_install(plan, f"{only}{hashes}-r requirements.txt")]
    if plan.has_unhashed:
        yield [f"COPY {UNHASHED_FILE} ./", *_install(plan, f"--no-deps -r {UNHASHED_FILE}")]
    yield [
        f"COPY server-requirements.txt {plan.wheel} ./",
        f"RUN python -m pip install --no-cache-dir -r server-requirements.txt ./{plan.wheel}",
    ]
    for name, place in plan.copies:
        yield [f"COPY {name} {place}"]
    yield [f"USER {_USER}:{_USER}"]
    yield [f"EXPOSE {plan.port}"]
    yield list(_health_check(plan.port))
    yield [f"ENTRYPOINT {json.dumps(plan.command)}"]


def _install(plan: DockerfilePlan, arguments: str) -> Iterator[str]:
    """Yield the lines that run pip, with its secrets in the environment of that command only."""
    command = f"python -m pip install --no-cache-dir {arguments}"
    mounts = [f"--mount=type=secret,id={name},required=true" for name in plan.secrets]
    given = [f'{name}="$(cat /run/secrets/{name})"' for name in plan.secrets]
    parts = [*mounts, *given, command]
    for part in parts[:-1]:
        yield f"{'RUN ' if part is parts[0] else '    '}{part} \\"
    yield f"{'    ' if len(parts) > 1 else 'RUN '}{command}"


def _system_packages(names: Iterable[str]) -> Iterator[str]:
    yield "RUN apt-get update \\"
    yield " && apt-get install --yes --no-install-recommends \\"
    for name in names:
        yield f"    {name} \\"
    yield " && rm -rf /var/lib/apt/lists/*"


def _health_check(port: int) -> Iterator[str]:
    ask = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{port}/ping', timeout=4)"
    yield "HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \\"
    yield f"    CMD {json.dumps(['python', '-c', ask])}"
