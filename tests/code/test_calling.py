"""What code that is not ours raises becomes an error of our tree; ours pass as they are."""

from __future__ import annotations

import pytest

import pyfunc
from pyfunc.code.calling import errors_named, told


def failed(error: Exception) -> pyfunc.PyfuncError:
    return pyfunc.ModelIncompleteError(f"it failed: {told(error)}")


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ValueError("odd"), id="plain"),
        pytest.param(StopIteration("odd"), id="stop-iteration"),
        pytest.param(OSError("odd"), id="system"),
    ],
)
def test_any_other_exception_is_the_cause_of_ours(error: Exception) -> None:
    with pytest.raises(pyfunc.ModelIncompleteError) as caught, errors_named(failed):
        raise error
    assert caught.value.__cause__ is error
    assert f"it failed: {type(error).__name__}: odd" in str(caught.value)


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        pytest.param(pyfunc.PyfuncError("ours"), (), id="ours"),
        pytest.param(KeyboardInterrupt(), (), id="interrupt"),
        pytest.param(SystemExit(3), (), id="exit"),
        pytest.param(FileNotFoundError("gone"), (OSError,), id="named"),
    ],
)
def test_what_passes_is_the_same_object(
    error: BaseException, passing: tuple[type[Exception], ...]
) -> None:
    with pytest.raises(type(error)) as caught, errors_named(failed, *passing):
        raise error
    assert caught.value is error
    assert error.__cause__ is None


def test_a_body_that_works_is_left_alone() -> None:
    with errors_named(failed):
        answer = 42
    assert answer == 42
