"""Models that are saved as a repository of the Hugging Face hub and a commit, without weights."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyfunc.code.calling import errors_named, told
from pyfunc.errors import InvalidArgumentError
from pyfunc.flavors.libraries import import_library

__all__ = ["find_sources", "is_of_the_hub"]

_REPOSITORY = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?")


def is_of_the_hub(name: str) -> bool:
    """Return whether ``name`` can be that of a repository, and is no folder here."""
    return bool(_REPOSITORY.fullmatch(name)) and not os.path.isdir(name)


def find_sources(model: Any, parts: Mapping[str, object]) -> dict[str, str]:
    """Return the keys of the flavor that say where the model and its parts come from.

    The commit is the one that the model was loaded from; where the library does not say it, that
    of the main branch as it was fetched last, or as it is now.

    Raises:
        InvalidArgumentError: the hub does not tell the newest commit.
    """
    repository = str(model.name_or_path)
    revisions = {repository: getattr(model.config, "_commit_hash", None)}
    keys = {"source_model_revision": _revision(repository, revisions)}
    for name, part in parts.items():
        own = str(getattr(part, "name_or_path", "") or repository)
        keys[f"{name}_name"] = own
        keys[f"{name}_revision"] = _revision(own, revisions)
    return keys


def _revision(repository: str, known: dict[str, str | None]) -> str:
    if not known.get(repository):
        hub = import_library("huggingface_hub", extra="transformers")
        fetched = hub.try_to_load_from_cache(repository, "config.json")
        if isinstance(fetched, str):
            known[repository] = Path(fetched).parent.name
        else:
            with errors_named(lambda error: _unknown(repository, error)):
                known[repository] = hub.HfApi().model_info(repository).sha
    return str(known[repository])


def _unknown(repository: str, error: Exception) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"save_pretrained=False: the newest commit of {repository} is not known: {told(error)}\n"
        "hint: save the weights too, or load the model from the hub first"
    )
