"""The way to change single files of a saved model: verify, stage, put in place, manifest.

A model that somebody changed by hand is refused, so that no edit declares it right by the way;
``pyfunc.refresh`` does that, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pyfunc.directory.manifest import (
    MANIFEST_PATH,
    encode_manifest,
    entry_of,
    name_of,
)
from pyfunc.directory.opened import ModelFiles
from pyfunc.directory.verification import verify_files
from pyfunc.files.atomic_files import staged_file

__all__ = ["ModelEdit", "editing"]


@dataclass(frozen=True)
class ModelEdit:
    """A change of a model that is being prepared; nothing is written yet.

    Attributes:
        files: reads what the change is made from, held against the manifest.
        contents: relative path -> the new content of that file, for the caller to fill.
    """

    files: ModelFiles
    contents: dict[str, bytes] = field(default_factory=dict)


@contextmanager
def editing(directory: Path) -> Iterator[ModelEdit]:
    """Yield a change of the model in ``directory``, which takes place when the block ends well.

    A model with a manifest is held against it first, but for files that are replaced without
    having been read; afterwards its manifest has new entries for the changed files and no others.
    A model without one gets none. Nothing is written before all of it has found room on the
    disk. After a crash each file has its old or its new content; a manifest that does not fit
    them yet keeps the model from being loaded.

    Raises:
        ModelIntegrityError: files are not those that were saved; nothing was changed.
        ModelPathError: a name leads out of the directory.
        SaveError: a file cannot be written.
    """
    edit = ModelEdit(ModelFiles.held_against_manifest(directory))
    yield edit
    contents = {name_of(name): content for name, content in edit.contents.items()}
    paths = {
        name: edit.files.resolve(name, key=name, must_exist=False)
        for name in (MANIFEST_PATH, *contents)
    }
    manifest = edit.files.manifest
    if manifest is not None:
        verify_files(directory, manifest, but=contents.keys() - set(edit.files.verified))
        entries = {name: entry_of(content) for name, content in contents.items()}
        contents = {MANIFEST_PATH: encode_manifest(manifest.replacing(entries)), **contents}
    with ExitStack() as staged:
        # What is staged first is put in place last: the manifest.
        for name, content in contents.items():
            paths[name].parent.mkdir(exist_ok=True)
            staged.enter_context(staged_file(paths[name])).write(content)
