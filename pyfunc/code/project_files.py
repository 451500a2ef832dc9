"""Which files of a project folder belong to a request handler.

Left out are hidden files and folders, what Python generates, virtual environments, and what the
project's ``.pyfuncignore`` names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pyfunc.errors import InvalidArgumentError, ModelNotFoundError
from pyfunc.files.temporaries import is_staging_name

__all__ = ["IGNORE_FILE", "IgnoreRule", "find_project_files", "parse_ignore_rules"]

IGNORE_FILE = ".pyfuncignore"

_GENERATED = (".pyc", ".pyo", ".pyd")
_ENVIRONMENT_MARKER = "pyvenv.cfg"
_MAX_IGNORE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class IgnoreRule:
    """One line of an ignore file.

    Attributes:
        pattern: matched against the whole path relative to the project.
        only_folders: the line ended with a slash.
        negated: the line began with ``!``: what it matches belongs to the project after all.
    """

    pattern: re.Pattern[str]
    only_folders: bool
    negated: bool


def parse_ignore_rules(text: str) -> list[IgnoreRule]:
    """Return the rules of an ignore file; its lines are those of ``.gitignore``.

    ``*`` and ``?`` stop at slashes, ``**`` does not; a pattern with a slash before its end counts
    from the project folder, another one at any depth; ``!`` takes back; the last match decides.
    """
    return [_rule(line) for raw in text.splitlines() if (line := raw.strip()) and line[0] != "#"]


def _rule(line: str) -> IgnoreRule:
    negated = line.startswith("!")
    body = line.removeprefix("!")
    anchored = "/" in body.rstrip("/")
    glob = body.strip("/")
    prefix = "" if anchored else "(?:.*/)?"
    return IgnoreRule(re.compile(prefix + _regex(glob)), body.endswith("/"), negated)


@lru_cache(maxsize=1024)
def _regex(glob: str) -> str:
    """Return the regular expression that means what ``glob`` means."""
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", glob)
    meanings = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(meanings.get(piece, re.escape(piece)) for piece in pieces)


def find_project_files(root: Path, *, leave_out: Sequence[Path] = ()) -> dict[str, Path]:
    """Return relative POSIX path -> file for everything that belongs to the project ``root``.

    Args:
        root: a folder; symbolic links in it stand for what they lead to.
        leave_out: folders that are not part of it, such as the model that is being saved.

    Raises:
        ModelNotFoundError: there is no such folder.
        InvalidArgumentError: its ignore file is not UTF-8 text, or a link leads in a circle.
    """
    if not root.is_dir():
        raise ModelNotFoundError(f"project_dir: no such folder: {root}", "INVALID_PARAMETER_VALUE")
    rules = parse_ignore_rules(_read_ignore_file(root / IGNORE_FILE))
    excluded = {_identity(path) for path in leave_out if path.is_dir()}
    return dict(_walk(root, "", rules, excluded, ()))


def _read_ignore_file(path: Path) -> str:
    if not path.is_file():
        return ""
    data = path.read_bytes()[:_MAX_IGNORE_BYTES]
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"project_dir: {path} is not UTF-8 text: {error}") from error


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _walk(
    folder: Path,
    prefix: str,
    rules: Sequence[IgnoreRule],
    excluded: set[tuple[int, int]],
    above: tuple[tuple[int, int], ...],
) -> Iterator[tuple[str, Path]]:
    here = _identity(folder)
    if here in above:
        raise InvalidArgumentError(f"project_dir: the link {folder} leads to a folder around it")
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        relative = prefix + entry.name
        if not entry.is_dir():
            if not (_is_never_part(entry.name) or _is_ignored(relative, rules, folder=False)):
                yield relative, Path(entry.path)
            continue
        inner = Path(entry.path)
        if (
            _is_never_part(entry.name)
            or _is_ignored(relative, rules, folder=True)
            or _identity(inner) in excluded
            or (inner / _ENVIRONMENT_MARKER).is_file()
        ):
            continue
        yield from _walk(inner, f"{relative}/", rules, excluded, (*above, here))


def _is_never_part(name: str) -> bool:
    generated = name == "__pycache__" or name.endswith(_GENERATED)
    return generated or name.startswith(".") or is_staging_name(name)


def _is_ignored(relative: str, rules: Sequence[IgnoreRule], *, folder: bool) -> bool:
    ignored = False
    for rule in rules:
        if (folder or not rule.only_folders) and rule.pattern.fullmatch(relative):
            ignored = not rule.negated
    return ignored
