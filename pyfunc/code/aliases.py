"""Plain names in ``sys.modules`` whose meaning depends on who asks, where models conflict.

Libraries that import on behalf of a model (``joblib.load`` of an artifact, string arguments of
``importlib``) ask for the plain name. Where that name is another's, the module under it answers
by who asks: code of a model gets the model's module, a library the one of the model that it works
for, and the application its own. Names of the standard library and of installed packages are left
alone. Nothing here finds or runs a file of a model; the scope that is asked does.
"""

from __future__ import annotations

import abc
import contextvars
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import sysconfig
import threading
import types
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

__all__ = [
    "Mark",
    "Scope",
    "active_scopes",
    "alias_name",
    "asking_scope",
    "current",
    "drop_aliases",
    "is_alias",
    "lock",
    "mark",
    "put_aliases",
    "scope_marked",
    "scopes",
    "spec_of_alias",
]


class Scope(abc.ABC):
    """What aliases and the finder ask of a scope."""

    directories: tuple[str, ...]
    read: Callable[[Path], bytes]
    builtins: dict[str, object]

    @property
    @abc.abstractmethod
    def names(self) -> frozenset[str]:
        """The top-level names that its code knows as its own."""

    @property
    @abc.abstractmethod
    def package(self) -> str:
        """The private name above its modules that conflict."""

    @property
    @abc.abstractmethod
    def is_active(self) -> bool:
        """Whether its model is being loaded or called, here or in another thread."""

    @property
    @abc.abstractmethod
    def private_names(self) -> frozenset[str]:
        """Those that are bound to private ones, since something else has them."""

    @property
    @abc.abstractmethod
    def is_shared(self) -> bool:
        """Whether its private names mean the same in every process that can open its model."""

    @abc.abstractmethod
    def arrive(self) -> None:
        """Answer for code of it that has come from another process and runs at any time."""

    @abc.abstractmethod
    def active(self) -> AbstractContextManager[None]:
        """Make this the scope of the running context."""

    @abc.abstractmethod
    def provides(self, name: str) -> bool:
        """Return whether the absolute module ``name`` belongs to it."""

    @abc.abstractmethod
    def qualified(self, name: str) -> str:
        """Return the name under which the import system finds its module ``name``."""

    @abc.abstractmethod
    def crosses(self, name: str) -> bool:
        """Return whether it has the plain ``name``, which is another's, under a private one."""

    @abc.abstractmethod
    def import_module(self, name: str) -> types.ModuleType:
        """Return the module ``name`` as its code sees it."""

    @abc.abstractmethod
    def remember(self, qualified: str, module: types.ModuleType | None = None) -> None:
        """Note that ``qualified`` is a name in ``sys.modules`` that belongs to it."""


current: contextvars.ContextVar[Scope | None] = contextvars.ContextVar(
    "pyfunc_code_scope", default=None
)
"""The scope whose model is being loaded or called in this context."""

# Guards the tables below and the entries in sys.modules that belong to scopes.
lock = threading.RLock()
if hasattr(os, "register_at_fork"):  # a child must not begin while another thread holds it
    os.register_at_fork(
        before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
    )
scopes: weakref.WeakValueDictionary[str, Scope] = weakref.WeakValueDictionary()
"""Each scope by the private name of its package, where it has one."""


class Mark(str):
    """The ``__package__`` of code of a model that conflicts: it says whose code that is.

    What libraries pickle by value keeps it. Where it is unpickled the model is opened, as in the
    process that it comes from; where that is impossible, unpickling fails.

    Attributes:
        package: the private name of the scope.
    """

    package: str

    def __new__(cls, text: str, package: str) -> Mark:
        """Return a text with a private name."""
        made = super().__new__(cls, text)
        made.package = package
        return made

    def __reduce__(self) -> tuple[object, ...]:
        return _arrive, (str(self), self.package)


def _arrive(text: str, package: str) -> Mark:
    if package not in scopes:
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "what is unpickled is code of a model that is not open in this process\n"
                "hint: load the model first",
                name=package,
            ) from error
    scope = scopes.get(package)
    if scope is not None:
        scope.arrive()
    return Mark(text, package)


def mark(globals: dict[str, object], scope: Scope) -> None:
    """Let code with these global variables say whose it is, where something conflicts."""
    if scope.is_shared and scope.private_names:
        globals["__package__"] = Mark(str(globals.get("__package__") or ""), scope.package)


def scope_marked(globals: Mapping[str, object]) -> Scope | None:
    """Return the scope whose code has these global variables, if they say so and it is open."""
    mark = globals.get("__package__")
    if not isinstance(mark, str):
        return None
    return scopes.get(mark.package if isinstance(mark, Mark) else mark)


_aliases: dict[str, _Alias | _Crossing] = {}

_IMPORTING = (
    "<frozen importlib",
    *(os.path.dirname(file) + os.sep for file in (importlib.__file__, __file__)),
)
_LIBRARIES = (
    "<frozen ",
    os.path.dirname(os.path.dirname(__file__)) + os.sep,
    *(sysconfig.get_path(n) + os.sep for n in ("stdlib", "platstdlib", "purelib", "platlib")),
)


def asking_scope() -> Scope | None:
    """Return the scope whose modules the running code means, None for code of the application."""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_IMPORTING):
            imports = getattr(frame.f_builtins.get("__import__"), "__self__", None)
            owner = getattr(imports, "scope", None)
            if isinstance(owner, Scope):
                return owner
            owner = scope_marked(frame.f_globals) or _scope_with(file)
            if owner is not None:
                return owner
            return current.get() if file.startswith(_LIBRARIES) else None
        frame = frame.f_back
    return current.get()


def _scope_with(file: str) -> Scope | None:
    """Return the scope with private names that ``file`` belongs to, whoever runs its code."""
    for scope in list(scopes.values()):
        if any(file.startswith(directory + os.sep) for directory in scope.directories):
            return scope
    return None


def active_scopes() -> list[Scope]:
    """Return the scopes whose models are being loaded or called and that have private names."""
    found = [reference() for reference in scopes.valuerefs()]
    return [scope for scope in found if scope is not None and scope.is_active]


def spec_of_alias(name: str, scope: Scope) -> importlib.machinery.ModuleSpec | None:
    """Return how an alias for the plain ``name`` is made, None if ``scope`` has no such module."""
    meant = importlib.util.find_spec(f"{scope.package}.{name}")
    if meant is None:
        return None
    spec = importlib.machinery.ModuleSpec(name, _AliasLoader(meant), origin=meant.origin)
    spec.submodule_search_locations = meant.submodule_search_locations
    return spec


class _AliasLoader(importlib.abc.Loader):
    """Puts an alias into its place; whoever wants to run the code gets that of the module."""

    def __init__(self, meant: importlib.machinery.ModuleSpec) -> None:
        self._meant = meant

    @staticmethod
    def create_module(spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        with lock:
            return _aliases.setdefault(spec.name, _Alias(spec.name))

    @staticmethod
    def exec_module(module: types.ModuleType) -> None:
        getattr(module, "__file__", None)  # a module that fails to import fails here

    def get_code(self, name: str) -> types.CodeType | None:
        """Return the code of the module that ``name`` stands for."""
        loader = self._meant.loader
        if not isinstance(loader, importlib.abc.InspectLoader):
            return None
        return loader.get_code(self._meant.name)


def _is_left_alone(attribute: str, value: object) -> bool:
    # The import system sets these on what it imported, and submodules on their parent.
    set_by_import = ("__spec__", "__loader__", "__package__", "__path__")
    return attribute in set_by_import or is_alias(value)


class _Crossing(types.ModuleType):
    """The class of a module of others while a scope has another module of its name."""

    def __getattribute__(self, attribute: str) -> object:
        read = types.ModuleType.__getattribute__
        if attribute != "__class__":
            scope, name = asking_scope(), read(self, "__dict__").get("__name__", "")
            if scope is not None and scope.crosses(name):
                return getattr(scope.import_module(name), attribute)
        return read(self, attribute)

    def __setattr__(self, attribute: str, value: object) -> None:
        scope = None if _is_left_alone(attribute, value) else asking_scope()
        name = types.ModuleType.__getattribute__(self, "__dict__").get("__name__", "")
        if attribute != "__class__" and scope is not None and scope.crosses(name):
            setattr(scope.import_module(name), attribute, value)
        else:
            types.ModuleType.__setattr__(self, attribute, value)


class _Alias(types.ModuleType):
    """Stands under a plain name that nobody but active scopes has a module for."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        for standard in ("__doc__", "__loader__", "__package__", "__spec__"):
            del self.__dict__[standard]
        self.__dict__["_pyfunc_original"] = None

    def __getattr__(self, attribute: str) -> object:
        return getattr(self._pyfunc_target(), attribute)

    def __setattr__(self, attribute: str, value: object) -> None:
        if not _is_left_alone(attribute, value):
            setattr(self._pyfunc_target(), attribute, value)

    def __dir__(self) -> list[str]:
        return dir(self._pyfunc_target())

    def _pyfunc_target(self) -> types.ModuleType:
        name, original = self.__name__, self.__dict__["_pyfunc_original"]
        scope = asking_scope()
        if scope is not None and scope.crosses(name):
            return scope.import_module(name)
        if isinstance(original, types.ModuleType):
            return original
        module = self._pyfunc_import_outside()
        if module is not None:
            return module
        # A thread that the model started has no scope of its own: use the only candidate.
        with lock:
            candidates = [scope for scope in active_scopes() if scope.crosses(name)]
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
        path = None if parent is None else vars(parent).get("__path__")
        specs = (finder.find_spec(name, path) for finder in sys.meta_path)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is None or spec.loader is None:
            return None
        module = importlib.util.module_from_spec(spec)
        self.__dict__["_pyfunc_original"] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            self.__dict__["_pyfunc_original"] = None
            raise
        found = sys.modules.get(name)  # a module may put another one into its place
        if found is not None and not is_alias(found):
            module = self.__dict__["_pyfunc_original"] = found
        return module


def is_alias(module: object) -> bool:
    """Return whether ``module`` only stands under a name that is nobody's."""
    return type(module) is _Alias


def alias_name(name: str) -> None:
    """Let the loaded module ``name`` and its submodules answer by who asks.

    The entries of ``sys.modules`` stay what they are; a module of a class of its own is left
    alone.
    """
    for plain in [n for n in list(sys.modules) if n == name or n.startswith(f"{name}.")]:
        module = sys.modules[plain]
        if type(module) is types.ModuleType:
            module.__class__ = _Crossing
            assert isinstance(module, _Crossing)
            _aliases[plain] = module


def put_aliases(name: str) -> None:
    """Put an alias for ``name`` and for each package above it where no module is."""
    parts = name.split(".")
    with lock:
        for depth in range(1, len(parts) + 1):
            plain = ".".join(parts[:depth])
            if plain in sys.modules:
                alias_name(plain)
            else:
                alias = _aliases[plain] = _Alias(plain)
                sys.modules[plain] = alias


def drop_aliases(active: Sequence[Scope]) -> None:
    """Give back every plain name that none of the ``active`` scopes has."""
    for name in list(_aliases):
        if any(scope.crosses(name) for scope in active):
            continue
        alias = _aliases.pop(name)
        if type(alias) is _Crossing:
            types.ModuleType.__setattr__(alias, "__class__", types.ModuleType)
        elif sys.modules.get(name) is alias:
            original = alias.__dict__["_pyfunc_original"]
            if original is None:
                del sys.modules[name]
            else:
                sys.modules[name] = original
