"""What the environment of a model is made of is what was verified, whoever writes meanwhile."""

from __future__ import annotations

import os
import platform
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pyfunc
from pyfunc.directory.opened import ModelFiles
from pyfunc.env.creating import installers, recipe
from pyfunc.env.creating.environments import prepare_environment
from pyfunc.errors import ModelIntegrityError
from pyfunc.loading import isolated

PYTHON = platform.python_version()
EVIL = "evil-package==6.6.6"
WHEEL = "wheels/acme-1.0-py3-none-any.whl"
CONDA = f"dependencies:\n- python={PYTHON}\n- pip:\n  - -r requirements.txt\n"

# File -> what the attacker puts there after the verification.
TARGETS: dict[str, bytes] = {
    "requirements.txt": EVIL.encode(),
    "more.txt": EVIL.encode(),
    "below/deep.txt": EVIL.encode(),
    "constraints.txt": EVIL.encode(),
    "python_env.yaml": f"python: {PYTHON}\ndependencies:\n- {EVIL}\n".encode(),
    "conda.yaml": f"dependencies:\n- python={PYTHON}\n- pip:\n  - {EVIL}\n".encode(),
    WHEEL: b"evil wheel",
    "MLmodel": b"flavors: {}\n",
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    root = tmp_path / "m"
    pyfunc.save_model(root, python_model=lambda model_input: model_input, pip_requirements=[])
    (root / "requirements.txt").write_text(f"-r more.txt\n-c constraints.txt\n./{WHEEL}\n")
    (root / "more.txt").write_text("-r below/deep.txt\nnumpy\n")
    (root / "below").mkdir()
    (root / "below" / "deep.txt").write_text("packaging\n")
    (root / "constraints.txt").write_text("packaging<99\n")
    (root / "conda.yaml").write_text(CONDA)
    (root / "wheels").mkdir()
    with zipfile.ZipFile(root / WHEEL, "w") as archive:
        archive.writestr("acme.py", "")
    pyfunc.refresh(root)
    return root


class Install(Exception):  # noqa: N818 - ends the load where the installer would begin
    """What would be installed."""


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Stop where an installer would start, and keep what it would be given; no index is asked."""
    found: list[str] = []

    def install(
        self: object, directory: Path, lines: Any, constraints: Any = (), **_: str
    ) -> None:
        found.extend([*lines, *constraints])
        wheels = [Path(line) for line in lines if line.endswith(".whl")]
        found.extend(wheel.read_bytes()[:4].decode("latin-1") for wheel in wheels)
        raise Install

    def create(self: object, directory: Path, *_: object) -> None:
        directory.mkdir(parents=True)

    monkeypatch.setenv("PYFUNC_ENV_ROOT", str(tmp_path / "envs"))
    monkeypatch.setattr(installers.Installer, "install", install)
    monkeypatch.setattr(installers.Installer, "create", create)
    return found


def load(root: Path) -> None:
    digest = pyfunc.verify(root).digest
    pyfunc.load_model(
        root, env="isolated", env_manager="virtualenv", trust="digest", expected_digest=digest
    )


def without_build_tools(root: Path) -> None:
    text = f"python: {PYTHON}\ndependencies:\n- -r requirements.txt\n"
    (root / "python_env.yaml").write_text(text)
    pyfunc.refresh(root)


def test_without_an_attack_the_lines_are_those_of_the_model(
    model: Path, installed: list[str]
) -> None:
    without_build_tools(model)
    with pytest.raises(Install):
        load(model)
    assert [line for line in installed if "/" not in line] == [
        "packaging", "numpy", "packaging<99", "PK\x03\x04",
    ]  # fmt: skip
    wheel = next(line for line in installed if line.endswith(".whl"))
    assert not wheel.startswith(str(model))
    assert Path(wheel).name == Path(WHEEL).name


@pytest.mark.parametrize("target", TARGETS)
def test_what_changed_after_the_verification_is_not_installed(
    model: Path, installed: list[str], monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    if target == "conda.yaml":
        (model / "python_env.yaml").unlink()
    else:
        without_build_tools(model)
    pyfunc.refresh(model)
    after_verification(monkeypatch, lambda: (model / target).write_bytes(TARGETS[target]))
    with pytest.raises((ModelIntegrityError, pyfunc.UntrustedModelError)):
        load(model)
    assert installed == []


def test_a_file_that_is_removed_after_the_verification_is_missed(
    model: Path, installed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next source of requirements would count in its place."""
    for target in ("python_env.yaml", "requirements.txt"):
        copy = model.with_name(f"without-{target}")
        shutil.copytree(model, copy)
        with monkeypatch.context() as patch:
            after_verification(patch, (copy / target).unlink)
            with pytest.raises(pyfunc.ModelIncompleteError):
                load(copy)
    assert installed == []


def test_a_file_that_takes_its_place_while_it_is_read_is_found(
    model: Path, installed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The installer opens a wheel long after all else; it is given a copy of what was checked."""
    without_build_tools(model)
    with_copies = recipe.Recipe.with_copies

    def change_after_copying(*arguments: Any) -> Any:
        found = with_copies(*arguments)
        (model / WHEEL).write_bytes(b"evil wheel")
        return found

    monkeypatch.setattr(recipe.Recipe, "with_copies", change_after_copying)
    with pytest.raises(Install):
        load(model)
    assert installed[-1] == "PK\x03\x04"


def test_a_link_out_of_the_model_is_not_followed(model: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text(EVIL)
    (model / "requirements.txt").unlink()
    (model / "requirements.txt").symlink_to(tmp_path / "outside.txt")
    with pytest.raises(pyfunc.ModelPathError, match="link"):
        recipe.read_recipe(model)


def test_a_comparison_reads_what_was_listed(model: Path) -> None:
    from pyfunc.env.checking.mismatch import check_requirements

    files = ModelFiles.open(model)
    (model / "requirements.txt").write_bytes(EVIL.encode())
    report = check_requirements(model, python=None, files=files)
    assert EVIL not in str(report)
    assert "unreadable" in [found.kind for found in report.mismatches]


def after_verification(patch: pytest.MonkeyPatch, attack: Callable[[], object]) -> None:
    """Let ``attack`` happen right after the files were checked, where a race would be won."""

    def attacked(*arguments: Any, **options: Any) -> Any:
        attack()
        return prepare_environment(*arguments, **options)

    patch.setattr(isolated, "prepare_environment", attacked)


def test_nothing_is_left_of_the_copies(
    model: Path, installed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of temporary files is this test's own."""
    without_build_tools(model)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    with pytest.raises(Install):
        load(model)
    assert os.listdir(tmp_path / "tmp") == []
