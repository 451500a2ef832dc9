"""Changes single files of a saved model and keeps its manifest right."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pyfunc.directory.manifest import read_manifest, refresh_manifest, verify_files
from pyfunc.errors import ModelNotFoundError
from pyfunc.files.atomic_files import write_file_atomically
from pyfunc.files.paths import confine

__all__ = ["model_directory", "replace_files"]


def model_directory(path: str | Path) -> Path:
    """Return the absolute path of a model directory.

    Raises:
        ModelNotFoundError: ``path`` is not a directory.
    """
    directory = Path(path).absolute()
    if not directory.is_dir():
        raise ModelNotFoundError(f"there is no model directory at {str(path)!r}")
    return directory


def replace_files(directory: Path, contents: Mapping[str, bytes]) -> None:
    """Give files of a model new content; each has its old or its new one after a crash.

    A model with a manifest is verified before, so that a changed file is not declared right
    by the way, and its manifest is written anew. A model without one gets none.

    Raises:
        ModelIntegrityError: other files are not those that were saved; nothing was changed.
        SaveError: a file cannot be written.
    """
    manifest = read_manifest(directory)
    if manifest is not None:
        verify_files(directory, manifest)
    for name, content in contents.items():
        path = confine(directory, name, key=name, must_exist=False)
        path.parent.mkdir(exist_ok=True)
        write_file_atomically(path, content)
    if manifest is not None:
        refresh_manifest(directory)
