"""Requirement values, files and lines as text: what they say and whether they can be used.

Nothing here is handed to a shell and nothing is looked up on a network or in an index.
"""

from __future__ import annotations

import codecs
import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from pyfunc.env.requirements.credentials import without_credentials
from pyfunc.env.requirements.places import OPTION_START, check_restorable, parse_place
from pyfunc.errors import InvalidArgumentError, InvalidTypeError, ModelNotFoundError, shorten

__all__ = [
    "RequirementLines",
    "by_hand",
    "check_line",
    "clean_lines",
    "decode_lines",
    "expand_lines",
    "is_by_hand",
    "name_of",
    "parse_argument",
    "parse_include",
    "parse_requirement",
]

_INCLUDE = re.compile(r"(?:-([rc])|--(requirement|constraint)(?=[\s=]))\s*=?\s*(.+)")
_COMMENT = re.compile(r"(?:^|\s+)#.*$")  # as pip has it
_BY_HAND = re.compile(r"# install separately: ([A-Za-z0-9][\w.-]*(?:==[^\s,;]+)?)(?:, .*)?")
_CODING = re.compile(rb"coding[:=]\s*([-\w.]+)")
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9][\w.-]*)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_SHELL = re.compile(r"\$\(|`")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/*[^\s/]\S*")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MAX_DEPTH = 20

_FLAG_OPTIONS = frozenset({"--no-index", "--prefer-binary", "--require-hashes", "--pre"})
_VALUE_OPTIONS = (
    "--extra-index-url",
    "--index-url",
    "--pypi-url",
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
_LINE_OPTIONS = ("--hash", "--config-settings", "--config-setting", "--global-option", "-C")


@dataclass(frozen=True, slots=True)
class RequirementLines:
    """Requirement and constraint lines in order of encounter, files expanded."""

    requirements: tuple[str, ...]
    constraints: tuple[str, ...]

    @property
    def ask_for_hashes(self) -> bool:
        """Whether pip refuses every line of the list that has no hash."""
        lines = (*self.requirements, *self.constraints)
        return any(" --hash=" in line or line == "--require-hashes" for line in lines)


def decode_lines(data: bytes) -> str:
    """Return the text of a requirements file as pip decodes it.

    A byte order mark or a line ``# -*- coding: ... -*-`` says how; otherwise it is UTF-8.

    Raises:
        UnicodeDecodeError: it is not that.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding)
    for line in data.split(b"\n")[:2]:
        found = _CODING.search(line) if line.lstrip().startswith(b"#") else None
        if found:
            try:
                return data.decode(found[1].decode())
            except LookupError:
                break
    return data.decode("utf-8")


def clean_lines(lines: Iterable[str]) -> list[str]:
    """Return ``lines`` stripped, continued lines joined, without comments and blank lines.

    The comments that :func:`by_hand` makes stay: they stand for a package.
    """
    stripped = (line.strip() for line in lines)
    uncommented = (line if is_by_hand(line) else _COMMENT.sub("", line) for line in stripped)
    return [line for line in _join_continued(uncommented) if line]


def by_hand(requirement: str, reason: str, command: str = "") -> str:
    """Return the comment for a package that no installer finds by its name and version.

    Installers pass over it; here it stands for ``requirement``, a name with or without ``==``.
    """
    return f"# install separately: {requirement}, {reason}{f': {command}' if command else ''}"


def is_by_hand(line: str) -> bool:
    """Return whether ``line`` is a comment that :func:`by_hand` has made."""
    return _BY_HAND.fullmatch(line) is not None


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
        included = parse_include(line)
        if included is None:
            yield line, constraint
            continue
        if depth == _MAX_DEPTH:
            raise InvalidArgumentError(
                f"requirement line {shorten(line)}: files include each other more than "
                f"{_MAX_DEPTH} deep\nhint: remove the circle of -r and -c lines"
            )
        inner, name = included
        path, text = read(name, base)
        yield from _walk(text.splitlines(), path.parent, read, constraint=inner, depth=depth + 1)


def parse_include(line: str) -> tuple[bool, str] | None:
    """Return the file that ``line`` includes, and whether as constraints; None for others."""
    match = _INCLUDE.fullmatch(line)
    if match is None:
        return None
    try:
        [name] = shlex.split(match[3]) if match[3][0] in "'\"" else [match[3].strip()]
    except ValueError:
        name = match[3]
    return match[1] == "c" or match[2] == "constraint", name


def _read_named(name: str, base: Path) -> tuple[Path, str]:
    path = base / name
    if not path.is_file():
        problem = "is not an ordinary file" if path.exists() else "does not exist"
        raise ModelNotFoundError(f"requirements file {str(path)!r} {problem}")
    try:
        return path, decode_lines(path.read_bytes())
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
        InvalidArgumentError: a line is neither a requirement nor an option that pip knows, or
            only this machine can install it.
        ModelNotFoundError: a named file does not exist or is not an ordinary file.
    """
    if value is None:
        return RequirementLines((), ())
    here = Path()
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
        check_restorable(line, source=name)
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
    """Return the PEP 508 requirement in ``line`` (its options cut off), None for other lines.

    A comment of :func:`by_hand` gives the requirement that it stands for.
    """
    if noted := _BY_HAND.fullmatch(line):
        line = noted[1]
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


def name_of(line: str) -> str | None:
    """Return the canonical name of the package that ``line`` installs, None if it does not say.

    Names of wheels and ``#egg=`` of an address say it too.
    """
    place = parse_place(line)
    if place is not None:
        return place.name
    requirement = parse_requirement(line)
    if requirement is not None:
        return canonicalize_name(requirement.name)
    found = _EGG.search(line)
    return canonicalize_name(found[1]) if found else None


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
        head, *options = OPTION_START.split(line)
        known = is_by_hand(line) or (
            _is_package(head) and all(o.startswith(_LINE_OPTIONS) for o in options)
        )
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
    try:
        words = shlex.split(line, posix="\\" not in line)[::-1]
    except ValueError:
        return False
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
        place = re.split(r"\s+;\s|;\s+", text, maxsplit=1)[0].strip()
        return parse_place(text) is not None or _URL.fullmatch(place) is not None
    return True
