"""Where figures are shown: parts of Markdown files between two markers, and the chart."""

from __future__ import annotations

from pathlib import Path

from benchmarks.charts import draw_chart
from benchmarks.peers import ROOT
from benchmarks.results import Report
from benchmarks.tables import format_headlines, format_origin, format_report

__all__ = ["FIGURES", "publish", "rewrite"]

FIGURES = ROOT / "benchmarks" / "figures.json"
END = "<!-- /benchmarks -->"


def publish(report: Report, root: Path = ROOT) -> None:
    """Renew the figures of README.md and docs/benchmarks.md, and the chart that both show."""
    chart = root / "docs" / "images" / "benchmarks.svg"
    chart.write_text(draw_chart(report), encoding="utf-8")
    headlines = f"{format_headlines(report)}\n\n{format_origin(report)}"
    rewrite(root / "README.md", "headlines", headlines)
    rewrite(root / "docs" / "benchmarks.md", "all", format_report(report).strip())


def rewrite(path: Path, name: str, text: str) -> None:
    """Put ``text`` between the marker of that name and the next end; the rest stays as it is.

    Raises:
        ValueError: the file has no such markers.
    """
    begin = f"<!-- benchmarks: {name} -->"
    before, found, rest = path.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise ValueError(f"{path}: expected {begin} and {END} after it")
    path.write_text(f"{before}{begin}\n\n{text}\n\n{END}{after}", encoding="utf-8")
