"""Names that a ``type`` statement gives to hints, which only newer versions of Python have."""

from __future__ import annotations

import typing
from typing import Any

import pytest

from pyfunc.functions.json_values import find_converter
from pyfunc.model.hints import plain_hint, without_alias


class Alias:
    """What a ``type`` statement makes, as Python 3.12 has it."""

    def __init__(self, value: Any) -> None:
        self.__value__ = value


@pytest.fixture(autouse=True)
def _aliases_of_any_python(monkeypatch: pytest.MonkeyPatch) -> None:
    # Python 3.10 and 3.11 have no such type, and its syntax is an error there.
    monkeypatch.setattr("pyfunc.model.hints._ALIAS", Alias)


def test_an_alias_is_what_it_stands_for() -> None:
    rows = Alias(typing.List[str])  # noqa: UP006 - one of the spellings
    assert without_alias(Alias(rows)) is rows.__value__
    assert plain_hint(Alias(rows)) == list[str]
    assert plain_hint(int) is int


def test_an_alias_of_itself_stays() -> None:
    direct, one, other = Alias(None), Alias(None), Alias(None)
    direct.__value__ = direct
    one.__value__, other.__value__ = other, one
    for alias in (direct, one, other):
        assert without_alias(alias) is alias
        assert plain_hint(alias) is alias


def test_a_parameter_with_an_alias_takes_what_that_stands_for() -> None:
    assert find_converter(Alias(int), "x") is find_converter(int, "x")
