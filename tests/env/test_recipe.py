"""What an environment consists of is read from the model's files (env/recipe.py)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import pyfunc
from pyfunc.env.creating.overriding import override_requirements
from pyfunc.env.creating.recipe import Recipe, read_recipe
from pyfunc.env.specification import python_version
from pyfunc.errors import (
    InvalidArgumentError,
    ModelFormatError,
    ModelIncompleteError,
    ModelPathError,
)

VIRTUALENV = (
    "python: 3.10.1\nbuild_dependencies:\n- pip==23\ndependencies:\n- -r requirements.txt\n"
)


def model(tmp_path: Path, requirements: str | None = "a==1", **files: str) -> Path:
    files = {"python_env_yaml": VIRTUALENV, **files}
    for name, text in files.items():
        if text:
            (tmp_path / name.replace("_yaml", ".yaml")).write_text(text)
    if requirements is not None:
        (tmp_path / "requirements.txt").write_text(requirements)
    return tmp_path


def test_the_usual_files(tmp_path: Path) -> None:
    (tmp_path / "constraints.txt").write_text("b<2\nmlflow<9")
    text = "pyfunc-format==0.0.1\nmlflow==3\na==1 # x\n-i https://h/s\n-c constraints.txt"
    recipe = read_recipe(model(tmp_path, text))
    assert recipe == Recipe(
        python="3.10.1",
        build=("pip==23",),
        requirements=("a==1", "-i https://h/s"),
        constraints=("b<2",),
    )


@pytest.mark.parametrize(
    ("install_mlflow", "source", "kept"),
    [
        pytest.param(None, "import mlflow.pyfunc", [], id="stand-in-is-enough"),
        pytest.param(None, "import mlflow.tracking", ["mlflow==3"], id="code-needs-it"),
        pytest.param(True, "", ["mlflow==3"], id="asked-for"),
        pytest.param(False, "import mlflow.tracking", [], id="refused"),
    ],
)
def test_mlflow_is_installed_where_it_is_needed(
    tmp_path: Path, install_mlflow: bool | None, source: str, kept: list[str]
) -> None:
    (tmp_path / "script.py").write_text(source)
    recipe = read_recipe(model(tmp_path, "mlflow==3\na"), install_mlflow=install_mlflow)
    assert list(recipe.requirements) == [*kept, "a"]


@pytest.mark.parametrize(
    ("lines", "saved_by", "requirements"),
    [
        pytest.param("a", "2.14.3", ("a", "mlflow==2.14.3"), id="version-of-the-model"),
        pytest.param("mlflow-skinny==3\na", "2.14.3", ("mlflow-skinny==3", "a"), id="there"),
        pytest.param("a", "3.14.1.dev0", ("a", "mlflow"), id="not-published"),
        pytest.param("a", "3.1+local", ("a", "mlflow"), id="local"),
        pytest.param("a", None, ("a", "mlflow"), id="unknown"),
    ],
)
def test_mlflow_is_added_where_it_is_asked_for(
    tmp_path: Path, lines: str, saved_by: str | None, requirements: tuple[str, ...]
) -> None:
    if saved_by is not None:
        (tmp_path / "MLmodel").write_text(f"mlflow_version: {saved_by}\n")
    found = read_recipe(model(tmp_path, lines), install_mlflow=True)
    assert found.requirements == requirements


OVERRIDES = [
    pytest.param(["numpy==2"], ("a==1", "-i https://h/s", "numpy==2"), ("b<2",), id="new"),
    pytest.param(["A>=2"], ("-i https://h/s", "A>=2"), ("b<2",), id="in-place"),
    pytest.param(["b==3"], ("a==1", "-i https://h/s", "b==3"), (), id="constraint"),
    pytest.param(["pyfunc_format==0"], ("a==1", "-i https://h/s"), ("b<2",), id="this-library"),
    pytest.param(["mlflow==3"], ("a==1", "-i https://h/s", "mlflow==3"), ("b<2",), id="mlflow"),
    pytest.param([], ("a==1", "-i https://h/s"), ("b<2",), id="none"),
]


@pytest.mark.parametrize(("lines", "requirements", "constraints"), OVERRIDES)
def test_an_override_goes_before_what_the_model_says(
    tmp_path: Path, lines: list[str], requirements: tuple[str, ...], constraints: tuple[str, ...]
) -> None:
    (tmp_path / "constraints.txt").write_text("b<2")
    recipe = read_recipe(model(tmp_path, "a==1\n-i https://h/s\n-c constraints.txt"))
    found = override_requirements(recipe, lines)
    assert (found.requirements, found.constraints) == (requirements, constraints)
    assert (found.key() == recipe.key()) is (found == recipe)


def test_an_override_that_is_no_requirement(tmp_path: Path) -> None:
    recipe = read_recipe(model(tmp_path, "a"))
    with pytest.raises(InvalidArgumentError, match=r"(?s)PEP 508.*'a b'.*'-r x'"):
        override_requirements(recipe, ["a b", "numpy", "-r x"])


@pytest.mark.parametrize(
    "where", [{}, {"env_manager": "uv"}, {"env": "isolated", "env_manager": "local"}]
)
def test_the_running_environment_is_not_overridden(tmp_path: Path, where: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match="the running one is used as it is"):
        pyfunc.load_model(tmp_path, pip_requirements_override=["six"], **where)


def test_an_extra_of_mlflow_is_kept(tmp_path: Path) -> None:
    assert read_recipe(model(tmp_path, "mlflow[x]==3")).requirements == ("mlflow[x]==3",)


def test_files_of_the_model_become_absolute_and_part_of_the_key(tmp_path: Path) -> None:
    (tmp_path / "a-1.0-py3-none-any.whl").write_bytes(b"one")
    text = "./a-1.0-py3-none-any.whl[x] ; python_version > '3'"
    first = read_recipe(model(tmp_path, text))
    assert first.requirements == (f"{tmp_path}/{text[2:]}",)
    (tmp_path / "a-1.0-py3-none-any.whl").write_bytes(b"two")
    assert read_recipe(tmp_path).key() != first.key()


HOSTILE = [
    "$(touch x)",
    "a; `id`",
    "--bogus",
    "- x",
    "-e .",
    "--editable=.",
    "what is this",
]


@pytest.mark.parametrize("line", HOSTILE)
@pytest.mark.parametrize("where", ["requirements", "constraints", "build"])
def test_hostile_lines_are_named(tmp_path: Path, line: str, where: str) -> None:
    directory = model(tmp_path, line)
    if where == "constraints":
        (tmp_path / "constraints.txt").write_text(line)
        (tmp_path / "requirements.txt").write_text("-c constraints.txt")
    elif where == "build":
        (tmp_path / "requirements.txt").write_text("")
        (tmp_path / "python_env.yaml").write_text(f'build_dependencies: ["{line}"]')
    with pytest.raises(InvalidArgumentError) as caught:
        read_recipe(directory)
    assert repr(line) in str(caught.value)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("-r ../../x", ModelPathError),
        ("-c /etc/passwd", ModelPathError),
        ("../x.whl", ModelPathError),
        ("/abs/x.whl", ModelPathError),
        ("./sub", ModelPathError),
        ("gone.whl", ModelIncompleteError),
        ("-r fifo", ModelPathError),
        ("-rgone.txt", ModelIncompleteError),
        ("--requirement=gone.txt", ModelIncompleteError),
        ("-c../../x", ModelPathError),
    ],
)
def test_lines_that_lead_elsewhere_are_refused(
    tmp_path: Path, line: str, error: type[Exception]
) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "sub").mkdir()
    with pytest.raises(error):
        read_recipe(model(tmp_path, line))


def test_a_fifo_as_requirements_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "requirements.txt")
    with pytest.raises(ModelPathError, match="FIFO"):
        read_recipe(model(tmp_path, None))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("python: 3", "expected a string"),
        ("dependencies: x", "list of strings"),
        ("build_dependencies: [1]", "list of strings"),
        ("other: 1", "unknown keys"),
    ],
)
def test_a_malformed_virtualenv_file(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ModelFormatError, match=reason):
        read_recipe(model(tmp_path, python_env_yaml=text))


def test_a_virtualenv_file_without_python_means_the_running_one(tmp_path: Path) -> None:
    assert (
        read_recipe(model(tmp_path, python_env_yaml="dependencies: []")).python == python_version()
    )


CONDA = (
    "channels: [conda-forge]\ndependencies:\n- python=3.9.7\n- pip<=23\n- setuptools=60\n"
    "- libblas=3\n- pip:\n  - a==1\n"
)


def test_an_old_model_has_a_conda_file_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = read_recipe(model(tmp_path, None, python_env_yaml="", conda_yaml=CONDA))
    assert recipe.python == "3.9.7"
    assert recipe.build == ("pip<=23", "setuptools==60")
    assert recipe.requirements == ("a==1",)
    assert recipe.conda == ("python=3.9.7", "pip<=23", "setuptools=60", "libblas=3")
    assert recipe.channels == ("conda-forge",)
    assert "libblas=3" in caplog.text


def test_a_model_with_requirements_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recipe = read_recipe(model(tmp_path, "a", python_env_yaml=""))
    assert (recipe.python, recipe.requirements) == (python_version(), ("a",))
    assert "names no Python version" in caplog.text


def test_a_model_with_nothing(tmp_path: Path) -> None:
    assert read_recipe(model(tmp_path, None, python_env_yaml="")).requirements == ()


@pytest.mark.parametrize(
    ("item", "error"),
    [
        ("python", ModelFormatError),
        ("python<3.9", ModelFormatError),
        ("{npm: [x]}", ModelFormatError),
        ("{pip: x}", ModelFormatError),
        ("--file=/etc/passwd", InvalidArgumentError),
        ("$(touch x)", InvalidArgumentError),
    ],
)
def test_conda_items_that_cannot_be_used(
    tmp_path: Path, item: str, error: type[Exception]
) -> None:
    text = f"dependencies:\n- {item}\n"
    with pytest.raises(error):
        read_recipe(model(tmp_path, None, python_env_yaml="", conda_yaml=text))


@pytest.mark.parametrize("text", ["channels: ['--override']", "channels: x\ndependencies: x"])
def test_channels_are_checked(tmp_path: Path, text: str) -> None:
    directory = model(tmp_path, None, python_env_yaml="", conda_yaml=text)
    if "--" in text:
        with pytest.raises(InvalidArgumentError, match="--override"):
            read_recipe(directory)
    else:
        assert read_recipe(directory).channels == ()


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ("    env: c/d.yaml\n", "3.10.1"),
        ("    env:\n      conda: c/d.yaml\n      virtualenv: v.yaml\n", "3.8.1"),
        ("", "3.10.1"),
    ],
)
def test_files_under_the_names_that_the_model_gives(
    tmp_path: Path, env: str, expected: str
) -> None:
    (tmp_path / "MLmodel").write_text(f"flavors:\n  python_function:\n    data: x\n{env}")
    (tmp_path / "v.yaml").write_text("python: 3.8.1\n")
    assert read_recipe(model(tmp_path)).python == expected


@pytest.mark.parametrize("env", ["../x", 3])
def test_a_conda_file_outside_is_refused(tmp_path: Path, env: Any) -> None:
    (tmp_path / "MLmodel").write_text(f"flavors:\n  python_function:\n    env: {env}\n")
    if env == 3:
        assert read_recipe(model(tmp_path)).python == "3.10.1"
    else:
        with pytest.raises(ModelPathError):
            read_recipe(model(tmp_path))
