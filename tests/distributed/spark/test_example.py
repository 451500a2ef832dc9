"""The example of Spark runs as its reader would run it, and prints what docs/examples.md shows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PRINTED = ROOT / "tests" / "examples" / "printed" / "spark.txt"


def test_the_example_prints_what_its_page_shows(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "spark.py")],
        cwd=tmp_path,
        # Its session is its own, whatever kind of session the tests beside it have.
        env={name: value for name, value in os.environ.items() if "SPARK" not in name},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == PRINTED.read_text(encoding="utf-8")
