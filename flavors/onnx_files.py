"""The files that an ONNX graph names, checked before a library opens them.

What the libraries confine differs between their releases: some follow links, and some a path that
leaves the folder and comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol

from pyfunc.errors import ModelFormatError, ModelIncompleteError, ModelPathError, shorten
from pyfunc.model.opened import OpenedModel

__all__ = ["Graph", "check_graph"]

_KEYS = frozenset({"location", "offset", "length", "checksum"})


class _Field(Protocol):
    name: str


class Graph(Protocol):
    """A message of protobuf: a whole model, or a part of it."""

    def ListFields(self) -> list[tuple[_Field, object]]:  # noqa: N802 - protobuf's name
        """Return the fields that are set, with their values."""


def check_graph(opened: OpenedModel, relative: str, graph: Graph) -> None:
    """Check every file that ``graph`` names; it is read from the file ``relative``.

    Args:
        opened: the model.
        relative: where the graph is in it.
        graph: an ``onnx.ModelProto`` without the content of other files.

    Raises:
        ModelPathError: it names a file outside of its folder, or a link.
        ModelFormatError: it names a file in another way than by a place in it.
        ModelIncompleteError: the file is missing or too short.
        ModelIntegrityError: the manifest does not list the file.
    """
    folder = PurePosixPath(relative).parent
    for tensor in _messages(graph):
        fields = {field.name: value for field, value in tensor.ListFields()}
        if fields.get("op_type") == "EPContext":
            raise ModelFormatError(
                "holds a node with code compiled for one device, which is not loaded here",
                path=opened.root / relative,
            )
        if "external_data" in fields:
            _check_external(opened, opened.root / relative, folder, fields["external_data"])


def _messages(graph: Graph) -> Iterator[Graph]:
    """Yield all parts of ``graph`` that are messages, at any depth."""
    pending = [graph]
    while pending:
        message = pending.pop()
        yield message
        for _, value in message.ListFields():
            if hasattr(value, "ListFields"):
                pending.append(value)
            elif isinstance(value, Iterable) and hasattr(next(iter(value), None), "ListFields"):
                pending += value


class _Entry(Protocol):
    key: str
    value: str


def _check_external(
    opened: OpenedModel, file: Path, folder: PurePosixPath, entries: object
) -> None:
    assert isinstance(entries, Iterable)
    found: dict[str, str] = {}
    for entry in entries:
        if entry.key not in _KEYS or entry.key in found:
            raise ModelFormatError(
                f"a tensor names its file by {shorten(entry.key)}; expected each of "
                f"{', '.join(sorted(_KEYS))} at most once",
                path=file,
            )
        found[entry.key] = entry.value
    location = found.get("location", "")
    relative = f"{folder.as_posix()}/{location}" if location else ""
    path = opened.files.resolve(relative, key="external_data.location", kind="file")
    if path != opened.root / relative:
        raise ModelPathError(f"the path goes through a link: {shorten(location)}", path=file)
    opened.files.check_listed(path)
    size, end = path.stat().st_size, sum(_number(found, key, file) for key in ("offset", "length"))
    if end > size:
        raise ModelIncompleteError(
            f"a tensor ends at byte {end} of {shorten(location)}, which has {size}", path=file
        )


def _number(entries: dict[str, str], key: str, file: Path) -> int:
    text = entries.get(key, "0")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ModelFormatError(
            f"a tensor has the {key} {shorten(text)}, which is no number of bytes", path=file
        )
    return int(text)
