"""What an import in the code of a model means: the model's own module, before everybody's.

Code of a model runs with builtins whose ``__import__`` is :meth:`Imports.statement`. That is bound
to the code itself, so a lazy import inside ``predict`` finds the model's module in whatever thread
and at whatever time it runs.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import sys
import types
from collections.abc import Callable, Iterator, Sequence

from pyfunc.code.aliases import Scope, put_aliases

__all__ = ["Imports"]

_real_import = builtins.__import__


class Imports:
    """The imports of the code of one scope.

    Args:
        scope: whose code it is.
        stand_in: returns the module to use for an absolute name of the package ``mlflow``.

    Attributes:
        given: modules that the code can import by name though nobody else has them.
    """

    def __init__(
        self, scope: Scope, stand_in: Callable[[str], types.ModuleType] | None = None
    ) -> None:
        self.scope = scope
        self.given: dict[str, types.ModuleType] = {}
        self._stand_in = stand_in
        self._importlib: types.ModuleType | None = None

    def statement(
        self,
        name: str,
        globals: dict[str, object] | None = None,
        locals: dict[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> types.ModuleType:
        """Do what an import statement asks for."""
        if level > 0:
            with self.scope.active(), self.plain_names():
                return _real_import(name, globals, locals, fromlist or (), level)
        if self.scope.provides(name):
            return self._import_own(name, globals, locals, fromlist)
        if name in self.given:
            return self.given[name]
        is_mlflow = name.partition(".")[0] == "mlflow"
        if is_mlflow and self._stand_in is not None and not _is_from_c(fromlist):
            return self._import_stand_in(name, fromlist)
        module = _real_import(name, globals, locals, fromlist or (), 0)
        if module is importlib and self._changes_importlib:
            return self._scoped_importlib()
        return module

    def by_name(self, name: str, package: str | None = None) -> types.ModuleType:
        """Do what ``importlib.import_module`` does, as the code sees it.

        Raises:
            ModuleNotFoundError: neither the scope nor the environment has the module.
        """
        scope = self.scope
        if not name.startswith("."):
            if name == "importlib" and self._changes_importlib:
                return self._scoped_importlib()
            if not scope.provides(name):
                stand_in = self._stand_in_for(name)
                return importlib.import_module(name) if stand_in is None else stand_in
            name, package = scope.qualified(name), None
        elif package is not None and scope.provides(package):
            package = scope.qualified(package)
        with scope.active(), self.plain_names():
            return importlib.import_module(name, package)

    def _import_own(
        self,
        name: str,
        globals: dict[str, object] | None,
        locals: dict[str, object] | None,
        fromlist: Sequence[str] | None,
    ) -> types.ModuleType:
        scope = self.scope
        qualified = scope.qualified(name)
        if qualified == name and _is_there(name, fromlist):
            return _real_import(name, globals, locals, fromlist or (), 0)
        with scope.active(), self.plain_names():
            if qualified == name:
                return _real_import(name, globals, locals, fromlist or (), 0)
            if _is_from_c(fromlist):
                if scope.crosses(name):
                    put_aliases(name)
                return _real_import(qualified, globals, locals, ("__doc__",), 0)
            if fromlist:
                return _real_import(qualified, globals, locals, fromlist, 0)
            _real_import(qualified, globals, locals, (), 0)
            return sys.modules[f"{scope.package}.{name.partition('.')[0]}"]

    def _stand_in_for(self, name: str) -> types.ModuleType | None:
        if self._stand_in is None or name.partition(".")[0] != "mlflow":
            return None
        return self._stand_in(name)

    def _import_stand_in(self, name: str, fromlist: Sequence[str] | None) -> types.ModuleType:
        assert self._stand_in is not None
        module = self._stand_in(name)
        if not fromlist:
            return self._stand_in("mlflow")
        for attribute in fromlist:
            if attribute != "*" and not hasattr(module, attribute):
                setattr(module, attribute, self._stand_in(f"{name}.{attribute}"))
        return module

    @property
    def _changes_importlib(self) -> bool:
        return self._stand_in is not None or bool(self.scope.private_names)

    def _scoped_importlib(self) -> types.ModuleType:
        """Return ``importlib`` with an ``import_module`` that knows the scope."""
        if self._importlib is None:
            scoped = types.ModuleType("importlib", importlib.__doc__)
            scoped.__dict__.update(vars(importlib))
            scoped.__dict__["import_module"] = self.by_name
            scoped.__dict__["__getattr__"] = lambda name: getattr(importlib, name)
            self._importlib = scoped
        return self._importlib

    @contextlib.contextmanager
    def plain_names(self) -> Iterator[None]:
        """Let a failed import name the module as the model's code does."""
        try:
            yield
        except ModuleNotFoundError as error:
            name = error.name or ""
            if not self.scope.private_names or not name.startswith(f"{self.scope.package}."):
                raise
            private = f"{self.scope.package}."
            plain, text = name.removeprefix(private), str(error).replace(private, "")
            raise ModuleNotFoundError(text, name=plain) from None


def _is_there(name: str, fromlist: Sequence[str] | None) -> bool:
    """Return whether nothing will run, so that it does not matter for whom it would."""
    module = sys.modules.get(name)
    return module is not None and all(hasattr(module, wanted) for wanted in fromlist or ())


def _is_from_c(fromlist: Sequence[str] | None) -> bool:
    """Return whether C code asks, such as pickle's; it looks into ``sys.modules`` next.

    An import statement passes a tuple or None, ``PyImport_Import`` a list.
    """
    return isinstance(fromlist, list)
