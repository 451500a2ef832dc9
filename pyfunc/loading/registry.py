"""The modules that loading knows by name only: what stands above it, and its child process.

Every text here that names a module of ours points at something that cannot be imported from this
place: the flavors stand above, and the worker begins with this room itself.
"""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from pyfunc.chat.loaders import CHAT_LOADERS
from pyfunc.directory.mlmodel import PYTHON_LOADER, SCRIPT_LOADER

__all__ = ["PYTHON_LOADERS", "WORKER_SCRIPT", "find_home", "find_scoring"]

PYTHON_LOADERS = frozenset({PYTHON_LOADER, SCRIPT_LOADER, *CHAT_LOADERS})
"""What loads the models that ask for trust themselves, part by part."""

_FLAVORS = "pyfunc.flavors"
_WORKER = "pyfunc.loading.worker"
_SCORING = "pyfunc.distributed.arrow.scoring"

WORKER_SCRIPT = f"import sys; from {_WORKER} import main; sys.exit(main(sys.argv[1:]))"
"""What the interpreter of a model's own environment runs; see :mod:`pyfunc.loading.isolated`."""


def find_scoring() -> ModuleType:
    """Return the module that puts tables of Arrow through a model."""
    return importlib.import_module(_SCORING)


def find_home(name: str) -> ModuleType | None:
    """Return the module that loads what the loader module ``name`` loads in MLflow.

    None if neither this library nor a package that registered a flavor has one.
    """
    if name in PYTHON_LOADERS:
        from pyfunc.loading import python_models

        return python_models
    package, _, flavor = name.rpartition(".")
    if package not in ("mlflow", _FLAVORS):
        return None
    if importlib.util.find_spec(f"{_FLAVORS}.{flavor}") is not None:
        return importlib.import_module(f"{_FLAVORS}.{flavor}")
    registry = importlib.import_module(f"{_FLAVORS}.registry")
    if flavor not in registry.known_flavors():
        return None
    found: ModuleType = registry.find_flavor(flavor)
    return found
