"""Reads the YAML files of a model directory, within bounds that hold for any input.

Values are built from libyaml's event stream by code of our own, which can stop at any event;
nothing recursive of libyaml or PyYAML runs on what a file says.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.nodes import ScalarNode
from yaml.resolver import Resolver

from pyfunc.errors import ModelFormatError, shorten
from pyfunc.files.paths import open_regular_file

__all__ = [
    "MAX_ALIASES",
    "MAX_DEPTH",
    "MAX_DIGITS",
    "MAX_EXPANDED",
    "MAX_NODES",
    "MAX_YAML_BYTES",
    "check_mapping",
    "join_keys",
    "parse_yaml",
    "read_yaml_mapping",
]

MAX_YAML_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_NODES = 50_000
MAX_ALIASES = 100
MAX_EXPANDED = 10_000
MAX_DIGITS = 4_300
_MAX_DIRECTIVES = 8
_MAX_KEY_SHOWN = 80

_STANDARD = "tag:yaml.org,2002:"
_SEQ, _MAP, _STR = (_STANDARD + name for name in ("seq", "map", "str"))
_CONSTRUCT = {
    _STANDARD + "null": SafeConstructor.construct_yaml_null,
    _STANDARD + "bool": SafeConstructor.construct_yaml_bool,
    _STANDARD + "int": SafeConstructor.construct_yaml_int,
    _STANDARD + "float": SafeConstructor.construct_yaml_float,
    _STANDARD + "timestamp": SafeConstructor.construct_yaml_timestamp,
}
_NUMBERS = (_STANDARD + "int", _STANDARD + "float")
_EVENTS: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMERIC = re.compile(r"[-+.:_0-9a-fA-FxX]*")
_OPEN = object()

_resolver: Any = Resolver()
_constructor = SafeConstructor()


def parse_yaml(
    data: bytes | str,
    *,
    path: Path | str | None = None,
    max_bytes: int = MAX_YAML_BYTES,
    by_people: bool = False,
) -> Any:
    """Return the value of the one YAML document in ``data``, as ``yaml.safe_load`` gives it.

    Strings, numbers, booleans, null, timestamps, lists and mappings can come out; an object
    that the document refers to by alias is shared.

    Args:
        data: UTF-8 bytes without a byte order mark, or text.
        path: the file, for messages.
        max_bytes: the largest size that is looked at.
        by_people: whether a byte order mark, merge keys and any scalars as keys are read too,
            which no program of ours or MLflow's writes.

    Raises:
        ModelFormatError: the document is not well-formed, or holds duplicate keys, merge keys,
            null, dates or collections as keys (at the top: anything but strings), tags other
            than those of the types above, several documents, or more bytes, nesting, nodes or
            aliases than the bounds allow. ``key`` says where.
    """
    if by_people and isinstance(data, bytes):
        data = data.removeprefix(codecs.BOM_UTF8)
    text = _decode(data, path, max_bytes)
    if text.count("\n%") + text.startswith("%") > _MAX_DIRECTIVES:
        raise ModelFormatError("the file holds too many YAML directives", path=path)
    try:
        return _Builder(text, path, by_people=by_people).build_document()
    except yaml.YAMLError as error:
        raise ModelFormatError(f"not well-formed YAML: {_describe(error)}", path=path) from error


def read_yaml_mapping(
    path: Path | str, *, max_bytes: int = MAX_YAML_BYTES, by_people: bool = False
) -> dict[str, Any]:
    """Return the mapping that the YAML file ``path`` holds; its keys are strings.

    Args:
        path: the file.
        max_bytes: as for :func:`parse_yaml`.
        by_people: as for :func:`parse_yaml`; a file without content is an empty mapping then.

    Raises:
        ModelFormatError: as :func:`parse_yaml`, or the document is not a mapping.
        ModelPathError: ``path`` is not an ordinary file.
        ModelIncompleteError: ``path`` does not exist or cannot be opened.
    """
    with open_regular_file(path) as file:
        # One byte more than allowed tells a file that is too large, however it grows.
        data = file.read(max_bytes + 1)
    value = parse_yaml(data, path=path, max_bytes=max_bytes, by_people=by_people)
    return check_mapping({} if by_people and value is None else value, path=path)


def check_mapping(value: object, *, path: Path | str | None = None) -> dict[str, Any]:
    """Return ``value`` unchanged if it is a mapping, as the top of every model file is.

    Raises:
        ModelFormatError: it is something else.
    """
    if not isinstance(value, dict):
        got = "an empty document" if value is None else type(value).__name__
        raise ModelFormatError(f"expected a mapping at the top, got {got}", path=path)
    return value


def _decode(data: bytes | str, path: Path | str | None, max_bytes: int) -> str:
    if len(data) > max_bytes:
        raise ModelFormatError(f"the file is larger than {max_bytes} bytes", path=path)
    if isinstance(data, bytes):
        try:
            data = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ModelFormatError(f"not UTF-8: {error}", path=path) from error
    if data.startswith("\ufeff"):
        raise ModelFormatError("the file starts with a byte order mark", path=path)
    return data


def _describe(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return problem if mark is None else f"{problem} (line {mark.line + 1})"


def join_keys(keys: list[str]) -> str:
    """Return dotted text such as ``a.b[0].c``."""
    parts = [key if len(key) <= _MAX_KEY_SHOWN else key[:_MAX_KEY_SHOWN] + "..." for key in keys]
    return ".".join(parts).replace(".[", "[")


def _is_merge_key(event: Event) -> bool:
    return isinstance(event, ScalarEvent) and event.value == "<<" and event.implicit[0]


class _Builder:
    """Builds one document from the events of a parser, counting as it goes."""

    def __init__(self, text: str, path: Path | str | None, *, by_people: bool = False) -> None:
        try:
            self._parser = _EVENTS(text)
        except UnicodeEncodeError as error:
            raise ModelFormatError(f"not UTF-8: {error}", path=path) from error
        self._path = path
        self._by_people = by_people
        self._anchors: dict[str, object] = {}
        self._sizes: dict[str, int] = {}
        self._keys: list[str] = []
        self._nodes = 0
        self._aliases = 0
        self._expanded = 0

    def build_document(self) -> object:
        self._parser.get_event()  # the start of the stream
        event = self._parser.get_event()
        if isinstance(event, StreamEndEvent):
            return None
        assert isinstance(event, DocumentStartEvent)
        value = self._build(self._parser.get_event())
        self._parser.get_event()  # the end of the document
        if not isinstance(self._parser.get_event(), StreamEndEvent):
            raise self._refuse("the file holds more than one document")
        return value

    def _refuse(self, reason: str) -> ModelFormatError:
        return ModelFormatError(reason, path=self._path, key=join_keys(self._keys) or None)

    def _build(self, event: Event) -> object:
        if isinstance(event, AliasEvent):
            return self._follow(str(event.anchor))
        assert isinstance(event, NodeEvent)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._refuse(f"the file holds more than {MAX_NODES} values")
        anchor = event.anchor
        if anchor is None:
            return self._build_value(event)
        if anchor in self._anchors:
            raise self._refuse(f"the anchor {shorten(anchor)} stands twice")
        self._anchors[anchor] = _OPEN
        before = self._nodes + self._expanded
        value = self._anchors[anchor] = self._build_value(event)
        self._sizes[anchor] = self._nodes + self._expanded - before + 1
        return value

    def _follow(self, anchor: str) -> object:
        self._aliases += 1
        if anchor not in self._anchors:
            raise self._refuse(f"the alias {shorten(anchor)} has no anchor")
        value = self._anchors[anchor]
        if value is _OPEN:
            raise self._refuse(f"the alias {shorten(anchor)} stands inside its own value")
        self._expanded += self._sizes[anchor]
        if self._aliases > MAX_ALIASES or self._expanded > MAX_EXPANDED:
            raise self._refuse(
                f"more than {MAX_ALIASES} aliases, or aliases for more than {MAX_EXPANDED} values"
            )
        return value

    def _build_value(self, event: NodeEvent) -> object:
        if isinstance(event, ScalarEvent):
            return self._build_scalar(event)
        if len(self._keys) >= MAX_DEPTH:
            raise self._refuse(f"values are nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, MappingStartEvent):
            self._check_tag(event.tag, _MAP)
            return self._build_mapping()
        assert isinstance(event, SequenceStartEvent)
        self._check_tag(event.tag, _SEQ)
        return self._build_sequence()

    def _check_tag(self, tag: str | None, expected: str) -> None:
        if tag not in (None, "!", expected):
            raise self._refuse(f"the tag {shorten(tag)} is not supported")

    def _build_sequence(self) -> list[object]:
        result: list[object] = []
        self._keys.append("")
        while not isinstance(event := self._parser.get_event(), SequenceEndEvent):
            self._keys[-1] = f"[{len(result)}]"
            result.append(self._build(event))
        self._keys.pop()
        return result

    def _build_mapping(self) -> dict[object, object]:
        result: dict[object, object] = {}
        merged: dict[object, object] = {}
        self._keys.append("?")
        while not isinstance(event := self._parser.get_event(), MappingEndEvent):
            if self._by_people and _is_merge_key(event):
                self._keys[-1] = "<<"
                merged = {**self._merge(self._build(self._parser.get_event())), **merged}
                continue
            key = self._check_key(self._build(event))
            self._keys[-1] = str(key)
            if key in result:
                raise self._refuse("the key stands twice")
            result[key] = self._build(self._parser.get_event())
        self._keys.pop()
        return {**merged, **result} if merged else result

    def _merge(self, value: object) -> dict[object, object]:
        """Return the keys that a merge key brings in; of several mappings the first counts."""
        found: dict[object, object] = {}
        for mapping in reversed(value) if isinstance(value, list) else [value]:
            if not isinstance(mapping, dict):
                raise self._refuse(f"expected a mapping to merge, got {shorten(mapping)}")
            found.update(mapping)
        return found

    def _check_key(self, key: object) -> object:
        if self._by_people and not isinstance(key, (list, dict)):
            return key
        at_top = len(self._keys) == 1
        if isinstance(key, str) or (isinstance(key, (int, float)) and not at_top):
            return key
        raise self._refuse(f"expected a string as key, got {shorten(key)}; put it in quotes")

    def _build_scalar(self, event: ScalarEvent) -> object:
        value, tag = event.value, event.tag
        if tag in (None, "!") and len(value) > MAX_DIGITS:
            tag = self._resolve_long(value, event.implicit)
        elif tag in (None, "!"):
            tag = _resolver.resolve(ScalarNode, value, event.implicit)
        if tag == _STR:
            return value
        construct = _CONSTRUCT.get(tag)
        if construct is None:
            merge = tag == _STANDARD + "merge"
            what = "merge keys ('<<') are" if merge else f"the tag {shorten(tag)} is"
            raise self._refuse(f"{what} not supported")
        if tag in _NUMBERS and len(value) > MAX_DIGITS:
            raise self._refuse(f"the number is longer than {MAX_DIGITS} digits")
        try:
            return construct(_constructor, ScalarNode(tag, value))
        except (ValueError, KeyError, AttributeError, OverflowError) as error:
            raise self._refuse(f"{shorten(value)} cannot be read ({error})") from error

    def _resolve_long(self, value: str, implicit: tuple[bool, bool]) -> str:
        # PyYAML's patterns need memory for each digit group; no long number is wanted anyway.
        return _STANDARD + "int" if implicit[0] and _NUMERIC.fullmatch(value) else _STR
