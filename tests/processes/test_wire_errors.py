"""Errors arrive as what they were (pyfunc/isolated/wire_errors.py)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyfunc.env import Mismatch
from pyfunc.errors import (
    EnvironmentMismatchError,
    InvalidArgumentError,
    ModelFormatError,
    ModelIncompleteError,
    Problem,
    PyfuncError,
    SchemaError,
)
from pyfunc.processes.wire_errors import RemoteTraceback, read_error, write_error
from pyfunc.processes.wire_values import ValueReader, ValueWriter


def throw(error: BaseException) -> None:
    raise error


def raised(error: BaseException) -> BaseException:
    with pytest.raises(type(error)) as caught:
        throw(error)
    return caught.value


def across(error: BaseException) -> BaseException:
    writer = ValueWriter()
    tree = json.loads(json.dumps(write_error(writer, raised(error))))
    return read_error(ValueReader(writer.buffers), tree)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x", 3),
        KeyError("key"),
        ZeroDivisionError(),
        FileNotFoundError(2, "No such file", "name"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        PyfuncError("x", "SOME_CODE"),
        InvalidArgumentError("x"),
        ModelFormatError("x", path="p", key="k"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_arrives_as_it_was(error: BaseException) -> None:
    found = across(error)
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert found.args == error.args
    assert vars(found) == vars(error)


def test_the_traceback_of_the_other_process_is_the_cause() -> None:
    cause = across(ValueError("x")).__cause__
    assert isinstance(cause, RemoteTraceback)
    assert "in throw" in cause.text
    assert str(cause) == f"\n{cause.text}"


def test_the_problems_of_a_schema_error_are_values_again() -> None:
    problem = Problem("inputs['a']", "long", "text", row=3)
    found = across(SchemaError([problem], hint="h", error_class="C"))
    assert isinstance(found, SchemaError)
    assert found.problems == (problem,)
    assert (found.hint, found.error_class) == ("h", "C")


def test_mismatches_are_values_again() -> None:
    item = Mismatch("a", "a==1", None, "missing", "breaks")
    found = across(EnvironmentMismatchError("x", [item]))
    assert isinstance(found, EnvironmentMismatchError)
    assert found.mismatches == (item,)


class CustomError(Exception):
    pass


class PickyError(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a} and {b}")


def test_a_class_that_is_loaded_here_is_used() -> None:
    found = across(CustomError("x"))
    assert type(found) is CustomError


def test_a_class_that_cannot_be_built_is_named() -> None:
    found = across(PickyError(1, 2))
    assert type(found) is PyfuncError
    assert str(found).endswith(".PickyError: 1 and 2")


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_what_would_end_this_process_does_not_arrive(error: BaseException) -> None:
    assert type(across(error)) is PyfuncError


def test_a_class_that_is_not_known_here_is_named_and_nothing_is_imported() -> None:
    tree: Any = {"module": "antigravity", "name": "Error", "text": "up", "args": [], "state": {}}
    found = read_error(ValueReader([]), {**tree, "traceback": "tb"})
    assert str(found) == "antigravity.Error: up"


def test_values_that_cannot_be_sent_become_text() -> None:
    error = ValueError(object(), (1, object()))
    found = across(error)
    assert "object object" in found.args[0]
    assert found.args[1][0] == 1


def test_a_value_of_ours_that_is_not_known_here_becomes_a_dict() -> None:
    tree = ["own", "pyfunc.nowhere", "Thing", {"a": ["value", 1]}]
    content: Any = {"module": "builtins", "name": "ValueError", "text": "x", "state": {}}
    found = read_error(ValueReader([]), {**content, "args": [tree], "traceback": "tb"})
    assert found.args == ({"a": 1},)


class RefusedError(ValueError):
    def __init__(self, code: int, *, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code

    class LaterError(LookupError):
        pass


@pytest.mark.parametrize(
    ("error", "kinds"),
    [
        (FileNotFoundError(2, "No such file", "/data/x"), [FileNotFoundError, OSError]),
        (KeyError("k"), [KeyError, LookupError]),
        (ModuleNotFoundError("no x", name="x"), [ModuleNotFoundError, ImportError]),
        (RefusedError(4, reason="r"), [RefusedError, ValueError]),
        (RefusedError.LaterError("l"), [RefusedError.LaterError, LookupError]),
    ],
    ids=["file", "key", "module", "own", "nested"],
)
def test_a_failure_of_the_models_code_is_caught_as_what_it_is(
    error: Exception, kinds: list[type[Exception]]
) -> None:
    told = ModelIncompleteError("load_context failed", path="/models/a").caught_as(error)
    found = across(told)
    assert isinstance(found, ModelIncompleteError)
    assert all(isinstance(found, kind) for kind in kinds)
    assert str(found) == str(told)
    assert found.fields() == told.fields()
    assert isinstance(found.__cause__, RemoteTraceback)


def test_a_kind_that_is_unknown_here_is_still_an_error_of_the_model() -> None:
    told = ModelIncompleteError("failed", path="/models/a").caught_as(RefusedError(4, reason="r"))
    writer = ValueWriter()
    tree = write_error(writer, raised(told))
    found = read_error(
        ValueReader(writer.buffers), {**tree, "others": [["nowhere", "RefusedError"]]}
    )
    assert type(found) is ModelIncompleteError
    assert str(found) == str(told)
