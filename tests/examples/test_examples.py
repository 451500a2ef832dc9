"""Each example runs as its reader would run it, and prints what docs/examples.md shows.

That of Spark is tried where Spark is, by tests/distributed/spark/test_example.py.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PAGE = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
PRINTED = Path(__file__).parent / "printed"


def no_arguments(_: Path) -> list[str]:
    return []


def free_port(_: Path) -> list[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return [str(free.getsockname()[1])]


def folder_for_it(folder: Path) -> list[str]:
    return [str(folder / "out")]


def with_linefit(folder: Path) -> list[str]:
    """Install the package of the flavor beside the example, as pip would anywhere."""
    source = folder / "custom_flavor"
    shutil.copytree(EXAMPLES / "custom_flavor", source)
    install = ["-m", "pip", "--isolated", "install", "--quiet", "--no-index", "--no-deps"]
    where = ["--no-build-isolation", "--target", str(folder / "at"), str(source)]
    subprocess.run([sys.executable, *install, *where], check=True)
    return []


RUNS: dict[str, Callable[[Path], list[str]]] = {
    "batch.py": no_arguments,
    "categories.py": no_arguments,
    "chat.py": free_port,
    "custom_flavor/demo.py": with_linefit,
    "functions_pipeline/pipeline.py": folder_for_it,
    "iris_handler/save_models.py": folder_for_it,
    "model_from_code/main.py": no_arguments,
    "nested_columns.py": no_arguments,
    "python_model.py": no_arguments,
    "quickstart.py": no_arguments,
    "serving_clients.py": free_port,
    "tensors_onnx.py": no_arguments,
    "tensors_torch.py": no_arguments,
}
ELSEWHERE = {"spark.py"}
PARAMS = [
    pytest.param(name, id=name, marks=[pytest.mark.torch] * (name == "tensors_torch.py"))
    for name in RUNS
]


def expected_output(name: str) -> str:
    """Return what the example of that name prints on every machine."""
    first = name.partition("/")[0].removesuffix(".py")
    return (PRINTED / f"{first}.txt").read_text(encoding="utf-8")


def without_place(printed: str) -> str:
    """Return ``printed`` without what differs by machine.

    That are the names of temporary folders, and that pandas 2 has no type of text.
    """
    return re.sub(r"\S*/tmp\w{8}/", "/tmp/.../", printed).replace("got objects of str", "got str")


@pytest.mark.slow
@pytest.mark.parametrize("name", PARAMS)
def test_an_example_prints_what_its_page_shows(name: str, tmp_path: Path) -> None:
    arguments = RUNS[name](tmp_path)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "at")},  # where linefit is, if anywhere
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert without_place(done.stdout) == expected_output(name)


def test_every_example_is_run_and_shown() -> None:
    scripts = {path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.glob("*.py")}
    folders = {path.name for path in EXAMPLES.iterdir() if any(path.glob("*.py"))}
    run = {*RUNS, *ELSEWHERE}
    assert {name for name in run if "/" not in name} == scripts
    assert {name.partition("/")[0] for name in run if "/" in name} == folders
    listed = re.findall(r"^\| \[`([^`]+)`\]", PAGE, flags=re.MULTILINE)
    assert sorted(listed) == sorted(run)
    for name in run:
        assert f'--8<-- "examples/{name}"' in PAGE
