"""Every input that fuzzing has kept or found gives a result or an error of our tree."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fuzz_child import FuzzChild
from fuzz_targets import CORPUS, TARGETS

INPUTS = [
    pytest.param(target, file.name, id=f"{target}-{file.name}")
    for target in sorted(TARGETS)
    for file in sorted((CORPUS / target).iterdir())
]


@pytest.fixture(scope="module")
def child() -> Iterator[FuzzChild]:
    with FuzzChild() as started:
        yield started


@pytest.mark.parametrize(("target", "name"), INPUTS)
def test_an_input_of_the_corpus_is_a_result_or_an_error(
    child: FuzzChild, target: str, name: str
) -> None:
    outcome = child.outcome(target, (CORPUS / target / name).read_bytes())
    assert not outcome.startswith("find"), outcome


def test_every_target_has_inputs_that_are_fine() -> None:
    """Else only what is malformed would ever be changed."""
    for target in TARGETS:
        assert [file for file in (CORPUS / target).iterdir() if file.name.startswith("seed-")]


def test_the_child_tells_what_ends_it(child: FuzzChild) -> None:
    assert child.outcome("nothing", b"").startswith("find KeyError")
    child._process.kill()
    child._process.wait()
    assert "status -9" in child.outcome("yaml", b"a: 1")
    assert child.outcome("yaml", b"a: 1") == "result"
