"""The environment of a peer is made once, and that it cannot be made is told."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from benchmarks.peers import Peer, make_environment


def build_wheel(folder: Path) -> Path:
    path = folder / "rival-1.5-py3-none-any.whl"
    about = "rival-1.5.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("rival.py", "ANSWER = 42\n")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: rival\nVersion: 1.5\n")
        tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{about}/WHEEL", tags)
        wheel.writestr(f"{about}/RECORD", "")
    return path


def test_an_environment_is_made_once_and_has_what_was_required(tmp_path: Path) -> None:
    peer = Peer("rival", (str(build_wheel(tmp_path)),), (("Rival", "rival"),))
    python = make_environment(peer, tmp_path / "kept")
    said = subprocess.check_output([python, "-c", "import rival; print(rival.ANSWER)"])
    assert said == b"42\n"
    assert peer.versions(tmp_path / "kept") == {"Rival": "1.5"}
    (tmp_path / "rival-1.5-py3-none-any.whl").unlink()  # nothing is installed again
    assert make_environment(peer, tmp_path / "kept") == python


def test_one_that_was_not_finished_is_made_anew(tmp_path: Path) -> None:
    peer = Peer("rival", (str(build_wheel(tmp_path)),), ())
    python = make_environment(peer, tmp_path / "kept")
    place = python.parents[1]
    (place / "complete").unlink()
    (place / "half").touch()
    assert make_environment(peer, tmp_path / "kept") == python
    assert not (place / "half").exists()


def test_other_requirements_have_an_environment_of_their_own(tmp_path: Path) -> None:
    wheel = str(build_wheel(tmp_path))
    one = make_environment(Peer("rival", (wheel,), ()), tmp_path / "kept")
    assert make_environment(Peer("rival", (), ()), tmp_path / "kept") != one


def test_what_cannot_be_installed_is_told_by_what_the_installer_said(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing-1.0-py3-none-any.whl")
    with pytest.raises(RuntimeError, match=r"environment of rival cannot be made: [^$]*missing"):
        make_environment(Peer("rival", (missing,), ()), tmp_path / "kept")
