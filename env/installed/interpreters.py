"""Finds a Python interpreter of a wanted version: the running one, pyenv's, uv's, PATH's."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pyfunc.errors import ModelNotFoundError
from pyfunc.variables import PYENV_ROOT

__all__ = ["Interpreter", "find_interpreter", "find_uv"]

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
_ASK = "import sys; print('%d.%d.%d' % sys.version_info[:3]); print(sys.executable)"
_PROBE_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python executable and its version as ``(major, minor, micro)``."""

    path: str
    version: tuple[int, int, int]

    @property
    def text(self) -> str:
        """The version as text."""
        return ".".join(map(str, self.version))


def find_uv() -> str | None:
    """Return the path of the uv executable on PATH or beside the interpreter, None if absent."""
    found = shutil.which("uv")
    if found:
        return found
    return shutil.which("uv", path=str(Path(sys.executable).parent))


def find_interpreter(version: str) -> Interpreter:
    """Return an interpreter of ``version``, else the nearest one of the same minor version.

    Args:
        version: ``3.10`` or ``3.10.13``.

    Raises:
        ModelNotFoundError: there is none; the versions that were found are listed.
    """
    match = _VERSION.match(version)
    if match is None:
        raise ModelNotFoundError(f"{version!r} is no Python version that can be looked for")
    wanted = int(match[1]), int(match[2])
    micro = None if match[3] is None else int(match[3])
    seen: set[tuple[int, int, int]] = set()
    matching: list[Interpreter] = []
    for candidate in _iter_candidates(f"{wanted[0]}.{wanted[1]}"):
        seen.add(candidate.version)
        if candidate.version[:2] == wanted:
            matching.append(candidate)
            if micro in (None, candidate.version[2]):
                return candidate
    if matching:
        return min(matching, key=lambda found: abs(found.version[2] - (micro or 0)))
    known = ", ".join(".".join(map(str, item)) for item in sorted(seen)) or "none"
    minor = f"{wanted[0]}.{wanted[1]}"
    raise ModelNotFoundError(
        f"no Python {minor} interpreter found (found: {known})\n"
        f"hint: install one, for example with 'uv python install {minor}' or 'pyenv install "
        f"{minor}'"
    )


def _iter_candidates(minor: str) -> Iterator[Interpreter]:
    base = getattr(sys, "_base_executable", None) or sys.executable
    yield Interpreter(str(base), sys.version_info[:3])
    yield from _pyenv_versions()
    for path in _on_path(minor):
        found = _probe(path)
        if found is not None:
            yield found
    uv = find_uv()
    if uv is not None:
        managed = _ask_uv(uv, minor)
        found = _probe(managed) if managed else None
        if found is not None:
            yield found


def _pyenv_versions() -> Iterator[Interpreter]:
    try:
        root = Path(PYENV_ROOT.read() or Path.home() / ".pyenv") / "versions"
        folders = sorted(root.iterdir())
    except (OSError, RuntimeError):  # no such folder, or no home
        return
    for folder in folders:
        match = _VERSION.fullmatch(folder.name)
        if match is None or match[3] is None:
            continue
        for path in (folder / "bin" / "python", folder / "python.exe"):
            if path.is_file():
                yield Interpreter(str(path), (int(match[1]), int(match[2]), int(match[3])))


def _on_path(minor: str) -> Iterator[str]:
    for name in (f"python{minor}", "python3", "python"):
        found = shutil.which(name)
        if found:
            yield found


@lru_cache(maxsize=64)
def _probe(path: str) -> Interpreter | None:
    """Return what the executable says about itself; None if it does not run."""
    try:
        output = subprocess.run(
            [path, "-I", "-c", _ASK],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_SECONDS,
            check=True,
            text=True,
        ).stdout
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    lines = output.splitlines()
    match = _VERSION.fullmatch(lines[0]) if len(lines) == 2 else None
    if match is None or match[3] is None:
        return None
    return Interpreter(lines[1] or path, (int(match[1]), int(match[2]), int(match[3])))


def _ask_uv(uv: str, minor: str) -> str | None:
    try:
        done = subprocess.run(
            [uv, "python", "find", "--no-project", "--system", minor],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_SECONDS,
            check=False,
            text=True,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    path = done.stdout.strip()
    return path if done.returncode == 0 and path else None
