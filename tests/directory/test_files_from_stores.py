"""Models as people and stores hand them on: what is added beside them, and spellings of paths."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import pyfunc
from pyfunc.errors import ModelIntegrityError

LOADER = """
class Model:
    def __init__(self, path):
        self.path = path

    def predict(self, data):
        return [self.path, *data]

def _load_pyfunc(path):
    return Model(path)
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    (folder / "own_loader.py").write_text(LOADER)
    (folder / "w.txt").write_text("words")
    (folder / "src").mkdir()
    (folder / "src" / "helper.py").write_text("VALUE = 5\n")

    class Reader(pyfunc.PythonModel):
        def load_context(self, context: Any) -> None:
            self.text = Path(context.artifacts["w"]).read_text()

        def predict(self, model_input: Any) -> Any:
            import helper

            return [self.text, helper.VALUE]

    pyfunc.save_model(
        folder / "model",
        python_model=Reader(),
        artifacts={"w": folder / "w.txt"},
        code_paths=[str(folder / "src" / "helper.py")],
        pip_requirements=[],
    )
    return folder / "model"


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    shutil.copytree(saved, tmp_path / "model")
    return tmp_path / "model"


def add(model: Path, name: str, text: str = "added: 1\n") -> None:
    (model / name).parent.mkdir(parents=True, exist_ok=True)
    (model / name).write_text(text)


ADDED = [
    "registered_model_meta",
    "environment_variables.txt",
    "README.md",
    ".gitattributes",
    ".gitignore",
    ".DS_Store",
    ".msc",
    ".mv",
    "metadata/MLmodel",
    "metadata/conda.yaml",
    ".cache/huggingface/download/MLmodel.metadata",
    ".huggingface/x",
    "._____temp/part",
    "__pycache__/x.cpython-311.pyc",
]


@pytest.mark.parametrize("name", ADDED)
def test_what_a_store_adds_beside_a_model_is_passed_over(
    model: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    digest = pyfunc.verify(model).digest
    add(model, name)
    caplog.set_level("INFO", logger="pyfunc.files")
    for verify in ("auto", "require"):
        assert pyfunc.load_model(model, verify=verify).predict([1]) == ["words", 5]
    assert name in caplog.text
    assert pyfunc.verify(model).digest == digest
    loaded = pyfunc.load_model(model, trust="digest", expected_digest=digest)
    assert loaded.predict([1]) == ["words", 5]
    assert pyfunc.inspect(model).integrity == "verified"


@pytest.mark.parametrize(
    "name",
    [
        "registered_model_metas",
        "other.txt",
        "sub/registered_model_meta",
        "code/registered_model_meta",
        "code/README.md",
        "code/__pycache__/helper.cpython-311.pyc",
        "artifacts/README.md",
        "artifacts/.DS_Store",
        "metadata.txt",
        "README.md/x",
        ".pyfunc/README.md",
    ],
)
def test_anything_else_that_was_not_saved_is_refused(model: Path, name: str) -> None:
    add(model, name)
    with pytest.raises(ModelIntegrityError) as caught:
        pyfunc.load_model(model)
    assert caught.value.extra == (name,)
    with pytest.raises(ModelIntegrityError):
        pyfunc.verify(model)


def test_a_folder_of_the_model_itself_takes_no_additions(tmp_path: Path) -> None:
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "own.txt").write_text("mine")
    model = tmp_path / "model"
    pyfunc.save_model(
        model, python_model=len, artifacts={"m": tmp_path / "metadata"}, pip_requirements=[]
    )
    change(model, "artifacts", {"m": {"path": "metadata"}})
    (model / "artifacts" / "metadata").rename(model / "metadata")
    pyfunc.refresh(model)
    add(model, "registered_model_meta")
    pyfunc.load_model(model)
    add(model, "metadata/MLmodel")
    with pytest.raises(ModelIntegrityError):
        pyfunc.load_model(model)


def change(model: Path, key: str, value: object) -> None:
    content = yaml.safe_load((model / "MLmodel").read_text())
    content["flavors"]["python_function"][key] = value
    (model / "MLmodel").write_text(yaml.safe_dump(content))


@pytest.mark.parametrize("spelled", [".", "./", "code/..", "./.", ".\\"])
def test_a_model_whose_code_is_its_directory_takes_no_additions(model: Path, spelled: str) -> None:
    (model / "code" / "helper.py").rename(model / "helper.py")
    change(model, "code", spelled)
    pyfunc.refresh(model)
    assert pyfunc.load_model(model).predict([1]) == ["words", 5]
    add(model, "README.md")
    with pytest.raises(ModelIntegrityError):
        pyfunc.load_model(model)
    (model / "README.md").unlink()
    add(model, "other.py")
    with pytest.raises(ModelIntegrityError):
        pyfunc.verify(model, extra="ignore")


@pytest.mark.parametrize(
    "spelled",
    ["code", "code/", "./code", "code//", "code/.", "artifacts/../code", "code\\", ".\\code"],
)
@pytest.mark.parametrize("verify", ["require", "skip"])
def test_spellings_of_a_folder_of_code(model: Path, spelled: str, verify: Any) -> None:
    change(model, "code", spelled)
    pyfunc.refresh(model)
    assert pyfunc.load_model(model, verify=verify).predict([1]) == ["words", 5]
    add(model, "code/other.py")
    with pytest.raises(ModelIntegrityError):
        pyfunc.verify(model, extra="ignore")


@pytest.mark.parametrize(
    "spelled",
    [
        "artifacts/w.txt",
        "artifacts\\w.txt",
        ".\\artifacts\\w.txt",
        "artifacts\\..\\artifacts\\w.txt",
    ],
)
def test_paths_of_artifacts_that_windows_wrote(model: Path, spelled: str) -> None:
    change(model, "artifacts", {"w": {"path": spelled, "uri": "C:\\data\\w.txt"}})
    pyfunc.refresh(model)
    for check in ("require", "skip"):
        assert pyfunc.load_model(model, verify=check).predict([1]) == ["words", 5]


def test_the_command_takes_a_model_out_of_a_registry(model: Path) -> None:
    add(model, "registered_model_meta", "model_name: m\nmodel_version: '1'\n")
    for command in ("verify", "inspect"):
        run = [sys.executable, "-m", "pyfunc", command, str(model)]
        done = subprocess.run(run, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
