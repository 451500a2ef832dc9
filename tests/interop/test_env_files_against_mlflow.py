"""Environment files and mismatch lines, beside those of real MLflow in one process.

MLflow takes the local label off a version (``2.7.1+cu128``) by a class that overrides a property
of ``packaging.version.Version``. That works with packaging before 26.4; with a newer one the
label stays, so the rows about labels ask which packaging is here.
"""

from __future__ import annotations

import importlib.metadata
import logging
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from pyfunc.env import EnvironmentSpec, get_model_dependencies
from pyfunc.env.checking.mismatch import check_requirements
from pyfunc.env.checking.report import warn_text
from pyfunc.env.requirements.deduplication import merge_duplicates
from pyfunc.env.requirements.lines import clean_lines
from pyfunc.env.specification import python_version, runtime_requirement
from pyfunc.errors import PyfuncError
from pyfunc.version import VERSION

pytestmark = [
    pytest.mark.interop,
    # MLflow's own, about hints and pickles; they are not what is compared.
    pytest.mark.filterwarnings("ignore"),
]

MLFLOW_STRIPS_LABELS = Version(importlib.metadata.version("packaging")) < Version("26.4")
FILES = ("conda.yaml", "python_env.yaml", "requirements.txt", "constraints.txt")
SaveWithMlflow = Callable[..., Path]


@pytest.fixture(scope="module")
def mlflow() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc
    return mlflow


@pytest.fixture(autouse=True)
def _no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep MLflow from asking pip, and so an index, whether two requirements can be met."""
    monkeypatch.setenv("MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK", "true")


@pytest.fixture
def save_with_mlflow(mlflow: Any, tmp_path: Path) -> SaveWithMlflow:
    """Return a function that saves a trivial model with MLflow."""

    def save(**arguments: Any) -> Path:
        class Model(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
            def predict(self, context: Any, model_input: Any) -> Any:
                return model_input

        mlflow.pyfunc.save_model(tmp_path / "theirs", python_model=Model(), **arguments)
        return tmp_path / "theirs"

    return save


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory, with files that requirements name."""
    monkeypatch.chdir(tmp_path)
    # This library as an index would have it, whose line is a pin as MLflow's is.
    info = tmp_path / "site" / f"pyfunc_format-{VERSION}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Name: pyfunc-format\nVersion: {VERSION}\n")
    monkeypatch.syspath_prepend(str(info.parent))
    (tmp_path / "sub").mkdir()
    (tmp_path / "cons.txt").write_text("numpy<9\n# why\npandas<9 # this\n")
    (tmp_path / "reqs.txt").write_text("six\n-r sub/more.txt\n--constraint cons.txt\n")
    (tmp_path / "sub" / "more.txt").write_text("-c bounds.txt\npackaging \\\n  >=1\n")
    (tmp_path / "sub" / "bounds.txt").write_text("scipy<9\n-r last.txt\n")
    (tmp_path / "sub" / "last.txt").write_text("pyyaml")
    (tmp_path / "env.yaml").write_text(
        "name: mine\nchannels: [a, b]\ndependencies:\n- python=3.9\n- foo\n"
    )
    return tmp_path


CASES: dict[str, dict[str, Any]] = {
    "nothing": {"pip_requirements": []},
    "pins": {"pip_requirements": ["scikit-learn==1.9.1", "pandas >= 2.0 , <4"]},
    "tuple": {"pip_requirements": ("six", "packaging")},
    "file": {"pip_requirements": "reqs.txt"},
    "constraints": {"pip_requirements": ["pandas", "-c cons.txt"]},
    "nested": {"pip_requirements": ["-r sub/more.txt"]},
    "comments": {"pip_requirements": ["# a", "six # b", "", "x @ https://h/x.whl#egg=x"]},
    "options": {
        "pip_requirements": ["--extra-index-url https://h/s", "-e git+https://h/y#egg=y", "--pre"]
    },
    "urls": {"pip_requirements": ["git+https://h/x@v1#egg=x", "https://h/x.whl"]},
    "hashes": {"pip_requirements": ["mlflow==3 --hash=sha256:1", "six==1 --hash=sha256:0"]},
    "markers": {"pip_requirements": ["six; python_version>'3'", "six==1.16.0", "six"]},
    "extras": {"pip_requirements": ["a[x]", "a[y,z]==1"]},
    "labels": {"pip_requirements": ["torch==2.7.1+cu128", "torch==2.7.1"]},
    "spelling": {"pip_requirements": ["Six", "PACKAGING==1"]},
    "mlflow listed": {"pip_requirements": ["six", "MLflow-Skinny>=2"]},
    "mlflow by url": {"pip_requirements": ["git+https://github.com/mlflow/mlflow"]},
    "mlflow with extra": {"pip_requirements": ["mlflow[extras]==1"]},
    "mlflow by name and url": {"pip_requirements": ["mlflow @ git+https://h/x"]},
    "databricks": {"pip_requirements": ["databricks-connect", "pyspark", "pyspark-connect==1"]},
    "conda dict": {"conda_env": {"dependencies": ["python=3.9", {"pip": ["b", "a", "b"]}, "x"]}},
    "conda constraints": {"conda_env": {"dependencies": [{"pip": ["a", "-c cons.txt"]}]}},
    "conda without pip": {"conda_env": {"name": "n", "dependencies": ["python=3.9"]}},
    "conda file": {"conda_env": "env.yaml"},
    "conda with mlflow": {"conda_env": {"dependencies": [{"pip": ["six", "mlflow>=2"]}]}},
}


def without_labels(text: str) -> str:
    """Return the text of MLflow as it is with a packaging that lets it strip the label."""
    kept = "torch==2.7.1,==2.7.1+cu128"
    assert (kept in text) <= (not MLFLOW_STRIPS_LABELS)
    return text.replace(kept, "torch==2.7.1")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("loader", ["mlflow", "pyfunc"])
def test_files_are_equal(
    name: str, loader: Any, here: Path, save_with_mlflow: SaveWithMlflow
) -> None:
    theirs = save_with_mlflow(**CASES[name])
    ours = here / "ours"
    ours.mkdir()
    EnvironmentSpec.from_arguments(**CASES[name]).write(ours, loader=loader)
    for file in FILES:
        assert (ours / file).exists() == (theirs / file).exists()
        if (ours / file).exists():
            expected = without_labels((theirs / file).read_text())
            expected = expected.replace(runtime_requirement("mlflow"), runtime_requirement(loader))
            assert (ours / file).read_bytes() == expected.encode()


@pytest.mark.parametrize(
    "arguments",
    [
        {"pip_requirements": Path("reqs.txt")},
        {"pip_requirements": 3},
        {"pip_requirements": [3]},
        {"pip_requirements": "none.txt"},
        {"pip_requirements": ["-r none.txt"]},
        {"conda_env": 3},
        {"conda_env": "none.yaml"},
        {"conda_env": {}},
        {"conda_env": {"dependencies": []}, "pip_requirements": []},
        {"extra_pip_requirements": [], "pip_requirements": []},
    ],
    ids=str,
)
def test_what_mlflow_refuses_is_refused_with_an_error_of_that_kind(
    arguments: dict[str, Any], here: Path, save_with_mlflow: SaveWithMlflow
) -> None:
    with pytest.raises(Exception) as theirs:  # noqa: PT011 - whatever MLflow raises
        save_with_mlflow(**arguments)
    with pytest.raises(PyfuncError) as ours:
        EnvironmentSpec.from_arguments(**arguments)
    if not isinstance(theirs.value, KeyError):  # MLflow's own, for a missing key
        assert isinstance(ours.value, type(theirs.value))


@pytest.mark.parametrize(
    "lines",
    [
        ["pandas >= 2.0 , <4"],
        ["a[x]", "a[y]==1", "a"],
        ["a==1", "a==1.0"],
        ["torch==2.7.1", "torch==2.7.1+cu128"],
        ["a; python_version>'3'", "a==1", 'a; python_version > "3"'],
        ["-e .", "./x", "-e ."],
    ],
    ids=str,
)
def test_duplicates_are_merged_alike(lines: list[str], mlflow: Any) -> None:
    from mlflow.utils.environment import _deduplicate_requirements

    theirs: Callable[[list[str]], list[str]] = _deduplicate_requirements
    assert merge_duplicates(lines) == [without_labels(line) for line in theirs(lines)]


LINES = [
    "numpy==1.0",
    "pandas",
    "surely-not>1",
    "nothing-here; python_version<'3'",
    "scikit-learn<0.1 # why",
    "sklearn==1",
    "--extra-index-url https://h/s",
    "x @ https://h/x.whl",
    "./x.whl",
    "surely-neither",
    "-c constraints.txt",
]
MISMATCH = re.compile(r"^ - (.*) \(current: (.*), required: (.*)\)$", re.MULTILINE)


def test_mismatch_lines_are_equal(
    mlflow: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.utils.requirements_utils import warn_dependency_requirement_mismatches

    (tmp_path / "requirements.txt").write_text("\n".join(LINES))
    (tmp_path / "constraints.txt").write_text("packaging<1")
    monkeypatch.setattr(logging.getLogger("mlflow"), "propagate", True)
    with caplog.at_level(logging.WARNING):
        warn_dependency_requirement_mismatches([*clean_lines(LINES[:-1]), "packaging<1"])
    theirs = MISMATCH.findall(caplog.records[0].getMessage())
    ours = MISMATCH.findall(warn_text(check_requirements(tmp_path, python=python_version())))
    assert ours == theirs
    assert len(theirs) == 7


def test_the_same_file_is_given_for_a_model(
    mlflow: Any, here: Path, save_with_mlflow: SaveWithMlflow
) -> None:
    model = save_with_mlflow(pip_requirements=["six"])
    for form in ("pip", "conda"):
        expected = mlflow.pyfunc.get_model_dependencies(str(model), format=form)
        assert get_model_dependencies(model, format=form) == expected
    (model / "requirements.txt").unlink()
    theirs = Path(mlflow.pyfunc.get_model_dependencies(str(model)))
    assert Path(get_model_dependencies(model)).read_bytes() == theirs.read_bytes()
