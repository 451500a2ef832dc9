"""What stores add to a saved model is told and harms nothing; in the model's folders it counts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import pyfunc
from pyfunc.schema import ColSpec, ModelSignature, Schema, set_signature

ADDED = [
    "registered_model_meta",
    "environment_variables.txt",
    "README.md",
    ".gitattributes",
    ".gitignore",
    ".DS_Store",
    "__pycache__/script.cpython-311.pyc",
    "metadata/MLmodel",
    "metadata/conda.yaml",
    ".cache/huggingface/download/MLmodel.metadata",
    ".huggingface/download/x.lock",
    "._____temp/weights.bin",
    ".msc",
    ".mv",
]
FOLDERS = ["code", "artifacts", "data", "artifacts/deep"]
OTHERS = [
    "registered_model_meta.py",
    "readme.md",
    "notes/README.md",
    "evil.py",
    "metadata.txt",
]


class Reader(pyfunc.PythonModel):
    def load_context(self, context: pyfunc.PythonModelContext) -> None:
        self.text = Path(context.artifacts["words"]).read_text()

    def predict(self, context: pyfunc.PythonModelContext, model_input: Any) -> str:
        import module_of_the_model

        return self.text + str(module_of_the_model.VALUE)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    code = tmp_path / "module_of_the_model.py"
    code.write_text("VALUE = 1\n")
    words = tmp_path / "words.txt"
    words.write_text("word")
    path = tmp_path / "model"
    pyfunc.save_model(
        path,
        python_model=Reader(),
        artifacts={"words": words},
        code_paths=[str(code)],
        pip_requirements=["pandas"],
    )
    return path


def add(model: Path, name: str) -> None:
    file = model / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("flavors: {}\n" if name.endswith("MLmodel") else "added")


@pytest.mark.parametrize("name", ADDED)
def test_what_a_store_adds_is_told_and_never_refused(model: Path, name: str) -> None:
    digest = pyfunc.verify(model).digest
    add(model, name)
    loaded = pyfunc.load_model(model, verify="require", trust="digest", expected_digest=digest)
    assert loaded.predict([1]) == "word1"
    assert pyfunc.verify(model).digest == digest
    found = pyfunc.inspect(model)
    assert (found.integrity, found.additions) == ("verified", (name,))
    assert f"added by a store: {name}" in str(found)


def test_the_command_tells_it(model: Path) -> None:
    add(model, "registered_model_meta")
    command = [sys.executable, "-m", "pyfunc", "verify", str(model)]
    plain = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "added by a store: registered_model_meta" in plain.stdout
    told = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(told.stdout)["additions"] == ["registered_model_meta"]


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("name", ["README.md", ".DS_Store", "__pycache__/x.pyc"])
def test_in_a_folder_of_the_model_it_counts(model: Path, folder: str, name: str) -> None:
    if folder == "data":
        (model / "data").mkdir()
        (model / "data" / "weights").write_text("w")
        pyfunc.refresh(model)
    add(model, f"{folder}/{name}")
    with pytest.raises(pyfunc.ModelIntegrityError) as caught:
        pyfunc.load_model(model)
    assert caught.value.extra == (f"{folder}/{name}",)


@pytest.mark.parametrize("name", OTHERS)
def test_what_no_store_adds_is_refused(model: Path, name: str) -> None:
    add(model, name)
    with pytest.raises(pyfunc.ModelIntegrityError) as caught:
        pyfunc.load_model(model)
    assert caught.value.extra == (name,)


def test_a_code_folder_of_a_known_name_is_no_addition(model: Path) -> None:
    mlmodel = model / "MLmodel"
    mlmodel.write_text(mlmodel.read_text().replace("code: code", "code: metadata"))
    (model / "code").rename(model / "metadata")
    pyfunc.refresh(model)
    add(model, "metadata/other.py")
    with pytest.raises(pyfunc.ModelIntegrityError, match=r"extra: metadata/other\.py"):
        pyfunc.load_model(model)


def test_an_empty_code_folder_of_a_known_name_is_no_addition(model: Path) -> None:
    mlmodel = model / "MLmodel"
    mlmodel.write_text(mlmodel.read_text().replace("code: code", "code: metadata"))
    pyfunc.refresh(model)
    add(model, "metadata/module_of_the_model.py")
    with pytest.raises(pyfunc.ModelIntegrityError, match=r"extra: metadata/module_of_the_model"):
        pyfunc.load_model(model)


def test_a_file_that_was_saved_under_such_a_name_is_still_checked(model: Path) -> None:
    add(model, "README.md")
    pyfunc.refresh(model)
    (model / "README.md").write_text("other")
    with pytest.raises(pyfunc.ModelIntegrityError, match=r"modified after save: README\.md"):
        pyfunc.load_model(model)


def test_a_manifest_never_has_what_the_next_download_writes_anew(model: Path) -> None:
    add(model, "registered_model_meta")
    pyfunc.refresh(model)
    (model / "registered_model_meta").write_text("model_version: '2'\n")
    assert pyfunc.inspect(model).integrity == "verified"


@pytest.fixture
def keys(tmp_path: Path) -> Callable[[str], Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "private").write_bytes(private)
    (tmp_path / "public").write_bytes(public)
    return tmp_path.joinpath


def test_a_signature_holds_beside_what_a_store_adds(
    model: Path, keys: Callable[[str], Path]
) -> None:
    pyfunc.sign(model, private_key=keys("private"))
    add(model, "registered_model_meta")
    loaded = pyfunc.load_model(model, trust="signature", public_key=keys("public"))
    assert loaded.predict([1]) == "word1"
    pyfunc.sign(model, private_key=keys("private"))
    (model / "registered_model_meta").unlink()
    pyfunc.verify(model, public_key=keys("public"))
    add(model, "evil.py")
    with pytest.raises(pyfunc.UntrustedModelError):
        pyfunc.verify(model, public_key=keys("public"))


def test_a_model_with_an_addition_can_be_changed(model: Path) -> None:
    add(model, "registered_model_meta")
    set_signature(model, ModelSignature(Schema([ColSpec("double", "a")])))
    assert pyfunc.inspect(model).integrity == "verified"
