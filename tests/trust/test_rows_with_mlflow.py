"""What real MLflow does with our models, and what we say afterwards (M3, M4, M10, M13, T6)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import pyfunc
from pyfunc.errors import ModelIntegrityError

pytestmark = pytest.mark.interop

FRAME = pd.DataFrame({"text": ["x"]})
USING = Path(__file__).with_name("use_with_mlflow.py")


class Used:
    """Models after MLflow had them, and what MLflow reported."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "helper.py").write_text("def upper(text):\n    return text.upper()\n")
        sys.path.insert(0, str(folder))
        try:
            pyfunc.save_model(
                folder / "model",
                python_model=shouting(),
                code_paths=[str(folder / "helper.py")],
                # MLflow changes no list with a comment, such as ours of a development install.
                pip_requirements=["mlflow", "cloudpickle"],
            )
        finally:
            sys.path.remove(str(folder))
        key = ec.generate_private_key(ec.SECP256R1())
        pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        (folder / "key.pem").write_bytes(
            key.private_bytes(pem, private, serialization.NoEncryption())
        )
        public = serialization.PublicFormat.SubjectPublicKeyInfo
        (folder / "key.pub").write_bytes(key.public_key().public_bytes(pem, public))
        pyfunc.sign(folder / "model", private_key=folder / "key.pem")
        finished = subprocess.run(
            [sys.executable, str(USING), str(folder)],
            env={**os.environ, "MLFLOW_ALLOW_FILE_STORE": "true"},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        lines = [line for line in finished.stdout.splitlines() if line.startswith("REPORT ")]
        assert lines, finished.stderr[-4000:]
        self.report: dict[str, Any] = json.loads(lines[-1].removeprefix("REPORT "))


def shouting() -> pyfunc.PythonModel:
    class Shouting(pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> list[str]:
            import helper

            return [helper.upper(text) for text in model_input["text"]]

    return Shouting()


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Used:
    return Used(tmp_path_factory.mktemp("used"))


def load(path: Path | str, **options: Any) -> pyfunc.PyFuncModel:
    return pyfunc.load_model(path, suppress_warnings=True, **options)


class TestM13:
    """MLflow loads, copies and logs our model, and keeps what it does not know."""

    def test_it_loads_and_predicts(self, used: Used) -> None:
        assert used.report["predicted"] == ["X"]
        assert used.report["logged_predicted"] == ["X"]

    @pytest.mark.parametrize("way", ["fetched", "logged"])
    def test_copies_verify_with_manifest_and_signature(self, used: Used, way: str) -> None:
        copied = used.report[way]
        assert (Path(copied) / ".pyfunc" / "manifest.json").is_file()
        digest = pyfunc.verify(used.folder / "model").digest
        assert pyfunc.verify(copied).digest == digest
        model = load(copied, trust="digest", expected_digest=digest)
        assert model.predict(FRAME) == ["X"]

    @pytest.mark.parametrize("way", ["fetched", "logged"])
    def test_t6_the_signature_is_kept_and_holds(self, used: Used, way: str) -> None:
        key = used.folder / "key.pub"
        pyfunc.verify(used.report[way], public_key=key)
        model = load(used.report[way], trust="signature", public_key=key)
        assert model.predict(FRAME) == ["X"]


class TestM3:
    """Bytecode that MLflow leaves in the model."""

    def test_it_is_reported_with_what_to_do(self, used: Used, tmp_path: Path) -> None:
        shutil.copytree(used.folder / "loaded", tmp_path / "m")
        with pytest.raises(ModelIntegrityError) as caught:
            load(tmp_path / "m")
        assert [name.rpartition("/")[0] for name in caught.value.extra] == ["code/__pycache__"]
        assert "left bytecode" in str(caught.value)
        assert "remove code/__pycache__" in str(caught.value)
        shutil.rmtree(tmp_path / "m" / "code" / "__pycache__")
        assert load(tmp_path / "m").predict(FRAME) == ["X"]

    def test_m4_it_is_not_run_after_a_refresh(self, used: Used, tmp_path: Path) -> None:
        shutil.copytree(used.folder / "loaded", tmp_path / "m")
        (compiled,) = (tmp_path / "m" / "code" / "__pycache__").glob("*.pyc")
        compiled.write_bytes(compiled.read_bytes().replace(b"upper", b"lower"))
        pyfunc.refresh(tmp_path / "m")
        assert load(tmp_path / "m").predict(FRAME) == ["X"]


class TestM10:
    """MLflow changes a file on purpose."""

    @pytest.mark.parametrize(
        ("name", "changed"),
        [("signature_set", {"MLmodel"}), ("requirements_changed", {"requirements.txt"})],
    )
    def test_what_it_changed_is_named_and_can_be_declared_right(
        self, used: Used, tmp_path: Path, name: str, changed: set[str]
    ) -> None:
        shutil.copytree(used.folder / name, tmp_path / "m")
        shutil.rmtree(tmp_path / "m" / "code" / "__pycache__", ignore_errors=True)
        for read in (pyfunc.verify, load):
            with pytest.raises(ModelIntegrityError, match=r"call pyfunc\.refresh") as caught:
                read(tmp_path / "m")
            assert changed <= set(caught.value.modified)
            assert set(caught.value.modified) <= {"MLmodel", "requirements.txt", "conda.yaml"}
            assert not caught.value.missing
            assert not caught.value.extra
        manifest = pyfunc.refresh(tmp_path / "m")
        assert pyfunc.verify(tmp_path / "m") == manifest
        assert load(tmp_path / "m", verify="require").predict(FRAME) == ["X"]

    def test_mlflow_goes_on_loading_it(self, used: Used) -> None:
        assert used.report["after_set_signature"] == ["X"]
