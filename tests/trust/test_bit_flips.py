"""Random changes of a saved model: none is loaded silently, none crashes (reliability M1)."""

from __future__ import annotations

import os
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import pyfunc
from pyfunc.errors import ModelFormatError, ModelIntegrityError, PyfuncError

FLIPS = int(os.environ.get("PYFUNC_FLIPS", "2000"))

MODEL = """
class Model(PythonModel):
    def predict(self, context, model_input, params=None):
        from package import VALUE
        with open(context.artifacts["text"]) as file:
            return [VALUE, file.read()]
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("flips")
    (base / "package").mkdir()
    (base / "package/__init__.py").write_text("VALUE = 1\n")
    (base / "text").write_text("text " * 100)
    scope: dict[str, Any] = {"__name__": "__main__", "PythonModel": pyfunc.PythonModel}
    exec(MODEL, scope)
    pyfunc.save_model(
        base / "model",
        python_model=scope["Model"](),
        artifacts={"text": str(base / "text")},
        code_paths=[str(base / "package")],
        pip_requirements=["numpy"],
    )
    return base / "model"


def find_files(model: Path) -> list[Path]:
    return sorted(path for path in model.rglob("*") if path.is_file() and path.stat().st_size)


def load_is_silent(model: Path) -> bool:
    with suppress(ModelIntegrityError, ModelFormatError):
        pyfunc.load_model(model, suppress_warnings=True).close()
        return True
    return False


def test_the_model_is_sound(model: Path) -> None:
    loaded = pyfunc.load_model(model, suppress_warnings=True)
    assert loaded.predict([1]) == [1, "text " * 100]
    loaded.close()
    assert len(find_files(model)) >= 8


def test_every_flipped_bit_is_found(model: Path) -> None:
    files = find_files(model)
    chance = random.Random(10)
    silent = []
    for _ in range(FLIPS):
        path = chance.choice(files)
        data = path.read_bytes()
        bit = chance.randrange(len(data) * 8)
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        if load_is_silent(model):
            silent.append((path.relative_to(model).as_posix(), bit))
        path.write_bytes(data)
    assert silent == []
    assert load_is_silent(model)


@pytest.mark.parametrize("change", ["truncate", "empty", "append", "swap", "remove", "link"])
def test_every_other_change_of_a_file_is_found(model: Path, change: str, tmp_path: Path) -> None:
    files = find_files(model)
    for path, other in zip(files, files[1:] + files[:1], strict=True):
        if change == "remove" and path.name == "manifest.json":
            continue  # such a model is one without a manifest
        data = path.read_bytes()
        if change == "truncate":
            os.truncate(path, len(data) - 1)
        elif change == "empty":
            os.truncate(path, 0)
        elif change == "append":
            path.write_bytes(data + b"\0")
        elif change == "swap":
            path.write_bytes(other.read_bytes())
        else:
            path.unlink()
        if change == "link":
            (tmp_path / "same").write_bytes(data)
            path.symlink_to(tmp_path / "same")
        with pytest.raises(PyfuncError):
            pyfunc.load_model(model, suppress_warnings=True)
        path.unlink(missing_ok=True)
        path.write_bytes(data)
    assert load_is_silent(model)
