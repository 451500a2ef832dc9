"""Requirements are inferred from what lies in a model directory (env/inference.py)."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import sys
import types
import zipfile
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest

from pyfunc.directory.mlmodel import read_mlmodel_if_any
from pyfunc.env import infer_requirements
from pyfunc.env.inference import entry as inference
from pyfunc.env.inference.entry import infer_or_defaults, requirements_of_modules
from pyfunc.env.inference.model_modules import collect_modules, uses_mlflow_itself
from pyfunc.env.installed.distributions import installed_version
from pyfunc.errors import InvalidArgumentError, ModelIncompleteError

Install = Callable[..., Path]
PANDAS = f"pandas=={installed_version('pandas')}"
NUMPY = f"numpy=={installed_version('numpy')}"
CLOUDPICKLE = f"cloudpickle=={installed_version('cloudpickle')}"


@pytest.fixture
def made(site: Install) -> Install:
    """Return ``site`` with the distribution ``made-lib`` and its module ``made_lib``."""
    folder = site("made_lib", "1.5", files=["made_lib/__init__.py"])
    (folder / "made_lib" / "__init__.py").write_text("class Thing:\n    pass\n")
    return site


def model(tmp_path: Path, **files: str | bytes) -> Path:
    directory = tmp_path / "model"
    directory.mkdir(exist_ok=True)
    for name, content in files.items():
        path = directory / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return directory


def thing() -> bytes:
    """Return a pickle of an object of ``made_lib``."""
    module = types.ModuleType("made_lib")
    kind = type("Thing", (), {"__module__": "made_lib"})
    module.Thing = kind  # type: ignore[attr-defined]
    sys.modules["made_lib"] = module
    try:
        return pickle.dumps(kind())
    finally:
        del sys.modules["made_lib"]


def zipped(**files: bytes | str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_DOT_", "."), content)
    return buffer.getvalue()


def test_an_empty_directory_needs_pandas_only(tmp_path: Path) -> None:
    assert infer_requirements(tmp_path) == [PANDAS]


def test_globals_of_a_pickle(tmp_path: Path) -> None:
    directory = model(tmp_path, model_DOT_pkl=pickle.dumps([np.arange(3), Fraction(1)]))
    assert infer_requirements(directory) == [NUMPY, PANDAS]


SCHEMA = json.dumps({"content": [{"__module__": "made_lib", "__class__": "Thing"}], "x": 1})


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda data: data, id="plain"),
        pytest.param(gzip.compress, id="gzip"),
        pytest.param(bz2.compress, id="bz2"),
        pytest.param(lzma.compress, id="xz"),
        pytest.param(zlib.compress, id="joblib-zlib"),
        pytest.param(lambda data: zipped(archive__data_DOT_pkl=data), id="torch"),
        pytest.param(lambda _: zipped(schema_DOT_json=SCHEMA), id="skops"),
    ],
)
def test_containers_of_pickles(tmp_path: Path, made: Install, wrap: Any) -> None:
    directory = model(tmp_path, data__x_DOT_bin=wrap(thing()))
    assert "made-lib==1.5" in infer_requirements(directory)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x80\x04garbage", id="broken-pickle"),
        pytest.param(b"\x1f\x8bgarbage", id="broken-gzip"),
        pytest.param(b"BZgarbage", id="broken-bz2"),
        pytest.param(b"\xfd7garbage", id="broken-xz"),
        pytest.param(b"x\x9cgarbage", id="broken-zlib"),
        pytest.param(zlib.compress(b"text"), id="zlib-of-text"),
        pytest.param(b"PK\x03\x04garbage", id="broken-zip"),
        pytest.param(zipped(schema_DOT_json="{"), id="broken-schema"),
        pytest.param(zipped(schema_DOT_json="3", other="x"), id="odd-schema"),
        pytest.param(b"just text", id="text"),
    ],
)
def test_other_files_give_nothing(tmp_path: Path, content: bytes) -> None:
    assert infer_requirements(model(tmp_path, x_DOT_bin=content)) == [PANDAS]


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.pkl")
    os.mkfifo(tmp_path / "y.py")
    assert infer_requirements(tmp_path) == [PANDAS]


def test_imports_inside_code_that_came_by_value(tmp_path: Path, made: Install) -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec("def predict(x):\n    import made_lib\n    return made_lib.f(x)", space)
    directory = model(tmp_path, python_model_DOT_pkl=cloudpickle.dumps(space["predict"]))
    found = infer_requirements(directory, explain=True)
    assert [item.line for item in found] == [CLOUDPICKLE, "made-lib==1.5", PANDAS]
    assert found[1].reasons == ("made_lib: in the pickle python_model.pkl",)
    assert str(found[1]) == "made-lib==1.5  # made_lib: in the pickle python_model.pkl"


def test_a_shared_namespace_in_code_that_came_by_value(tmp_path: Path, site: Install) -> None:
    site("ns_a", files=["spaced/a/__init__.py"])
    site("ns_b", files=["spaced/b/__init__.py"])
    space: dict[str, Any] = {"__name__": "__main__"}
    exec("def predict(x):\n    from spaced import b\n    return b.f(x)", space)
    directory = model(tmp_path, python_model_DOT_pkl=cloudpickle.dumps(space["predict"]))
    assert infer_requirements(directory) == [CLOUDPICKLE, "ns-b==1.0", PANDAS]


def test_code_of_another_python_is_judged_by_the_names_it_uses(
    tmp_path: Path, made: Install
) -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec("def predict(x):\n    return x.made_lib", space)
    data = cloudpickle.dumps(space["predict"])
    here = "{}.{}".format(*sys.version_info)
    for version, expected in ((here, False), ("3.7.1", True)):
        text = f"flavors:\n  python_function:\n    python_version: {version!r}\n"
        directory = model(tmp_path, MLmodel=text, python_model_DOT_pkl=data)
        assert ("made-lib==1.5" in infer_requirements(directory)) is expected


def test_imports_of_code_files_but_not_of_the_models_own_modules(
    tmp_path: Path, made: Install
) -> None:
    directory = model(
        tmp_path,
        script_DOT_py="import made_lib\nimport helper\n",
        code__helper_DOT_py="import numpy.random",
        code__pkg____init___DOT_py="from . import made_lib_not",
        artifacts__notes_DOT_py="import packaging",
    )
    assert infer_requirements(directory) == ["made-lib==1.5", NUMPY, PANDAS]


def test_the_loader_module_counts(tmp_path: Path, made: Install) -> None:
    text = "flavors:\n  python_function:\n    loader_module: made_lib.loader\n"
    found = infer_requirements(model(tmp_path, MLmodel=text), explain=True)
    assert found[0].reasons == ("made_lib.loader: the loader module",)


@pytest.mark.parametrize(
    "text", ["flavors: 3", "flavors: {}", "a: [", "flavors:\n  python_function: 1"]
)
def test_a_broken_mlmodel_file_is_survived(tmp_path: Path, text: str) -> None:
    assert infer_requirements(model(tmp_path, MLmodel=text)) == [PANDAS]


def test_local_modules_are_followed(
    tmp_path: Path, made: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project" / "loc_pkg"
    project.mkdir(parents=True)
    (project / "__init__.py").write_text("from .inner import f\nimport os, surely_not_there")
    (project / "inner.py").write_text("from . import other\nfrom made_lib import Thing")
    (project / "other.py").write_text("import loc_pkg.inner, pytest")
    monkeypatch.syspath_prepend(str(project.parent))
    directory = model(tmp_path, script_DOT_py="import loc_pkg")
    found = infer_requirements(directory, explain=True)
    assert [item.line for item in found] == ["made-lib==1.5", PANDAS]
    assert found[0].reasons == ("made_lib.Thing: imported in the local module loc_pkg.inner",)


@pytest.mark.parametrize(
    "name", ["pytest", "hypothesis", "mlflow", "pyfunc", "setuptools", "_pytest"]
)
def test_test_tools_and_the_library_itself_are_never_listed(tmp_path: Path, name: str) -> None:
    assert infer_requirements(model(tmp_path, script_DOT_py=f"import {name}")) == [PANDAS]


def test_what_comes_with_another_requirement_is_left_out(site: Install) -> None:
    site("high", requires=["mid[fast]>=1", "numpy"], files=["high/__init__.py"])
    site("mid", requires=["low; extra == 'fast'", "high"], files=["mid/__init__.py"])
    site("low", files=["low/__init__.py"])
    site("side", requires=["low; extra == 'never'"], files=["side/__init__.py"])
    evidence = {name: {"here"} for name in ("high", "mid", "low", "side", "numpy")}
    found = [item.line for item in requirements_of_modules(evidence)]
    # low comes with high through an extra of mid; high and mid require each other, and one of
    # them has to stay. numpy stays although it comes with high: pickles depend on its version.
    assert found == ["mid==1.0", NUMPY, PANDAS, "side==1.0"]


def test_a_distribution_that_comes_through_an_extra_only_is_listed(site: Install) -> None:
    site("side", requires=["low; extra == 'never'"], files=["side/__init__.py"])
    site("low", files=["low/__init__.py"])
    found = requirements_of_modules({"side": {"x"}, "low": {"y"}})
    assert [item.line for item in found] == ["low==1.0", PANDAS, "side==1.0"]


@pytest.mark.parametrize(
    ("version", "expected"),
    [("2.1.1", ["numpy", "pandas"]), ("2.1.2", ["pandas"]), ("odd", ["pandas"])],
)
def test_an_old_pandas_brings_a_pin_of_numpy(
    monkeypatch: pytest.MonkeyPatch, version: str, expected: list[str]
) -> None:
    monkeypatch.setattr(inference, "installed_version", lambda _: version)
    found = requirements_of_modules({})
    assert [item.line.partition("==")[0] for item in found] == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import mlflow", False),
        ("from mlflow.pyfunc import PythonModel", False),
        ("from mlflow.tracking import MlflowClient", True),
        ("import mlflow.sklearn", True),
        ("import os", False),
    ],
)
def test_use_of_mlflow_beyond_the_stand_ins(tmp_path: Path, source: str, expected: bool) -> None:
    directory = model(tmp_path, script_DOT_py=source)
    assert uses_mlflow_itself(directory, read_mlmodel_if_any(directory)) is expected


def test_our_own_folder_and_bytecode_are_not_looked_at(tmp_path: Path) -> None:
    for name in (".pyfunc", "code/__pycache__"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "x.py").write_text("import packaging")
    assert collect_modules(tmp_path) == {}


def test_defaults_stand_in_for_a_failed_inference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert infer_or_defaults(tmp_path, ["a==1"]) == [PANDAS]

    def fail(_: Path) -> None:
        raise ModelIncompleteError("no such thing")

    monkeypatch.setattr(inference, "collect_modules", fail)
    assert infer_or_defaults(tmp_path, ["a==1"]) == ["a==1"]
    assert "no such thing" in caplog.text
    monkeypatch.setenv("MLFLOW_REQUIREMENTS_INFERENCE_RAISE_ERRORS", "TRUE")
    with pytest.raises(ModelIncompleteError):
        infer_or_defaults(tmp_path, ["a==1"])
    monkeypatch.setenv("MLFLOW_REQUIREMENTS_INFERENCE_RAISE_ERRORS", "maybe")
    with pytest.raises(InvalidArgumentError, match="got 'maybe'"):
        infer_or_defaults(tmp_path, ["a==1"])


def test_modules_seen_by_a_run_are_added(
    tmp_path: Path, made: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "pyfunc.env.inference.observed_run.observe_modules", lambda _: {"made_lib", "os"}
    )
    found = infer_requirements(tmp_path, run=True, explain=True)
    assert found[0].reasons == ("made_lib: imported while predicting",)
