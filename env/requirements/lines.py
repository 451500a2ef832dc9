"""Requirement values, files and lines as text: what they say and whether they can be used.

Nothing here is handed to a shell and nothing is looked up on a network or in an index.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from pyfunc.errors import InvalidArgumentError, InvalidTypeError, ModelNotFoundError, shorten
from pyfunc.files import urls

__all__ = [
    "RequirementLines",
    "check_line",
    "clean_lines",
    "expand_lines",
    "is_archive_name",
    "parse_argument",
    "parse_requirement",
    "without_credentials",
]

logger = logging.getLogger("pyfunc.env")

_INCLUDE = re.compile(r"(-r|--requirement|-c|--constraint)\s+(.*)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_SHELL = re.compile(r"\$\(|`")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/*[^\s/]\S*")
_PATH = re.compile(r"(?:[./~]|[A-Za-z]:[\\/])[^\s|&<>;]*|[^\s|&<>;]*[/\\][^\s|&<>;]*")
_ARCHIVE = re.compile(r"[^\s|&<>;]+\.(?:whl|zip|tar\.gz|tgz|tar\.bz2|tar\.xz)(?:\[[\w,.-]+\])?")
_MAX_DEPTH = 20

_FLAG_OPTIONS = frozenset({"--no-index", "--prefer-binary", "--require-hashes", "--pre"})
_VALUE_OPTIONS = (
    "--extra-index-url",
    "--index-url",
    "--find-links",
    "--trusted-host",
    "--no-binary",
    "--only-binary",
    "--use-feature",
    "--editable",
    "--requirement",
    "--constraint",
)
_SHORT_OPTIONS = ("-i", "-f", "-e", "-r", "-c")
_LINE_OPTIONS = ("--hash", "--config-settings", "--config-setting", "--global-option")


@dataclass(frozen=True, slots=True)
class RequirementLines:
    """Requirement and constraint lines in order of encounter, files expanded."""

    requirements: tuple[str, ...]
    constraints: tuple[str, ...]


def clean_lines(lines: Iterable[str]) -> list[str]:
    """Return ``lines`` stripped, continued lines joined, without comments and blank lines."""
    stripped = (line.strip() for line in lines)
    uncommented = (line if line.startswith("#") else line.split(" #")[0] for line in stripped)
    joined = _join_continued(uncommented)
    return [line for line in joined if line and not line.startswith("#")]


def _join_continued(lines: Iterable[str]) -> Iterator[str]:
    pending = ""
    for line in lines:
        if line.endswith("\\"):
            pending += line[:-1]
        else:
            yield (pending + line).strip()
            pending = ""
    if pending:
        yield pending.strip()


def expand_lines(
    lines: Iterable[str], base: Path, read: Callable[[str, Path], tuple[Path, str]]
) -> RequirementLines:
    """Return ``lines`` with every ``-r FILE`` and ``-c FILE`` replaced by what the file holds.

    Args:
        lines: raw lines, comments and all.
        base: the folder against which names in ``lines`` are resolved; names inside a file
            are resolved against that file's own folder.
        read: gives ``(path, text)`` for a name and its base, or raises.

    Raises:
        InvalidArgumentError: files include each other in a circle.
    """
    requirements: list[str] = []
    constraints: list[str] = []
    for line, is_constraint in _walk(lines, base, read, constraint=False, depth=0):
        (constraints if is_constraint else requirements).append(line)
    return RequirementLines(tuple(requirements), tuple(constraints))


def _walk(
    lines: Iterable[str],
    base: Path,
    read: Callable[[str, Path], tuple[Path, str]],
    *,
    constraint: bool,
    depth: int,
) -> Iterator[tuple[str, bool]]:
    for line in clean_lines(lines):
        match = _INCLUDE.fullmatch(line)
        if match is None:
            yield line, constraint
            continue
        if depth == _MAX_DEPTH:
            raise InvalidArgumentError(
                f"requirement line {shorten(line)}: files include each other more than "
                f"{_MAX_DEPTH} deep\nhint: remove the circle of -r and -c lines"
            )
        path, text = read(match[2].strip(), base)
        inner = match[1] in ("-c", "--constraint")
        yield from _walk(text.splitlines(), path.parent, read, constraint=inner, depth=depth + 1)


def _read_named(name: str, base: Path) -> tuple[Path, str]:
    path = base / name
    if not path.is_file():
        problem = "is not an ordinary file" if path.exists() else "does not exist"
        raise ModelNotFoundError(f"requirements file {str(path)!r} {problem}")
    try:
        return path, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelNotFoundError(
            f"requirements file {str(path)!r} cannot be read as UTF-8 text: {error}"
        ) from error


def parse_argument(value: Any, *, name: str) -> RequirementLines:
    """Return the lines of a ``pip_requirements`` or ``extra_pip_requirements`` argument.

    Args:
        value: None, the path of a requirements file as ``str``, or an iterable of ``str``.
        name: the argument's name, for messages.

    Raises:
        InvalidTypeError: ``value`` is anything else.
        InvalidArgumentError: a line is neither a requirement nor an option that pip knows.
        ModelNotFoundError: a named file does not exist or is not an ordinary file.
    """
    if value is None:
        return RequirementLines((), ())
    here = Path.cwd()
    if isinstance(value, str):
        # The lines of a top-level file count as given directly: its own -r and -c lines are
        # relative to the working directory, as in MLflow.
        raw = _read_named(value, here)[1].splitlines()
    else:
        raw = _check_strings(value, name)
        for line in raw:
            _refuse_dangerous(line.strip(), name)
    found = expand_lines(raw, here, _read_named)
    for line in (*found.requirements, *found.constraints):
        check_line(line, source=name)
    return RequirementLines(
        tuple(without_credentials(line) for line in found.requirements),
        tuple(without_credentials(line) for line in found.constraints),
    )


def _check_strings(value: Any, name: str) -> list[str]:
    items = list(value) if hasattr(value, "__iter__") else None
    if items is None or not all(isinstance(item, str) for item in items):
        raise InvalidTypeError(
            f"{name} must be the path of a requirements file as str or an iterable of "
            f"requirement strings, got {type(value).__name__} {shorten(value)}"
        )
    return items


@lru_cache(maxsize=4096)
def parse_requirement(line: str) -> Requirement | None:
    """Return the PEP 508 requirement in ``line`` (its options cut off), None for other lines."""
    try:
        return Requirement(line)
    except InvalidRequirement:
        head = re.split(r"\s--?[A-Za-z]", line, maxsplit=1)[0]
        if head == line:
            return None
    try:
        return Requirement(head)
    except InvalidRequirement:
        return None


def is_archive_name(text: str) -> bool:
    """Return whether ``text`` is the name of a file that installers install from."""
    return _ARCHIVE.fullmatch(text) is not None


def check_line(line: str, *, source: str) -> None:
    """Return if ``line`` is a requirement, URL, path or option that an installer understands.

    Raises:
        InvalidArgumentError: it is not, or it holds control characters or shell syntax; the
            message names the line and ``source``.
    """
    _refuse_dangerous(line, source)
    if line.startswith("-"):
        known = _is_option(line)
    else:
        head, *options = re.split(r"\s+(?=--[A-Za-z])", line)
        known = _is_package(head) and all(o.startswith(_LINE_OPTIONS) for o in options)
    if not known:
        raise InvalidArgumentError(
            f"{source}: line {shorten(line)} is neither a requirement (PEP 508), a URL, a path "
            "nor an option of a requirements file\nhint: write it like 'name==1.2.3'"
        )


def _refuse_dangerous(line: str, source: str) -> None:
    if _CONTROL.search(line.replace("\t", " ")):
        problem = "holds a line break or another control character"
    elif _SHELL.search(line):
        problem = "holds shell syntax"
    else:
        return
    raise InvalidArgumentError(
        f"{source}: line {shorten(line)} {problem}\nhint: give one requirement per item"
    )


def _is_option(line: str) -> bool:
    """Return whether ``line`` consists of options of a requirements file with their values."""
    words = line.split()[::-1]
    while words:
        word = words.pop()
        name, equals, inline = word.partition("=")
        if word in _VALUE_OPTIONS or word in _SHORT_OPTIONS:
            if not words or words.pop().startswith("-"):
                return False
        elif equals and name in _VALUE_OPTIONS:
            if not inline:
                return False
        elif word not in _FLAG_OPTIONS and not _has_attached_value(word):
            return False
    return True


def _has_attached_value(word: str) -> bool:
    return word.startswith(_SHORT_OPTIONS) and not word.startswith("--")


def _is_package(text: str) -> bool:
    try:
        Requirement(text)
    except InvalidRequirement:
        place = re.split(r"\s+;\s", text, maxsplit=1)[0].strip()
        return any(form.fullmatch(place) for form in (_URL, _PATH, _ARCHIVE))
    return True


def without_credentials(line: str) -> str:
    """Return ``line`` with passwords and tokens taken out of its URLs, with one log line."""
    cleaned = urls.without_credentials(line)
    if cleaned != line:
        logger.warning(
            "Credentials were left out of the requirement line %r; give them at install time, "
            "for example as ${NAME} references.",
            cleaned,
        )
    return cleaned
