"""What a save writes down is what real installers resolve, from the index they are set to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LinearRegression

import pyfunc
from pyfunc.env.creating.installers import installer_environment

pytestmark = pytest.mark.network

GIVEN: dict[str, dict[str, Any]] = {
    "inferred": {},
    "extra": {"extra_pip_requirements": ["pandas<4", 'six; python_version >= "3"']},
    "duplicates": {
        "pip_requirements": ["Six>=1.10", "six!=1.14", "scikit_learn", "scikit-learn>1"]
    },
    "constraints": {"pip_requirements": ["-c {folder}/bounds.txt", "six", "packaging[]"]},
    "file": {"pip_requirements": "{folder}/mine.txt"},
    "conda": {
        "conda_env": {"dependencies": ["python=3.11", "pip", {"pip": ["six>=1.10", "packaging"]}]}
    },
}


def filled(value: Any, folder: Path) -> Any:
    if isinstance(value, str):
        return value.replace("{folder}", str(folder))
    if isinstance(value, list):
        return [filled(item, folder) for item in value]
    return value


def resolved(command: list[object]) -> None:
    done = subprocess.run(
        [str(part) for part in command],
        env=installer_environment(os.environ),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_uv_and_pip_resolve_what_was_written(tmp_path: Path, given: dict[str, Any]) -> None:
    (tmp_path / "bounds.txt").write_text("six<2\n")
    more = f"-r {tmp_path / 'more.txt'}\r\n".encode()
    (tmp_path / "mine.txt").write_bytes(b"\xef\xbb\xbfsix >= 1.10\t# tab\r\n\r\n" + more)
    (tmp_path / "more.txt").write_text("packaging\n")
    model = LinearRegression().fit([[1.0], [2.0]], [1, 2])
    arguments = {name: filled(value, tmp_path) for name, value in given.items()}
    pyfunc.flavors.sklearn.save_model(model, tmp_path / "m", **arguments)
    written = pyfunc.get_model_dependencies(tmp_path / "m")
    assert "\n" in Path(written).read_text()
    resolved([sys.executable, "-m", "uv", "pip", "compile", "--quiet", written])
    options = ["--dry-run", "--quiet", "--no-deps", "--disable-pip-version-check"]
    resolved([sys.executable, "-m", "pip", "install", *options, "-r", written])
