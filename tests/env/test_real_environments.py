"""Environments that are really built: nothing is made up here, packages come from an index."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import pyfunc
from pyfunc.env import infer_requirements, prepare_environment
from pyfunc.env.installed.interpreters import find_interpreter
from pyfunc.env.specification import python_version
from pyfunc.errors import EnvironmentCreationError, ModelNotFoundError, SchemaError

pytestmark = [pytest.mark.slow, pytest.mark.network]

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
# Different from the one here, whichever is installed.
OTHER_PANDAS = "2.3.3" if not pd.__version__.startswith("2.3") else "2.2.3"


@pytest.fixture(scope="module", autouse=True)
def root(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Keep the environments of this module in one folder of their own."""
    folder = tmp_path_factory.mktemp("envs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYFUNC_ENV_ROOT", str(folder))
        yield folder


SAVE = """
import sys
import pandas as pd, pyfunc

class Model(pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        import sys
        import pandas
        python = "%d.%d" % sys.version_info[:2]
        found = model_input.assign(twice=model_input["x"] * 2)
        return found.assign(python=python, pandas=pandas.__version__)

example = pd.DataFrame({"x": [1.0, 2.0], "day": pd.to_datetime(["2020-01-01", "2021-01-01"])})
pyfunc.save_model(sys.argv[1], python_model=Model(), input_example=example)
"""


@pytest.fixture(scope="module")
def other_python() -> str:
    """Return the version of another Python of this machine; of this one where it is alone."""
    for version in ("3.10", "3.11", "3.12", "3.13"):
        with contextlib.suppress(ModelNotFoundError):
            if version != PYTHON:
                find_interpreter(version)
                return version
    return PYTHON


@pytest.fixture(scope="module")
def other_model(root: Path, other_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model that another Python with another pandas has saved."""
    folder = tmp_path_factory.mktemp("other")
    recipe = folder / "recipe"
    recipe.mkdir()
    (recipe / "python_env.yaml").write_text(
        f'python: "{other_python}"\ndependencies: [-r requirements.txt]\n'
    )
    (recipe / "requirements.txt").write_text(f"pandas=={OTHER_PANDAS}")
    environment = prepare_environment(recipe)
    (folder / "save.py").write_text(SAVE)
    command = [str(environment.python), "-I", str(folder / "save.py"), str(folder / "model")]
    subprocess.run(command, check=True, cwd=folder)
    return folder / "model"


def test_a_model_of_another_python_and_pandas_predicts_here(
    other_model: Path, other_python: str
) -> None:
    assert f"pandas=={OTHER_PANDAS}" in (other_model / "requirements.txt").read_text()
    data = pd.DataFrame({"x": [3.0], "day": pd.to_datetime(["2022-02-02"])}, index=["row"])
    with pyfunc.load_model(other_model, env="isolated") as model:
        found = model.predict(data)
        with pytest.raises(SchemaError, match=r"inputs\['day'\]"):
            model.predict(data.drop(columns="day"))
    assert found.to_dict("list") == {
        "x": [3.0],
        "day": [pd.Timestamp("2022-02-02")],
        "twice": [6.0],
        "python": [other_python],
        "pandas": [OTHER_PANDAS],
    }
    assert found.index.tolist() == ["row"]
    if other_python != PYTHON:
        with pytest.raises(pyfunc.IncompatiblePythonError) as caught:
            pyfunc.load_model(other_model)
        assert caught.value.environment_report.problems  # type: ignore[attr-defined]


def test_two_processes_prepare_one_environment_at_once(other_model: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pyfunc.env import prepare_environment as p; "
        "e = p(sys.argv[1]); print(e.directory, e.reused)"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(other_model)],
            env={**os.environ, "PYFUNC_ENV_ROOT": str(tmp_path / "envs")},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [child.communicate(timeout=200)[0].split() for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert len({place for place, _ in outputs}) == 1
    assert sorted(reused for _, reused in outputs) == ["False", "True"]


def write_model(directory: Path, *lines: str) -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "python_env.yaml").write_text(
        f"python: {python_version()}\ndependencies: [-r requirements.txt]\n"
    )
    (directory / "requirements.txt").write_text("\n".join(lines))
    return directory


@pytest.mark.parametrize("manager", ["uv", "virtualenv"])
def test_a_failed_installation_leaves_nothing_to_reuse(tmp_path: Path, manager: Any) -> None:
    model = write_model(tmp_path / "model", "--no-index", "surely-not-a-package==1.0")
    for _ in range(2):
        with pytest.raises(EnvironmentCreationError, match="surely-not-a-package"):
            prepare_environment(model, env_manager=manager, root=tmp_path / "envs")
        assert [path.suffix for path in (tmp_path / "envs").iterdir()] == [".lock"]


def test_the_standard_library_and_pip_make_one_too(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", "packaging")
    environment = prepare_environment(model, env_manager="virtualenv")
    code = "import pyfunc, pyfunc.env, pandas, packaging; print(pyfunc.__file__)"
    done = subprocess.run(
        [str(environment.python), "-I", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str(environment.directory))


def load_golden_module() -> Any:
    """Return the module that knows how golden cases are read and compared."""
    path = Path(__file__).parents[1] / "golden" / "test_golden_models.py"
    spec = importlib.util.spec_from_file_location("golden_cases", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NAMES = ["class_signature", "class_artifacts", "class_code_paths", "loader_module"]
NAMES += ["sklearn_cloudpickle", "sklearn_skops", "models_from_code", "typed_function"]
if sys.version_info >= (3, 12):  # the others hold code of 3.11
    NAMES = ["loader_module", "sklearn_cloudpickle", "sklearn_skops", "models_from_code"]
RELEASE = "mlflow-1.30" if sys.version_info[:2] == (3, 10) else "mlflow-3.17"
CASES = [GOLDEN / RELEASE / name for name in NAMES if (GOLDEN / RELEASE / name).exists()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_inferred_requirements_are_enough_in_an_empty_environment(
    case: Path, tmp_path: Path
) -> None:
    golden = load_golden_module()
    description = json.loads((case / "case.json").read_text())
    copy: Callable[..., Any] = shutil.copytree
    copy(case / "model", tmp_path / "model")
    lines = infer_requirements(tmp_path / "model")
    assert not any(line.startswith(("pytest", "hypothesis", "mlflow")) for line in lines)
    write_model(tmp_path / "model", *lines)
    with pyfunc.load_model(tmp_path / "model", env="isolated") as model:
        golden.assert_output(
            model.predict(golden.read_input(description["input"])), description["output"]
        )
