"""Requirement lines that name a file or a folder, and those that only one machine can install."""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from pyfunc.errors import InvalidArgumentError, shorten

__all__ = ["OPTION_START", "Place", "check_restorable", "parse_place", "without_editable"]

OPTION_START = re.compile(r"\s+(?=--[A-Za-z]|-C)")
"""Where the options of one requirement begin."""

_ARCHIVE = re.compile(
    r"(?P<path>[^\t|&<>;@\[]+\.(?:whl|zip|tar\.gz|tgz|tar\.bz2|tar\.xz))"
    r"(?P<extras>\[[\w,.\s-]*\])?(?P<marker>\s*;.*)?"
)
_PATH = re.compile(
    r"(?P<path>(?:[./~]|[A-Za-z]:[\\/])[^\t|&<>;]*|[^\s|&<>;]*[/\\][^\s|&<>;]*)"
    r"(?P<extras>)(?P<marker>\s*;.*)?"
)
_ABSOLUTE = re.compile(r"[/\\~]|[A-Za-z]:[\\/]")
_EDITABLE = re.compile(r"(?:-e|--editable)\s*=?\s*(.*)")
_VCS = re.compile(r"(?:git|hg|svn|bzr)\+(?!file:)[a-z+]+://")
_LOCAL_URL = re.compile(r"(?:^|@\s*|\+)file:", re.IGNORECASE)
_EGG = re.compile(r"#(?:.*&)?egg=([A-Za-z0-9][\w.-]*)")


@dataclass(frozen=True, slots=True)
class Place:
    """A file or folder that a requirement line names by its path.

    Attributes:
        path: as written.
        extras: in their brackets, or empty.
        rest: the marker and the options that follow, as written.
        name: the canonical name of the package, if the file is a wheel.
    """

    path: str
    extras: str
    rest: str
    name: str | None

    @property
    def is_inside(self) -> bool:
        """Whether the path can be that of a file of a model."""
        parts = re.split(r"[/\\]", self.path)
        return _ABSOLUTE.match(self.path) is None and ".." not in parts


def parse_place(line: str) -> Place | None:
    """Return the path that ``line`` names; None for requirements, addresses and options."""
    if line.startswith(("-", "#")) or "://" in line:
        return None
    head = OPTION_START.split(line, maxsplit=1)[0]
    # "a-1.0.zip" could be the name of a package as well; installers take it for a file.
    match = _ARCHIVE.fullmatch(head) or (None if _is_pep_508(head) else _PATH.fullmatch(head))
    if match is None:
        return None
    rest = (match["marker"] or "") + line[len(head) :]
    path = match["path"].strip()
    return Place(path, match["extras"] or "", rest, _name_of_wheel(path))


def _is_pep_508(text: str) -> bool:
    try:
        Requirement(text)
    except InvalidRequirement:
        return False
    return True


def _name_of_wheel(path: str) -> str | None:
    try:
        return parse_wheel_filename(re.split(r"[/\\]", path)[-1])[0]
    except InvalidWheelFilename:
        return None


def check_restorable(line: str, *, source: str) -> None:
    """Return if ``line`` means the same on another machine.

    Raises:
        InvalidArgumentError: it names a folder or a file of this machine, or one that is not
            below the model.
    """
    editable = _EDITABLE.fullmatch(line)
    place = parse_place(line)
    if editable is not None and not _VCS.match(editable[1]):
        problem = "is installed from a folder of this machine"
    elif _LOCAL_URL.search(line) and not line.startswith(("-i", "-f", "--", "#")):
        problem = "is a file or folder of this machine"
    elif place is not None and not place.is_inside:
        problem = "is a path outside the model"
    else:
        return
    raise InvalidArgumentError(
        f"{source}: line {shorten(line)} {problem}, so the model cannot be restored from it\n"
        "hint: name a published version, a commit ('name @ git+https://...@commit') or a wheel "
        "that is saved with the model, or give the code in code_paths"
    )


def without_editable(line: str) -> str:
    """Return ``line`` to install what it names as a copy, which is what a model can be given."""
    editable = _EDITABLE.fullmatch(line)
    if editable is None or not _VCS.match(editable[1]):
        return line
    egg = _EGG.search(editable[1])
    return editable[1] if egg is None else f"{egg[1]} @ {editable[1]}"
