"""Writes YAML as PyYAML does, byte for byte, and only what can be read back."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Any

import yaml

from pyfunc.errors import InvalidArgumentError, shorten
from pyfunc.files.yaml_reading import (
    MAX_ALIASES,
    MAX_DEPTH,
    MAX_DIGITS,
    MAX_EXPANDED,
    MAX_NODES,
    MAX_YAML_BYTES,
    join_keys,
)

__all__ = ["dump_yaml"]

_C_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_PLAIN = re.compile(r"[ -~]*")
_PLAIN_KEY = re.compile(r"[ -~]{1,100}")


def dump_yaml(data: Mapping[str, object], *, sort_keys: bool = True) -> str:
    """Return ``data`` as block-style YAML, as ``yaml.safe_dump`` writes it byte for byte.

    What is returned can be read back by :func:`~pyfunc.files.yaml_reading.parse_yaml`.

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
        where = join_keys(self._keys)
        return InvalidArgumentError(f"{where}: {reason}" if where else reason)

    def check(self, value: object) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._refuse(f"more than {MAX_NODES} values; store them as an artifact")
        kind = type(value)
        if type(value) is str:
            self._check_text(value)
        elif type(value) is int:
            if value.bit_length() > 3 * MAX_DIGITS:
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

    def _check_shared(self, value: object) -> None:
        size = self._sizes.get(id(value))
        if size is None:
            self._check_children(value)
            return
        self._aliases += 1
        self._expanded += size
        if size == 0 and not isinstance(value, datetime.date):
            raise self._refuse("the value contains itself")
        if self._aliases > MAX_ALIASES or self._expanded > MAX_EXPANDED:
            raise self._refuse("one object stands here too many times; write copies of it")

    def _check_children(self, value: object) -> None:
        if value == ():
            return  # PyYAML never writes an alias for it
        self._sizes[id(value)] = 0
        if isinstance(value, datetime.date):
            self._sizes[id(value)] = 1
            return
        if len(self._keys) >= MAX_DEPTH:
            raise self._refuse(f"values are nested deeper than {MAX_DEPTH} levels")
        assert isinstance(value, (dict, list, tuple))
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
