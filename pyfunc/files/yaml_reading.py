"""Reads and writes the YAML files of a model directory, within bounds that hold for any input.

Values are built from libyaml's event stream by code of our own, which can stop at any event;
nothing recursive of libyaml or PyYAML runs on what a file says.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
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

from pyfunc.errors import InvalidArgumentError, ModelFormatError, shorten
from pyfunc.files.paths import open_regular_file

__all__ = ["MAX_YAML_BYTES", "check_mapping", "dump_yaml", "parse_yaml", "read_yaml_mapping"]

MAX_YAML_BYTES = 1 << 20
_MAX_DEPTH = 64
_MAX_NODES = 50_000
_MAX_ALIASES = 100
_MAX_EXPANDED = 10_000
_MAX_DIGITS = 4_300
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
_C_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_PLAIN = re.compile(r"[ -~]*")
_PLAIN_KEY = re.compile(r"[ -~]{1,100}")
_NUMERIC = re.compile(r"[-+.:_0-9a-fA-FxX]*")
_OPEN = object()

_resolver: Any = Resolver()
_constructor = SafeConstructor()


def parse_yaml(
    data: bytes | str, *, path: Path | str | None = None, max_bytes: int = MAX_YAML_BYTES
) -> object:
    """Return the value of the one YAML document in ``data``, as ``yaml.safe_load`` gives it.

    Strings, numbers, booleans, null, timestamps, lists and mappings can come out; an object
    that the document refers to by alias is shared.

    Args:
        data: UTF-8 bytes without a byte order mark, or text.
        path: the file, for messages.
        max_bytes: the largest size that is looked at.

    Raises:
        ModelFormatError: the document is not well-formed, or holds duplicate keys, merge keys,
            null, dates or collections as keys (at the top: anything but strings), tags other
            than those of the types above, several documents, or more bytes, nesting, nodes or
            aliases than the bounds allow. ``key`` says where.
    """
    text = _decode(data, path, max_bytes)
    if text.count("\n%") + text.startswith("%") > _MAX_DIRECTIVES:
        raise ModelFormatError("the file holds too many YAML directives", path=path)
    try:
        return _Builder(text, path).build_document()
    except yaml.YAMLError as error:
        raise ModelFormatError(f"not well-formed YAML: {_describe(error)}", path=path) from error


def read_yaml_mapping(path: Path | str, *, max_bytes: int = MAX_YAML_BYTES) -> dict[str, Any]:
    """Return the mapping that the YAML file ``path`` holds; its keys are strings.

    Raises:
        ModelFormatError: as :func:`parse_yaml`, or the document is not a mapping.
        ModelPathError: ``path`` is not an ordinary file.
        ModelIncompleteError: ``path`` does not exist or cannot be opened.
    """
    with open_regular_file(path) as file:
        # One byte more than allowed tells a file that is too large, however it grows.
        data = file.read(max_bytes + 1)
    return check_mapping(parse_yaml(data, path=path, max_bytes=max_bytes), path=path)


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


def _join(keys: list[str]) -> str:
    """Return dotted text such as ``a.b[0].c``."""
    parts = [key if len(key) <= _MAX_KEY_SHOWN else key[:_MAX_KEY_SHOWN] + "..." for key in keys]
    return ".".join(parts).replace(".[", "[")


class _Builder:
    """Builds one document from the events of a parser, counting as it goes."""

    def __init__(self, text: str, path: Path | str | None) -> None:
        try:
            self._parser = _EVENTS(text)
        except UnicodeEncodeError as error:
            raise ModelFormatError(f"not UTF-8: {error}", path=path) from error
        self._path = path
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
        return ModelFormatError(reason, path=self._path, key=_join(self._keys) or None)

    def _build(self, event: NodeEvent) -> object:
        if isinstance(event, AliasEvent):
            return self._follow(event.anchor)
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise self._refuse(f"the file holds more than {_MAX_NODES} values")
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

    def _follow(self, anchor: object) -> object:
        self._aliases += 1
        if anchor not in self._anchors:
            raise self._refuse(f"the alias {shorten(anchor)} has no anchor")
        value = self._anchors[anchor]
        if value is _OPEN:
            raise self._refuse(f"the alias {shorten(anchor)} stands inside its own value")
        self._expanded += self._sizes[anchor]
        if self._aliases > _MAX_ALIASES or self._expanded > _MAX_EXPANDED:
            raise self._refuse(
                f"more than {_MAX_ALIASES} aliases, or aliases for more than "
                f"{_MAX_EXPANDED} values"
            )
        return value

    def _build_value(self, event: NodeEvent) -> object:
        if isinstance(event, ScalarEvent):
            return self._build_scalar(event)
        if len(self._keys) >= _MAX_DEPTH:
            raise self._refuse(f"values are nested deeper than {_MAX_DEPTH} levels")
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
        self._keys.append("?")
        while not isinstance(event := self._parser.get_event(), MappingEndEvent):
            key = self._check_key(self._build(event))
            self._keys[-1] = str(key)
            if key in result:
                raise self._refuse("the key stands twice")
            result[key] = self._build(self._parser.get_event())
        self._keys.pop()
        return result

    def _check_key(self, key: object) -> object:
        at_top = len(self._keys) == 1
        if isinstance(key, str) or (isinstance(key, (int, float)) and not at_top):
            return key
        raise self._refuse(f"expected a string as key, got {shorten(key)}; put it in quotes")

    def _build_scalar(self, event: ScalarEvent) -> object:
        value, tag = event.value, event.tag
        if tag in (None, "!") and len(value) > _MAX_DIGITS:
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
        if tag in _NUMBERS and len(value) > _MAX_DIGITS:
            raise self._refuse(f"the number is longer than {_MAX_DIGITS} digits")
        try:
            return construct(_constructor, ScalarNode(tag, value))
        except (ValueError, KeyError, AttributeError, OverflowError) as error:
            raise self._refuse(f"{shorten(value)} cannot be read ({error})") from error

    def _resolve_long(self, value: str, implicit: tuple[bool, bool]) -> str:
        # PyYAML's patterns need memory for each digit group; no long number is wanted anyway.
        return _STANDARD + "int" if implicit[0] and _NUMERIC.fullmatch(value) else _STR


def dump_yaml(data: Mapping[str, object], *, sort_keys: bool = True) -> str:
    """Return ``data`` as block-style YAML, as ``yaml.safe_dump`` writes it byte for byte.

    What is returned can be read back by :func:`parse_yaml`.

    Raises:
        InvalidArgumentError: a value is not of a plain type, or there is more than
            :func:`parse_yaml` accepts; the key is named.
    """
    checker = _Checker()
    checker.check(data)
    # Both emitters agree on printable ASCII and short keys; they fold and escape other text
    # differently.
    dumper = _C_DUMPER if checker.plain else yaml.SafeDumper
    text: str = yaml.dump(data, Dumper=dumper, default_flow_style=False, sort_keys=sort_keys)
    if len(text) > MAX_YAML_BYTES:
        raise InvalidArgumentError(
            f"the YAML text is larger than {MAX_YAML_BYTES} bytes; store large data as an artifact"
        )
    return text


class _Checker:
    """Checks a value before it is written; ``plain`` says that both emitters write it alike."""

    def __init__(self) -> None:
        self.plain = True
        self._sizes: dict[int, int] = {}
        self._keys: list[str] = []
        self._nodes = 0
        self._aliases = 0
        self._expanded = 0

    def _refuse(self, reason: str) -> InvalidArgumentError:
        where = _join(self._keys)
        return InvalidArgumentError(f"{where}: {reason}" if where else reason)

    def check(self, value: Any) -> None:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise self._refuse(f"more than {_MAX_NODES} values; store them as an artifact")
        kind = type(value)
        if kind is str:
            self._check_text(value)
        elif kind is int:
            if value.bit_length() > 3 * _MAX_DIGITS:
                raise self._refuse("the number is too large to be written")
        elif kind in (dict, list, tuple, datetime.date, datetime.datetime):
            self._check_shared(value)
        elif kind not in (type(None), bool, float):
            raise self._refuse(
                f"a value of type {kind.__module__}.{kind.__qualname__} cannot be written as "
                f"YAML: {shorten(value)}\nhint: convert it to a plain Python value first"
            )

    def _check_text(self, value: str) -> None:
        if not _PLAIN.fullmatch(value):
            self.plain = False
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise self._refuse(f"the text is not valid Unicode ({error})") from error

    def _check_shared(self, value: Any) -> None:
        size = self._sizes.get(id(value))
        if size is None:
            self._check_children(value)
            return
        self._aliases += 1
        self._expanded += size
        if size == 0 and not isinstance(value, datetime.date):
            raise self._refuse("the value contains itself")
        if self._aliases > _MAX_ALIASES or self._expanded > _MAX_EXPANDED:
            raise self._refuse("one object stands here too many times; write copies of it")

    def _check_children(self, value: Any) -> None:
        if value == ():
            return  # PyYAML never writes an alias for it
        self._sizes[id(value)] = 0
        if isinstance(value, datetime.date):
            self._sizes[id(value)] = 1
            return
        if len(self._keys) >= _MAX_DEPTH:
            raise self._refuse(f"values are nested deeper than {_MAX_DEPTH} levels")
        before = self._nodes + self._expanded
        self._keys.append("?")
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, entry in entries:
            if isinstance(value, dict):
                self._check_key(key)
                self._keys[-1] = str(key)
            else:
                self._keys[-1] = f"[{key}]"
            self.check(entry)
        self._keys.pop()
        self._sizes[id(value)] = self._nodes + self._expanded - before + 1

    def _check_key(self, key: object) -> None:
        at_top = len(self._keys) == 1
        if type(key) is not str and (at_top or type(key) not in (int, float, bool)):
            raise self._refuse(f"expected a string as key, got {shorten(key)}")
        if type(key) is str and not _PLAIN_KEY.fullmatch(key):
            self.plain = False
        self.check(key)
