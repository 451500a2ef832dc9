"""Signing a model and checking the signature, with OpenSSF's model-signing (extra ``signing``).

The signature is a Sigstore bundle over every file of the model, its manifest included; nothing is
left out but the signature itself. Keys are elliptic-curve keys; nothing goes over the network.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from pyfunc.errors import (
    InvalidArgumentError,
    MissingDependencyError,
    ModelNotFoundError,
    UntrustedModelError,
)
from pyfunc.locations import resolve_model
from pyfunc.manifest import MANIFEST_PATH, Manifest, verify_files
from pyfunc.paths import open_regular_file

__all__ = ["SIGNATURE_PATH", "sign", "verify_signature"]

SIGNATURE_PATH = ".pyfunc/model.sig"
_INSTALL = "pip install 'pyfunc-format[signing]'"
_MAX_BUNDLE = 64 << 20
_STATEMENT = "application/vnd.in-toto+json"

PathLike = str | os.PathLike[str]


def sign(path: PathLike, *, private_key: PathLike, password: str | None = None) -> Path:
    """Sign the model at ``path`` and return the file that holds the signature.

    The files are checked against the manifest first, so that what is signed is what was saved.

    Args:
        path: a model directory with a manifest; an older signature in it is replaced.
        private_key: PEM file of an elliptic-curve key.
        password: of the key file, if it is encrypted.

    Raises:
        ModelIntegrityError: the files are not those that were saved.
        InvalidArgumentError: the key is of another kind or cannot be read.
        MissingDependencyError: the extra is not installed.
    """
    root = resolve_model(path)
    _check_key(Path(private_key), private=True, password=password)
    signing, _, hashing = _library()
    verify_files(root)
    signature = root / SIGNATURE_PATH
    config = signing.Config().use_elliptic_key_signer(
        private_key=os.fspath(private_key), password=password
    )
    temporary = signature.with_name("model.sig.tmp")
    config.set_hashing_config(_hashing(hashing, signature, temporary)).sign(root, temporary)
    os.replace(temporary, signature)
    return signature


def verify_signature(path: PathLike, *, public_key: PathLike) -> Manifest:
    """Return the manifest of the model at ``path`` if all its files are as they were signed.

    Args:
        path: a model directory.
        public_key: PEM file of the signer's elliptic-curve key.

    Raises:
        UntrustedModelError: there is no signature, it is by another key, or it is not of these
            files.
        InvalidArgumentError: the key is of another kind or cannot be read.
        MissingDependencyError: the extra is not installed.
    """
    root = resolve_model(path)
    _check_key(Path(public_key), private=False)
    _, verifying, hashing = _library()
    signature = root / SIGNATURE_PATH
    bundle = _read_bundle(signature)
    config = verifying.Config().use_elliptic_key_verifier(public_key=os.fspath(public_key))
    try:
        config.set_hashing_config(_hashing(hashing, signature)).verify(root, signature)
    except Exception as error:  # the library raises errors of many kinds
        raise UntrustedModelError(
            f"{root}: the signature does not hold: {type(error).__name__}: {error}"
        ) from error
    manifest = verify_files(root)
    if bundle.get(MANIFEST_PATH) != manifest.digest:
        raise UntrustedModelError(f"{root}: the manifest is not the one that was signed")
    return manifest


def _hashing(hashing: Any, *ignored: Path) -> Any:
    return (
        hashing.Config()
        .use_file_serialization(hashing_algorithm="sha256", allow_symlinks=False)
        .set_ignored_paths(paths=list(ignored), ignore_git_paths=False)
    )


def _read_bundle(signature: Path) -> dict[str, str]:
    """Return file -> SHA-256 as the bundle says, after checking what it leaves out.

    The values mean something only once the signature is verified.
    """
    if not signature.is_file():
        raise UntrustedModelError(f"{signature.parent.parent} is not signed")
    try:
        with open_regular_file(signature) as file:
            envelope = json.loads(file.read(_MAX_BUNDLE))["dsseEnvelope"]
        statement = json.loads(base64.b64decode(envelope["payload"], validate=True))
        serialization = statement["predicate"]["serialization"]
        resources = {item["name"]: item["digest"] for item in statement["predicate"]["resources"]}
        ignored = set(serialization["ignore_paths"])
        kind = (envelope["payloadType"], serialization["method"], serialization["hash_type"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UntrustedModelError(f"{signature} is not a signature bundle: {error}") from error
    if kind != (_STATEMENT, "files", "sha256") or serialization.get("allow_symlinks"):
        raise UntrustedModelError(f"{signature}: a signature of another kind: {kind}")
    if not ignored <= {SIGNATURE_PATH, f"{SIGNATURE_PATH}.tmp"}:
        raise UntrustedModelError(f"{signature}: leaves files out: {sorted(ignored)}")
    return resources


def _check_key(key: Path, *, private: bool, password: str | None = None) -> None:
    if not key.is_file():
        raise ModelNotFoundError(f"no such key file: {key}")
    _library()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    data = key.read_bytes()
    try:
        found: Any = (
            serialization.load_pem_private_key(
                data, None if password is None else password.encode()
            )
            if private
            else serialization.load_pem_public_key(data)
        )
    except (ValueError, TypeError) as error:
        raise InvalidArgumentError(f"{key}: not a readable PEM key: {error}") from error
    kinds = (ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey)
    if not isinstance(found, kinds):
        raise InvalidArgumentError(
            f"{key}: expected an elliptic-curve key, got {type(found).__name__}\n"
            "hint: openssl ecparam -name prime256v1 -genkey -noout -out key.pem"
        )


def _library() -> tuple[Any, Any, Any]:
    try:
        from model_signing import hashing, signing, verifying
    except ImportError as error:
        raise MissingDependencyError("signing a model", _INSTALL) from error
    return signing, verifying, hashing
