"""The writer knows the limits of the reader: what no load accepts is not saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pyfunc
from pyfunc.directory import manifest
from pyfunc.env.checking import lock_file
from pyfunc.env.checking.lock_file import LockedPackage, write_lock_text
from pyfunc.errors import InvalidArgumentError, PyfuncError

TOO_MANY = [f"p{i:07}" for i in range(120_000)]


class Idle(pyfunc.PythonModel):
    """Does nothing."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return [1]


def save(path: Path, **given: Any) -> None:
    pyfunc.save_model(path, python_model=Idle(), pip_requirements=[], **given)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Return a folder of many files."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number}:::").write_bytes(b"")
    return folder


def lower_files(monkeypatch: pytest.MonkeyPatch) -> None:
    # A hundred thousand files take minutes.
    monkeypatch.setattr(manifest, "_MAX_FILES", 30)


def lower_colons(monkeypatch: pytest.MonkeyPatch) -> None:
    # There are fewer files than that, but names with colons make the reader count more.
    monkeypatch.setattr(manifest, "_MAX_FILES", 60)


def lower_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "_MAX_BYTES", 3_000)


@pytest.mark.parametrize("lower", [lower_files, lower_colons, lower_bytes])
def test_a_manifest_beyond_the_reader_is_refused_at_save(
    tmp_path: Path,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    lower: Callable[[pytest.MonkeyPatch], None],
) -> None:
    lower(monkeypatch)
    with pytest.raises(InvalidArgumentError, match="could read the model back"):
        save(tmp_path / "model", artifacts={"files": str(files)})
    assert [place.name for place in tmp_path.iterdir()] == ["files"]


def test_a_refused_save_leaves_the_old_model(
    tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "model")
    lower_files(monkeypatch)
    with pytest.raises(InvalidArgumentError):
        save(tmp_path / "model", artifacts={"files": str(files)}, overwrite=True)
    assert pyfunc.load_model(tmp_path / "model").predict([0]) == [1]


def test_a_refresh_beyond_the_reader_leaves_the_old_manifest(
    tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "model", artifacts={"files": str(files)})
    before = (tmp_path / "model/.pyfunc/manifest.json").read_bytes()
    lower_files(monkeypatch)
    with pytest.raises(InvalidArgumentError):
        pyfunc.refresh(tmp_path / "model")
    assert (tmp_path / "model/.pyfunc/manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"metadata": {"x": "y" * (1 << 20)}}, id="MLmodel"),
        pytest.param({"metadata": {"x": list(range(60_000))}}, id="values-of-MLmodel"),
        pytest.param(
            {"pip_requirements": [f"p{i:07}" for i in range(120_000)]}, id="requirements"
        ),
        pytest.param(
            {"conda_env": {"dependencies": [f"p{i:07}" for i in range(60_000)]}}, id="conda"
        ),
    ],
)
def test_a_file_beyond_its_reader_is_refused_at_save(tmp_path: Path, given: Any) -> None:
    path = tmp_path / "model"
    with pytest.raises(PyfuncError):
        pyfunc.save_model(path, python_model=Idle(), **given)
    assert list(tmp_path.iterdir()) == []


def test_many_requirements_are_saved_and_read(tmp_path: Path) -> None:
    lines = [f"p{i:07}" for i in range(40_000)]
    pyfunc.save_model(tmp_path / "model", python_model=Idle(), pip_requirements=lines)
    assert pyfunc.load_model(tmp_path / "model").predict([0]) == [1]


def test_too_many_requirements_are_refused_when_they_are_added(tmp_path: Path) -> None:
    from pyfunc.env import update_requirements

    save(tmp_path / "model")
    before = (tmp_path / "model/requirements.txt").read_bytes()
    with pytest.raises(InvalidArgumentError, match="which nothing reads"):
        update_requirements(str(tmp_path / "model"), "add", [f"p{i:07}" for i in range(120_000)])
    assert (tmp_path / "model/requirements.txt").read_bytes() == before


def test_a_lock_beyond_the_reader_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_file, "_MAX_BYTES", 100)
    packages = [LockedPackage("numpy", "1.0", {})] * 10
    with pytest.raises(InvalidArgumentError, match="nothing reads"):
        write_lock_text(packages, requires_python="==3.11.*")
