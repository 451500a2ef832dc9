"""Figures come into Markdown by the command alone; what stands there is what was measured."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.publishing import FIGURES, publish, rewrite
from benchmarks.results import Report

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/benchmarks.md", "docs/images/benchmarks.svg")
PAGE = """# Title
<!-- benchmarks: headlines -->
old
<!-- /benchmarks -->
between
<!-- benchmarks: all -->
<!-- /benchmarks -->
end
"""


def test_only_what_is_between_the_markers_of_the_name_is_rewritten(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    rewrite(page, "all", "new")
    rewrite(page, "all", "| newer |")
    assert page.read_text() == PAGE.replace("all -->\n", "all -->\n\n| newer |\n\n")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("# Title\n", id="no-markers"),
        pytest.param("<!-- benchmarks: all -->\n", id="no-end"),
        pytest.param("<!-- /benchmarks -->\n<!-- benchmarks: all -->\n", id="end-first"),
        pytest.param(PAGE.replace("all", "other"), id="another-name"),
    ],
)
def test_a_page_without_the_markers_is_left_alone(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(ValueError, match=r"page\.md: expected <!-- benchmarks: all -->"):
        rewrite(page, "all", "new")
    assert page.read_text() == text


def test_what_the_pages_show_is_what_was_measured(tmp_path: Path) -> None:
    for page in PAGES:
        (tmp_path / page).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / page, tmp_path / page)
    publish(Report.from_json(FIGURES.read_text(encoding="utf-8")), tmp_path)
    for page in PAGES:
        assert (tmp_path / page).read_text("utf-8") == (ROOT / page).read_text("utf-8")


def test_figures_are_of_one_run_of_all_suites(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--readme", "model"])
    assert "all suites, of one run" in capsys.readouterr().err
