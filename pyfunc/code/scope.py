"""Importing the code that a model ships: plain where nothing conflicts, private where it does.

This is the one place where code of a model is imported. A :class:`CodeScope` is what the code of
one model can import:

* *Plain names.* A top-level module whose name is free is imported under it, from source only, and
  stays in ``sys.modules`` until the model is closed. Where the name leads to the same files
  already (another open model, the application), that module is shared.
* *Private names.* Where something else has the name, it is ``_pyfunc_model_<digest>.helper``. The
  digest is that of the model's code, so the name means the same in every process. A scope that
  shares nothing has a random name instead, which no other has, wherever its code is taken.
* *Import statements* of its code: :mod:`pyfunc.code.statements`.
* *Imports by other libraries on behalf of the model*: :mod:`pyfunc.code.aliases`.
"""

from __future__ import annotations

import builtins
import contextlib
import hashlib
import importlib
import importlib.machinery
import importlib.util
import itertools
import sys
import types
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from pyfunc.code.aliases import (
    Scope,
    active_scopes,
    alias_name,
    current,
    drop_aliases,
    lock,
    scopes,
)
from pyfunc.code.bindings import ALWAYS_REAL, Binding, Code, bind, former, holders, is_of_libraries
from pyfunc.code.children import offer, withdraw
from pyfunc.code.content import digest_of
from pyfunc.code.finder import (
    PREFIX,
    SCRIPT_PREFIX,
    SourceLoader,
    install,
    top_level_names,
    uninstall,
)
from pyfunc.code.statements import Imports

__all__ = ["CodeScope", "Recipe", "current_scope"]

Recipe = Callable[[str, Mapping[str, str]], str]
"""Is given the name of a module and what the names of the model are bound to; returns source that
makes a module of that name in a child process."""


def current_scope() -> Scope | None:
    """Return the scope whose model is being loaded or called in this context."""
    return current.get()


class CodeScope(Scope):
    """What the code of one model imports.

    Args:
        directories: searched in this order for modules; may be empty.
        read: returns the bytes of a file; the loader passes a reader that checks them against
            the manifest first.
        stand_in: returns the module to use for an absolute name of the package ``mlflow``.
        recipe: how a child process opens the same model.
        alone: the modules are this scope's alone: all private, and nothing is shared with
            another in this process. So they are without ``recipe`` and ``bound``, too.
        identity: a line that tells this model from others, in this process and its parents.
        bound: what the names are bound to, where a parent process has decided it.
        package: the private name above its modules, if it does not follow from them.
    """

    def __init__(
        self,
        directories: Sequence[Path] = (),
        *,
        read: Callable[[Path], bytes] = Path.read_bytes,
        stand_in: Callable[[str], types.ModuleType] | None = None,
        recipe: Recipe | None = None,
        alone: bool = False,
        identity: str = "",
        bound: Mapping[str, str] | None = None,
        package: str | None = None,
    ) -> None:
        self.directories = tuple(str(directory) for directory in directories)
        self.read = read
        self._imports = Imports(self, stand_in)
        statement = self._imports.statement
        self.builtins: dict[str, object] = {**vars(builtins), "__import__": statement}
        self._recipe = recipe
        self._identity = identity
        self._given = bound
        self._is_shared = not alone and (recipe is not None or bound is not None)
        names, folders = top_level_names(self.directories)
        self._files, self._folders = names - ALWAYS_REAL, folders - ALWAYS_REAL
        self._bound: dict[str, Binding] = {}
        self._crossing: frozenset[str] = frozenset()
        self._package = package
        self._modules: dict[str, types.ModuleType] = {}
        self._offered: list[str] = []
        self._lenders: set[CodeScope] = set()
        self._holds = 0
        self._calls = 0
        self._closed = False
        weakref.finalize(self, _tidy).atexit = False
        self._hold()

    @property
    def names(self) -> frozenset[str]:
        """The top-level names that its code knows as its own."""
        return frozenset(self._bound)

    @property
    def is_shared(self) -> bool:
        """Whether its private names mean the same in every process that can open its model."""
        return self._is_shared

    @property
    def package(self) -> str:
        """The private name above its modules that conflict."""
        if self._package is None:
            name = self._digest if self.is_shared else uuid.uuid4().hex
            package = f"{PREFIX}{name}"
            scopes.setdefault(package, self)
            install()
            self._package = package
        return self._package

    @cached_property
    def _digest(self) -> str:
        return digest_of(self.directories, self.read)

    @property
    def is_active(self) -> bool:
        """Whether its model is being loaded or called, here or in another thread."""
        return self._calls > 0

    def arrive(self) -> None:
        """Answer for code of it that has come from another process and runs at any time."""
        if self._given is not None:
            self._enter()

    def crosses(self, name: str) -> bool:
        """Return whether it has the plain ``name``, which is another's, under a private one."""
        return name.partition(".")[0] in self._crossing

    def provides(self, name: str) -> bool:
        """Return whether the absolute module ``name`` belongs to this scope."""
        return name.partition(".")[0] in self._bound

    @property
    def private_names(self) -> frozenset[str]:
        """Those that are bound to private ones, since something else has them."""
        return frozenset(n for n, b in self._bound.items() if b is Binding.PRIVATE)

    def import_module(self, name: str) -> types.ModuleType:
        """Return the module ``name`` as code of this scope sees it.

        Raises:
            ModuleNotFoundError: neither the scope nor the environment has it.
        """
        return self._imports.by_name(name)

    def import_in_place(self, name: str) -> types.ModuleType:
        """Return the module ``name`` of this scope, in the place of the one that asks for it.

        Raises:
            ModuleNotFoundError: the scope has no such module.
        """
        sys.modules.pop(name, None)
        return importlib.import_module(name)

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
        module = self._make(f"{self.package}.{name}", path)
        module.__dict__.update(attributes or {})
        self._execute(module)
        return module

    def run_model_script(
        self,
        path: Path,
        *,
        recipe: Recipe | None = None,
        name: str | None = None,
        given: Mapping[str, types.ModuleType] | None = None,
    ) -> types.ModuleType:
        """Return the module that results from running a script that makes a model.

        Its name follows from what it says and from the code of the model; while a script of this
        name is open already, a number is added to it.

        Args:
            path: a source file; read as the scope reads all its files.
            recipe: how a child process makes the module.
            name: what it is called, where a parent process has decided it.
            given: modules that it has as global variables and can import, unless they exist.

        Raises:
            BaseException: whatever the script raises.
        """
        with lock:
            if name is None:
                name = self._script_name(path)
            module = self._make(name, path)
        if recipe is not None:
            self._offer(name, recipe)
        self._imports.given = {n: m for n, m in (given or {}).items() if n not in sys.modules}
        module.__dict__.update({n: sys.modules.get(n, m) for n, m in (given or {}).items()})
        self._execute(module)
        return module

    def _script_name(self, path: Path) -> str:
        made = hashlib.sha256(self._digest.encode() + self.read(path)).hexdigest()[:32]
        name = base = f"{SCRIPT_PREFIX}{made}"
        numbers = itertools.count(2)
        while name in sys.modules:
            name = f"{base}_{next(numbers)}"
        return name

    def _make(self, qualified: str, path: Path) -> types.ModuleType:
        """Put a module that has not run yet into its place."""
        spec = importlib.machinery.ModuleSpec(
            qualified, SourceLoader(self, qualified, str(path)), origin=str(path)
        )
        spec.has_location = True
        module = importlib.util.module_from_spec(spec)
        self.remember(qualified, module)
        sys.modules[qualified] = module
        return module

    def _execute(self, module: types.ModuleType) -> None:
        assert module.__spec__ is not None
        assert module.__spec__.loader is not None
        with self.active(), self._imports.plain_names():
            try:
                module.__spec__.loader.exec_module(module)
            except BaseException:
                sys.modules.pop(module.__name__, None)
                raise

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Make this the scope of the running context."""
        token = current.set(self)
        crossing = bool(self._crossing)
        if crossing:
            self._enter()
        try:
            yield
        finally:
            if crossing:
                self._leave()
            current.reset(token)

    def close(self) -> None:
        """Forget every module of the scope; code that still runs keeps what it holds."""
        with lock:
            if not self._closed:
                self._closed = True
                self._release()

    def keep(self, other: CodeScope) -> None:
        """Let ``other``, which nobody else closes, stay open as long as this one."""
        self._lenders.add(other)

    def end_with(self, owner: object) -> None:
        """Give back the names when ``owner`` is forgotten; code that is left may ask again."""
        weakref.finalize(owner, _release_if_held, weakref.ref(self)).atexit = False

    def remember(self, qualified: str, module: types.ModuleType | None = None) -> None:
        """Note that ``qualified`` is a name in ``sys.modules`` that belongs to this scope."""
        # Finders call this under the import lock, for which a holder of our lock may wait.
        if module is None:
            self._modules.setdefault(qualified, _PENDING)
        else:
            self._modules[qualified] = module

    def _hold(self) -> None:
        """Take the names, if they are not taken; whoever calls this releases them."""
        with lock:
            self._holds += 1
            if self._holds > 1:
                return
            if not (self._files or self._folders):
                return
            install()
            self._bind()
            if self._package is not None:
                scopes.setdefault(self._package, self)
            for name, binding in self._bound.items():
                if binding is Binding.OWN:
                    holders[name] = self
                    former[name] = self._identity
                    if self._recipe is not None:
                        self._offer(name, self._recipe)

    def _bind(self) -> None:
        if not self.is_shared:
            folders = [n for n in self._folders if not _is_taken(n)]
            self._bound = dict.fromkeys((*self._files, *folders), Binding.PRIVATE)
        elif self._given is not None:
            self._bound = {name: Binding(value) for name, value in self._given.items()}
        else:
            found = Code(self._files, self._folders, self.directories, self.read, self._identity)
            self._bound = bind(found)
        self._borrow()

    def _borrow(self) -> None:
        """Hold what others have of this scope's modules, and know what they have instead."""
        private = self.private_names
        lenders: set[object] = {
            holders.get(n) for n, b in self._bound.items() if b is Binding.SHARED
        }
        if self._package is not None:
            lenders.add(scopes.get(self._package))
        if private:
            lenders.add(scopes.get(self.package))
            if self._recipe is not None:
                self._offer(self.package, self._recipe)
        self._crossing = frozenset(n for n in private if not is_of_libraries(n))
        for lender in lenders:
            if isinstance(lender, CodeScope) and lender is not self:
                lender._hold()
                self._lenders.add(lender)

    def _offer(self, name: str, recipe: Recipe) -> None:
        if name not in self._offered:
            text = recipe(name, {n: b.value for n, b in self._bound.items()})
            offer(name, self._identity, text)
            self._offered.append(name)

    def _release(self) -> None:
        with lock:
            self._holds -= 1
            if self._holds > 0:
                return
            self._holds = 0
            for name, module in list(self._modules.items()):
                if sys.modules.get(name) is module or module is _PENDING:
                    sys.modules.pop(name, None)
            self._modules.clear()
            for name in [n for n, holder in holders.items() if holder is self]:
                del holders[name]
            if self._package is not None and scopes.get(self._package) is self:
                del scopes[self._package]
            for name in self._offered:
                withdraw(name)
            self._offered.clear()
            lenders, self._lenders = self._lenders, set()
            for lender in lenders:
                lender._release()
            _tidy()

    def _enter(self) -> None:
        with lock:
            self._calls += 1
            for name in self._crossing:
                if name in sys.modules:
                    alias_name(name)

    def _leave(self) -> None:
        with lock:
            self._calls -= 1
            if not self._calls:
                drop_aliases(active_scopes())

    def qualified(self, name: str) -> str:
        """Return the name under which the import system finds the scope's module ``name``.

        Raises:
            ModuleNotFoundError: the model is closed.
        """
        if not self._holds:
            if self._closed:
                text = f"{name!r} belongs to a model that was closed"
                raise ModuleNotFoundError(text, name=name)
            self._hold()  # the model is forgotten, and something of its code is not
        top = name.partition(".")[0]
        if self._bound[top] is Binding.OWN and not self._is_own(top):
            self._give_up(top)
        return f"{self.package}.{name}" if self._bound[top] is Binding.PRIVATE else name

    def _is_own(self, top: str) -> bool:
        """Return whether nobody else has put a module under this name since it was taken."""
        module = sys.modules.get(top)
        if module is None:
            return True
        known = self._modules.get(top)
        if known is _PENDING:
            self.remember(top, module)
        return known is _PENDING or known is module

    def _give_up(self, top: str) -> None:
        """Leave the plain name to who has taken it."""
        with lock:
            self._bound[top] = Binding.PRIVATE
            holders.pop(top, None)
            self._crossing |= {top}
            if top in self._offered:
                withdraw(top)
                self._offered.remove(top)
            if self._recipe is not None:
                self._offer(self.package, self._recipe)


_PENDING = types.ModuleType("_pyfunc_pending")


def _tidy() -> None:
    if not holders and not scopes:
        uninstall()


def _release_if_held(held: weakref.ref[CodeScope]) -> None:
    scope = held()
    if scope is not None and not scope._closed:
        scope._release()


def _is_taken(name: str) -> bool:
    if name in sys.modules:
        return True
    return importlib.machinery.PathFinder.find_spec(name) is not None
