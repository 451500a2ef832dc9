"""Models that are made, and programs that run in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import pyfunc

SaveShipped = Callable[..., Path]
RunProgram = Callable[..., Any]


@pytest.fixture
def save_shipped(tmp_path: Path) -> SaveShipped:
    """Return a function that saves a model whose loader and modules are in ``code``."""

    def save(files: Mapping[str, str], *, loader_module: str = "entry", **options: Any) -> Path:
        number = len(list(tmp_path.glob("source-*")))
        source = tmp_path / f"source-{number}"
        for name, text in files.items():
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        target = tmp_path / f"model-{number}"
        pyfunc.save_model(
            target,
            loader_module=loader_module,
            code_paths=[str(path) for path in sorted(source.iterdir())],
            pip_requirements=[],
            **options,
        )
        return target

    return save


@pytest.fixture
def run_program(tmp_path: Path) -> RunProgram:
    """Return a function that runs a program, and returns the JSON that it printed last."""

    def run(text: str, *arguments: object, path: Path | None = None) -> Any:
        number = len(list(tmp_path.glob("program-*")))
        folder = tmp_path / f"program-{number}"
        folder.mkdir()
        program = folder / "program.py"
        program.write_text(textwrap.dedent(text), encoding="utf-8")
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        if path is not None:
            environment["PYTHONPATH"] = str(path)
        finished = subprocess.run(
            [sys.executable, str(program), *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr[-4000:]
        return json.loads(finished.stdout.splitlines()[-1])

    return run
