"""The folder that child processes find modules in: what is left of killed processes goes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SaveShipped = Callable[..., Path]
RunProgram = Callable[..., Any]

PROGRAM = """
    import json, os, sys, time
    from pathlib import Path
    import pyfunc
    model = pyfunc.load_model(sys.argv[1], suppress_warnings=True)
    found = [entry for entry in sys.path if "pyfunc-modules" in entry]
    os.utime(found[0], (0, 0))
    print(json.dumps(found), flush=True)
    if sys.argv[2] == "die":
        os._exit(0)
"""


def test_what_a_killed_process_left_is_removed_by_a_later_one(
    save_shipped: SaveShipped,
    run_program: RunProgram,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))  # so that it is nobody else's
    monkeypatch.setattr(tempfile, "tempdir", None)
    text = "class Model:\n    def predict(self, data):\n        return data\n"
    model = save_shipped({"entry.py": f"{text}def _load_pyfunc(path):\n    return Model()\n"})
    (left,) = run_program(PROGRAM, model, "die")
    assert os.listdir(left) == ["entry.py"]
    assert Path(left).stat().st_mode & 0o777 == 0o700
    (other,) = run_program(PROGRAM, model, "end")
    assert other != left
    assert os.listdir(tmp_path / "temporary") == []
