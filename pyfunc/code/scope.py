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
import contextvars
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["CodeScope", "current_scope"]

_PREFIX = "_pyfunc_model_"
_counter = itertools.count(1)
_real_import = builtins.__import__
_current: contextvars.ContextVar[CodeScope | None] = contextvars.ContextVar(
    "pyfunc_code_scope", default=None
)
# Guards the tables below and the entries in sys.modules that belong to scopes.
_lock = threading.RLock()
_scopes: weakref.WeakValueDictionary[str, CodeScope] = weakref.WeakValueDictionary()
_aliases: dict[str, _Alias] = {}

# Never taken from a model: a copy of these beside the running ones would have classes that the
# running ones do not know.
_NEVER_PRIVATE = frozenset({"pyfunc", "mlflow"})


def current_scope() -> CodeScope | None:
    """Return the scope whose model is being loaded or called in this context."""
    return _current.get()


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
        self.package = f"{_PREFIX}{next(_counter)}"
        self.directories = tuple(str(directory) for directory in directories)
        self.read = read
        self.builtins: dict[str, Any] = {**vars(builtins), "__import__": self._import}
        self._stand_in = stand_in
        self._names, self._portions = _top_level_names(self.directories)
        self._modules: dict[str, types.ModuleType] = {}
        self._outside: dict[str, bool] = {}
        self._users = 0
        self._has_code = bool(self.directories)
        self._closed = False
        self._importlib: types.ModuleType | None = None
        root = types.ModuleType(self.package)
        root.__path__ = list(self.directories)
        self._modules[self.package] = root
        with _lock:
            _scopes[self.package] = self

    def provides(self, name: str) -> bool:
        """Return whether the absolute module ``name`` belongs to this scope."""
        top = name.partition(".")[0]
        if top in self._names:
            return True
        if top not in self._portions:
            return False
        # A folder without __init__.py is a module only where no real module has the name.
        if top not in self._outside:
            self._outside[top] = _exists_outside(top)
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
        self, path: Path, *, name: str, attributes: Mapping[str, Any] | None = None
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
            qualified, _SourceLoader(qualified, str(path)), origin=str(path)
        )
        spec.has_location = True
        module = importlib.util.module_from_spec(spec)
        module.__dict__.update(attributes or {})
        self._has_code = True
        with self.active(), _plain_names(self.package):
            self._remember(qualified, module)
            sys.modules[qualified] = module
            assert spec.loader is not None
            spec.loader.exec_module(module)
        return module

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Make this the scope of the running context, with its modules in ``sys.modules``."""
        token = _current.set(self)
        counted = self._has_code and self._enter()
        try:
            yield
        finally:
            if counted:
                self._leave()
            _current.reset(token)

    def close(self) -> None:
        """Forget every module of the scope; code that still runs keeps what it holds."""
        with _lock:
            self._closed = True
            for name in self._modules:
                sys.modules.pop(name, None)
            self._modules.clear()

    def _enter(self) -> bool:
        with _lock:
            self._users += 1
            if self._users == 1:
                if _ScopeFinder not in sys.meta_path:
                    sys.meta_path.insert(0, _ScopeFinder)
                sys.modules.update(self._modules)
                for name in self._names:
                    if name in sys.modules:
                        _alias_name(name)
        return True

    def _leave(self) -> None:
        with _lock:
            self._users -= 1
            if self._users:
                return
            for name in list(self._modules):
                module = sys.modules.pop(name, None)
                if module is not None:
                    self._modules[name] = module
                else:  # its import failed
                    del self._modules[name]
            _drop_aliases()

    def _remember(self, qualified: str, module: types.ModuleType | None = None) -> None:
        """Note that ``qualified`` is a name in ``sys.modules`` that belongs to this scope."""
        with _lock:
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
        globals: dict[str, Any] | None = None,
        locals: dict[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
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
        globals: dict[str, Any] | None,
        locals: dict[str, Any] | None,
        fromlist: Sequence[str] | None,
    ) -> Any:
        qualified = f"{self.package}.{name}"
        self._check_open(name)
        with self.active(), _plain_names(self.package):
            if _is_from_c(fromlist):
                _put_aliases(name)
                return _real_import(qualified, globals, locals, ("__doc__",), 0)
            if fromlist:
                return _real_import(qualified, globals, locals, fromlist, 0)
            _real_import(qualified, globals, locals, (), 0)
            return sys.modules[f"{self.package}.{name.partition('.')[0]}"]

    def _import_stand_in(self, name: str, fromlist: Sequence[str] | None) -> Any:
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


class _SourceLoader(importlib.machinery.SourceFileLoader):
    """Runs a source file of a scope: never from bytecode, with the builtins of its scope."""

    def get_code(self, fullname: str) -> types.CodeType:
        path = self.get_filename(fullname)
        code: types.CodeType = self.source_to_code(self.get_data(path), path)
        return code

    def get_data(self, path: str) -> bytes:
        return _scope_of(self.name).read(Path(path))

    def exec_module(self, module: types.ModuleType) -> None:
        module.__dict__["__builtins__"] = _scope_of(self.name).builtins
        super().exec_module(module)


class _ScopeFinder:
    """Finds private names in the directories of their scope, and aliases for plain names."""

    @staticmethod
    def find_spec(
        fullname: str, path: Iterable[str] | None = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.startswith(_PREFIX):
            return _find_private(fullname, path)
        scope = _current.get()
        if scope is None or not scope.provides(fullname):
            return None
        return importlib.machinery.ModuleSpec(fullname, _AliasLoader())


class _AliasLoader(importlib.abc.Loader):
    @staticmethod
    def create_module(spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        with _lock:
            return _aliases.setdefault(spec.name, _Alias(spec.name, None))

    @staticmethod
    def exec_module(module: types.ModuleType) -> None:
        getattr(module, "__file__", None)  # a name that the scope does not have fails here


class _Alias(types.ModuleType):
    """Stands in ``sys.modules`` for a plain name that active scopes have modules for."""

    def __init__(self, name: str, original: types.ModuleType | None) -> None:
        super().__init__(name)
        for standard in ("__doc__", "__loader__", "__package__", "__spec__"):
            del self.__dict__[standard]
        self.__dict__["_pyfunc_original"] = original

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._pyfunc_target(), attribute)

    def __setattr__(self, attribute: str, value: Any) -> None:
        # The import system sets these on what it imported, and submodules on their parent.
        if attribute in ("__spec__", "__loader__", "__package__") or isinstance(value, _Alias):
            return
        setattr(self._pyfunc_target(), attribute, value)

    def __dir__(self) -> list[str]:
        return dir(self._pyfunc_target())

    def _pyfunc_target(self) -> types.ModuleType:
        name, original = self.__name__, self.__dict__["_pyfunc_original"]
        scope = _current.get()
        if scope is not None and scope.provides(name):
            return scope.import_module(name)
        if isinstance(original, types.ModuleType):
            return original
        module = self._pyfunc_import_outside()
        if module is not None:
            return module
        # A thread that the model started has no scope of its own: use the only candidate.
        with _lock:
            candidates = [s for s in _scopes.values() if s._users and s.provides(name)]
        if len(candidates) == 1:
            return candidates[0].import_module(name)
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    def _pyfunc_import_outside(self) -> types.ModuleType | None:
        """Import what the application calls by this name, for code that is of no model."""
        name = self.__name__
        parent = sys.modules.get(name.rpartition(".")[0])
        if isinstance(parent, _Alias):
            parent = parent.__dict__["_pyfunc_original"]
        if "." in name and parent is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, getattr(parent, "__path__", None))
        if spec is None or spec.loader is None:
            return None
        module = importlib.util.module_from_spec(spec)
        self.__dict__["_pyfunc_original"] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            self.__dict__["_pyfunc_original"] = None
            raise
        return module


def _alias_name(name: str) -> None:
    """Put an alias for ``name`` and its submodules in the place of the loaded modules."""
    loaded = [n for n in sys.modules if n == name or n.startswith(f"{name}.")]
    for plain in loaded:
        if not isinstance(sys.modules[plain], _Alias):
            alias = _aliases[plain] = _Alias(plain, sys.modules[plain])
            sys.modules[plain] = alias


def _put_aliases(name: str) -> None:
    """Put an alias for ``name`` and for each package above it where none is."""
    parts = name.split(".")
    with _lock:
        for depth in range(1, len(parts) + 1):
            plain = ".".join(parts[:depth])
            if not isinstance(sys.modules.get(plain), _Alias):
                alias = _aliases[plain] = _Alias(plain, sys.modules.get(plain))
                sys.modules[plain] = alias


def _drop_aliases() -> None:
    """Give back every plain name that no active scope has."""
    active = [scope for scope in _scopes.values() if scope._users]
    if not active:
        sys.meta_path.remove(_ScopeFinder)
    for name in list(_aliases):
        top = name.partition(".")[0]
        if any(top in scope._names or top in scope._portions for scope in active):
            continue
        alias = _aliases.pop(name)
        if sys.modules.get(name) is alias:
            original = alias.__dict__["_pyfunc_original"]
            if original is None:
                del sys.modules[name]
            else:
                sys.modules[name] = original


def _find_private(
    fullname: str, path: Iterable[str] | None
) -> importlib.machinery.ModuleSpec | None:
    package, _, rest = fullname.partition(".")
    scope = _scopes.get(package)
    if scope is None or not rest:
        return None
    portions: list[str] = []
    for directory in path if path is not None else scope.directories:
        spec = _file_finder(directory).find_spec(fullname)
        if spec is None:
            continue
        if spec.loader is not None:
            scope._remember(fullname)
            return spec
        portions.extend(spec.submodule_search_locations or ())
    if not portions:
        return None
    scope._remember(fullname)
    namespace = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
    namespace.submodule_search_locations = portions
    return namespace


def _file_finder(directory: str) -> importlib.machinery.FileFinder:
    return importlib.machinery.FileFinder(
        directory,
        (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES),
        (_SourceLoader, importlib.machinery.SOURCE_SUFFIXES),
    )


def _scope_of(qualified: str) -> CodeScope:
    package = qualified.partition(".")[0]
    return _scopes[package]


def _top_level_names(directories: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of modules and packages, and of plain folders, in ``directories``."""
    names: set[str] = set()
    portions: set[str] = set()
    suffixes = (*importlib.machinery.SOURCE_SUFFIXES, *importlib.machinery.EXTENSION_SUFFIXES)
    for directory in directories:
        for entry in Path(directory).iterdir():
            if entry.is_dir():
                if entry.name.isidentifier() and entry.name != "__pycache__":
                    is_package = (entry / "__init__.py").is_file()
                    (names if is_package else portions).add(entry.name)
            elif entry.name.endswith(suffixes):
                names.add(entry.name.partition(".")[0])
    return frozenset(names - _NEVER_PRIVATE), frozenset(portions - names - _NEVER_PRIVATE)


def _exists_outside(top: str) -> bool:
    module = sys.modules.get(top)
    if module is not None and not isinstance(module, _Alias):
        return True
    return importlib.machinery.PathFinder.find_spec(top) is not None


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
