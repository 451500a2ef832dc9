"""What the tests of saving and loading share: model directories made by hand, and watchers."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ModelMaker = Callable[..., Path]


def write_tree(root: Path, files: Mapping[str, str | bytes]) -> None:
    for relative, content in files.items():
        path = root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(textwrap.dedent(content), encoding="utf-8")


@pytest.fixture
def write_files() -> Callable[[Path, Mapping[str, str | bytes]], None]:
    """Return a function that writes a tree of files, with their text dedented."""
    return write_tree


@pytest.fixture
def hand_made(tmp_path: Path) -> ModelMaker:
    """Return a function that writes a model directory file by file, without a manifest."""
    made: list[Path] = []

    def make(
        section: Mapping[str, Any],
        files: Mapping[str, str | bytes] | None = None,
        top: Mapping[str, Any] | None = None,
    ) -> Path:
        root = tmp_path / f"hand-made-{len(made)}"
        made.append(root)
        content = {
            "flavors": {"python_function": dict(section)},
            "mlflow_version": "3.17.2",
            "model_uuid": "0" * 32,
            "utc_time_created": "2026-01-01 00:00:00.000000",
            **(top or {}),
        }
        write_tree(root, {"MLmodel": yaml.safe_dump(content), **(files or {})})
        return root

    return make


def import_state() -> dict[str, Any]:
    return {
        "path": list(sys.path),
        # Libraries add finders of their own when they are first imported.
        "meta_path": [str(f) for f in sys.meta_path if "pyfunc.code." in str(f)],
        "path_hooks": list(sys.path_hooks),
        "ours": sorted(name for name in sys.modules if name.startswith("_pyfunc")),
    }


@pytest.fixture
def unchanged_imports() -> Iterator[None]:
    """Fail if the import system is not afterwards as it was before."""
    before = import_state()
    yield
    assert import_state() == before


def listing(root: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for folder, folders, names in os.walk(root):
        for name in [*folders, *names]:
            path = Path(folder, name)
            status = path.lstat()
            found[path.relative_to(root).as_posix()] = (status.st_size, status.st_mtime_ns)
    return found


@pytest.fixture
def list_tree() -> Callable[[Path], dict[str, tuple[int, int]]]:
    """Return a function that says what is below a folder, with sizes and times."""
    return listing


@pytest.fixture(autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("MLFLOW_", "_MLFLOW_", "PYFUNC_")):
                patch.delenv(name)
        yield
