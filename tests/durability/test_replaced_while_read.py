"""A model that is replaced while it is read: the reader is told that, and not to refresh it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import pyfunc
from pyfunc.directory import opened as opened_module
from pyfunc.directory import verification
from pyfunc.errors import ModelIntegrityError


def one(model_input: list[str]) -> list[str]:
    return ["one" for _ in model_input]


def other(model_input: list[str]) -> list[str]:
    return ["the other one" for _ in model_input]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    pyfunc.save_model(tmp_path / "m", python_model=one, pip_requirements=[])
    return tmp_path / "m"


def overwrite(model: Path) -> None:
    pyfunc.save_model(model, python_model=other, pip_requirements=["packaging"], overwrite=True)


DOORS = ("load", "load-with-digest", "load-isolated")


@pytest.mark.parametrize("step", ["check_listing", "verify_files", "read_manifest"])
@pytest.mark.parametrize("door", DOORS)
def test_a_reader_beside_an_overwrite_is_told_to_load_again(
    model: Path, monkeypatch: pytest.MonkeyPatch, step: str, door: str
) -> None:
    """The overwrite happens right before one step of the reading, where a race would have it."""
    original = getattr(opened_module, step)
    digest = pyfunc.verify(model).digest

    def replaced(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(opened_module, step, original)
        found = original(*arguments, **options) if step == "read_manifest" else None
        overwrite(model)
        return found if step == "read_manifest" else original(*arguments, **options)

    monkeypatch.setattr(opened_module, step, replaced)
    ways: dict[str, dict[str, Any]] = {
        "load": {"suppress_warnings": True},
        "load-with-digest": {"trust": "digest", "expected_digest": digest},
        "load-isolated": {"env": "isolated", "env_manager": "local"},
    }
    with pytest.raises(ModelIntegrityError, match="was replaced while it was loaded") as caught:
        pyfunc.load_model(model, **ways[door])
    assert "refresh" not in str(caught.value)
    assert pyfunc.load_model(model).predict(["x"]) == ["the other one"]


def test_verifying_beside_an_overwrite_says_the_same(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = verification.verify_files

    def replaced(*arguments: Any, **options: Any) -> Any:
        (model / "conda.yaml").write_text("changed")
        overwrite(model)
        (model / "conda.yaml").write_text("changed")
        return original(*arguments, **options)

    monkeypatch.setattr("pyfunc.inspection.verify_files", replaced)
    with pytest.raises(ModelIntegrityError, match="was replaced"):
        pyfunc.verify(model)


def test_a_file_that_changed_in_its_place_is_told_as_before(model: Path) -> None:
    (model / "conda.yaml").write_text("changed")
    with pytest.raises(ModelIntegrityError, match="refresh"):
        pyfunc.load_model(model)
    with pytest.raises(ModelIntegrityError, match="refresh"):
        pyfunc.verify(model)
