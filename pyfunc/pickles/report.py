"""What a walk over a pickle found: the names it imports and calls, and what was not clear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["PickleProblem", "PickleReport", "ProblemKind"]

ProblemKind = Literal[
    "malformed",  # the unpickler would fail here; nothing behind it was looked at
    "trailing-data",  # bytes follow the end of the pickle
    "unresolved-global",  # an import whose name is computed
    "extension",  # an import through the registry of extension codes
    "persistent-id",  # a value that the unpickler's owner is asked for
    "out-of-band-buffer",  # a buffer that is not in the pickle
    "computed-call",  # a call of something that is not an imported name
    "global-changed",  # state or items are given to an imported object itself
    "too-deep",
    "too-large",
    "too-many-opcodes",
]


@dataclass(frozen=True, slots=True)
class PickleProblem:
    """Something that makes a pickle unfit for judging by the names it imports.

    Attributes:
        kind: a stable word.
        offset: position of the opcode in the data.
        detail: a few words for people.
    """

    kind: ProblemKind
    offset: int
    detail: str

    def __str__(self) -> str:
        return f"{self.kind} at byte {self.offset}: {self.detail}"


@dataclass(frozen=True, slots=True)
class PickleReport:
    """What unpickling some bytes would import. Each tuple has no repetitions.

    Attributes:
        globals: ``(module, name)`` of every import, in order; as the running Python would look
            them up, that is with the Python 2 names of old protocols already mapped. The name
            has dots where an attribute of an attribute is meant.
        submodules: modules that cloudpickle imports by a constant name (its ``subimport``).
        has_code: whether functions, classes or code objects come by value.
        imported_names: what the code objects import, such as ``sklearn.linear_model``. Exact
            where the pickling Python has the bytecode of the running one, empty otherwise.
        code_names: the names that the code objects use for globals, attributes and imports
            (``co_names``), whatever the Python version.
        code_constants: the short strings among their constants.
        problems: what could not be followed; see :data:`ProblemKind`.
        protocol: of the pickle; 0 when it does not say.
        opcodes: how many were walked.
        asked_names: the constants of those code objects that call ``import_module`` or
            ``__import__``: what they may import, beside other text.
    """

    globals: tuple[tuple[str, str], ...]
    submodules: tuple[str, ...]
    has_code: bool
    imported_names: tuple[str, ...]
    code_names: tuple[str, ...]
    code_constants: tuple[str, ...]
    problems: tuple[PickleProblem, ...]
    protocol: int
    opcodes: int
    asked_names: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether the walk reached the end, so that no import was missed."""
        missed = ("malformed", "too-many-opcodes", "unresolved-global", "extension")
        return not any(problem.kind in missed for problem in self.problems)

    @property
    def modules(self) -> tuple[str, ...]:
        """Every module that loading imports by name: those of globals, then submodules."""
        names = [module for module, _ in self.globals]
        return tuple(dict.fromkeys([*names, *self.submodules]))
