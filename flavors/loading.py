"""Loading the object of a library out of a model directory, and reading what describes it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pyfunc.code.calling import errors_named, told
from pyfunc.directory.mlmodel import FLAVOR_NAME as PYTHON_FUNCTION
from pyfunc.directory.mlmodel import MLMODEL_FILE
from pyfunc.directory.opened import ModelFiles
from pyfunc.errors import (
    FlavorNotFoundError,
    InvalidTypeError,
    ModelFormatError,
    ModelIncompleteError,
    ModelNotFoundError,
    UntrustedModelError,
    shorten,
)
from pyfunc.files.lfs_pointers import POINTER_TEXT, find_lfs_pointers
from pyfunc.flavors.protocol import LoadArguments
from pyfunc.flavors.registry import find_flavor, known_flavors
from pyfunc.loading.loaders import check_contents
from pyfunc.loading.opening import open_place, read_opening
from pyfunc.model.description import Model
from pyfunc.model.opened import OpenedModel
from pyfunc.trust import check_code_may_run, current_policy

__all__ = ["flavor_key", "import_class", "library_errors_named", "load_native", "open_from_inside"]

Native = TypeVar("Native")


def load_native(
    model_uri: str | os.PathLike[str],
    flavor: str,
    read: Callable[[OpenedModel], Native],
    arguments: LoadArguments,
) -> Native:
    """Return the library's own object of the model at ``model_uri``.

    Args:
        model_uri: a place as for ``pyfunc.load_model``.
        flavor: the section of MLmodel that describes it.
        read: returns the object in an opened directory.
        arguments: as for ``pyfunc.load_model``.

    Raises:
        FlavorNotFoundError: the model has no such flavor.
        PyfuncError: as for ``pyfunc.load_model``.
    """
    unknown = sorted(arguments.keys() - LoadArguments.__annotations__.keys())
    if unknown:
        raise InvalidTypeError(f"load_model() got unexpected arguments: {unknown}")

    def load(opened: OpenedModel) -> Native:
        _check_contents(opened, flavor)
        with opened.scope.active():
            return read(opened)

    with open_place(model_uri, _section_reader(flavor), **arguments) as opening:
        return opening.load(load, progress=arguments.get("progress"))


def _check_contents(opened: OpenedModel, flavor: str) -> None:
    known = flavor in known_flavors()
    describe = getattr(find_flavor(flavor), "describe", None) if known else None
    check_contents(opened, flavor, describe)


def _section_reader(flavor: str) -> Callable[[Model, Path], Mapping[str, object]]:
    def read(meta: Model, root: Path) -> Mapping[str, object]:
        if current_policy().mode == "none":
            raise UntrustedModelError(f"{root}: nothing of it is loaded with trust='none'")
        if flavor not in meta.flavors:
            raise FlavorNotFoundError(
                f"{root}: the model has no flavor {flavor!r}, it has: "
                f"{', '.join(sorted(meta.flavors)) or 'none'}"
            )
        return {
            "python_version": None,
            **meta.flavors.get(PYTHON_FUNCTION, {}),
            "code": meta.flavors[flavor].get("code"),
        }

    return read


def open_from_inside(path: str | os.PathLike[str], flavor: str) -> OpenedModel:
    """Open the model that ``path`` is the directory or a file of, for ``_load_pyfunc``.

    Raises:
        ModelNotFoundError: no directory above ``path`` is a model.
    """
    start = Path(path)
    for root in (start, *start.absolute().parents):
        if (root / MLMODEL_FILE).is_file():
            opened = read_opening(ModelFiles.open(root), _section_reader(flavor)).opened()
            _check_contents(opened, flavor)
            opened.files.verify_all()
            return opened
    raise ModelNotFoundError(f"{path}: is not in a model directory")


def flavor_key(opened: OpenedModel, flavor: str, key: str) -> str:
    """Return the path that ``key`` in the section of ``flavor`` names.

    Raises:
        ModelFormatError: the key is missing or no string.
    """
    value = opened.flavor(flavor).get(key)
    if not isinstance(value, str):
        raise ModelFormatError(
            f"expected a path, got {shorten(value)}",
            path=opened.root / MLMODEL_FILE,
            key=f"flavors.{flavor}.{key}",
        )
    return value


def import_class(opened: OpenedModel, name: object, *, library: str, key: str) -> Any:
    """Return the class that the value ``name`` of ``key`` in MLmodel means.

    A class outside the package ``library`` is code like any other of the model.

    Raises:
        ModelFormatError: ``name`` is not a dotted name.
        ModelIncompleteError: there is no such class.
        UntrustedModelError: it is outside the library, and code of the model may not run.
    """
    module, _, attribute = name.rpartition(".") if isinstance(name, str) else ("", "", "")
    if not module:
        raise ModelFormatError(
            f"expected the dotted name of a class, got {shorten(name)}",
            path=opened.root / MLMODEL_FILE,
            key=key,
        )
    if module.partition(".")[0] != library:
        check_code_may_run(f"its class {name}", opened.root)
    try:
        found = getattr(opened.scope.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ModelIncompleteError(
            f"{name} cannot be imported: {error}", path=opened.root
        ) from error
    if not isinstance(found, type):
        raise ModelFormatError(
            f"expected a class, {name} is {shorten(found)}",
            path=opened.root / MLMODEL_FILE,
            key=key,
        )
    return found


def library_errors_named(opened: OpenedModel, relative: object, hint: str = "") -> errors_named:
    """Turn what a library raises over the file ``relative`` in the body into our error."""
    path = opened.root / str(relative)

    def unreadable(error: Exception) -> ModelIncompleteError:
        pointer = next(find_lfs_pointers(path), None)
        if pointer is not None:
            return ModelIncompleteError(POINTER_TEXT, path=pointer)
        text = f"the library cannot read the model: {told(error)}"
        return ModelIncompleteError(f"{text}\nhint: {hint}" if hint else text, path=path)

    return errors_named(unreadable)
