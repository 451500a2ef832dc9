"""Importing the code that a model ships, each model in a name space of its own.

This is the one place where code of a model is imported. A :class:`CodeScope` gives the modules
under a model's code directories private names (``_pyfunc_model_7.helper``), so that two models
with a module ``helper`` each get their own; it needs no entry in ``sys.path``, and
``sys.modules`` holds the private names only while the scope is active.

Three mechanisms share the work:

* *Import statements.* Code of the scope runs with builtins whose ``__import__`` knows the scope.
  It is bound to the code itself, so a lazy import inside ``predict`` finds the model's module in
  whatever thread and at whatever time it runs.
* *Private names.* A finder on ``sys.meta_path`` imports ``_pyfunc_model_7.*`` from the
  directories, from source only: bytecode is neither read nor written.
* *Imports by other libraries on behalf of the model* (``joblib.load`` of an artifact, string
  arguments of ``importlib``). While a scope is active, ``sys.modules`` holds an alias under the
  plain name that asks the scope of the calling context for the real module.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import importlib.machinery
import importlib.util
import itertools
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from pyfunc.code.aliases import (
    Scope,
    alias_name,
    current,
    drop_aliases,
    exists_outside,
    lock,
    put_aliases,
    scopes,
)
from pyfunc.code.finder import PREFIX, SourceLoader, install, top_level_names, uninstall

__all__ = ["CodeScope", "current_scope"]

_counter = itertools.count(1)
_real_import = builtins.__import__


def current_scope() -> Scope | None:
    """Return the scope whose model is being loaded or called in this context."""
    return current.get()


class CodeScope:
    """The private import name space of one model.

    Args:
        directories: searched in this order for modules; may be empty.
        read: returns the bytes of a source file; the loader passes a reader that checks them
            against the manifest first.
        stand_in: returns the module to use for an absolute name of the package ``mlflow``.
    """

    def __init__(
        self,
        directories: Sequence[Path] = (),
        *,
        read: Callable[[Path], bytes] = Path.read_bytes,
        stand_in: Callable[[str], types.ModuleType] | None = None,
    ) -> None:
        self.package = f"{PREFIX}{next(_counter)}"
        self.directories = tuple(str(directory) for directory in directories)
        self.read = read
        self.builtins: dict[str, object] = {**vars(builtins), "__import__": self._import}
        self._stand_in = stand_in
        self._names, self._portions = top_level_names(self.directories)
        self._modules: dict[str, types.ModuleType] = {}
        self._outside: dict[str, bool] = {}
        self._users = 0
        self._has_code = bool(self.directories)
        self._closed = False
        self._importlib: types.ModuleType | None = None
        root = types.ModuleType(self.package)
        root.__path__ = list(self.directories)
        self._modules[self.package] = root
        with lock:
            scopes[self.package] = self

    @property
    def is_active(self) -> bool:
        """Whether its modules are in ``sys.modules``."""
        return self._users > 0

    def may_provide(self, top: str) -> bool:
        """Return whether a file or folder of that name is in the directories."""
        return top in self._names or top in self._portions

    def provides(self, name: str) -> bool:
        """Return whether the absolute module ``name`` belongs to this scope."""
        top = name.partition(".")[0]
        if top in self._names:
            return True
        if top not in self._portions:
            return False
        # A folder without __init__.py is a module only where no real module has the name.
        if top not in self._outside:
            self._outside[top] = exists_outside(top)
        return not self._outside[top]

    def import_module(self, name: str) -> types.ModuleType:
        """Return the module ``name`` as code of this scope sees it.

        Raises:
            ModuleNotFoundError: neither the scope nor the environment has it.
        """
        if name == "importlib":
            return self._scoped_importlib()
        if not self.provides(name):
            stand_in = self._stand_in_for(name)
            return stand_in if stand_in is not None else importlib.import_module(name)
        self._check_open(name)
        with self.active(), _plain_names(self.package):
            return importlib.import_module(f"{self.package}.{name}")

    def run_script(
        self, path: Path, *, name: str, attributes: Mapping[str, object] | None = None
    ) -> types.ModuleType:
        """Return the module that results from running ``path`` once under the private ``name``.

        Args:
            path: a source file; read as the scope reads all its files.
            name: a name that no other module of the scope has.
            attributes: global variables that are set before it runs.

        Raises:
            BaseException: whatever the script raises.
        """
        qualified = f"{self.package}.{name}"
        spec = importlib.machinery.ModuleSpec(
            qualified, SourceLoader(qualified, str(path)), origin=str(path)
        )
        spec.has_location = True
        module = importlib.util.module_from_spec(spec)
        module.__dict__.update(attributes or {})
        self._has_code = True
        with self.active(), _plain_names(self.package):
            self.remember(qualified, module)
            sys.modules[qualified] = module
            assert spec.loader is not None
            spec.loader.exec_module(module)
        return module

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Make this the scope of the running context, with its modules in ``sys.modules``."""
        token = current.set(self)
        counted = self._has_code and self._enter()
        try:
            yield
        finally:
            if counted:
                self._leave()
            current.reset(token)

    def close(self) -> None:
        """Forget every module of the scope; code that still runs keeps what it holds."""
        with lock:
            self._closed = True
            for name in self._modules:
                sys.modules.pop(name, None)
            self._modules.clear()

    def _enter(self) -> bool:
        with lock:
            self._users += 1
            if self._users == 1:
                install()
                sys.modules.update(self._modules)
                for name in self._names:
                    if name in sys.modules:
                        alias_name(name)
        return True

    def _leave(self) -> None:
        with lock:
            self._users -= 1
            if self._users:
                return
            for name in list(self._modules):
                module = sys.modules.pop(name, None)
                if module is not None:
                    self._modules[name] = module
                else:  # its import failed
                    del self._modules[name]
            active = [scope for scope in scopes.values() if scope.is_active]
            if not active:
                uninstall()
            drop_aliases(active)

    def remember(self, qualified: str, module: types.ModuleType | None = None) -> None:
        """Note that ``qualified`` is a name in ``sys.modules`` that belongs to this scope."""
        with lock:
            self._modules[qualified] = module or self._modules.get(qualified) or _PENDING

    def _check_open(self, name: str) -> None:
        if self._closed:
            raise ModuleNotFoundError(f"{name!r} belongs to a model that was closed", name=name)

    def _stand_in_for(self, name: str) -> types.ModuleType | None:
        if self._stand_in is None or name.partition(".")[0] != "mlflow":
            return None
        return self._stand_in(name)

    def _import(
        self,
        name: str,
        globals: dict[str, object] | None = None,
        locals: dict[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> types.ModuleType:
        """Do what an import statement in code of this scope asks for."""
        if level > 0:
            if str((globals or {}).get("__package__", "")).startswith(self.package):
                with self.active(), _plain_names(self.package):
                    return _real_import(name, globals, locals, fromlist or (), level)
            return _real_import(name, globals, locals, fromlist or (), level)
        if self.provides(name):
            return self._import_own(name, globals, locals, fromlist)
        is_mlflow = name.partition(".")[0] == "mlflow"
        if is_mlflow and self._stand_in is not None and not _is_from_c(fromlist):
            return self._import_stand_in(name, fromlist)
        module = _real_import(name, globals, locals, fromlist or (), 0)
        if module is importlib:
            return self._scoped_importlib()
        return module

    def _import_own(
        self,
        name: str,
        globals: dict[str, object] | None,
        locals: dict[str, object] | None,
        fromlist: Sequence[str] | None,
    ) -> types.ModuleType:
        qualified = f"{self.package}.{name}"
        self._check_open(name)
        with self.active(), _plain_names(self.package):
            if _is_from_c(fromlist):
                put_aliases(name)
                return _real_import(qualified, globals, locals, ("__doc__",), 0)
            if fromlist:
                return _real_import(qualified, globals, locals, fromlist, 0)
            _real_import(qualified, globals, locals, (), 0)
            return sys.modules[f"{self.package}.{name.partition('.')[0]}"]

    def _import_stand_in(self, name: str, fromlist: Sequence[str] | None) -> types.ModuleType:
        assert self._stand_in is not None
        module = self._stand_in(name)
        if not fromlist:
            return self._stand_in("mlflow")
        for attribute in fromlist:
            if attribute != "*" and not hasattr(module, attribute):
                setattr(module, attribute, self._stand_in(f"{name}.{attribute}"))
        return module

    def _scoped_importlib(self) -> types.ModuleType:
        """Return ``importlib`` with an ``import_module`` that knows this scope."""
        if self._importlib is None:
            scoped = types.ModuleType("importlib", importlib.__doc__)
            scoped.__dict__.update(vars(importlib))
            scoped.__dict__["import_module"] = self._import_by_name
            scoped.__dict__["__getattr__"] = lambda name: getattr(importlib, name)
            self._importlib = scoped
        return self._importlib

    def _import_by_name(self, name: str, package: str | None = None) -> types.ModuleType:
        if not name.startswith("."):
            return self.import_module(name)
        with self.active(), _plain_names(self.package):
            return importlib.import_module(name, package)


_PENDING = types.ModuleType("_pyfunc_pending")


def _is_from_c(fromlist: Sequence[str] | None) -> bool:
    """Return whether C code asks, such as pickle's; it looks into ``sys.modules`` next.

    An import statement passes a tuple or None, ``PyImport_Import`` a list.
    """
    return isinstance(fromlist, list)


@contextlib.contextmanager
def _plain_names(package: str) -> Iterator[None]:
    """Let a failed import name the module as the model's code does."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith(f"{package}."):
            plain = error.name.removeprefix(f"{package}.")
            raise ModuleNotFoundError(f"No module named {plain!r}", name=plain) from None
        raise
