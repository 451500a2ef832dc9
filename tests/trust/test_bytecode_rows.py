"""Bytecode in a model is neither read nor written (reliability 4.2, M4 and M5)."""

from __future__ import annotations

import importlib.util
import os
import py_compile
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pyfunc
from pyfunc.errors import ModelIntegrityError, PyfuncError

LOADER = """
import helper

class Model:
    def predict(self, data):
        return helper.ANSWER

def _load_pyfunc(path):
    return Model()
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "own_loader.py").write_text(LOADER)
    (tmp_path / "helper.py").write_text("ANSWER = 'source'\n")
    pyfunc.save_model(
        tmp_path / "model",
        loader_module="own_loader",
        code_paths=[str(tmp_path / "own_loader.py"), str(tmp_path / "helper.py")],
        pip_requirements=[],
    )
    return tmp_path / "model"


def plant(source: Path) -> Path:
    """Put bytecode beside ``source`` that Python would run without looking at the source."""
    other = source.with_name("other.py")
    other.write_text("ANSWER = 'planted'\n")
    target = importlib.util.cache_from_source(str(source))
    py_compile.compile(
        str(other), cfile=target, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    other.unlink()
    return Path(target)


def answer(model: Path, **options: Any) -> object:
    return pyfunc.load_model(model, suppress_warnings=True, **options).predict(None)


class TestM4:
    """Bytecode that was planted beside a checked source."""

    def test_python_itself_would_run_it(self, model: Path) -> None:
        plant(model / "code" / "helper.py")
        finished = subprocess.run(
            [sys.executable, "-B", "-c", "import helper; print(helper.ANSWER)"],
            env={"PYTHONPATH": str(model / "code")},
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        assert finished.stdout == "planted\n"

    def test_it_is_refused(self, model: Path) -> None:
        planted = plant(model / "code" / "helper.py")
        with pytest.raises(ModelIntegrityError, match="remove code/__pycache__") as caught:
            answer(model)
        assert caught.value.extra == (planted.relative_to(model).as_posix(),)

    @pytest.mark.parametrize("way", ["listed", "skipped", "no-manifest"])
    def test_where_it_is_not_refused_the_source_runs(self, model: Path, way: str) -> None:
        plant(model / "code" / "helper.py")
        if way == "listed":
            pyfunc.refresh(model)
        elif way == "no-manifest":
            (model / ".pyfunc" / "manifest.json").unlink()
        assert answer(model, verify="skip" if way == "skipped" else "auto") == "source"

    def test_it_is_no_module_without_its_source(self, model: Path) -> None:
        planted = plant(model / "code" / "helper.py")
        planted.rename(model / "code" / "helper.pyc")
        (model / "code" / "helper.py").unlink()
        pyfunc.refresh(model)
        with pytest.raises(PyfuncError, match="helper"):
            answer(model)


LOADING = """
import sys
import pyfunc
assert not sys.dont_write_bytecode
print(pyfunc.load_model(sys.argv[1]).predict(None))
"""


class TestM5:
    """Loads of our own in a process that may write bytecode."""

    def test_the_second_load_still_verifies(self, model: Path) -> None:
        before = sorted(model.rglob("*"))
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        for _ in range(2):
            finished = subprocess.run(
                [sys.executable, "-c", LOADING, str(model)],
                env=kept, capture_output=True, text=True, check=True, timeout=60,
            )  # fmt: skip
            assert finished.stdout == "source\n"
            assert sorted(model.rglob("*")) == before
            pyfunc.verify(model)
