"""Reads the requirements of a saved model by its one reader, which checks what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pyfunc.directory.opened import ModelFiles
from pyfunc.env.requirements.environment_files import (
    MAX_REQUIREMENTS_BYTES,
    REQUIREMENTS_FILE,
)
from pyfunc.env.requirements.lines import (
    RequirementLines,
    clean_lines,
    decode_lines,
    expand_lines,
    parse_include,
)
from pyfunc.errors import ModelFormatError, ModelIncompleteError, PyfuncError
from pyfunc.files.paths import confine

__all__ = ["Unreadable", "parse_text", "read_model_lines", "read_requirements"]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A requirement line, or a whole file, that could not be read, and why."""

    line: str
    reason: str


def parse_text(data: bytes, *, path: Path | str = REQUIREMENTS_FILE) -> str:
    """Return the text of a requirements file of at most 1 MiB.

    Raises:
        ModelFormatError: it is larger or not UTF-8.
    """
    if len(data) > MAX_REQUIREMENTS_BYTES:
        raise ModelFormatError(
            f"the file is larger than {MAX_REQUIREMENTS_BYTES} bytes", path=path
        )
    try:
        return decode_lines(data)
    except UnicodeDecodeError as error:
        raise ModelFormatError(f"not UTF-8: {error}", path=path) from error


@dataclass(frozen=True, slots=True)
class _Reader:
    files: ModelFiles

    def __call__(self, name: str, base: Path) -> tuple[Path, str]:
        # Names inside a nested file are relative to that file's folder; ".." is refused.
        folder = base.relative_to(self.files.root).as_posix()
        relative = name if folder == "." or name.startswith("/") else f"{folder}/{name}"
        path = confine(
            self.files.root,
            relative,
            key="-r or -c line",
            file=self.files.root / REQUIREMENTS_FILE,
            kind="file",
        )
        return path, _read_text(self.files, relative)


def _read_text(files: ModelFiles, relative: str) -> str:
    data = files.read(relative, key=REQUIREMENTS_FILE, max_bytes=MAX_REQUIREMENTS_BYTES)
    return parse_text(data, path=files.root / relative)


def read_model_lines(files: ModelFiles, text: str) -> RequirementLines:
    """Return the lines of the requirements ``text`` of the model that ``files`` are.

    Raises:
        ModelPathError: a ``-r`` or ``-c`` line leads out of the directory.
        ModelIncompleteError: a file that such a line names is missing.
        ModelIntegrityError: such a file is not as it was saved.
        InvalidArgumentError: files include each other in a circle.
    """
    return expand_lines(text.splitlines(), files.root, _Reader(files))


def read_requirements(
    directory: Path, files: ModelFiles | None = None
) -> tuple[list[str], list[Unreadable]]:
    """Return all requirement and constraint lines of a model, and what could not be read.

    ``files`` reads the files in ``directory`` and checks what it reads; by default nothing is
    checked. A missing ``requirements.txt`` is no problem: the model then requires nothing.
    """
    files = files or ModelFiles(directory, None)
    try:
        text = _read_text(files, REQUIREMENTS_FILE)
    except ModelIncompleteError as error:
        missing = not files.holds(REQUIREMENTS_FILE)
        return [], [] if missing else [Unreadable(REQUIREMENTS_FILE, str(error))]
    except PyfuncError as error:
        return [], [Unreadable(REQUIREMENTS_FILE, str(error))]
    lines: list[str] = []
    unreadable: list[Unreadable] = []
    for line in clean_lines(text.splitlines()):
        found = _expand(files, line)
        if isinstance(found, Unreadable):
            unreadable.append(found)
        else:
            lines += found
    return lines, unreadable


def _expand(files: ModelFiles, line: str) -> list[str] | Unreadable:
    if parse_include(line) is None:
        return [line]
    try:
        found = read_model_lines(files, line)
    except PyfuncError as error:
        return Unreadable(line, str(error))
    return [*found.requirements, *found.constraints]
