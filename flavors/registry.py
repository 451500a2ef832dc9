"""Which flavors there are, and which of them takes an object.

Built-in flavors are known by name. Others come from packages that declare the entry point group
``pyfunc.flavors`` (name of the flavor = module), or from :func:`register`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import os
import threading
from collections.abc import Collection, Mapping
from types import ModuleType
from typing import Any

from pyfunc.errors import FlavorNotFoundError, InvalidArgumentError, InvalidTypeError, shorten
from pyfunc.flavors.protocol import Serialization

__all__ = [
    "BUILT_IN",
    "describe",
    "find_flavor",
    "find_flavor_of",
    "known_flavors",
    "register",
    "save",
]

ENTRY_POINTS = str(__package__)  # the group is called as this package is

# Flavor -> the top-level packages whose classes it takes. Some libraries define models in the
# classes of another, so the order of a class's bases decides, not the order here.
BUILT_IN: Mapping[str, tuple[str, ...]] = {
    "catboost": ("catboost",),
    "keras": ("keras",),
    "lightgbm": ("lightgbm",),
    "onnx": ("onnx",),
    "prophet": ("prophet",),
    "pytorch": ("torch",),
    "sentence_transformers": ("sentence_transformers",),
    "sklearn": ("sklearn",),
    "spacy": ("spacy",),
    "statsmodels": ("statsmodels",),
    "tensorflow": ("tensorflow",),
    "transformers": ("transformers",),
    "xgboost": ("xgboost",),
}

_logger = logging.getLogger("pyfunc.flavors")
_registered: dict[str, ModuleType] = {}
_lock = threading.Lock()


def register(name: str, module: ModuleType) -> None:
    """Make the flavor ``name`` known; it replaces an earlier registration of that name.

    Args:
        name: as in the MLmodel file.
        module: has ``save_model``, and ``load_opened`` or ``_load_pyfunc``; the packages named
            in its ``MODEL_PACKAGES`` are those whose objects :func:`save` gives to it, by
            default the package that the module itself is in.

    Raises:
        InvalidArgumentError: the name is that of a built-in flavor, or no identifier.
        InvalidTypeError: the module lacks what a flavor needs.
    """
    if not name.isidentifier() or name in BUILT_IN:
        raise InvalidArgumentError(
            f"expected a new flavor's name that is an identifier, got {shorten(name)}"
        )
    _check_module(name, module)
    with _lock:
        _registered[name] = module


def known_flavors() -> tuple[str, ...]:
    """Return the names of all flavors, sorted; nothing is imported."""
    return tuple(sorted({*BUILT_IN, *_registered, *_entry_points()}))


def find_flavor(name: str) -> ModuleType:
    """Return the module of the flavor ``name``.

    Raises:
        FlavorNotFoundError: no such flavor is known; lists those that are.
    """
    if name in BUILT_IN:
        return importlib.import_module(f".{name}", __package__)
    if name in _registered:
        return _registered[name]
    entry = _entry_points().get(name)
    if entry is None:
        raise FlavorNotFoundError(
            f"no flavor {name!r} is known, there are: {', '.join(known_flavors())}\n{_HOW_TO_ADD}"
        )
    module = entry.load()
    _check_module(name, module)
    return module  # type: ignore[no-any-return]


def find_flavor_of(model: object) -> str:
    """Return the name of the flavor that takes ``model``.

    The classes that it is made of decide, the most specific first; a class belongs to a flavor
    by the top-level package that defines it. No library is imported for that.

    Raises:
        FlavorNotFoundError: none does; lists the flavors and says how to add one.
    """
    packages = _packages()
    for kind in type(model).__mro__:
        name = packages.get(kind.__module__.partition(".")[0])
        if name is not None:
            return name
    kind = type(model)
    raise FlavorNotFoundError(
        f"no flavor takes an object of {kind.__module__}.{kind.__qualname__}, "
        f"there are: {', '.join(known_flavors())}\n{_HOW_TO_ADD}"
    )


def save(model: object, path: str | os.PathLike[str], **arguments: Any) -> None:
    """Save ``model`` with the flavor that its type belongs to.

    Args:
        model: an object of a library, a PythonModel instance or a callable.
        path: must not exist, or be an empty directory.
        **arguments: as for the flavor's ``save_model``.

    Raises:
        FlavorNotFoundError: no flavor takes it; lists the flavors and says how to add one.
        PyfuncError: as for the flavor's ``save_model``.
    """
    try:
        flavor = find_flavor_of(model)
    except FlavorNotFoundError:
        from pyfunc.model.python_model import is_python_model
        from pyfunc.saving.entry import save_model

        if not (is_python_model(model) or callable(model)):
            raise
        save_model(path, python_model=model, **arguments)
        return
    find_flavor(flavor).save_model(model, path, **arguments)


def describe(
    flavors: Mapping[str, Mapping[str, object]], files: Collection[str]
) -> dict[str, Serialization]:
    """Return how each flavor of a model is stored, as far as the flavor says so.

    Args:
        flavors: name -> section, as in MLmodel.
        files: relative paths of the model's files.
    """
    found: dict[str, Serialization] = {}
    for name, section in flavors.items():
        if name not in known_flavors():
            continue
        described = getattr(find_flavor(name), "describe", None)
        if described is not None:
            found[name] = described(section, files)
    return found


_HOW_TO_ADD = (
    "hint: pyfunc.flavors.register(name, module) adds one, and so does a package with the entry "
    "point group pyfunc.flavors; any object can be saved inside a pyfunc.PythonModel"
)


def _entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    return {entry.name: entry for entry in importlib.metadata.entry_points(group=ENTRY_POINTS)}


def _packages() -> dict[str, str]:
    """Return the flavor of each top-level package; what is added wins over what is built in."""
    packages = {package: name for name, owned in BUILT_IN.items() for package in owned}
    for name in sorted({*_registered, *_entry_points()} - BUILT_IN.keys()):
        try:
            module = find_flavor(name)
        except Exception as error:  # a broken package must not keep others from being saved
            _logger.warning("the flavor %s cannot be imported: %s", name, error)
            continue
        owned = getattr(module, "MODEL_PACKAGES", (module.__name__.partition(".")[0],))
        packages.update(dict.fromkeys(owned, name))
    return packages


def _check_module(name: str, module: object) -> None:
    loads = callable(getattr(module, "load_opened", None)) or callable(
        getattr(module, "_load_pyfunc", None)
    )
    if not loads or not callable(getattr(module, "save_model", None)):
        raise InvalidTypeError(
            f"flavor {name!r}: expected a module with save_model, and load_opened or "
            f"_load_pyfunc, got {shorten(module)}"
        )
