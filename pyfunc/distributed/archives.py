"""A model directory as one archive that is named by its content, and back."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pyfunc.directory.manifest import MANIFEST_PATH, SIGNATURE_PATH, Manifest
from pyfunc.directory.opened import ModelFiles
from pyfunc.directory.verification import build_manifest, integrity_error
from pyfunc.errors import ModelIntegrityError, SaveConflictError
from pyfunc.files.atomic_files import staged_file
from pyfunc.files.paths import open_regular_file
from pyfunc.files.publishing import staged_directory

__all__ = ["archives_folder", "check_digest", "pack_model", "unpack_model"]

_CHUNK = 1 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)


@cache
def archives_folder() -> Path:
    """Return the folder of this process for archives; it is removed when the process ends."""
    folder = tempfile.mkdtemp(prefix="pyfunc-models-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def pack_model(files: ModelFiles) -> tuple[str, Path]:
    """Return the digest of a model, and an archive with the files that it is the digest of.

    The same content has the same archive, byte for byte.

    Raises:
        ModelIntegrityError: a file changed meanwhile, or is not what the manifest lists.
        ModelPathError: something in the directory is a link or no ordinary file.
    """
    manifest = files.manifest or build_manifest(files.root)
    path = archives_folder() / f"{manifest.digest}.zip"
    if not path.exists():
        with staged_file(path) as target, zipfile.ZipFile(target, "w") as archive:
            for name, source in _iter_files(files.root, manifest):
                sha256 = _add(archive, name, source)
                if name in manifest.files and sha256 != manifest.files[name].sha256:
                    raise integrity_error(files.root, modified=[name])
    else:
        files.verify_all()
    return manifest.digest, path


def _iter_files(root: Path, manifest: Manifest) -> Iterator[tuple[str, Path]]:
    for name in manifest.files:
        yield name, root / name
    for name in (MANIFEST_PATH, SIGNATURE_PATH):
        if os.path.lexists(root / name):
            yield name, root / name


def _add(archive: zipfile.ZipFile, name: str, source: Path) -> str:
    """Add a file and return its SHA-256. Weights do not get smaller, so nothing is compressed."""
    total = hashlib.sha256()
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr = 0o644 << 16
    with open_regular_file(source, follow=False) as reader:
        entry.file_size = os.fstat(reader.fileno()).st_size  # for files beyond 2 GiB
        with archive.open(entry, "w") as writer:
            while block := reader.read(_CHUNK):
                total.update(block)
                writer.write(block)
    return total.hexdigest()


def unpack_model(archive: Path, digest: str) -> Path:
    """Return the directory beside ``archive`` with its content; the first process unpacks it.

    Raises:
        ModelIntegrityError: the content is not that of ``digest``.
        SaveError: there is no room for it.
    """
    target = archive.with_name(f"pyfunc-{digest}")
    if not target.is_dir():
        try:
            with staged_directory(target) as folder, zipfile.ZipFile(archive) as opened:
                opened.extractall(folder)
        except SaveConflictError:
            pass  # another process was faster
    return check_digest(target, digest)


def check_digest(directory: Path, digest: str) -> Path:
    """Return ``directory`` if its files are those that ``digest`` stands for.

    Raises:
        ModelIntegrityError: they are not.
    """
    found = build_manifest(directory).digest
    if found != digest:
        raise ModelIntegrityError(
            f"{directory}: expected the files of the model {digest[:12]}, got {found[:12]}\n"
            "hint: something else has written there; start the application again"
        )
    return directory
