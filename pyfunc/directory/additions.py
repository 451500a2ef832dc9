"""Files that registries, hubs and systems put beside a model after it was saved.

They are passed over where the model cannot notice them; anywhere else they count as files that
were not saved.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from pyfunc.directory.mlmodel import MLMODEL_FILE, read_mlmodel
from pyfunc.errors import PyfuncError

__all__ = ["REGISTERED_META", "find_added_by_stores"]

REGISTERED_META = "registered_model_meta"

_FILES = frozenset(
    {
        REGISTERED_META,  # MLflow's client, for a model out of a registry
        "environment_variables.txt",  # MLflow, for a model that is logged
        ".gitattributes",
        ".gitignore",
        "README.md",
        ".msc",  # ModelScope
        ".mv",
        ".mdl",
        ".DS_Store",
        "Thumbs.db",
        "desktop.ini",
    }
)
_FOLDERS = frozenset(
    {
        "metadata",  # Unity Catalog: copies of MLmodel and its like
        ".cache",  # the hub of Hugging Face
        ".huggingface",
        ".git",
        "._____temp",  # ModelScope
        "__pycache__",
    }
)


def find_added_by_stores(
    directory: Path | str, listed: Collection[str], unlisted: Collection[str]
) -> Iterator[str]:
    """Yield which of the ``unlisted`` files of a model are of the kinds that stores add.

    They lie beside ``MLmodel``, or in a folder there of which nothing was saved. In a model that
    reads its directory as a whole there are none.

    Args:
        directory: the model directory.
        listed: the files that were saved.
        unlisted: those that were not.
    """
    found = [name for name in unlisted if _is_known(name)]
    if found and not _reads_itself(directory):
        of_model = {name.partition("/")[0] for name in listed}
        yield from (name for name in found if name.partition("/")[0] not in of_model)


def _is_known(name: str) -> bool:
    top, _, below = name.partition("/")
    return top in (_FOLDERS if below else _FILES)


def _reads_itself(directory: Path | str) -> bool:
    try:
        return read_mlmodel(Path(directory, MLMODEL_FILE)).names_itself()
    except PyfuncError:
        return True
