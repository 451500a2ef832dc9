"""The file that installs a model's dependencies (env-serve 2), and changes to it (1.10)."""

from __future__ import annotations

import logging
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from pyfunc.directory.verification import verify_files, write_manifest
from pyfunc.env import get_model_dependencies, update_requirements
from pyfunc.errors import (
    InvalidArgumentError,
    ModelFormatError,
    ModelIncompleteError,
    ModelIntegrityError,
    ModelNotFoundError,
    ModelPathError,
)

CONDA = "dependencies:\n- python=3.9\n- pip<=23\n- pip:\n  - a==1\n  - b\n"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "MLmodel").write_text(
        "flavors:\n  python_function:\n    env:\n      conda: conda.yaml\n"
    )
    (tmp_path / "conda.yaml").write_text(CONDA)
    (tmp_path / "requirements.txt").write_text("a==1\nb")
    return tmp_path


def test_the_requirements_file(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "pyfunc.env"):
        path = get_model_dependencies(model)
    assert path == str(model / "requirements.txt")
    assert f"pip install -r {path}" in caplog.text


def test_a_file_uri_and_a_relative_path(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert get_model_dependencies(model.as_uri()) == str(model / "requirements.txt")
    monkeypatch.chdir(model.parent)
    assert get_model_dependencies(model.name) == str(model / "requirements.txt")


@pytest.mark.parametrize(("shell", "command"), [(object(), "%pip"), (None, "pip")])
def test_in_a_notebook_the_command_is_a_magic(
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    shell: Any,
    command: str,
) -> None:
    module = types.ModuleType("IPython")
    module.get_ipython = lambda: shell  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", module)
    with caplog.at_level(logging.INFO, "pyfunc.env"):
        get_model_dependencies(model)
    assert f": {command} install" in caplog.text


def test_the_pip_section_of_a_model_without_requirements(
    model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (model / "requirements.txt").unlink()
    path = Path(get_model_dependencies(model))
    assert path.read_text() == "a==1\nb\n"
    assert path.name == "requirements.txt"
    assert model not in path.parents
    assert "python=3.9, pip<=23." in caplog.text


def test_a_pip_section_alone_needs_no_warning(
    model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (model / "requirements.txt").unlink()
    (model / "conda.yaml").write_text("dependencies:\n- pip:\n  - a\n")
    get_model_dependencies(model)
    assert not caplog.records


@pytest.mark.parametrize(
    "text", ["dependencies:\n- python=3.9\n", "name: x\n", "dependencies:\n- pip: a"]
)
def test_no_pip_section_is_an_error(model: Path, text: str) -> None:
    (model / "requirements.txt").unlink()
    (model / "conda.yaml").write_text(text)
    with pytest.raises(ModelFormatError, match="pip section") as caught:
        get_model_dependencies(model)
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.parametrize(
    ("env", "name"),
    [
        ("    env: other.yaml\n", "other.yaml"),
        ("    env:\n      conda: x/y.yaml\n", "x/y.yaml"),
        ("    env:\n      virtualenv: v.yaml\n", "conda.yaml"),
        ("    data: x\n", "conda.yaml"),
    ],
)
def test_the_conda_file_that_the_model_names(model: Path, env: str, name: str) -> None:
    (model / "MLmodel").write_text(f"flavors:\n  python_function:\n{env}")
    assert get_model_dependencies(model, format="conda") == str(model / name)


@pytest.mark.parametrize("text", ["flavors: 3", "a: 1", "flavors: {python_function: 3}"])
def test_a_model_without_the_flavor_has_the_usual_conda_file(model: Path, text: str) -> None:
    (model / "MLmodel").write_text(text)
    assert get_model_dependencies(model, format="conda") == str(model / "conda.yaml")


def test_a_conda_file_outside_the_model_is_refused(model: Path) -> None:
    (model / "MLmodel").write_text("flavors:\n  python_function:\n    env: ../../x\n")
    with pytest.raises(ModelPathError):
        get_model_dependencies(model, format="conda")


def test_wrong_calls(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="got 'zip'"):
        get_model_dependencies(model, format="zip")  # type: ignore[arg-type]
    with pytest.raises(ModelNotFoundError):
        get_model_dependencies(tmp_path / "none")


def test_add(model: Path) -> None:
    assert update_requirements(model, "add", ["A >= 2", "c"]) == ["A>=2", "b", "c"]
    assert (model / "requirements.txt").read_text() == "A>=2\nb\nc"
    assert (model / "conda.yaml").read_text() == (
        "dependencies:\n- python=3.9\n- pip<=23\n- pip:\n  - A>=2\n  - b\n  - c\n"
    )


def test_added_lines_go_before_the_constraints(model: Path) -> None:
    (model / "requirements.txt").write_text("--pre\na\n-c constraints.txt")
    assert update_requirements(model, "add", "c") == ["--pre", "a", "c", "-c constraints.txt"]


def test_remove(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert update_requirements(model, "remove", ["A==7", "zzz"]) == ["b"]
    assert (model / "conda.yaml").read_text().endswith("- pip:\n  - b\n")
    assert [r.getMessage() for r in caplog.records if r.levelname == "WARNING"] == [
        "zzz is not among the requirements, so it is not removed."
    ]


def test_a_conda_file_without_pip_gets_a_section(model: Path) -> None:
    (model / "conda.yaml").write_text("name: x\n")
    update_requirements(model, "add", ["c"])
    assert (model / "conda.yaml").read_text() == "dependencies:\n- pip:\n  - c\nname: x\n"


def test_a_model_without_conda_file_gets_none(model: Path) -> None:
    (model / "conda.yaml").unlink()
    update_requirements(model, "add", ["c"])
    assert not (model / "conda.yaml").exists()


@pytest.mark.parametrize("line", ["$(touch x)", "-r x", "./x.whl", "a b", ""])
def test_only_requirements_can_be_added(model: Path, line: str) -> None:
    with pytest.raises(InvalidArgumentError, match="no requirements"):
        update_requirements(model, "add", ["ok", line])
    assert (model / "requirements.txt").read_text() == "a==1\nb"


def test_wrong_updates(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="got 'drop'"):
        update_requirements(model, "drop", [])  # type: ignore[arg-type]
    with pytest.raises(ModelNotFoundError):
        update_requirements(tmp_path / "none", "add", [])
    (model / "conda.yaml").write_text("dependencies: 3\n")
    with pytest.raises(ModelFormatError, match="expected a list"):
        update_requirements(model, "add", ["c"])
    (model / "requirements.txt").unlink()
    with pytest.raises(ModelIncompleteError):
        update_requirements(model, "add", ["c"])


def test_credentials_are_not_added(model: Path) -> None:
    found = update_requirements(model, "add", ["c @ https://u:p@h/c.whl"])
    assert found[-1] == "c@ https://h/c.whl" or found[-1] == "c @ https://h/c.whl"


def test_the_manifest_is_renewed(model: Path) -> None:
    write_manifest(model)
    update_requirements(model, "add", ["c"])
    verify_files(model)


def test_a_model_that_was_tampered_with_is_not_declared_right(model: Path) -> None:
    write_manifest(model)
    (model / "conda.yaml").write_text(CONDA + "  - evil\n")
    with pytest.raises(ModelIntegrityError):
        update_requirements(model, "add", ["c"])
    assert (model / "requirements.txt").read_text() == "a==1\nb"
