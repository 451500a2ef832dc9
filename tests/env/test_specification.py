"""Arguments of a save are checked first; the files have MLflow's layout (env-serve 1.2-1.5)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyfunc.env import EnvironmentSpec
from pyfunc.env import specification as specification_module
from pyfunc.env.specification import python_version, runtime_requirement
from pyfunc.errors import InvalidArgumentError, InvalidTypeError, ModelNotFoundError
from pyfunc.version import VERSION

OWN = f"pyfunc-format=={VERSION}"


MLFLOW = "mlflow==3.17.2"
Install = Callable[..., Path]


@pytest.fixture(autouse=True)
def fixed_versions(site: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    # What the files hold of the machine that writes them; ours is here as from an index.
    versions = {"pip": "26.3", "setuptools": "65.5.0"}
    files = "pyfunc.env.requirements.environment_files"
    monkeypatch.setattr(f"{files}.installed_version", versions.get)
    monkeypatch.setattr(specification_module, "python_version", lambda: "3.11.7")
    site("pyfunc_format", VERSION)
    site("mlflow", "3.17.2")


def write(tmp_path: Path, *, defaults: Any = (), inferred: Any = None, **arguments: Any) -> Path:
    loader = arguments.pop("loader", "pyfunc")
    spec = EnvironmentSpec.from_arguments(**arguments)
    spec.write(tmp_path, defaults=defaults, inferred=inferred, loader=loader)
    return tmp_path


def requirements(tmp_path: Path, **arguments: Any) -> list[str]:
    return (write(tmp_path, **arguments) / "requirements.txt").read_text().split("\n")


def test_files_byte_for_byte(tmp_path: Path) -> None:
    (tmp_path / "bounds.txt").write_text("numpy<3\n")
    write(tmp_path, pip_requirements=["six==1.16.0", f"-c {tmp_path}/bounds.txt"])
    assert (tmp_path / "requirements.txt").read_bytes() == (
        f"{OWN}\nsix==1.16.0\n-c constraints.txt".encode()
    )
    assert (tmp_path / "constraints.txt").read_bytes() == b"numpy<3"
    assert (tmp_path / "conda.yaml").read_bytes() == (
        "channels:\n- conda-forge\ndependencies:\n- python=3.11.7\n- pip<=26.3\n- pip:\n"
        f"  - {OWN}\n  - six==1.16.0\n  - -c constraints.txt\nname: mlflow-env\n"
    ).encode()
    assert (tmp_path / "python_env.yaml").read_bytes() == (
        b"python: 3.11.7\nbuild_dependencies:\n- pip==26.3\n- setuptools==65.5.0\n- wheel\n"
        b"dependencies:\n- -r requirements.txt\n"
    )


def test_no_constraints_file_without_constraints(tmp_path: Path) -> None:
    assert not (write(tmp_path, pip_requirements=[]) / "constraints.txt").exists()


def test_pip_that_is_not_installed_has_no_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # What an environment of uv looks like.
    monkeypatch.setattr(
        "pyfunc.env.requirements.environment_files.installed_version", lambda _: None
    )
    with caplog.at_level(logging.WARNING, "pyfunc.env"):
        write(tmp_path, pip_requirements=[])
    assert "\n- pip\n- pip:\n" in (tmp_path / "conda.yaml").read_text()
    assert not caplog.records


def test_defaults_and_inferred_are_united_sorted_and_followed_by_extras(tmp_path: Path) -> None:
    found = requirements(
        tmp_path,
        defaults=["cloudpickle==3.1.2", "scikit-learn==1.9.1"],
        inferred=["pandas==3.1.1", "cloudpickle==3.1.2"],
        extra_pip_requirements=["zzz", "aaa"],
    )
    assert found == [
        OWN,
        "cloudpickle==3.1.2",
        "pandas==3.1.1",
        "scikit-learn==1.9.1",
        "zzz",
        "aaa",
    ]


@pytest.mark.parametrize(
    ("line", "loader", "first"),
    [
        pytest.param("six", "pyfunc", OWN, id="ours"),
        pytest.param("pyfunc-format", "pyfunc", "pyfunc-format", id="ours-listed"),
        pytest.param("Pyfunc_Format==9", "pyfunc", "Pyfunc_Format==9", id="ours-other-spelling"),
        pytest.param("MLflow-skinny>=2", "pyfunc", "MLflow-skinny>=2", id="mlflow-listed"),
        pytest.param(
            "mlflow[x]==1 --hash=sha256:0", "mlflow", "mlflow[x]==1 --hash=sha256:0", id="hash"
        ),
        pytest.param(
            "git+https://h/mlflow/mlflow", "mlflow", "git+https://h/mlflow/mlflow", id="url"
        ),
        pytest.param("six", "mlflow", MLFLOW, id="mlflow"),
        pytest.param("pyfunc-format", "mlflow", MLFLOW, id="mlflow-beside-ours"),
    ],
)
def test_the_library_that_loads_the_model_comes_first(
    tmp_path: Path, line: str, loader: str, first: str
) -> None:
    assert requirements(tmp_path, pip_requirements=[line], loader=loader)[0] == first


def test_mlflow_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])  # where no distribution is
    assert runtime_requirement("mlflow") == "mlflow"


def test_databricks_connect_drops_pyspark(tmp_path: Path) -> None:
    lines = ["pyspark==4", "Databricks.Connect", "pyspark-connect", "--pre"]
    assert requirements(tmp_path, pip_requirements=lines) == [OWN, "Databricks.Connect", "--pre"]


def test_a_conda_dict_keeps_all_but_its_pip_section(tmp_path: Path) -> None:
    conda = {"dependencies": ["python=3.9", {"pip": ["a", "a"]}, "x"], "channels": ["c"]}
    write(tmp_path, conda_env=conda)
    assert (tmp_path / "conda.yaml").read_text() == (
        f"channels:\n- c\ndependencies:\n- python=3.9\n- pip:\n  - {OWN}\n  - a\n  - a\n- x\n"
    )
    assert (tmp_path / "requirements.txt").read_text() == f"{OWN}\na\na"
    assert conda == {"dependencies": ["python=3.9", {"pip": ["a", "a"]}, "x"], "channels": ["c"]}


def test_a_conda_file_without_pip_gets_a_section_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "env.yaml").write_text("name: mine\ndependencies:\n- python=3.9\n- foo\n")
    write(tmp_path, conda_env=tmp_path / "env.yaml")
    assert (tmp_path / "conda.yaml").read_text() == (
        f"dependencies:\n- python=3.9\n- foo\n- pip:\n  - {OWN}\nname: mine\n"
    )


def test_two_pip_sections_become_one(tmp_path: Path) -> None:
    write(tmp_path, conda_env={"dependencies": [{"pip": ["a"]}, {"pip": ["b"]}]})
    assert (
        tmp_path / "conda.yaml"
    ).read_text() == f"dependencies:\n- pip:\n  - {OWN}\n  - a\n  - b\n"


def test_credentials_in_channels_are_not_written(tmp_path: Path) -> None:
    conda = {"channels": ["https://u:p@h/c", 1], "dependencies": ["https://u:p@h/x.conda"]}
    write(tmp_path, conda_env=conda)
    text = (tmp_path / "conda.yaml").read_text()
    assert "https://h/c" in text
    assert "u:p" not in text


def test_constraints_of_a_conda_pip_section(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("a<2")
    write(tmp_path, conda_env={"dependencies": [{"pip": [f"-c {tmp_path}/b.txt"]}]})
    assert (tmp_path / "constraints.txt").read_text() == "a<2"
    assert (tmp_path / "requirements.txt").read_text() == f"{OWN}\n-c constraints.txt"


@pytest.mark.parametrize(
    "arguments",
    [
        {"conda_env": {}, "pip_requirements": []},
        {"pip_requirements": [], "extra_pip_requirements": []},
        {"conda_env": "x", "pip_requirements": ["a"], "extra_pip_requirements": ["b"]},
    ],
    ids="+".join,
)
def test_only_one_argument_can_be_given(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="only one of") as caught:
        EnvironmentSpec.from_arguments(**arguments)
    assert all(name in str(caught.value) for name in arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        pytest.param({"conda_env": 3}, InvalidTypeError, "got int 3", id="conda-type"),
        pytest.param({"conda_env": {}}, InvalidArgumentError, "dependencies", id="conda-empty"),
        pytest.param(
            {"conda_env": {"dependencies": "a"}}, InvalidArgumentError, "a list", id="conda-text"
        ),
        pytest.param(
            {"conda_env": {"dependencies": [3]}},
            InvalidArgumentError,
            "must be a string",
            id="item",
        ),
        pytest.param(
            {"conda_env": {"dependencies": [{"npm": []}]}},
            InvalidArgumentError,
            "must be a string",
            id="conda-other-dict",
        ),
        pytest.param(
            {"conda_env": {"dependencies": [{"pip": ["$(x)"]}]}},
            InvalidArgumentError,
            "shell syntax",
            id="conda-hostile",
        ),
        pytest.param({"conda_env": "none.yaml"}, ModelNotFoundError, "none.yaml", id="conda-file"),
        pytest.param({"pip_requirements": 3}, InvalidTypeError, "got int 3", id="pip-type"),
        pytest.param(
            {"extra_pip_requirements": ["a==1", "a==2"]},
            InvalidArgumentError,
            "contradict",
            id="contradiction",
        ),
    ],
)
def test_errors_come_before_anything_is_written(
    arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        EnvironmentSpec.from_arguments(**arguments)


def test_a_conda_file_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "env.yaml"
    path.write_text("a: [")
    with pytest.raises(InvalidArgumentError, match=r"conda_env: .*env\.yaml"):
        EnvironmentSpec.from_arguments(conda_env=str(path))


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        ({}, True),
        ({"extra_pip_requirements": ["a"]}, True),
        ({"pip_requirements": []}, False),
        ({"conda_env": {"dependencies": []}}, False),
    ],
)
def test_inference_is_needed_unless_the_list_is_complete(
    arguments: dict[str, Any], needed: bool
) -> None:
    assert EnvironmentSpec.from_arguments(**arguments).needs_inference is needed


def test_python_version_has_three_parts() -> None:
    assert python_version().count(".") == 2
