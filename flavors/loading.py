"""Loading the object of a library out of a model directory, and reading what describes it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyfunc.code.calling import errors_named, told
from pyfunc.directory.opened import HeldPlace, open_files
from pyfunc.errors import (
    FlavorNotFoundError,
    InvalidTypeError,
    ModelFormatError,
    ModelIncompleteError,
    ModelNotFoundError,
    UntrustedModelError,
    shorten,
)
from pyfunc.files.locations import resolve_model
from pyfunc.flavors.protocol import LoadArguments
from pyfunc.loading.overrides import merge_model_config
from pyfunc.model.description import FLAVOR_NAME as PYTHON_FUNCTION
from pyfunc.model.description import MLMODEL_FILE
from pyfunc.model.opened import OpenedModel, code_scope, open_model
from pyfunc.trust import TrustPolicy, check_code_may_run, trusting

__all__ = ["flavor_key", "import_class", "library_errors_named", "load_native", "open_from_inside"]


def load_native(
    model_uri: str | os.PathLike[str],
    flavor: str,
    read: Callable[[OpenedModel], Any],
    arguments: LoadArguments,
) -> Any:
    """Return the library's own object of the model at ``model_uri``.

    Args:
        model_uri: a path, a ``file:`` URI, or a URL that fsspec reads.
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
    policy = TrustPolicy.from_arguments(
        arguments.get("trust", "full"),
        expected_digest=arguments.get("expected_digest"),
        public_key=arguments.get("public_key"),
        allowed_globals=arguments.get("allowed_globals", ()),
        allow_other_python=arguments.get("allow_other_python", False),
    )
    if policy.mode == "none":
        raise UntrustedModelError(f"{model_uri}: nothing of it is loaded with trust='none'")
    root = resolve_model(model_uri, arguments.get("dst_path"))
    if not (root / MLMODEL_FILE).exists():
        raise ModelNotFoundError(
            f"no {MLMODEL_FILE} file in {root}\nhint: give the directory that save_model wrote"
        )
    with HeldPlace(root) as place, trusting(policy):
        opened = _open(root, flavor, arguments, policy)
        try:
            opened.files.verify_all()
            with opened.scope.active():
                found = read(opened)
            place.check()
            return found  # noqa: TRY300 - a replaced directory counts as a failure
        except BaseException:
            opened.scope.close()
            raise


def _open(root: Path, flavor: str, arguments: LoadArguments, policy: TrustPolicy) -> OpenedModel:
    files = open_files(root, arguments.get("verify", "auto"), policy)
    meta = open_model(files)
    if flavor not in meta.flavors:
        raise FlavorNotFoundError(
            f"{root}: the model has no flavor {flavor!r}, it has: "
            f"{', '.join(sorted(meta.flavors)) or 'none'}"
        )
    section = {
        "python_version": None,
        **meta.flavors.get(PYTHON_FUNCTION, {}),
        "code": meta.flavors[flavor].get("code"),
    }
    if section["code"]:
        check_code_may_run("its code", root)
    saved = section.get("config")
    config = merge_model_config(
        saved if isinstance(saved, dict) else None, arguments.get("model_config")
    )
    return OpenedModel(files, meta, section, code_scope(files, section, meta), config)


def open_from_inside(path: str | os.PathLike[str], flavor: str) -> OpenedModel:
    """Open the model that ``path`` is the directory or a file of, for ``_load_pyfunc``.

    Raises:
        ModelNotFoundError: no directory above ``path`` is a model.
    """
    start = Path(path)
    for root in (start, *start.absolute().parents):
        if (root / MLMODEL_FILE).is_file():
            opened = _open(root, flavor, {}, TrustPolicy.from_arguments("full"))
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


def library_errors_named(opened: OpenedModel, relative: object) -> errors_named:
    """Turn what a library raises over the file ``relative`` in the body into our error."""
    path = opened.root / str(relative)
    return errors_named(
        lambda error: ModelIncompleteError(
            f"the library cannot read the model: {told(error)}", path=path
        )
    )
