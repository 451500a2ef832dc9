"""An opened model directory: confined paths, and bytes that are checked as they are read."""

from __future__ import annotations

import hashlib
import hmac
import os
import unicodedata
from pathlib import Path
from typing import Literal

from pyfunc.directory.manifest import (
    Extra,
    Manifest,
    Progress,
    check_listing,
    find_files,
    hash_files,
    read_manifest,
)
from pyfunc.errors import (
    InvalidArgumentError,
    ModelFormatError,
    ModelIncompleteError,
    ModelIntegrityError,
    ModelNotFoundError,
    UntrustedModelError,
)
from pyfunc.files.opening import open_directory
from pyfunc.files.paths import Kind, confine, open_regular_file

__all__ = ["HeldPlace", "Integrity", "ModelFiles", "Verify"]

Verify = Literal["auto", "require", "skip"]
Integrity = Literal["verified", "unknown"]

_VERIFY = ("auto", "require", "skip")
_EXTRA = ("error", "warn", "ignore")


class HeldPlace:
    """Tells whether a path still leads to the directory that it led to at the start.

    A model that is overwritten while it loads would otherwise give its code and the artifacts of
    the next one, which a model opens by their path. Used in a ``with`` statement.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def __enter__(self) -> HeldPlace:
        # While it is open the system gives its number to no other directory.
        try:
            # The model may change the working directory.
            self._root = Path(os.path.abspath(self._root))
            self._status = os.stat(self._root)
            self._held = open_directory(self._root)
        except OSError as error:
            raise ModelNotFoundError(f"{self._root}: cannot be opened ({error})") from error
        return self

    def __exit__(self, *error: object) -> None:
        if self._held is not None:
            os.close(self._held)

    def check(self) -> None:
        """Check that the path leads to the same directory.

        Raises:
            ModelIntegrityError: it was replaced or removed.
        """
        try:
            same = os.path.samestat(self._status, os.stat(self._root))
        except FileNotFoundError:
            same = False
        if not same:
            raise ModelIntegrityError(
                f"{self._root} was replaced while it was loaded\nhint: load it again"
            )


class ModelFiles:
    """The files of one model directory.

    Opening compares the names and sizes of all files with the manifest, if there is one and it
    is wanted. :meth:`read` checks the very bytes that it returns; :meth:`verify_all` checks
    whatever was not read before. A loader reads what it will run with ``read``, calls
    ``verify_all``, and only then runs it.

    Attributes:
        root: the directory as the caller named it.
        manifest: what the files are checked against, or None when they are not.
    """

    def __init__(self, root: Path, manifest: Manifest | None) -> None:
        self.root = root
        self.manifest = manifest
        self._verified: set[str] = set()

    @classmethod
    def open(
        cls, path: Path | str, *, verify: Verify = "auto", extra: Extra = "error"
    ) -> ModelFiles:
        """Open the model directory ``path``.

        Args:
            path: a directory; may be a symbolic link to one.
            verify: ``auto`` checks files against the manifest if there is one, ``require``
                refuses a directory without, ``skip`` does not look at it.
            extra: what a file that the manifest does not list means; below ``code/`` such a
                file is always an error. A file that is not listed cannot be read.

        Raises:
            ModelNotFoundError: there is no directory at ``path``.
            ModelIntegrityError: files are missing, of another size or extra, or the manifest
                is missing and required.
            ModelFormatError: the manifest is malformed.
            ModelPathError: a directory with a manifest holds a link, a FIFO or the like.
        """
        if verify not in _VERIFY:
            raise InvalidArgumentError(f"verify: expected one of {_VERIFY}, got {verify!r}")
        if extra not in _EXTRA:
            raise InvalidArgumentError(f"extra: expected one of {_EXTRA}, got {extra!r}")
        root = Path(path)
        if not root.is_dir():
            raise ModelNotFoundError(f"{path}: there is no model directory here")
        manifest = None if verify == "skip" else read_manifest(root)
        if manifest is not None:
            check_listing(root, manifest, find_files(root), extra=extra)
        elif verify == "require":
            raise ModelIntegrityError(
                f"{path} has no manifest, and verify='require' was given\n"
                "hint: save the model with this library, or refresh its manifest"
            )
        return cls(root, manifest)

    @property
    def integrity(self) -> Integrity:
        """``verified`` once every file has been checked, else ``unknown``."""
        done = self.manifest is not None and self._verified >= self.manifest.files.keys()
        return "verified" if done else "unknown"

    def require_digest(self, expected: str) -> None:
        """Check that the manifest is the one whose digest the caller pinned.

        Raises:
            UntrustedModelError: there is no manifest, or it has another digest.
        """
        if self.manifest is None:
            raise UntrustedModelError(f"{self.root} has no manifest to compare a digest with")
        found = self.manifest.digest
        if not hmac.compare_digest(found.encode(), expected.lower().encode()):
            raise UntrustedModelError(
                f"{self.root}: expected the manifest digest {expected}, got {found}"
            )

    def resolve(
        self, relative: object, *, key: str, kind: Kind = "any", must_exist: bool = True
    ) -> Path:
        """Return the real path below the root that the value of ``key`` in ``MLmodel`` names.

        Raises:
            ModelPathError: as :func:`pyfunc.files.paths.confine`.
            ModelIncompleteError: nothing is there, unless ``must_exist`` is False.
        """
        file = self.root / "MLmodel"
        return confine(self.root, relative, key=key, file=file, kind=kind, must_exist=must_exist)

    def read(self, relative: object, *, key: str, max_bytes: int | None = None) -> bytes:
        """Return the content of the file that the value of ``key`` in ``MLmodel`` names.

        The file is opened once; with a manifest, the returned bytes have its size and hash.

        Raises:
            ModelPathError: as :func:`pyfunc.files.paths.confine`.
            ModelIncompleteError: nothing is there, or it cannot be read.
            ModelIntegrityError: the file is not listed, or not as it was saved.
            ModelFormatError: it is larger than ``max_bytes``.
        """
        path = self.resolve(relative, key=key, kind="file")
        return self._read(path, max_bytes)

    def _read(self, path: Path, max_bytes: int | None) -> bytes:
        with open_regular_file(path, follow=False) as file:
            try:
                data = file.read() if max_bytes is None else file.read(max_bytes + 1)
            except OSError as error:
                raise ModelIncompleteError(f"cannot be read ({error})", path=path) from error
        if max_bytes is not None and len(data) > max_bytes:
            raise ModelFormatError(f"the file is larger than {max_bytes} bytes", path=path)
        if self.manifest is not None:
            self._check(path, data)
        return data

    def _check(self, path: Path, data: bytes) -> None:
        assert self.manifest is not None
        name = path.relative_to(self.root).as_posix()
        if not name.isascii():
            name = unicodedata.normalize("NFC", name)
        entry = self.manifest.files.get(name)
        if entry is None:
            raise ModelIntegrityError(f"{self.root}: a file is not in the manifest", extra=[name])
        if len(data) != entry.size or hashlib.sha256(data).hexdigest() != entry.sha256:
            raise ModelIntegrityError(f"{self.root}: a file has changed", modified=[name])
        self._verified.add(name)

    def verify_all(self, *, progress: Progress | None = None) -> Integrity:
        """Check every file that :meth:`read` has not checked yet; return the integrity.

        Without a manifest nothing is checked and the result is ``unknown``.

        Raises:
            ModelIntegrityError: files have changed; all of them are listed.
        """
        if self.manifest is None:
            return self.integrity
        pending = {
            name: entry
            for name, entry in self.manifest.files.items()
            if name not in self._verified
        }
        if pending:
            found = find_files(self.root)
            missing = [name for name in pending if name not in found]
            digests = hash_files(
                {name: found[name].path for name in pending if name in found},
                progress=progress,
                total=sum(entry.size for entry in pending.values()),
            )
            changed = [name for name, sha in digests.items() if sha != pending[name].sha256]
            if missing or changed:
                raise ModelIntegrityError(
                    f"{self.root} does not match its manifest", missing=missing, modified=changed
                )
            self._verified.update(pending)
        return self.integrity
