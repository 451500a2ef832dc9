"""skops files: written with trusted types only, and read with those that the caller trusts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from pyfunc.code.calling import errors_named, told
from pyfunc.directory.mlmodel import MLMODEL_FILE
from pyfunc.errors import InvalidArgumentError, ModelFormatError, UntrustedModelError, shorten
from pyfunc.flavors.libraries import import_library
from pyfunc.flavors.loading import library_errors_named
from pyfunc.flavors.skops_harmless import HARMLESS
from pyfunc.flavors.skops_types import find_types, is_known_type
from pyfunc.model.opened import OpenedModel
from pyfunc.trust import current_policy
from pyfunc.variables import ALLOW_PICKLES

__all__ = ["dump_skops", "load_skops"]


def dump_skops(
    model: object, file: Path, trusted: Iterable[str] | None, *, extra: str
) -> list[str] | None:
    """Write ``model`` to ``file``; return the names that a load must trust to read it.

    These are ``trusted``, or None, and what it holds of :data:`HARMLESS`.

    Raises:
        InvalidArgumentError: it holds a type that is not trusted, or skops cannot hold it.
        MissingDependencyError: skops is not installed.
    """
    io = _import_skops(extra)
    with errors_named(_not_held):
        data = io.dumps(model)
        names = list(trusted or ())
        untrusted = sorted(set(io.get_untrusted_types(data=data)) - set(names))
        unknown = [name for name in untrusted if name not in HARMLESS]
        names += [name for name in untrusted if name in HARMLESS]
        if not unknown:
            io.loads(data, trusted=names)
    if unknown:
        raise InvalidArgumentError(
            f"the model holds types that skops does not know to be harmless: {', '.join(unknown)}"
            "\nhint: list them in skops_trusted_types, or use serialization_format='cloudpickle'"
        )
    file.write_bytes(data)
    return names if names or trusted is not None else None


def _not_held(error: Exception) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"skops cannot hold the model: {told(error)}\n"
        "hint: serialization_format='cloudpickle' holds any object, and runs code when loaded"
    )


def load_skops(
    opened: OpenedModel, relative: object, trusted: object, *, key: str, extra: str
) -> object:
    """Return the object in the skops file that the value of ``key`` in MLmodel names.

    The caller's list of allowed globals counts in every mode. A model's own list of trusted types
    and :data:`HARMLESS` count only where code of the model may run; else there is the exact list
    of :mod:`pyfunc.flavors.skops_types`, and not what skops itself trusts.

    Raises:
        UntrustedModelError: the file holds a type that is not trusted.
        ModelIncompleteError: it is missing or damaged.
        MissingDependencyError: skops is not installed.
    """
    io = _import_skops(extra)
    own = _trusted_types(opened, trusted, extra)
    policy = current_policy()
    listed = policy.allowed_globals | policy.dangerously_allowed_globals
    # MLflow's switch closes skops files altogether; here it closes what is code in them.
    if policy.allows_code and ALLOW_PICKLES.read(default=True):
        listed |= {*own, *HARMLESS}
    data = opened.files.read(relative, key=key)
    with library_errors_named(opened, relative):
        held = set(io.get_untrusted_types(data=data))
        if not policy.allows_code:
            held |= {name for name in find_types(data) if not is_known_type(name)}
        unknown = sorted(held - listed)
        if unknown:
            hint = "name them in allowed_globals, or in dangerously_allowed_globals"
            if policy.allows_code:
                hint = "name them in allowed_globals, or save the model with skops_trusted_types"
            raise UntrustedModelError(
                f"{opened.root / str(relative)}: holds types that are not trusted: "
                f"{', '.join(unknown)}\nhint: {hint}"
            )
        with opened.scope.active():
            return io.loads(data, trusted=sorted(listed))


def _trusted_types(opened: OpenedModel, trusted: object, flavor: str) -> list[str]:
    if trusted is None:
        return []
    if not isinstance(trusted, list) or not all(isinstance(name, str) for name in trusted):
        raise ModelFormatError(
            f"expected a list of names, got {shorten(trusted)}",
            path=opened.root / MLMODEL_FILE,
            key=f"flavors.{flavor}.skops_trusted_types",
        )
    return trusted


def _import_skops(extra: str) -> ModuleType:
    return import_library("skops.io", extra=extra, feature="the skops format")
