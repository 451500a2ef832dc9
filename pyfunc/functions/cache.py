"""Which earlier run did exactly this: a key from digests, and where the run is written down.

A key is made of the digest of the source, the JSON of parameters and the keys of the inputs, which
name versions that never change. No object is pickled for it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pyfunc.errors import EntityNotFoundError
from pyfunc.files.atomic_files import write_file_atomically
from pyfunc.functions.documents import Document
from pyfunc.functions.names import Key, parse_key
from pyfunc.functions.store import Store

__all__ = ["CACHE", "cache_key", "find_cached", "remember"]

CACHE = "cache"  # the folder of a project with a file for each key
# What of the spec of a run decides what it returns; the source goes in by its digest.
_DECISIVE = (
    "python_version", "requirements", "inputs", "parameters", "outputs", "compat", "envs",
    "image",
)  # fmt: skip


def cache_key(document: Document, tree: Path, secrets: list[str]) -> str:
    """Return the key of a run.

    Args:
        document: of the run.
        tree: the folder with its code, whose parent is named by its digest.
        secrets: keys of the secrets that it gets, with their versions.
    """
    source = document["spec"].get("source")
    handler = source.get("handler") if isinstance(source, dict) else None
    decisive = {name: document["spec"].get(name) for name in _DECISIVE}
    content = json.dumps([tree.parent.name, handler, decisive, sorted(secrets)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def find_cached(store: Store, project: str, key: str) -> Document | None:
    """Return the complete run that ``key`` stands for, if all that it put out is still there."""
    try:
        run = _path(store, project, key).read_text(encoding="ascii")
        document = store.read(Key(project, "run", "", "", run))
        outputs = document["status"].get("outputs")
        for output in outputs.values() if isinstance(outputs, dict) else ():
            store.read(parse_key(output))
    except (FileNotFoundError, EntityNotFoundError):
        return None
    return document if document["status"]["state"] == "COMPLETED" else None


def remember(store: Store, project: str, key: str, run: str) -> None:
    """Write down that the run with id ``run`` is what ``key`` stands for."""
    path = _path(store, project, key)
    path.parent.mkdir(exist_ok=True)
    write_file_atomically(path, run.encode("ascii"))


def _path(store: Store, project: str, key: str) -> Path:
    return store.folder(Key(project)) / CACHE / key
