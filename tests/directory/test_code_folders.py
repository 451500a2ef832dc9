"""Where an extra file is code that loading may run, whatever ``extra`` says."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

import pyfunc
from pyfunc.directory.verification import verify_files, write_manifest
from pyfunc.errors import ModelIntegrityError, PyfuncWarning

SECTION = "flavors:\n  python_function:\n    loader_module: x\n"
FILES = {
    "sources/module.py": "VALUE = 1",
    "elsewhere/script.py": "",
    "weights/part.bin": "",
}


def write_model(root: Path, mlmodel: str | None, *, below: str = "") -> Path:
    for name, text in FILES.items():
        (root / below / name).parent.mkdir(parents=True, exist_ok=True)
        (root / below / name).write_text(text)
    if mlmodel is not None:
        (root / below / "MLmodel").write_text(mlmodel)
    write_manifest(root)
    return root


def is_tolerated(root: Path, name: str, extra: Literal["warn", "ignore"] = "ignore") -> bool:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("")
    try:
        pyfunc.verify(root, extra=extra)
    except ModelIntegrityError as error:
        return error.extra != (name,)
    finally:
        (root / name).unlink()
    return True


@pytest.mark.parametrize(
    ("mlmodel", "name", "tolerated"),
    [
        pytest.param(f"{SECTION}    code: sources\n", "sources/x.py", False, id="named"),
        pytest.param(f"{SECTION}    code: sources\n", "sources/deep/x.txt", False, id="deep"),
        pytest.param(f"{SECTION}    code: ./sources\n", "sources/x.py", False, id="dot"),
        pytest.param(f"{SECTION}    code: sources\n", "sources2/x.py", True, id="longer-name"),
        pytest.param(f"{SECTION}    code: sources\n", "weights/x.py", True, id="elsewhere"),
        pytest.param(f"{SECTION}    code: sources\n", "x.txt", True, id="top"),
        pytest.param(f"{SECTION}    code: sources\n", "code/x.py", False, id="usual-name"),
        pytest.param(SECTION, "sources/x.py", True, id="not-named"),
        pytest.param(
            "flavors:\n  sklearn:\n    code: sources\n", "sources/x.py", False, id="other-flavor"
        ),
        pytest.param(
            "flavors:\n  request_handler:\n    project: sources\n",
            "sources/x.py",
            False,
            id="handler",
        ),
        pytest.param(f"{SECTION}    code: caf\u0065\u0301\n", "caf\u00e9/x.py", False, id="nfc"),
        pytest.param("a: [", "sources/x.txt", False, id="unreadable"),
        pytest.param("a: [", "elsewhere/x.txt", False, id="unreadable-other"),
        pytest.param("a: [", "new/x.py", False, id="unreadable-new-code"),
        pytest.param("a: [", "weights/x.txt", True, id="unreadable-data"),
        pytest.param(None, "sources/x.txt", False, id="missing"),
        pytest.param(f"{SECTION}    code: ../out\n", "sources/x.txt", False, id="outside"),
        pytest.param(f"{SECTION}    code: [1]\n", "sources/x.txt", False, id="no-path"),
    ],
)
def test_an_extra_file_counts_where_code_is_imported_from(
    tmp_path: Path, mlmodel: str | None, name: str, tolerated: bool
) -> None:
    root = write_model(tmp_path / "model", mlmodel)
    assert is_tolerated(root, name) is tolerated
    if not tolerated:
        assert not is_tolerated(root, name, "warn")
    else:
        with pytest.warns(PyfuncWarning, match="not in the manifest"):
            assert is_tolerated(root, name, "warn")


def test_code_of_a_model_inside_the_model_counts(tmp_path: Path) -> None:
    root = write_model(tmp_path, f"{SECTION}    code: sources\n", below="artifacts/model")
    (root / "MLmodel").write_text(SECTION)
    write_manifest(root)
    assert not is_tolerated(root, "artifacts/model/sources/x.py")
    assert is_tolerated(root, "artifacts/model/weights/x.py")
    assert is_tolerated(root, "sources/x.py")


def test_a_script_at_the_top_protects_all_where_mlmodel_cannot_be_read(tmp_path: Path) -> None:
    root = write_model(tmp_path, "a: [")
    (root / "script.py").write_text("")
    write_manifest(root)
    assert not is_tolerated(root, "weights/x.txt")


def test_the_code_folder_of_a_saved_handler_counts(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text("def pre_inference(sample, signature, metadata): ...\n")
    pyfunc.save_model(
        tmp_path / "model",
        python_model=lambda model_input: model_input,
        pip_requirements=["numpy"],
        handler=tmp_path / "handler.py",
    )
    assert not is_tolerated(tmp_path / "model", "project/x.py")
    assert is_tolerated(tmp_path / "model", "notes.txt")
    verify_files(tmp_path / "model")
