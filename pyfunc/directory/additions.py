"""What stores and systems are known to put beside the files of a saved model.

A registry, a hub or a file manager adds files of its own to a directory that it hands out or
shows. They are no part of the model and nothing of it reads them, so they are told and do not
make the model another one; in a folder of the model everything that was not saved counts.
"""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["REGISTRY_FILE", "is_addition"]

# MLflow's client writes it into what it downloads: the name and version of the model there.
REGISTRY_FILE = "registered_model_meta"

# Names right in the directory: of files, or of folders with all that is below.
_AT_THE_TOP = frozenset(
    {
        REGISTRY_FILE,
        "environment_variables.txt",  # MLflow's log_model
        "metadata",  # Unity Catalog: copies of the files that describe the model
        "README.md", ".gitattributes", ".gitignore", ".cache", ".huggingface",  # hubs
        "._____temp", ".mdl", ".msc", ".mv",  # ModelScope's snapshots
    }
)  # fmt: skip
# Names of files or folders that may come anywhere.
_ANYWHERE = frozenset({".DS_Store", "__pycache__"})


def is_addition(name: str, listed: Collection[str]) -> bool:
    """Return whether the file ``name`` is known to be added, outside the folders of the model.

    Args:
        name: relative POSIX path of a file that the manifest does not list.
        listed: the names that it lists; the folders at the top of them are those of the model.
    """
    top, *below = name.split("/")
    if top not in _AT_THE_TOP and _ANYWHERE.isdisjoint((top, *below)):
        return False
    return not (below and any(other.startswith(f"{top}/") for other in listed))
