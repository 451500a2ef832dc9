"""Signing a model and checking the signature, with OpenSSF's model-signing (extra ``signing``).

The signature is a Sigstore bundle over every file of the model, its manifest included; nothing is
left out but the signature itself. Keys are elliptic-curve keys; nothing goes over the network.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Protocol

from pyfunc.directory.manifest import (
    MANIFEST_PATH,
    SIGNATURE_PATH,
    Manifest,
    name_of,
    read_manifest,
)
from pyfunc.directory.verification import find_additions, find_files, verify_files
from pyfunc.errors import (
    InvalidArgumentError,
    MissingDependencyError,
    ModelIntegrityError,
    ModelNotFoundError,
    PyfuncError,
    UntrustedModelError,
    shorten,
)
from pyfunc.files.atomic_files import write_file_atomically
from pyfunc.files.locations import local_directory, resolve_model
from pyfunc.files.paths import open_regular_file, read_at_most

__all__ = ["sign", "verify_signature"]

_INSTALL = "pip install 'pyfunc-format[signing]'"
_MAX_BUNDLE = 64 << 20
_SUBJECT = "subject:"
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_STATEMENT = "application/vnd.in-toto+json"

PathLike = str | os.PathLike[str]


def sign(
    path: PathLike,
    *,
    private_key: PathLike,
    password: str | None = None,
    subject: str | None = None,
) -> Path:
    """Sign the model at ``path`` and return the file that holds the signature.

    The files are checked against the manifest first, so that what is signed is what was saved.

    Args:
        path: a model directory with a manifest; an older signature in it is replaced.
        private_key: PEM file of an elliptic-curve key.
        password: of the key file, if it is encrypted.
        subject: what is signed, such as ``iris/3``. With the same key, one model can then not
            take the place of another: see ``expected_subject`` of ``load_model``.

    Raises:
        ModelIntegrityError: the files are not those that were saved.
        InvalidArgumentError: the key is of another kind or cannot be read, or the subject is no
            text that can be one.
        MissingDependencyError: the extra is not installed.
    """
    root = local_directory(path)
    name = None if subject is None else _name_of_subject(subject, "subject")
    _check_key(Path(private_key), private=True, password=password)
    signing, _, _ = _library()
    manifest = verify_files(root)
    signature = root / SIGNATURE_PATH
    config = signing.Config().use_elliptic_key_signer(
        private_key=os.fspath(private_key),
        # Its documentation says text; it hands it to a function that takes bytes.
        password=None if password is None else password.encode(),
    )
    hashing = _KeptHashing(root, name)
    with tempfile.TemporaryDirectory() as private:
        written = Path(private, "bundle")
        try:
            config.set_hashing_config(hashing).sign(root, written)
        except (ValueError, OSError) as error:
            raise ModelIntegrityError(f"{root} cannot be signed: {error}") from error
        hashing.require(manifest, root)
        write_file_atomically(signature, written.read_bytes())
    return signature


def verify_signature(
    path: PathLike, *, public_key: PathLike, expected_subject: str | None = None
) -> Manifest:
    """Return the manifest of the model at ``path`` if all its files are as they were signed.

    The manifest is the one that was signed. Who reads the files later holds them against it.

    Args:
        path: a model directory.
        public_key: PEM file of the signer's elliptic-curve key.
        expected_subject: what the signer must have called the model; None asks for nothing.

    Raises:
        UntrustedModelError: there is no signature, it is by another key, it is not of these
            files, or it has another subject.
        InvalidArgumentError: the key is of another kind or cannot be read.
        MissingDependencyError: the extra is not installed.
    """
    root = resolve_model(path)
    _check_key(Path(public_key), private=False)
    _, verifying, _ = _library()
    signature = root / SIGNATURE_PATH
    bundle = _read_bundle(signature)
    config = verifying.Config().use_elliptic_key_verifier(public_key=os.fspath(public_key))
    hashing = _KeptHashing(root)
    with tempfile.TemporaryDirectory() as private:
        # What was looked at above is what is verified, whoever writes into the model meanwhile.
        copy = Path(private, "bundle")
        copy.write_bytes(bundle)
        try:
            config.set_hashing_config(hashing).verify(root, copy)
        except PyfuncError:
            raise
        except Exception as error:  # the library raises errors of many kinds
            raise UntrustedModelError(
                f"{root}: the signature does not hold: {type(error).__name__}: {error}"
            ) from error
    if expected_subject is not None:
        wanted = _name_of_subject(expected_subject, "expected_subject")
        if hashing.signed_name != wanted:
            raise UntrustedModelError(
                f"{root}: expected a signature of {expected_subject!r}, got one of "
                f"{_subject_of_name(hashing.signed_name)}"
            )
    manifest = read_manifest(root)
    if manifest is None or hashing.digests.get(MANIFEST_PATH) != manifest.digest:
        raise UntrustedModelError(f"{root}: the manifest is not the one that was signed")
    return manifest


class _KeptHashing:
    """The library's hashing of every file but the signature, with the result kept.

    After a verification that succeeds, ``digests`` is what was signed: the library has compared
    them. To parse the bundle a second time would be to trust two parsers to agree.

    Attributes:
        digests: relative POSIX path -> SHA-256 of the last directory that was hashed.
        signed_name: the name that a verified signature has for the model.
    """

    def __init__(self, root: Path, name: str | None = None) -> None:
        _, _, hashing = _library()
        signature = root / SIGNATURE_PATH
        self._files = _files_without_additions(root)
        self._config = (
            hashing.Config()
            .use_file_serialization(hashing_algorithm="sha256", allow_symlinks=False)
            .set_ignored_paths(paths=[signature], ignore_git_paths=False)
        )
        self._name = name
        self.digests: dict[str, str] = {}
        self.signed_name: str | None = None

    def add_ignored_paths(self, *, model_path: Path, paths: Iterable[str]) -> None:
        """Refuse a signature that leaves out more than itself; called once it is verified.

        Raises:
            UntrustedModelError: it does.
        """
        left_out = sorted({str(path) for path in paths} - {SIGNATURE_PATH})
        if left_out:
            raise UntrustedModelError(f"{model_path}: the signature leaves files out: {left_out}")

    def hash(self, model_path: Path, *, files_to_hash: Iterable[Path] | None = None) -> object:
        """Return the library's list of the files below ``model_path``."""
        files = self._files if files_to_hash is None else files_to_hash
        found = self._config.hash(model_path, files_to_hash=files)
        self.digests = {
            item.identifier: item.digest.digest_hex for item in found.resource_descriptors()
        }
        return _NamedManifest(found, self._name or found.model_name, self)

    def require(self, manifest: Manifest, root: Path) -> None:
        """Check that what was hashed is what ``manifest`` lists, and the manifest itself.

        Raises:
            ModelIntegrityError: it is not.
        """
        found = {name_of(name): sha for name, sha in self.digests.items()}
        listed = {name: entry.sha256 for name, entry in manifest.files.items()}
        if found != {**listed, MANIFEST_PATH: manifest.digest}:
            raise ModelIntegrityError(
                f"{root} changed while it was signed, or its manifest was edited\n"
                "hint: call pyfunc.refresh on it once nothing writes there"
            )


def _files_without_additions(root: Path) -> list[Path] | None:
    """Return the files that a signature is over where a store added others; None means all.

    A manifest that nobody has checked decides here; that it is the signed one is found later.
    Files of git count, although the tool leaves them out where nobody tells it not to.
    """
    try:
        manifest = read_manifest(root)
        added = [] if manifest is None else find_additions(root, manifest)
        left_out = {name for name in added if not name.startswith(".git")}
        names = find_files(root).keys() - left_out if left_out else ()
    except PyfuncError:  # told by what reads it next
        return None
    return [root / name for name in (*sorted(names), MANIFEST_PATH)] if names else None


class _LibraryManifest(Protocol):
    model_name: str
    serialization_type: dict[str, object]

    def resource_descriptors(self) -> Iterator[object]: ...


class _NamedManifest:
    """The library's list of files, with a name that is signed and read back.

    The library signs a name, and compares all but it with what it has verified.
    """

    def __init__(self, found: _LibraryManifest, name: str, kept: _KeptHashing) -> None:
        self._found = found
        self._kept = kept
        self.model_name = name
        self.serialization_type = found.serialization_type

    def resource_descriptors(self) -> Iterator[object]:
        """Yield each file with its digest."""
        return self._found.resource_descriptors()

    def __eq__(self, verified: object) -> bool:
        self._kept.signed_name = getattr(verified, "model_name", None)
        return bool(self._found == verified)


def _name_of_subject(subject: str, argument: str) -> str:
    """Return the name that stands for ``subject``; a model without one has its folder's name.

    Raises:
        InvalidArgumentError: it is no text of 1 to 255 printable characters.
    """
    if not 0 < len(subject) < 256 or not subject.isprintable():
        raise InvalidArgumentError(
            f"{argument}: expected 1 to 255 printable characters, got {shorten(subject)}"
        )
    return _SUBJECT + subject


def _subject_of_name(name: str | None) -> str:
    if name is None or not name.startswith(_SUBJECT):
        return "no subject"
    return shorten(name.removeprefix(_SUBJECT))


def _read_bundle(signature: Path) -> bytes:
    """Return the bundle, after a look that tells what is wrong with a strange one.

    Raises:
        UntrustedModelError: there is none, or it is not one that :func:`sign` could have made.
    """
    if not os.path.lexists(signature):
        raise UntrustedModelError(f"{signature.parent.parent} is not signed")
    with open_regular_file(signature, follow=False) as file:
        data = read_at_most(file, _MAX_BUNDLE + 1)
    if len(data) > _MAX_BUNDLE:
        raise UntrustedModelError(f"{signature} is larger than {_MAX_BUNDLE} bytes")
    try:
        envelope = json.loads(data)["dsseEnvelope"]
        statement = json.loads(base64.b64decode(envelope["payload"], validate=True))
        serialization = statement["predicate"]["serialization"]
        kind = (envelope["payloadType"], serialization["method"], serialization["hash_type"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UntrustedModelError(
            f"{signature} is not a signature bundle: {type(error).__name__}: {error}"
        ) from error
    if kind != (_STATEMENT, "files", "sha256"):
        raise UntrustedModelError(f"{signature}: a signature of another kind: {kind}")
    return data


def _check_key(key: Path, *, private: bool, password: str | None = None) -> None:
    if not key.is_file():
        raise ModelNotFoundError(f"no such key file: {key}")
    _library()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        data = key.read_bytes()
    except OSError as error:
        raise InvalidArgumentError(f"{key}: cannot be read ({error.strerror})") from error
    try:
        found: object = (
            serialization.load_pem_private_key(
                data, None if password is None else password.encode()
            )
            if private
            else serialization.load_pem_public_key(data)
        )
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidArgumentError(f"{key}: not a readable PEM key: {error}") from error
    kind = type(found).__name__
    if isinstance(found, (ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey)):
        kind = found.curve.name
    if kind not in _CURVES:
        raise InvalidArgumentError(
            f"{key}: expected an elliptic-curve key of {', '.join(_CURVES)}, got {kind}\n"
            "hint: openssl ecparam -name prime256v1 -genkey -noout -out key.pem"
        )


def _library() -> tuple[ModuleType, ModuleType, ModuleType]:
    try:
        from model_signing import hashing, signing, verifying
    except ImportError as error:
        raise MissingDependencyError("signing a model", _INSTALL) from error
    return signing, verifying, hashing
