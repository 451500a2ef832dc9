"""Turns paths that a model file names into real paths inside the model directory.

This is the one place that does so: whatever a model file says, what comes back from
:func:`confine` is an ordinary file or directory below the root.
"""

from __future__ import annotations

import errno
import os
import posixpath
import re
import stat
import unicodedata
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, Literal, Protocol
from urllib.parse import unquote

from pyfunc.errors import ModelIncompleteError, ModelPathError, shorten
from pyfunc.files.opening import open_to_read

__all__ = [
    "MANIFEST_PATH",
    "Kind",
    "check_relative",
    "confine",
    "describe_type",
    "find_problem_of_relative",
    "find_problem_on_windows",
    "is_below",
    "is_link",
    "normal_relative",
    "open_regular_file",
    "read_at_most",
    "size_of",
]

Kind = Literal["file", "dir", "any"]

MANIFEST_PATH = ".pyfunc/manifest.json"
"""Where a directory says which files it has, with the hash of each."""

_MAX_PATH_BYTES = 4096
_MAX_NAME_BYTES = 255
_PLAIN = re.compile(r"\w[\w.-]*(?:/\w[\w.-]*)*", re.ASCII)  # nearly all there are
_DRIVE = re.compile(r"[A-Za-z]:")
_SEPARATORS = re.compile(r"[/\\]")
_DEVICE = re.compile(
    r"(?:^|/)(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(?:\.[^/]*)?(?:/|$)",
    re.IGNORECASE,
)
_END = re.compile(r"(?:^|/)(?!\.\.?(?:/|$))[^/]*[. ](?:/|$)")
_JUNCTION = 0xA0000003
_TYPES = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def describe_type(mode: int) -> str:
    """Return what ``st_mode`` says a file is, such as ``a FIFO``, for messages."""
    return _TYPES.get(stat.S_IFMT(mode), "a special file")


class _Status(Protocol):
    @property
    def st_mode(self) -> int: ...


def is_link(status: _Status) -> bool:
    """Return whether what :func:`os.lstat` looked at leads elsewhere: a link, or a junction."""
    return stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) == _JUNCTION


def find_problem_of_relative(relative: object) -> str | None:
    """Return why ``relative`` cannot name something below a root, or None if it can.

    Only the text is judged; the file system is not asked. The rules are the same on every
    system, and on Windows there are those of :func:`find_problem_on_windows` besides.
    """
    if not isinstance(relative, str):
        return f"expected a relative path as text, got {type(relative).__name__}"
    if os.name != "nt" and len(relative) <= _MAX_NAME_BYTES and _PLAIN.fullmatch(relative):
        return None
    try:
        encoded = os.fsencode(relative)
    except UnicodeEncodeError:
        return "the path holds characters that cannot be in a file name"
    for problem, found in (
        ("the path is empty", not relative),
        ("the path holds a NUL character", "\0" in relative),
        ("the path holds a backslash", "\\" in relative),
        ("the path is absolute", relative.startswith("/")),
        ("the path starts with '~'", relative.startswith("~")),
        ("the path starts with a drive letter", _DRIVE.match(relative) is not None),
        ("the path ends with a slash", relative.endswith("/")),
        (f"the path is longer than {_MAX_PATH_BYTES} bytes", len(encoded) > _MAX_PATH_BYTES),
    ):
        if found:
            return problem
    return _find_problem_of_parts(relative)


def find_problem_on_windows(relative: str) -> str | None:
    """Return what Windows takes ``relative`` for that is no file of this name, or None.

    On other systems these are names like any other, which models may have.
    """
    for problem, found in (
        ("the path holds a colon, which Windows takes for a stream of a file", ":" in relative),
        ("the path holds a name that Windows keeps for a device", _DEVICE.search(relative)),
        ("a name ends with a dot or a space, which Windows leaves out", _END.search(relative)),
    ):
        if found:
            return problem
    return None


def _find_problem_of_parts(relative: str) -> str | None:
    parts = relative.split("/")
    if ".." in parts:
        return "the path holds '..'"
    if all(part in ("", ".") for part in parts):
        return "the path names the directory itself"
    if len(relative) > _MAX_NAME_BYTES // 4 and any(
        len(os.fsencode(part)) > _MAX_NAME_BYTES for part in parts
    ):
        return f"a name in the path is longer than {_MAX_NAME_BYTES} bytes"
    # Other readers may decode or normalise before they resolve: '%2e%2e', U+2025, U+FF0E.
    disguised = ["%" in relative and unquote(relative)]
    disguised += [not relative.isascii() and unicodedata.normalize("NFKC", relative)]
    if any(text and ".." in _SEPARATORS.split(text) for text in disguised):
        return "the path holds '..' in disguise"
    return find_problem_on_windows(relative) if os.name == "nt" else None


def check_relative(relative: object, *, key: str, file: Path | str = "MLmodel") -> str:
    """Return ``relative`` unchanged if its text can name something below a root.

    Raises:
        ModelPathError: it is not a string, or it is empty, absolute, too long, or holds
            ``..``, a backslash, NUL, a drive letter or a leading ``~``; ``key`` is named.
    """
    problem = find_problem_of_relative(relative)
    if problem is not None:
        raise ModelPathError(f"{problem}: {shorten(relative)}", path=file, key=key)
    assert isinstance(relative, str)
    return relative


def normal_relative(relative: object, *, key: str, file: Path | str = "MLmodel") -> str:
    """Return the path that a model file names in the one spelling that a manifest has.

    ``.`` stands for the root itself; ``./``, ``a/../b``, doubled and trailing slashes and the
    separators of Windows are spellings that people and MLflow write.

    Raises:
        ModelPathError: it leaves the root, or as :func:`check_relative`.
    """
    if isinstance(relative, str) and relative:
        relative = posixpath.normpath(relative.replace("\\", "/"))
    return "." if relative == "." else check_relative(relative, key=key, file=file)


def confine(
    root: Path,
    relative: object,
    *,
    key: str,
    file: Path | str = "MLmodel",
    kind: Kind = "any",
    must_exist: bool = True,
) -> Path:
    """Return the path below ``root`` that ``relative`` names, with links inside resolved.

    Args:
        root: the model directory; may itself be or contain a symbolic link.
        relative: the value that a model file holds, in any spelling of
            :func:`normal_relative`. Symbolic links are followed as long as they stay in ``root``.
        key: where the value stands, such as ``flavors.python_function.data``, for messages.
        file: the file that names it, for messages.
        kind: what has to be there.
        must_exist: False allows a missing last part; what exists of the path is checked.

    Raises:
        ModelPathError: the path leaves the root, or leads to a link loop, a dangling link, a
            FIFO, a device, a socket, or something other than ``kind``.
        ModelIncompleteError: nothing is there, or it cannot be looked at.
    """
    text = normal_relative(relative, key=key, file=file)
    where = _Where(key, file, text)
    if isinstance(relative, str) and relative.endswith(("/", "\\")):
        if kind == "file":
            raise where.refused("expected a file, got the path of a directory")
        kind = "dir"
    current = os.fspath(root)
    mode = stat.S_IFDIR
    for part in text.split("/"):
        if part in ("", "."):
            continue
        current = os.path.join(current, part)
        found = _lstat(current, where)
        if found is None:
            if must_exist:
                raise where.incomplete(f"{shorten(text)} does not exist")
            return _below(root, text)
        mode = found.st_mode
        if is_link(found):
            return _confine_link(root, text, where, kind, must_exist)
    _check_kind(mode, kind, where)
    return Path(current)


class _Where:
    """The place that named a path, and the errors about it."""

    __slots__ = ("file", "key", "text")

    def __init__(self, key: str, file: Path | str, text: str) -> None:
        self.key = key
        self.file = file
        self.text = text

    def refused(self, reason: str) -> ModelPathError:
        return ModelPathError(f"{reason}: {shorten(self.text)}", path=self.file, key=self.key)

    def incomplete(self, reason: str) -> ModelIncompleteError:
        return ModelIncompleteError(f"{self.key}: {reason}", path=self.file)


def _below(root: Path, text: str) -> Path:
    return Path(root, *(part for part in text.split("/") if part not in ("", ".")))


def _lstat(path: str, where: _Where) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _translate(error, where) from error


def _translate(error: OSError, where: _Where) -> ModelPathError | ModelIncompleteError:
    if error.errno == errno.ELOOP:
        return where.refused("the path leads into a loop of links")
    if error.errno == errno.ENOTDIR:
        return where.refused("the path goes through something that is not a directory")
    if error.errno == errno.ENAMETOOLONG:
        return where.refused("the path is too long for this file system")
    return where.incomplete(f"{shorten(where.text)} cannot be reached ({error.strerror})")


def _confine_link(root: Path, text: str, where: _Where, kind: Kind, must_exist: bool) -> Path:
    real_root = os.path.realpath(root)
    wanted = os.path.join(real_root, text)
    try:
        real = os.path.realpath(wanted, strict=True)
    except FileNotFoundError as error:
        real = os.path.realpath(wanted)
        _check_inside(real_root, real, where)
        if must_exist:
            raise where.refused("the path leads to a link whose target is missing") from error
        return _below(root, os.path.relpath(real, real_root))
    except OSError as error:
        raise _translate(error, where) from error
    _check_inside(real_root, real, where)
    _check_kind(os.lstat(real).st_mode, kind, where)
    return _below(root, os.path.relpath(real, real_root))


def is_below(root: str, path: str, *, flavour: ModuleType = os.path) -> bool:
    """Return whether ``path`` is below ``root``, both real paths as ``flavour`` spells them."""
    root, path = (_plain(flavour.normcase(text)) for text in (root, path))
    return path.startswith(root.rstrip(flavour.sep) + flavour.sep)


def _plain(path: str) -> str:
    r"""Return a path of Windows without the prefix of long ones, ``\\?\`` or ``\\?\UNC\``."""
    if path.startswith("\\\\?\\unc\\"):
        return "\\\\" + path[8:]
    return path.removeprefix("\\\\?\\")


def _check_inside(real_root: str, real: str, where: _Where) -> None:
    if not is_below(real_root, real):
        raise where.refused("the path follows a link out of the model directory")


def _check_kind(mode: int, kind: Kind, where: _Where) -> None:
    is_file, is_dir = stat.S_ISREG(mode), stat.S_ISDIR(mode)
    if not (is_file or is_dir) or (kind == "file" and is_dir) or (kind == "dir" and is_file):
        wanted = {"file": "a file", "dir": "a directory", "any": "a file or a directory"}[kind]
        raise where.refused(f"expected {wanted}, got {describe_type(mode)}")


def open_regular_file(path: Path | str, *, follow: bool = True) -> BinaryIO:
    """Return ``path`` opened for unbuffered binary reading; it is an ordinary file for sure.

    A FIFO, a device or a socket is neither waited for nor opened. With ``follow=False`` a
    symbolic link is refused as well.

    Raises:
        ModelPathError: the path is not an ordinary file.
        ModelIncompleteError: nothing is there, or it cannot be opened.
    """
    try:
        before = os.stat(path, follow_symlinks=follow)
        _check_regular(before.st_mode, path)
        descriptor = open_to_read(path, follow=follow)
    except FileNotFoundError as error:
        raise ModelIncompleteError("the file does not exist", path=path) from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ModelPathError("expected a file, got a loop of links", path=path) from error
        raise ModelIncompleteError(
            f"the file cannot be opened ({error.strerror})", path=path
        ) from error
    try:
        _check_regular(os.fstat(descriptor).st_mode, path)
        return os.fdopen(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def read_at_most(file: BinaryIO, count: int) -> bytes:
    """Return the first ``count`` bytes of an open file, or all if it has fewer.

    Memory is taken for what is there, not for ``count``.
    """
    return file.read(min(count, os.fstat(file.fileno()).st_size + 1))


def _check_regular(mode: int, path: Path | str) -> None:
    if not stat.S_ISREG(mode):
        raise ModelPathError(f"expected a file, got {describe_type(mode)}", path=path)


def size_of(directory: Path) -> int:
    """Return the sum of the sizes of all files below ``directory``."""
    return sum(
        os.path.getsize(os.path.join(folder, name))
        for folder, _, names in os.walk(directory)
        for name in names
    )
