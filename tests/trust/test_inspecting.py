"""What ``inspect`` says of pickles, and ``refresh`` and progress at the front door."""

from __future__ import annotations

import collections
import gzip
import os
import pickle
from pathlib import Path

import pytest

import pyfunc
from pyfunc.errors import ModelIncompleteError, ModelIntegrityError, ModelNotFoundError

SECTION = """\
flavors:
  python_function:
    loader_module: mlflow.pyfunc.model
    python_model: {name}
"""
DATA = collections.OrderedDict(a=1)


def write_model(root: Path, name: str, data: bytes) -> Path:
    root.mkdir()
    (root / "MLmodel").write_text(SECTION.format(name=name))
    (root / name).write_bytes(data)
    return root


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ["python_model.pkl", "unusual.bin"])
def test_pickles_of_every_protocol_are_found(tmp_path: Path, name: str, protocol: int) -> None:
    root = write_model(tmp_path / "m", name, pickle.dumps(DATA, protocol))
    (found,) = pyfunc.inspect(root).pickles
    assert found.path == name
    assert "collections.OrderedDict" in found.globals
    assert found.verdict == "imports-only"


@pytest.mark.parametrize(
    "data",
    [
        # The ids stand here: what gzip writes holds the time at which a worker collects.
        pytest.param(gzip.compress(pickle.dumps(DATA)), id="compressed"),
        pytest.param(b"", id="empty"),
        pytest.param(b"garbage", id="garbage"),
        pytest.param(b"\x80\x04", id="cut-off"),
    ],
)
def test_what_cannot_be_followed_is_unclear_and_not_left_out(tmp_path: Path, data: bytes) -> None:
    root = write_model(tmp_path / "m", "python_model.pkl", data)
    (found,) = pyfunc.inspect(root).pickles
    assert found.verdict == "unclear"


def test_code_by_value_is_said(tmp_path: Path) -> None:
    pyfunc.save_model(tmp_path / "m", python_model=lambda model_input: 1, pip_requirements=[])
    (found,) = pyfunc.inspect(tmp_path / "m").pickles
    assert found.verdict == "contains-code"


def test_refresh_declares_the_files_right(tmp_path: Path) -> None:
    pyfunc.save_model(tmp_path / "m", python_model=lambda model_input: 1, pip_requirements=[])
    (tmp_path / "m" / "requirements.txt").write_text("numpy\n")
    with pytest.raises(ModelIntegrityError, match=r"call pyfunc\.refresh"):
        pyfunc.verify(tmp_path / "m")
    seen: list[tuple[int, int]] = []
    manifest = pyfunc.refresh(
        str(tmp_path / "m"), progress=lambda done, total: seen.append((done, total))
    )
    assert pyfunc.verify(tmp_path / "m") == manifest
    total = sum(entry.size for entry in manifest.files.values())
    assert seen[-1] == (total, total)


def test_refresh_needs_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        pyfunc.refresh(tmp_path / "nothing")
    with pytest.raises(ModelIncompleteError):
        pyfunc.refresh(tmp_path)


@pytest.mark.parametrize("trust", ["full", "digest"])
def test_loading_reports_its_progress(tmp_path: Path, trust: str) -> None:
    (tmp_path / "large").write_bytes(os.urandom(9 << 20))
    pyfunc.save_model(
        tmp_path / "m",
        python_model=lambda model_input: 1,
        artifacts={"a": str(tmp_path / "large")},
        pip_requirements=[],
    )
    seen: list[tuple[int, int]] = []
    pyfunc.load_model(
        tmp_path / "m",
        trust=trust,  # type: ignore[arg-type]
        expected_digest=pyfunc.verify(tmp_path / "m").digest,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert len(seen) >= 9
    assert seen[-1][0] == seen[-1][1] > 9 << 20


def test_a_large_mlmodel_is_refused_before_it_is_read(tmp_path: Path) -> None:
    root = write_model(tmp_path / "m", "python_model.pkl", b"")
    with (root / "MLmodel").open("r+b") as file:
        file.truncate(1 << 40)  # sparse; reading it all would end this process
    for read in (pyfunc.load_model, pyfunc.Model.load):
        with pytest.raises(pyfunc.ModelFormatError, match="larger than"):
            read(root)
