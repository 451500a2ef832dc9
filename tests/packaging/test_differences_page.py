"""Every difference from MLflow that is written down names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_the_tests_named_on_the_page_of_differences_exist() -> None:
    page = (REPOSITORY / "docs" / "differences.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+?)(?:\.py)?`", page))
    there: set[str] = set()
    for path in (REPOSITORY / "tests").rglob("test_*.py"):
        there.add(path.stem)
        there |= set(re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8")))
    assert len(named) > 50
    assert sorted(named - there) == []
