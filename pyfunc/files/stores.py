"""Stores of files that fsspec speaks to (S3, Google Cloud, Azure, the Hugging Face hub, ...).

What is used of a file system, what lies below a place in it, and what its errors mean here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from pyfunc.errors import (
    InvalidArgumentError,
    MissingDependencyError,
    ModelNotFoundError,
    PyfuncError,
    StoreError,
)
from pyfunc.files.paths import check_relative
from pyfunc.files.urls import harmless_cause, without_credentials

__all__ = [
    "FileSystem",
    "Remote",
    "digest_of",
    "is_bucket_store",
    "list_tree",
    "open_filesystem",
    "store_errors",
]

# Scheme -> the package that fsspec needs for it.
_PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "az": "adlfs",
    "hf": "huggingface_hub",
}
_INSTALL = "pip install 'pyfunc-format[stores]'"


class FileSystem(Protocol):
    """What is used of a file system of fsspec, whose documentation says what each method does."""

    def isdir(self, path: str) -> bool:
        """Return whether ``path`` is a folder."""

    def info(self, path: str) -> Mapping[str, object]:
        """Return what is known of ``path``."""

    def find(self, path: str, *, detail: bool) -> Mapping[str, Mapping[str, object]]:
        """Return what is known of each file below ``path``."""

    def cat_file(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        """Return the bytes of a file from ``start`` to before ``end``."""

    def get_file(self, source: str, target: str) -> object:
        """Copy a file from there to here."""

    def put_file(self, source: str, target: str) -> object:
        """Copy a file from here to there."""

    def rm_file(self, path: str) -> object:
        """Remove a file."""

    def invalidate_cache(self) -> object:
        """Forget what folders were seen to hold."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A file in a store: where it is, its size in bytes if known, and all that is said of it."""

    path: str
    size: int | None
    said: str


class store_errors:  # noqa: N801 - it reads as what it does
    """Turn what a store raises in the body into an error of ours that names the place ``url``.

    A class of its own, since a generator would lose what the body raises through it.
    """

    def __init__(self, url: str, *, writing: bool = False) -> None:
        self._told = without_credentials(url)
        self._writing = writing

    def __enter__(self) -> None:
        """Nothing is done yet."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Raise ours in place of the error.

        Raises:
            ModelNotFoundError: nothing is there to read.
            StoreError: anything else went wrong.
        """
        if not isinstance(error, Exception) or isinstance(error, PyfuncError):
            return
        cause = harmless_cause(error)
        if isinstance(error, FileNotFoundError) and not self._writing:
            raise ModelNotFoundError(f"nothing found at {self._told}") from cause
        text = without_credentials(str(error))
        raise StoreError(f"{self._told}: {type(error).__name__}: {text}") from cause


def is_bucket_store(scheme: str) -> bool:
    """Return whether a URL of that scheme names a bucket, a container or an owner first."""
    return scheme.lower() in _PACKAGES


def open_filesystem(url: str) -> tuple[FileSystem, str]:
    """Return the file system of ``url`` and the path in it, without a slash at its end.

    Raises:
        MissingDependencyError: fsspec, or the package for this kind of URL, is not installed.
        InvalidArgumentError: no file system is known for it.
    """
    told = without_credentials(url)
    try:
        import fsspec
    except ImportError as error:
        raise MissingDependencyError(told, _INSTALL) from error
    try:
        filesystem, remote = fsspec.core.url_to_fs(url)
    except ImportError as error:
        package = _PACKAGES.get(url.partition(":")[0].lower())
        install = str(error) if package is None else f"pip install {package}"
        raise MissingDependencyError(told, install) from error
    except ValueError as error:
        text = without_credentials(str(error))
        raise InvalidArgumentError(f"{told}: {text}") from harmless_cause(error)
    return filesystem, remote.rstrip("/")


def list_tree(filesystem: FileSystem, remote: str) -> dict[str, Remote]:
    """Return the files below ``remote`` by their relative POSIX paths, sorted, as they are now.

    Raises:
        ModelPathError: one has a name that leads elsewhere.
        Exception: what the store raises.
    """
    filesystem.invalidate_cache()
    found = filesystem.find(remote, detail=True)
    base = remote + "/"
    if not all(path.startswith(base) for path in found):  # some stores have several spellings
        base = str(filesystem.info(remote)["name"]).rstrip("/") + "/"
    tree: dict[str, Remote] = {}
    for path, info in sorted(found.items()):
        size = info.get("size")
        if info.get("type") == "directory" or path.endswith("/") or path == remote:
            continue  # what marks an empty folder, or the place is a file
        name = check_relative(path.removeprefix(base), key="store", file=path)
        tree[name] = Remote(path, size if isinstance(size, int) else None, _text_of(info))
    return tree


def digest_of(tree: Mapping[str, Remote]) -> str:
    """Return SHA-256 as hex of what a store says of the files: another one when any changes."""
    lines = (f"{name}\0{remote.said}" for name, remote in tree.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _text_of(info: Mapping[str, object]) -> str:
    return repr(sorted((key, str(value)) for key, value in info.items()))
