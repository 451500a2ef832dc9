"""An opened model directory: confined paths, and bytes that are checked as they are read.

Opening follows a policy: what a digest or a signature stands for is held against the manifest.
"""

from __future__ import annotations

import hmac
import io
import os
from collections.abc import Collection
from pathlib import Path
from typing import Literal

from pyfunc.directory.manifest import Manifest, entry_of, name_of, read_manifest
from pyfunc.directory.mlmodel import MLMODEL_FILE, MLmodel, check_holds_model, parse_mlmodel
from pyfunc.directory.signing import verify_signature
from pyfunc.directory.verification import (
    Extra,
    Progress,
    check_listing,
    find_files,
    integrity_error,
    verify_files,
)
from pyfunc.errors import (
    InvalidArgumentError,
    ModelFormatError,
    ModelIncompleteError,
    ModelIntegrityError,
    ModelNotFoundError,
    UntrustedModelError,
)
from pyfunc.files.lfs_pointers import POINTER_TEXT, holds_lfs_pointer, is_lfs_pointer
from pyfunc.files.locations import check_directory
from pyfunc.files.opening import open_directory
from pyfunc.files.paths import Kind, confine, open_regular_file
from pyfunc.files.yaml_reading import MAX_YAML_BYTES, check_mapping, parse_yaml
from pyfunc.trust import TrustPolicy

__all__ = ["HeldPlace", "Integrity", "ModelFiles", "Verify", "open_files"]

Verify = Literal["auto", "require", "skip"]
Integrity = Literal["verified", "unknown"]

_VERIFY = ("auto", "require", "skip")
_EXTRA = ("error", "warn", "ignore")


_OF_FILES = (
    ModelFormatError,
    ModelIncompleteError,
    ModelIntegrityError,
    ModelNotFoundError,
    UntrustedModelError,
)


class HeldPlace:
    """Tells whether a path still leads to the directory that it led to at the start.

    A model that is overwritten while it loads would otherwise give its code and the artifacts of
    the next one, which a model opens by their path. Used in a ``with`` statement: an error over
    files that ends it becomes the error that the directory was replaced, if it was.
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

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        try:
            # Files of two models do not fit each other; refreshing would declare them right.
            if isinstance(error, _OF_FILES):
                self.check()
        finally:
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
        self._kept: dict[str, bytes] = {}

    @classmethod
    def open(
        cls, path: Path | str, *, verify: Verify = "auto", extra: Extra = "error"
    ) -> ModelFiles:
        """Open the model directory ``path``.

        Args:
            path: a directory; may be a symbolic link to one.
            verify: ``auto`` checks files against the manifest if there is one, ``require``
                refuses a directory without, ``skip`` does not look at it.
            extra: what a file that the manifest does not list means, as for
                :func:`verify_files`. A file that is not listed cannot be read.

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
        root = check_directory(Path(path))
        manifest = None if verify == "skip" else read_manifest(root)
        if manifest is not None:
            check_listing(root, manifest, find_files(root), extra=extra)
        elif verify == "require":
            raise ModelIntegrityError(
                f"{path} has no manifest, and verify='require' was given\n"
                "hint: save the model with this library, or refresh its manifest"
            )
        return cls(root, manifest)

    @classmethod
    def held_against_manifest(cls, root: Path) -> ModelFiles:
        """Return the files of ``root`` without a look at the list of them.

        For who reads single files, or changes some. What is read is checked if there is a
        manifest.

        Raises:
            ModelFormatError: the manifest is malformed.
            ModelPathError: the manifest is not an ordinary file.
        """
        return cls(root, read_manifest(root))

    @property
    def verified(self) -> Collection[str]:
        """The names of the files that have been checked."""
        return self._verified

    @property
    def integrity(self) -> Integrity:
        """``verified`` once every file has been checked, else ``unknown``."""
        done = self.manifest is not None and self._verified >= self.manifest.files.keys()
        return "verified" if done else "unknown"

    def holds(self, relative: str) -> bool:
        """Return whether the model has such a file: the manifest says it, if there is one."""
        if self.manifest is not None:
            return name_of(relative) in self.manifest.files
        return (self.root / relative).is_file()

    def names(self) -> Collection[str]:
        """Return the name of every file, as the manifest lists them if there is one."""
        if self.manifest is not None:
            return self.manifest.files.keys()
        return [
            Path(folder, name).relative_to(self.root).as_posix()
            for folder, _, names in os.walk(self.root)
            for name in names
        ]

    def check_listed(self, path: Path) -> None:
        """Check that the manifest, if there is one, lists the file at ``path`` below the root.

        For files that a library will open by itself.

        Raises:
            ModelIntegrityError: it does not.
        """
        name = name_of(path.relative_to(self.root).as_posix())
        if self.manifest is not None and name not in self.manifest.files:
            raise integrity_error(self.root, extra=[name])

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
            ModelIncompleteError: nothing is there, unless ``must_exist`` is False; or what is
                there is a pointer of Git LFS.
        """
        file = self.root / MLMODEL_FILE
        path = confine(self.root, relative, key=key, file=file, kind=kind, must_exist=must_exist)
        if kind != "dir" and holds_lfs_pointer(path):
            raise ModelIncompleteError(POINTER_TEXT, path=path)
        return path

    def read(self, relative: object, *, key: str, max_bytes: int | None = None) -> bytes:
        """Return the content of the file that the value of ``key`` in ``MLmodel`` names.

        The file is opened once; with a manifest, the returned bytes have its size and hash.

        Raises:
            ModelPathError: as :func:`pyfunc.files.paths.confine`.
            ModelIncompleteError: nothing is there, or it cannot be read; or what is there is a
                pointer of Git LFS.
            ModelIntegrityError: the file is not listed, or not as it was saved.
            ModelFormatError: it is larger than ``max_bytes``.
        """
        file = self.root / MLMODEL_FILE
        path = confine(self.root, relative, key=key, file=file, kind="file")
        name = name_of(path.relative_to(self.root).as_posix())
        kept = self._kept.pop(name, None)
        data = _read_file(path, max_bytes) if kept is None else kept
        if is_lfs_pointer(data):
            raise ModelIncompleteError(POINTER_TEXT, path=path)
        if max_bytes is not None and len(data) > max_bytes:
            raise ModelFormatError(f"the file is larger than {max_bytes} bytes", path=path)
        if kept is None and self.manifest is not None:
            self._check(name, data)
        return data

    def read_mlmodel(self) -> MLmodel:
        """Return what the MLmodel file says.

        Raises:
            ModelNotFoundError: there is none.
            ModelIntegrityError: it is not as it was saved.
            ModelFormatError: it is malformed.
        """
        path = check_holds_model(self.root)
        data = self.read(MLMODEL_FILE, key=MLMODEL_FILE, max_bytes=MAX_YAML_BYTES)
        return parse_mlmodel(data, path=path)

    def read_yaml(self, relative: str, *, key: str) -> dict[str, object]:
        """Return the mapping in the YAML file that the value of ``key`` in ``MLmodel`` names.

        Raises:
            PyfuncError: as :meth:`read`, or the file is malformed.
        """
        path = self.root / relative
        data = self.read(relative, key=key, max_bytes=MAX_YAML_BYTES)
        return check_mapping(parse_yaml(data, path=path), path=path)

    def _check(self, name: str, data: bytes) -> None:
        assert self.manifest is not None
        entry = self.manifest.files.get(name)
        if entry is None:
            raise integrity_error(self.root, extra=[name])
        if len(data) != entry.size or entry_of(data) != entry:
            raise integrity_error(self.root, modified=[name])
        self._verified.add(name)

    def verify_all(self, *, keep: object = None, progress: Progress | None = None) -> Integrity:
        """Check every file that :meth:`read` has not checked yet; return the integrity.

        Without a manifest nothing is checked and the result is ``unknown``.

        Args:
            keep: the name of a file whose checked bytes the next :meth:`read` of it returns, so
                that a large one is read and hashed once.
            progress: called with the bytes hashed so far and the bytes to hash.

        Raises:
            ModelIntegrityError: files have changed; all of them are listed.
        """
        if self.manifest is not None and self.integrity == "unknown":
            names = self.manifest.files.keys() - self._verified
            copies = {name: io.BytesIO() for name in names if name == keep}
            # The list was compared at the start; files that came since then, and that nothing
            # imports, do no harm.
            verify_files(
                self.root,
                self.manifest,
                extra="ignore",
                but=self._verified,
                progress=progress,
                copies=copies,
            )
            self._verified.update(self.manifest.files)
            self._kept = {name: copy.getvalue() for name, copy in copies.items()}
        return self.integrity


def _read_file(path: Path, max_bytes: int | None) -> bytes:
    """Return the content of a file; of one that is too large, a byte more than allowed."""
    with open_regular_file(path, follow=False) as file:
        try:
            return file.read() if max_bytes is None else file.read(max_bytes + 1)
        except OSError as error:
            raise ModelIncompleteError(f"cannot be read ({error})", path=path) from error


def open_files(root: Path, verify: Verify, policy: TrustPolicy) -> ModelFiles:
    """Open the files of the model in ``root``, held against what the policy trusts.

    A digest or a key that was given is held against the files in every mode: the environment may
    have lowered the mode, and must not take away what the caller asked for.

    Raises:
        ModelNotFoundError: there is no model.
        UntrustedModelError: the files are not those that the digest or the signature is of.
        PyfuncError: as :meth:`ModelFiles.open`.
    """
    check_holds_model(root)
    if policy.expected_digest is None and policy.public_key is None:
        return ModelFiles.open(root, verify=verify)
    signed = None
    if policy.public_key is not None:
        signed = verify_signature(
            root, public_key=policy.public_key, expected_subject=policy.expected_subject
        )
    files = ModelFiles.open(root)
    if policy.expected_digest is not None:
        files.require_digest(policy.expected_digest)
    if signed is not None:
        files.require_digest(signed.digest)
    return files
