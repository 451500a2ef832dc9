"""Every exception and warning of this library, in one tree.

    PyfuncError
    ├── InvalidArgumentError (ValueError)      an argument has a value that cannot work
    ├── InvalidTypeError (TypeError)           an argument has the wrong type
    ├── ModelNotFoundError (FileNotFoundError) a path that was given is not there
    ├── ModelFormatError (ValueError)          a file of a model directory is malformed
    │   └── ModelPathError                     it names a path outside the directory
    ├── ModelIncompleteError                   a part of the model is missing or broken
    ├── ModelIntegrityError                    files are not those that were saved
    ├── UntrustedModelError                    loading would run code that is not trusted
    ├── IncompatiblePythonError                the pickle needs another Python version
    ├── SaveConflictError (FileExistsError)    the target of a save is taken
    ├── SaveError (OSError)                    the target of a save cannot be written
    ├── StoreError (OSError)                   a store or a tracking server failed
    ├── ConfigKeyError (KeyError)              a model configuration lacks the key asked for
    ├── SchemaError (ValueError)               data does not fit the signature
    ├── EnvironmentCreationError               an isolated environment cannot be made
    ├── EnvironmentMismatchError               packages differ from those at training
    ├── FlavorNotFoundError (LookupError)      no module reads or writes this kind of model
    ├── MissingDependencyError (ImportError)   an optional package is not installed
    ├── CodeFailedError                        code that is not ours failed
    │   └── ModelFailedError                   the model's own code failed
    ├── HandlerError                           a request handler of the user failed
    ├── EntityNotFoundError (LookupError)      the store has no such project, function, run, ...
    └── RunError (RuntimeError)                a run of a function failed

``error_code`` holds MLflow's own words, so that callers which already branch on them keep
working; attributes hold the data and ``str()`` only renders it. A message may end with a line
``hint: ...``, which is what ``hint`` holds then. Every error can be pickled.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

__all__ = [
    "BAD_REQUEST",
    "INTERNAL_ERROR",
    "INVALID_PARAMETER_VALUE",
    "RESOURCE_ALREADY_EXISTS",
    "RESOURCE_DOES_NOT_EXIST",
    "CodeFailedError",
    "ConfigKeyError",
    "EntityNotFoundError",
    "EnvironmentCreationError",
    "EnvironmentMismatchError",
    "FlavorNotFoundError",
    "HandlerError",
    "IncompatiblePythonError",
    "InvalidArgumentError",
    "InvalidTypeError",
    "MissingDependencyError",
    "ModelFailedError",
    "ModelFormatError",
    "ModelIncompleteError",
    "ModelIntegrityError",
    "ModelNotFoundError",
    "ModelPathError",
    "Problem",
    "PyfuncError",
    "PyfuncWarning",
    "RunError",
    "SaveConflictError",
    "SaveError",
    "SchemaError",
    "StoreError",
    "UntrustedModelError",
    "find_repeated",
    "shorten",
]

BAD_REQUEST = "BAD_REQUEST"
INTERNAL_ERROR = "INTERNAL_ERROR"
INVALID_PARAMETER_VALUE = "INVALID_PARAMETER_VALUE"
RESOURCE_ALREADY_EXISTS = "RESOURCE_ALREADY_EXISTS"
RESOURCE_DOES_NOT_EXIST = "RESOURCE_DOES_NOT_EXIST"

_VALUE_WIDTH = 80
_LONG = 1000  # characters, of which no message shows as many
_HINT = "\nhint: "

T = TypeVar("T")


def shorten(value: object, width: int = _VALUE_WIDTH) -> str:
    """Return ``repr(value)`` cut to ``width`` characters, for messages.

    Of lists, dicts and texts no more is looked at than is shown.
    """
    text = ""
    for part in _spell(value):
        text += part
        if len(text) > width:
            return text[: width - 3] + "..."
    return text


def _spell(value: object) -> Iterator[str]:
    """Yield the parts of ``repr(value)``; a long text may come in other quotes."""
    if type(value) is list:
        yield "["
        for i, item in enumerate(value):
            yield ", " if i else ""
            yield from _spell(item)
        yield "]"
    elif type(value) is dict:
        yield "{"
        for i, (key, item) in enumerate(value.items()):
            yield ", " if i else ""
            yield from _spell(key)
            yield ": "
            yield from _spell(item)
        yield "}"
    elif isinstance(value, (str, bytes)) and type(value) in (str, bytes):
        yield repr(value[:_LONG])
    else:
        yield repr(value)


def find_repeated(names: Iterable[T]) -> list[T]:
    """Return the names that stand more than once, each once, in their order."""
    return [name for name, count in Counter(names).items() if count > 1]


class PyfuncWarning(UserWarning):
    """The one category of all warnings that this library issues."""


class PyfuncError(Exception):
    """Base of all errors of this library.

    Attributes:
        message: the full text.
        hint: what to do about it, the last part of the text; may be empty.
        error_code: MLflow's word for the kind of error, such as ``INVALID_PARAMETER_VALUE``.
        error_class: MLflow's finer word, or None.
        sqlstate: MLflow's SQLSTATE for ``error_class``, or None.
    """

    hint: str = ""
    error_code: str = INTERNAL_ERROR
    error_class: str | None = None
    sqlstate: str | None = None

    def __init__(
        self,
        message: object = "",
        error_code: str | None = None,
        *,
        error_class: str | None = None,
        sqlstate: str | None = None,
    ) -> None:
        text, _, hint = str(message).partition(_HINT)
        super().__init__(text)
        if hint:
            self.hint = hint
        if error_code is not None:
            self.error_code = str(error_code)
        if error_class is not None:
            self.error_class = error_class
        if sqlstate is not None:
            self.sqlstate = sqlstate

    @property
    def message(self) -> str:
        """The full text of the error."""
        return str(self)

    def with_hint(self, hint: str) -> str:
        """Return the full text of the error with another hint, or with none if it is empty."""
        text = str(self.args[0]) if self.args else ""
        return f"{text}{_HINT}{hint}" if hint else text

    @classmethod
    def invalid_parameter_value(cls, message: object, **fields: Any) -> PyfuncError:
        """Return an error with code ``INVALID_PARAMETER_VALUE``, as MLflow's class does."""
        return cls(message, INVALID_PARAMETER_VALUE, **fields)

    def serialize_as_json(self) -> str:
        """Return the JSON object that MLflow's server sends for an error."""
        return json.dumps(
            {
                "error_code": self.error_code,
                "message": self.message,
                "sqlstate": self.sqlstate,
                "error_class": self.error_class,
            }
        )

    def __str__(self) -> str:
        return self.with_hint(self.hint)

    def caught_as(self, error: Exception, *kinds: type[Exception]) -> PyfuncError:
        """Return this error as one that is caught as ``error`` is, too, and has its attributes.

        It is this error itself where the class of ``error`` allows no other beside it.

        Args:
            error: the error of other code that this one stands for.
            *kinds: what else it is caught as.
        """
        try:
            both = _of_both(type(self), (type(error), *kinds))
            made = both.__new__(both)
            made.args = self.args
            for name in (*_FIELDS, *vars(error), *vars(self)):
                for source in (self, error):
                    if hasattr(source, name):
                        setattr(made, name, getattr(source, name))
                        break
        except (TypeError, AttributeError, ValueError):  # a class of the user
            return self
        return made

    def kinds(self) -> tuple[type[PyfuncError], tuple[type[Exception], ...]]:
        """Return its own class, and what :meth:`caught_as` has added to that."""
        found: tuple[type[PyfuncError], tuple[type[Exception], ...]]
        found = vars(type(self)).get(_BOTH, (type(self), ()))
        return found

    def fields(self) -> dict[str, Any]:
        """Return its attributes, with those that builtin exceptions keep elsewhere."""
        kept = {name: getattr(self, name) for name in _FIELDS if hasattr(self, name)}
        return {**kept, **self.__dict__}

    @classmethod
    def rebuilt(
        cls,
        others: tuple[type[Exception], ...],
        args: tuple[object, ...],
        fields: dict[str, Any],
    ) -> PyfuncError:
        """Return the error with these arguments and fields that is caught as ``others``, too."""
        return _rebuild(_of_both(cls, others), args, fields)

    def __reduce__(self) -> tuple[Any, ...]:
        plain, others = self.kinds()
        # The class of a user may be unknown where the error is read.
        others = tuple(kind for kind in others if kind.__module__ in _EVERYWHERE)
        if not others:
            return _rebuild, (plain, self.args, dict(self.__dict__))
        return _rebuild_both, (plain, others, self.args, self.fields())


# What the builtin exceptions keep outside of their ``__dict__``.
_FIELDS = ("errno", "strerror", "filename", "filename2", "name", "path", "value", "code")
_BOTH = "_pyfunc_both"
_EVERYWHERE = ("builtins", "_pickle")


def _of_both(cls: type[PyfuncError], others: tuple[type[Exception], ...]) -> type[PyfuncError]:
    new = tuple(kind for kind in dict.fromkeys(others) if not issubclass(cls, kind))
    said = {"__module__": cls.__module__, "__doc__": cls.__doc__, _BOTH: (cls, new)}
    return type(cls.__name__, (cls, *new), said)


def _rebuild_both(
    cls: type[PyfuncError],
    others: tuple[type[Exception], ...],
    args: tuple[object, ...],
    state: dict[str, object],
) -> PyfuncError:
    return _rebuild(_of_both(cls, others), args, state)


def _rebuild(
    cls: type[PyfuncError], args: tuple[object, ...], state: dict[str, Any]
) -> PyfuncError:
    error = cls.__new__(cls, *args)
    error.args = args
    for name, value in state.items():
        setattr(error, name, value)
    return error


class InvalidArgumentError(PyfuncError, ValueError):
    """An argument has the right type but a value that cannot work."""

    error_code = INVALID_PARAMETER_VALUE


class InvalidTypeError(PyfuncError, TypeError):
    """An argument has the wrong type, or a call has an unknown argument."""

    error_code = INVALID_PARAMETER_VALUE


class ModelNotFoundError(PyfuncError, FileNotFoundError):
    """A path that the caller named does not exist."""

    error_code = RESOURCE_DOES_NOT_EXIST


class ModelFormatError(PyfuncError, ValueError):
    """A file of a model directory does not follow the format.

    Attributes:
        path: the file, as text.
        key: the key inside it in dotted form, or None when the whole file is meant.
    """

    error_code = INVALID_PARAMETER_VALUE

    def __init__(
        self,
        message: object,
        *,
        path: str | Path | None = None,
        key: str | None = None,
        error_code: str | None = None,
    ) -> None:
        self.path = None if path is None else str(path)
        self.key = key
        where = ": ".join(part for part in (self.path, key) if part)
        super().__init__(f"{where}: {message}" if where else message, error_code)


class ModelPathError(ModelFormatError):
    """A model file names a path that leaves the directory or is not an ordinary file."""


class ModelIncompleteError(PyfuncError):
    """A part of a model is missing, truncated or cannot be built; ``path`` names the file."""

    error_code = RESOURCE_DOES_NOT_EXIST

    def __init__(
        self, message: object, *, path: str | Path | None = None, error_code: str | None = None
    ) -> None:
        self.path = None if path is None else str(path)
        super().__init__(f"{self.path}: {message}" if self.path else message, error_code)


class ModelIntegrityError(PyfuncError):
    """Files of a model are not those that were saved.

    Attributes:
        missing, modified, extra: sorted relative POSIX paths.
    """

    def __init__(
        self,
        message: object,
        *,
        missing: Sequence[str] = (),
        modified: Sequence[str] = (),
        extra: Sequence[str] = (),
    ) -> None:
        self.missing = tuple(sorted(missing))
        self.modified = tuple(sorted(modified))
        self.extra = tuple(sorted(extra))
        lines = [str(message)]
        for word, names in (
            ("missing", self.missing),
            ("modified after save", self.modified),
            ("extra", self.extra),
        ):
            lines += [f"  - {word}: {name}" for name in names[:20]]
            if len(names) > 20:
                lines.append(f"  - {word}: ... and {len(names) - 20} more")
        super().__init__("\n".join(lines))


class UntrustedModelError(PyfuncError):
    """Loading would run code that the caller did not declare trusted."""


class IncompatiblePythonError(PyfuncError):
    """A pickle holds code of another Python minor version than the running one."""


class ConfigKeyError(PyfuncError, KeyError):
    """A model configuration lacks the key that a script asked for."""


class SaveConflictError(PyfuncError, FileExistsError):
    """The target of a save exists already; nothing in it was changed."""

    error_code = RESOURCE_ALREADY_EXISTS


class SaveError(PyfuncError, OSError):
    """The disk did not take a model; the target is as it was before.

    ``errno``, ``strerror`` and ``filename`` are those of the ``OSError`` that is the cause.
    """

    def __init__(self, message: object, *, cause: OSError) -> None:
        super().__init__(message)
        self.errno = cause.errno
        self.strerror = cause.strerror
        self.filename = cause.filename

    def __reduce__(self) -> tuple[Any, ...]:
        fields = {name: getattr(self, name) for name in ("errno", "strerror", "filename")}
        return _rebuild, (type(self), self.args, {**self.__dict__, **fields})


class StoreError(PyfuncError, OSError):
    """A store of models, or a tracking server, did not give or take what was asked for."""


@dataclass(frozen=True, order=True)
class Problem:
    """One violation of a signature.

    Attributes:
        path: the column, parameter or nested place, such as ``inputs['a'].b[]``.
        expected: what the signature asks for.
        got: what the data has.
        row: position of the first offending row, or None when all rows are concerned.
    """

    path: str
    expected: str
    got: str
    row: int | None = None

    def __str__(self) -> str:
        where = "" if self.row is None else f" (first at row {self.row})"
        return f"{self.path}: expected {self.expected}, got {self.got}{where}"


class SchemaError(PyfuncError, ValueError):
    """The data does not fit the signature; ``problems`` lists every violation, sorted."""

    def __init__(
        self,
        problems: Sequence[Problem],
        *,
        hint: str = "",
        subject: str = "input does not match the signature",
        error_code: str | None = None,
        error_class: str | None = None,
        sqlstate: str | None = None,
    ) -> None:
        self.problems = tuple(sorted(problems, key=_problem_order))
        self.subject = subject
        super().__init__(self._render(), error_code, error_class=error_class, sqlstate=sqlstate)
        self.hint = hint

    def _render(self) -> str:
        lines = [f"{self.subject} ({len(self.problems)} problem(s))"]
        lines += [f"  - {problem}" for problem in self.problems[:100]]
        if len(self.problems) > 100:
            lines.append(f"  - ... and {len(self.problems) - 100} more")
        return "\n".join(lines)


def _problem_order(problem: Problem) -> tuple[str, str, str, int]:
    row = -1 if problem.row is None else problem.row
    return problem.path, problem.expected, problem.got, row


class EnvironmentCreationError(PyfuncError):
    """An isolated environment could not be created; nothing of it is left."""


class EnvironmentMismatchError(PyfuncError):
    """The running environment differs from the one at training; ``mismatches`` lists how."""

    def __init__(self, message: object, mismatches: Sequence[Any] = ()) -> None:
        self.mismatches = tuple(mismatches)
        super().__init__(message)


class FlavorNotFoundError(PyfuncError, LookupError):
    """No module is known that reads or writes this kind of model."""

    error_code = RESOURCE_DOES_NOT_EXIST


class MissingDependencyError(PyfuncError, ImportError):
    """An optional package is not installed; ``install`` is the command that installs it."""

    def __init__(self, feature: str, install: str) -> None:
        self.feature = feature
        self.install = install
        super().__init__(f"{feature} needs a package that is not installed\nhint: {install}")


class CodeFailedError(PyfuncError):
    """Code that is not ours failed, or gave what cannot be used; its error is the cause."""


class ModelFailedError(CodeFailedError):
    """The model's own code failed, or gave what has no JSON form; its error is the cause."""


class HandlerError(PyfuncError):
    """Code of a request handler failed in ``stage``; the user's exception is the cause."""

    def __init__(self, message: object, *, stage: str) -> None:
        self.stage = stage
        super().__init__(message)


class EntityNotFoundError(PyfuncError, LookupError):
    """A store of functions has no project, function, run, dataitem, ... of this key or name."""

    error_code = RESOURCE_DOES_NOT_EXIST


class RunError(PyfuncError, RuntimeError):
    """A run of a function failed; ``run`` is its key, and what the function raised the cause."""

    def __init__(self, message: object, *, run: str) -> None:
        self.run = run
        super().__init__(message)
