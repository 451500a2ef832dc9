"""Changing a saved model: what somebody changed by hand is refused, and halves are not left."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import pyfunc
from pyfunc.directory import editing as editing_module
from pyfunc.directory.editing import editing
from pyfunc.directory.manifest import MANIFEST_PATH, Manifest, read_manifest
from pyfunc.directory.verification import build_manifest, verify_files
from pyfunc.env import lock, update_requirements
from pyfunc.env.checking.lock_file import LOCK_PATH
from pyfunc.errors import ModelIntegrityError, ModelNotFoundError, ModelPathError, SaveError
from pyfunc.handlers import add_handler
from pyfunc.schema import ColSpec, ModelSignature, Schema, set_signature

SIGNATURE = ModelSignature(Schema([ColSpec("double", "a")]))
LOADER = """
def _load_pyfunc(path):
    raise AssertionError("code that nobody saved ran")
"""
HANDLER = "def pre_inference(sample, signature, metadata):\n    return sample\n"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a saved model with code, beside a handler that it can be given."""
    (tmp_path / "codes").mkdir()
    (tmp_path / "codes" / "evil_loader.py").write_text(LOADER)
    (tmp_path / "handler.py").write_text(HANDLER)
    path = tmp_path / "model"
    pyfunc.save_model(
        path,
        python_model=lambda model_input: model_input,
        code_paths=[str(tmp_path / "codes" / "evil_loader.py")],
        pip_requirements=["numpy"],
    )
    return path


def give_handler(model: Path) -> object:
    return add_handler(model, model.parent / "handler.py")


EDITS: dict[str, Callable[[Path], object]] = {
    "set_signature": lambda model: set_signature(model, SIGNATURE),
    "update_requirements": lambda model: update_requirements(model, "add", ["packaging"]),
    "lock": lambda model: lock(model, resolve=False),
    "add_handler": give_handler,
}


def contents_of(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}


def name_another_loader(model: Path) -> None:
    text = (model / "MLmodel").read_text()
    changed = text.replace("mlflow.pyfunc.model", "evil_loader")
    assert changed != text
    (model / "MLmodel").write_text(changed)


@pytest.mark.parametrize("edit", EDITS)
def test_a_loader_that_somebody_wrote_into_mlmodel_is_not_declared_right(
    model: Path, edit: str
) -> None:
    name_another_loader(model)
    before = contents_of(model)
    with pytest.raises(ModelIntegrityError, match=r"hint: .*pyfunc\.refresh") as caught:
        EDITS[edit](model)
    assert caught.value.modified == ("MLmodel",)
    assert contents_of(model) == before
    with pytest.raises(ModelIntegrityError):
        pyfunc.load_model(model, verify="require", suppress_warnings=True)


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize(
    "name", ["requirements.txt", "conda.yaml", "python_model.pkl", "extra.py"]
)
def test_any_file_that_was_changed_by_hand_is_refused(model: Path, edit: str, name: str) -> None:
    with open(model / name, "ab") as file:
        file.write(b"\n")
    before = contents_of(model)
    with pytest.raises(ModelIntegrityError, match=name):
        EDITS[edit](model)
    assert contents_of(model) == before


@pytest.mark.parametrize("edit", EDITS)
def test_a_model_as_it_was_saved_is_as_it_was_saved_afterwards(model: Path, edit: str) -> None:
    EDITS[edit](model)
    assert verify_files(model) == build_manifest(model)
    loaded = pyfunc.load_model(model, verify="require", suppress_warnings=True)
    assert loaded.unwrap_python_model() is not None


@pytest.mark.parametrize("edit", ["set_signature", "update_requirements", "lock"])
def test_only_entries_of_changed_files_change(model: Path, edit: str) -> None:
    before, old = contents_of(model), manifest_of(model)
    EDITS[edit](model)
    after, new = contents_of(model), manifest_of(model)
    changed = {name for name in after if after[name] != before.get(name)} - {MANIFEST_PATH}
    assert {name for name in new.files if new.files[name] != old.files.get(name)} == changed
    assert changed


@pytest.mark.parametrize("edit", ["set_signature", "update_requirements", "lock"])
def test_a_model_without_a_manifest_gets_none(model: Path, edit: str) -> None:
    (model / MANIFEST_PATH).unlink()
    name_another_loader(model)
    EDITS[edit](model)
    assert not (model / MANIFEST_PATH).exists()


def test_refresh_takes_what_was_changed_on_purpose(model: Path) -> None:
    (model / "requirements.txt").write_text("numpy\nscipy")
    with pytest.raises(ModelIntegrityError):
        set_signature(model, SIGNATURE)
    pyfunc.refresh(model)
    set_signature(model, SIGNATURE)
    verify_files(model)


def test_what_is_replaced_unread_may_have_been_damaged(model: Path) -> None:
    lock(model, resolve=False)
    whole = (model / LOCK_PATH).read_bytes()
    (model / LOCK_PATH).write_bytes(b"damaged")
    with pytest.raises(ModelIntegrityError):
        verify_files(model)
    lock(model, resolve=False)
    assert (model / LOCK_PATH).read_bytes() == whole
    verify_files(model)


def test_what_changes_while_an_edit_is_made_is_found_later(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change_after(*arguments: object, **named: object) -> Manifest:
        manifest = verify_files(*arguments, **named)  # type: ignore[arg-type]
        (model / "conda.yaml").write_text("changed")
        return manifest

    monkeypatch.setattr(editing_module, "verify_files", change_after)
    set_signature(model, SIGNATURE)
    with pytest.raises(ModelIntegrityError) as caught:
        verify_files(model)
    assert caught.value.modified == ("conda.yaml",)


def test_a_file_that_cannot_be_written_leaves_all_as_it_was(model: Path) -> None:
    before = contents_of(model)
    os.mkdir(model / "taken")
    with pytest.raises(SaveError), editing(model) as edit:
        edit.contents.update({"MLmodel": b"new", "taken": b"a folder is there"})
    os.rmdir(model / "taken")
    assert contents_of(model) == before


def test_an_edit_that_fails_leaves_all_as_it_was(model: Path) -> None:
    before = contents_of(model)

    def fail() -> None:
        with editing(model) as edit:
            edit.contents["MLmodel"] = b"new"
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert contents_of(model) == before


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "a/../../outside"])
def test_nothing_outside_the_model_is_written(model: Path, name: str) -> None:
    before = contents_of(model.parent)
    with pytest.raises(ModelPathError), editing(model) as edit:
        edit.contents[name] = b"x"
    assert contents_of(model.parent) == before


def test_the_manifest_comes_last(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    placed: list[str] = []
    replace = os.replace

    def record(source: str, target: str) -> None:
        placed.append(os.path.relpath(target, model))
        replace(source, target)

    # A crash in between leaves a model that is refused, not one with files that nobody saved.
    monkeypatch.setattr(os, "replace", record)
    update_requirements(model, "add", ["packaging"])
    assert sorted(placed[:-1]) == ["conda.yaml", "requirements.txt"]
    assert placed[-1] == MANIFEST_PATH


def test_updating_needs_an_mlmodel_file(model: Path) -> None:
    (model / MANIFEST_PATH).unlink()
    (model / "MLmodel").unlink()
    with pytest.raises(ModelNotFoundError, match="no MLmodel file"):
        update_requirements(model, "add", ["packaging"])


def manifest_of(model: Path) -> Manifest:
    manifest = read_manifest(model)
    assert manifest is not None
    assert json.loads((model / MANIFEST_PATH).read_bytes())["files"]
    return manifest
