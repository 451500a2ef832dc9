"""The face of a package: its public names, each imported from its module when it is first used.

A face writes each name once, in the table that it gives to :func:`face`. What type a name has is
written in the ``__init__.pyi`` beside it, which type checkers and editors read instead.
"""

from __future__ import annotations

import importlib
import sys

TYPE_CHECKING = False  # typing.TYPE_CHECKING; importing typing takes longer than all else here
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["face"]


def face(
    package: str, names: Mapping[str, Sequence[str]], modules: Sequence[str] = ()
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Return the ``__getattr__``, ``__dir__`` and ``__all__`` of a package.

    Args:
        package: its name.
        names: module -> its names that are the package's own; the module is relative to the
            package, such as ``.types``.
        modules: modules right in the package that are reached as its attributes, without an
            import of their own; they are no part of ``__all__``.
    """
    homes = {name: module for module, owned in names.items() for name in owned}
    exported = list(homes)

    def get(name: str) -> object:
        if name in homes:
            value: object = getattr(importlib.import_module(homes[name], package), name)
            setattr(sys.modules[package], name, value)  # the next access skips this function
            return value
        if name in modules:
            return importlib.import_module(f".{name}", package)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def listing() -> list[str]:
        return sorted({*exported, *modules})

    return get, listing, exported
