"""What is wrong with values on their way to a cluster: all of it, each with its place."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from pyfunc.deploy.kubernetes.forms import LABEL_KEY, LABEL_VALUE, Form, one_of, whole
from pyfunc.errors import Problem, SchemaError, shorten

__all__ = ["Findings", "ManifestError", "Tree", "as_tree"]

Tree = Mapping[str, object]


class ManifestError(SchemaError):
    """No cluster would take this; ``problems`` lists everything, with its place."""


def as_tree(value: object) -> Tree:
    """Return ``value`` if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


class Findings:
    """Collects problems; methods that return a truth say whether they found none."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, path: str, expected: str, value: object) -> bool:
        """Take note of a problem."""
        got = "nothing" if value is None else shorten(value)
        self.problems.append(Problem(path, expected, got))
        return False

    def fits(self, path: str, value: object, form: Form) -> bool:
        """Return whether ``value`` has that form."""
        return form.fits(value) or self.add(path, form.expected, value)

    def is_one_of(self, path: str, value: object, allowed: Collection[str]) -> bool:
        """Return whether ``value`` is one of those."""
        return self.fits(path, value, one_of(*allowed))

    def is_whole(self, path: str, value: object, least: int, *, bits: int = 32) -> bool:
        """Return whether ``value`` is an integer of at least ``least``."""
        return self.fits(path, value, whole(least, bits=bits))

    def are_labels(self, path: str, labels: object) -> None:
        """Take note of each key and each value that no label has."""
        if not isinstance(labels, Mapping):
            self.add(path, "an object", labels)
        for key, value in as_tree(labels).items():
            self.fits(f"{path}[{key!r}]", key, LABEL_KEY)
            self.fits(f"{path}[{key!r}]", value, LABEL_VALUE)

    def items(self, path: str, value: object) -> Iterator[tuple[str, Tree]]:
        """Yield each object of a list with its place."""
        if not isinstance(value, list):
            self.add(path, "a list", value)
            return
        for position, item in enumerate(value):
            place = f"{path}[{position}]"
            if isinstance(item, Mapping):
                yield place, item
            else:
                self.add(place, "an object", item)

    def has_only(self, path: str, tree: Tree, known: Collection[str]) -> None:
        """Take note of each key that is not known."""
        for name in tree:
            if name not in known:
                place = f"{path}.{name}" if path else str(name)
                self.add(place, f"no such key; there are {', '.join(sorted(known))}", tree[name])

    def are_different(self, path: str, key: str, items: list[tuple[str, Tree]]) -> None:
        """Take note of each value of ``key`` that an item before had."""
        seen: set[object] = set()
        for place, item in items:
            value = item.get(key)
            if isinstance(value, str) and value in seen:
                self.add(f"{place}.{key}", f"another than those before it in {path}", value)
            seen.add(value if isinstance(value, str) else None)

    def check(self, subject: str) -> None:
        """Return if nothing was found.

        Raises:
            ManifestError: something was.
        """
        if self.problems:
            raise ManifestError(self.problems, subject=subject)
