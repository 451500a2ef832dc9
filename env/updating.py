"""Adds and removes requirements of a saved model."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from pyfunc.directory.editing import editing
from pyfunc.env.requirements.conda_files import pip_lines, with_pip_section
from pyfunc.env.requirements.credentials import without_credentials
from pyfunc.env.requirements.environment_files import (
    CONDA_FILE,
    CONDA_KEY,
    REQUIREMENTS_FILE,
    encode_lines,
)
from pyfunc.env.requirements.lines import clean_lines, name_of
from pyfunc.env.requirements.of_model import parse_text
from pyfunc.env.requirements.places import check_restorable
from pyfunc.errors import InvalidArgumentError, ModelFormatError, shorten
from pyfunc.files.locations import local_directory
from pyfunc.files.yaml_writing import dump_yaml

__all__ = ["update_requirements"]

logger = logging.getLogger("pyfunc.env")


def update_requirements(
    path: str | os.PathLike[str],
    operation: Literal["add", "remove"],
    requirement_list: Iterable[str],
) -> list[str]:
    """Change ``requirements.txt`` and the pip section of ``conda.yaml``; return the new lines.

    A requirement that is added takes the place of the one with its name, or goes to the end.
    To remove one, its name is enough; versions do not matter. Lines that are no requirement,
    such as ``-c constraints.txt``, stay as they are. The manifest is brought up to date.

    Raises:
        InvalidArgumentError: the operation is unknown, or a requirement is not PEP 508.
        ModelNotFoundError: ``path`` is not a model directory.
        ModelFormatError: a file of the model cannot be read.
        ModelIntegrityError: files of the model are not those that were saved.
    """
    if operation not in ("add", "remove"):
        raise InvalidArgumentError(f"operation: expected 'add' or 'remove', got {operation!r}")
    changes = _parse(requirement_list)
    change = _add if operation == "add" else _remove
    with editing(local_directory(path)) as edit:
        text = parse_text(edit.files.read(REQUIREMENTS_FILE, key=REQUIREMENTS_FILE))
        old = clean_lines(text.splitlines())
        lines = change(old, changes)
        if operation == "remove":
            _warn_of_absent(old, changes)
        edit.contents[REQUIREMENTS_FILE] = encode_lines(lines)
        name = edit.files.read_mlmodel().environment_file("conda") or CONDA_FILE
        conda_path = edit.files.resolve(name, key=CONDA_KEY, must_exist=False)
        if conda_path.is_file():
            conda = edit.files.read_yaml(name, key=CONDA_KEY)
            section = change(_pip_lines(conda, conda_path), changes)
            edit.contents[name] = dump_yaml(with_pip_section(conda, section)).encode()
    logger.info("Requirements changed from %s to %s", old, lines)
    return lines


def _parse(lines: Iterable[str]) -> list[Requirement]:
    if isinstance(lines, str):
        lines = [lines]
    texts = [without_credentials(str(line).strip()) for line in lines]
    problems = [f"  - {shorten(text)}" for text in texts if not _is_requirement(text)]
    if problems:
        raise InvalidArgumentError("these are no requirements (PEP 508):\n" + "\n".join(problems))
    for text in texts:
        check_restorable(text, source="requirement_list")
    return [Requirement(text) for text in texts]


def _is_requirement(text: str) -> bool:
    try:
        Requirement(text)
    except InvalidRequirement:
        return False
    return True


def _pip_lines(conda: dict[str, object], path: Path) -> list[str]:
    dependencies = conda.get("dependencies", [])
    if not isinstance(dependencies, list):
        raise ModelFormatError(
            f"expected a list, got {type(dependencies).__name__}", path=path, key="dependencies"
        )
    return pip_lines(conda, path=path)


def _add(lines: list[str], changes: list[Requirement]) -> list[str]:
    result = list(lines)
    places: dict[str | None, int] = {}
    for index, line in enumerate(lines):
        places.setdefault(name_of(line), index)
    added: dict[str, str] = {}
    for requirement in changes:
        name = canonicalize_name(requirement.name)
        if name in places:
            result[places[name]] = str(requirement)
        else:
            added[name] = str(requirement)
    end = _end(result)
    return [*result[:end], *added.values(), *result[end:]]


def _end(lines: list[str]) -> int:
    """Return the place behind the last requirement; ``-c constraints.txt`` stays last."""
    at_end = bool(lines) and lines[-1].startswith("-c ")
    return len(lines) - 1 if at_end else len(lines)


def _remove(lines: list[str], changes: list[Requirement]) -> list[str]:
    names = {canonicalize_name(requirement.name) for requirement in changes}
    return [line for line in lines if name_of(line) not in names]


def _warn_of_absent(lines: list[str], changes: list[Requirement]) -> None:
    present = {name_of(line) for line in lines}
    for requirement in changes:
        if canonicalize_name(requirement.name) not in present:
            logger.warning(
                "%s is not among the requirements, so it is not removed.", requirement.name
            )
