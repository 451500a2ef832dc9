"""What of a value is shown: no secret, and never more than a page can hold."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

from pyfunc.errors import EntityNotFoundError
from pyfunc.functions.hiding import HIDDEN, Veil
from pyfunc.functions.secret import Secret
from pyfunc.functions.store import Store

__all__ = ["Shown", "shown_in"]

_MOST_TEXT = 4000
_MOST_ITEMS = 200
_MOST_DEPTH = 12


def shown_in(store: Store, project: str) -> Shown:
    """Return what shows values of a project without those of its secrets."""
    return Shown([*_secret_values(store, project)])


def _secret_values(store: Store, project: str) -> Iterator[str]:
    for document in store.read_all(project, "secret"):
        with contextlib.suppress(EntityNotFoundError):  # it may have no value here
            yield Secret(store, document).read_secret_value()


class Shown:
    """Makes of values what is shown of them.

    Args:
        secrets: texts that are never shown; those of fewer than four characters are.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._veil = Veil(secrets)

    @property
    def margin(self) -> int:
        """Bytes around a part of a text in which the rest of a secret may stand."""
        return max((len(text.encode()) for text in self._veil.texts), default=0)

    def text(self, text: str) -> str:
        """Return ``text`` without secrets."""
        return self._veil.text(text)

    def part(self, data: bytes, start: int, end: int) -> str:
        """Return what stands from ``start`` to ``end`` in ``data``, without secrets.

        One that begins before or ends after that part is left out as well.
        """
        if not self._veil.texts:
            return data[start:end].decode("utf-8", "replace")
        hidden = bytearray(len(data))
        for secret in self._veil.texts:
            raw, at = secret.encode(), 0
            while (at := data.find(raw, at)) >= 0:
                hidden[at : at + len(raw)] = b"\1" * len(raw)
                at += 1
        shown, at = "", start
        while at < end:
            until = next((i for i in range(at, end) if hidden[i] != hidden[at]), end)
            shown += HIDDEN if hidden[at] else data[at:until].decode("utf-8", "replace")
            at = until
        return shown

    def short(self, text: str, most: int = _MOST_TEXT) -> str:
        """Return ``text`` without secrets, and how long it is if it is longer than it may be."""
        text = self.text(text)
        return text if len(text) <= most else f"{text[:most]} … ({len(text)} characters)"

    def value(self, value: object, depth: int = 0) -> object:
        """Return a value of JSON as far as it is shown."""
        if isinstance(value, str):
            return self.short(value)
        if depth > _MOST_DEPTH and isinstance(value, (dict, list)):
            return "…"
        if isinstance(value, dict):
            return self._mapping(value, depth)
        if isinstance(value, list):
            shown = [self.value(item, depth + 1) for item in value[:_MOST_ITEMS]]
            more = len(value) - _MOST_ITEMS
            return [*shown, f"… and {more} more"] if more > 0 else shown
        return value

    def _mapping(self, value: Mapping[str, object], depth: int) -> dict[str, object]:
        names = [*value][:_MOST_ITEMS]
        shown = {self.short(name, 200): self.value(value[name], depth + 1) for name in names}
        more = len(value) - _MOST_ITEMS
        return {**shown, "…": f"and {more} more"} if more > 0 else shown
