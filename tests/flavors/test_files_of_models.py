"""Files that cannot be what they are called: pointers of Git LFS, and formats that are gone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyfunc
from pyfunc.errors import ModelFormatError, ModelIncompleteError, ModelIntegrityError

POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)
DATA = np.arange(24.0).reshape(8, 3)
TARGET = np.array([0, 1, 0, 1, 2, 1, 0, 2])


def xgboost_model(path: Path) -> None:
    import xgboost

    model = xgboost.XGBRegressor(n_estimators=2).fit(DATA, TARGET)
    pyfunc.flavors.xgboost.save_model(model, path, pip_requirements=[])


def sklearn_model(path: Path) -> None:
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit(DATA, TARGET)
    pyfunc.flavors.sklearn.save_model(model, path, pip_requirements=[])


def python_model(path: Path) -> None:
    (path.parent / "artifact.bin").write_bytes(b"x" * 2000)
    (path.parent / "helper.py").write_text("VALUE = 1\n")
    pyfunc.save_model(
        path,
        python_model=len,
        artifacts={"a": path.parent / "artifact.bin"},
        code_paths=[str(path.parent / "helper.py")],
        pip_requirements=[],
    )


FILES = [
    pytest.param(xgboost_model, "model.ubj", id="xgboost"),
    pytest.param(sklearn_model, "model.skops", id="skops"),
    pytest.param(python_model, "python_model.pkl", id="pickle"),
    pytest.param(python_model, "artifacts/artifact.bin", id="artifact"),
    pytest.param(python_model, "MLmodel", id="MLmodel"),
]


@pytest.mark.parametrize(("save", "name"), FILES)
@pytest.mark.parametrize("manifest", [True, False])
def test_a_pointer_of_git_lfs_is_named_as_such(
    tmp_path: Path, save: Any, name: str, manifest: bool
) -> None:
    model = tmp_path / "model"
    save(model)
    (model / name).write_text(POINTER)
    if not manifest:
        shutil.rmtree(model / ".pyfunc")
    expected = ModelIntegrityError if manifest else (ModelIncompleteError, ModelFormatError)
    with pytest.raises(expected) as caught:
        pyfunc.load_model(model)
    assert name in str(caught.value)
    assert "pointer of Git LFS" in str(caught.value)
    assert "git lfs pull" in caught.value.hint
    run = [sys.executable, "-m", "pyfunc", "predict", str(model)]
    done = subprocess.run(
        run, input='{"inputs": [[1]]}', capture_output=True, text=True, check=False
    )
    assert done.returncode in (3, 4)
    assert "git lfs pull" in done.stderr


@pytest.mark.parametrize(
    "content",
    [b"binf" + b"\0" * 200, b"\0\0\0?\x04\0\0\0" + b"\0" * 300, b"bs64\tAAAA"],
    ids=["with-a-header", "plain", "base64"],
)
@pytest.mark.parametrize("kind", ["Booster", "XGBRegressor"])
def test_the_binary_format_of_old_releases_is_named_as_such(
    tmp_path: Path, content: bytes, kind: str
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.xgb").write_bytes(content)
    section = f"model_class: xgboost.{'core' if kind == 'Booster' else 'sklearn'}.{kind}"
    (model / "MLmodel").write_text(
        "flavors:\n  python_function: {loader_module: mlflow.xgboost, data: model.xgb}\n"
        f"  xgboost:\n    data: model.xgb\n    model_format: xgb\n    {section}\n"
    )
    with pytest.raises(ModelIncompleteError) as caught:
        pyfunc.load_model(model)
    assert "binary format of old releases" in caught.value.hint
    assert "xgboost<3.1" in caught.value.hint
    (model / "model.xgb").write_bytes(b'{"learner": ')
    with pytest.raises(ModelIncompleteError) as caught:
        pyfunc.load_model(model)
    assert "old releases" not in str(caught.value)


@pytest.mark.parametrize("written", ["skops", "cloudpickle"])
def test_a_ranker_is_saved_and_loaded(tmp_path: Path, written: Any) -> None:
    import lightgbm

    model = lightgbm.LGBMRanker(n_estimators=2, min_child_samples=1, verbose=-1)
    model.fit(DATA, TARGET, group=[4, 4])
    pyfunc.flavors.lightgbm.save_model(
        model, tmp_path / "model", serialization_format=written, pip_requirements=[]
    )
    loaded = pyfunc.load_model(tmp_path / "model")
    assert np.array_equal(loaded.predict(DATA), np.asarray(model.predict(DATA)))
    native = pyfunc.flavors.lightgbm.load_model(tmp_path / "model")
    assert type(native) is lightgbm.LGBMRanker
