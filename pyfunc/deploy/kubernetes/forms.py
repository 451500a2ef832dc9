"""The forms of single values that a Kubernetes API server insists on.

In published schemas they are only text: the name of a service, and a schedule alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

__all__ = [
    "CONFIG_KEY",
    "COUNT_OR_PERCENT",
    "CRON",
    "DNS_LABEL",
    "DNS_SUBDOMAIN",
    "ENV_NAME",
    "Form",
    "IMAGE",
    "LABEL_KEY",
    "LABEL_VALUE",
    "MOUNT_PATH",
    "PORT",
    "PORT_NAME",
    "QUANTITY",
    "SERVICE_NAME",
    "SERVICE_TYPES",
    "SUB_PATH",
    "one_of",
    "parse_quantity",
    "whole",
]

SERVICE_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")


@dataclass(frozen=True, slots=True)
class Form:
    """What a value has to be.

    Attributes:
        expected: in words.
        fits: whether a value is that.
    """

    expected: str
    fits: Callable[[object], bool]


def one_of(*allowed: str) -> Form:
    """Return the form of a choice."""
    words = ", ".join(filter(None, allowed))
    return Form(f"one of {words}", lambda value: isinstance(value, str) and value in allowed)


def whole(least: int, most: int | None = None, *, bits: int = 32) -> Form:
    """Return the form of an integer within bounds; without ``most`` it has room in ``bits``."""
    end = 1 << (bits - 1)
    bounds = f"of at least {least}, below 2**{bits - 1}"
    if most is not None:
        end, bounds = most + 1, f"from {least} to {most}"

    def fits(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and least <= value < end

    return Form(f"an integer {bounds}", fits)


def _text(pattern: str, longest: int) -> Callable[[object], bool]:
    compiled = re.compile(pattern, re.ASCII)

    def fits(value: object) -> bool:
        return (
            isinstance(value, str)
            and len(value) <= longest
            and compiled.fullmatch(value) is not None
        )

    return fits


_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_NAME = "[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
_QUANTITY = re.compile(
    r"(?P<number>\d+(\.\d*)?|\.\d+)(?P<unit>[numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?", re.ASCII
)
_UNITS = {
    **{unit: Decimal(10) ** power for unit, power in zip("num", (-9, -6, -3), strict=True)},
    **{unit: Decimal(1000) ** i for i, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Decimal(1024) ** i for i, unit in enumerate("KMGTPE", 1)},
}


def parse_quantity(text: str) -> Decimal | None:
    """Return what a quantity such as ``500m`` or ``1Gi`` amounts to, None if it is none."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return None
    number, unit = Decimal(found["number"]), found["unit"]
    if unit is None:
        return number
    if unit in _UNITS:
        return number * _UNITS[unit]
    exponent = int(unit[1:])
    return number.scaleb(exponent) if abs(exponent) <= 30 else None


def _is_quantity(value: object) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    text = str(value) if is_number else value  # YAML without quotes
    return isinstance(text, str) and parse_quantity(text) is not None


def _is_label_key(value: object) -> bool:
    if not isinstance(value, str):
        return False
    prefix, slash, name = value.rpartition("/")
    return _text(_NAME, 63)(name) and (not slash or _text(_SUBDOMAIN, 253)(prefix))


def _is_label_value(value: object) -> bool:
    return value == "" or _text(_NAME, 63)(value)


def _is_port(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535


def _is_count_or_percent(value: object) -> bool:
    if isinstance(value, str):
        return re.fullmatch(r"(\d|[1-9]\d|100)%", value, re.ASCII) is not None
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_port_name(value: object) -> bool:
    return (
        _text(_LABEL, 15)(value)
        and isinstance(value, str)
        and "--" not in value
        and any(letter.isalpha() for letter in value)
    )


def _is_sub_path(value: object) -> bool:
    return isinstance(value, str) and not value.startswith("/") and ".." not in value.split("/")


def _is_mount_path(value: object) -> bool:
    return (
        isinstance(value, str)
        and value.startswith("/")
        and ":" not in value
        and "\0" not in value
        and ".." not in value.split("/")
    )


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, {name: i for i, name in enumerate(_MONTHS, 1)}),
    (0, 6, {name: i for i, name in enumerate(_DAYS)}),
)
_EVERY = re.compile(r"@every (\d{1,9}(\.\d+)?(h|m|s|ms))+", re.ASCII)
_MACROS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")


def _is_cron(value: object) -> bool:
    if not isinstance(value, str):
        return False
    if value.startswith("@"):
        return value in _MACROS or _EVERY.fullmatch(value) is not None
    fields = value.split()
    return len(fields) == len(_FIELDS) and all(
        _is_cron_item(item, *bounds)
        for field, bounds in zip(fields, _FIELDS, strict=True)
        for item in field.split(",")
    )


def _is_cron_item(item: str, least: int, most: int, names: dict[str, int]) -> bool:
    span, slash, step = item.partition("/")
    if slash and not (_is_number(step) and int(step) > 0):
        return False
    if span in ("*", "?"):
        return True
    low, dash, high = span.partition("-")
    ends = [_cron_number(low, names), _cron_number(high, names) if dash else most]
    numbers = [end for end in ends if end is not None]
    return len(numbers) == len(ends) and least <= numbers[0] <= numbers[1] <= most


def _cron_number(text: str, names: dict[str, int]) -> int | None:
    return int(text) if _is_number(text) else names.get(text.lower())


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4


DNS_LABEL = Form(
    "a name of at most 63 lower-case letters, digits and -, with neither end a -",
    _text(_LABEL, 63),
)
DNS_SUBDOMAIN = Form(
    "names of lower-case letters, digits and -, joined by dots, at most 253 characters",
    _text(_SUBDOMAIN, 253),
)
SERVICE_NAME = Form(
    "a name of at most 63 lower-case letters, digits and -, which begins with a letter",
    _text("[a-z]([-a-z0-9]*[a-z0-9])?", 63),
)
ENV_NAME = Form(
    "the name of a variable: letters, digits, _, - and ., no digit first",
    _text("[-._a-zA-Z][-._a-zA-Z0-9]*", 4096),
)
CONFIG_KEY = Form(
    "a key of letters, digits, -, _ and .",
    lambda value: _text("[-._a-zA-Z0-9]+", 253)(value) and value not in (".", ".."),
)
LABEL_KEY = Form("a key such as example.com/name, of at most 63 characters", _is_label_key)
LABEL_VALUE = Form(
    "at most 63 letters, digits, -, _ and ., both ends letters or digits", _is_label_value
)
QUANTITY = Form("a quantity such as 2, 500m or 1Gi", _is_quantity)
COUNT_OR_PERCENT = Form("a number of at least 0, or a part such as 50%", _is_count_or_percent)
PORT = Form("a port from 1 to 65535", _is_port)
PORT_NAME = Form("a name of at most 15 lower-case letters, digits and -", _is_port_name)
SUB_PATH = Form("a path below the volume, without ..", _is_sub_path)
MOUNT_PATH = Form("an absolute path without : and ..", _is_mount_path)
CRON = Form("a schedule of five fields, such as 30 2 * * 1-5", _is_cron)
IMAGE = Form("the name of an image", _text(r"[\w][\w./:@-]*", 1024))
