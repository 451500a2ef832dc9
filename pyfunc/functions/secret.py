"""Secrets of a project: values that stand in a file of their own that only its owner reads.

A value is never in a document, a log or the text of an error.
"""

from __future__ import annotations

from pyfunc.errors import EntityNotFoundError, InvalidArgumentError, InvalidTypeError
from pyfunc.files.atomic_files import staged_file
from pyfunc.functions.documents import Document
from pyfunc.functions.entity import Entity
from pyfunc.functions.names import Key, check_name
from pyfunc.functions.store import Store
from pyfunc.variables import can_be_value

__all__ = ["Secret", "read_secrets", "write_secret"]

_VALUE = "value"
_PRIVATE = 0o600


class Secret(Entity):
    """A named value; see ``Project.new_secret``."""

    entity_type = "secret"
    spec_fields = ("path", "provider")

    def read_secret_value(self) -> str:
        """Return the value.

        Raises:
            EntityNotFoundError: this version has been deleted, or came from an archive, which
                holds no values.
        """
        try:
            return (self.path / _VALUE).read_bytes().decode()  # with the line ends that it has
        except FileNotFoundError:
            raise EntityNotFoundError(
                f"{self.key} has no value here\nhint: set_secret_value gives it one"
            ) from None

    def set_secret_value(self, value: str) -> None:
        """Give this version another value, in one step."""
        _write_value(self._store, self._key, _to_bytes(value))


def write_secret(store: Store, key: Key, document: Document, value: str) -> None:
    """Put a new secret into the store; it is there once its value is."""
    data = _to_bytes(value)
    store.folder(key).mkdir(parents=True)
    with store.locked(key):
        _write_value(store, key, data)
        store.replace(key, document, flush=True)


def read_secrets(store: Store, project: str, names: object) -> list[Secret]:
    """Return the newest versions of the secrets that the spec of a run names, if it does.

    Raises:
        EntityNotFoundError: there is none of a name.
    """
    return [
        Secret(store, store.read(Key(project, "secret", "secret", check_name(name, "secret"))))
        for name in (names if isinstance(names, list) else [])
    ]


def _to_bytes(value: object) -> bytes:
    """Return what stands in the file.

    Raises:
        InvalidTypeError: it is no str.
        InvalidArgumentError: no variable of the environment can hold it.
    """
    if not isinstance(value, str):
        raise InvalidTypeError(f"secret_value: expected a str, got {type(value).__name__}")
    if not can_be_value(value):
        raise InvalidArgumentError(
            "secret_value: expected text in UTF-8 without null characters\n"
            "hint: runs get it as a variable of the environment; encode bytes as base64"
        )
    return value.encode()


def _write_value(store: Store, key: Key, data: bytes) -> None:
    with staged_file(store.folder(key) / _VALUE, mode=_PRIVATE) as file:
        file.write(data)
