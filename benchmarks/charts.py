"""Workloads as bars: one SVG as plain text, in the colours that the reader's screen prefers."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from benchmarks.results import Report, Workload
from benchmarks.tables import format_figure

__all__ = ["draw_chart"]

WIDTH, MARGIN, BETWEEN = 880, 24, 32
COLUMN = (WIDTH - 2 * MARGIN - BETWEEN) // 2
LABELS, VALUES = 160, 72
BAR, STEP, TITLE, AFTER = 14, 19, 22, 14
STYLE = """
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
  .page { fill: #ffffff; stroke: #d1d9e0 }
  .title { font-size: 15px; font-weight: 600 }
  .work { font-weight: 600 }
  .note, .value { fill: #59636e }
  .ours { fill: #3949ab }
  .peer { fill: #b6bfca }
  .floor { fill: none; stroke: #59636e; stroke-dasharray: 3 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .page { fill: #0d1117; stroke: #30363d }
    .note, .value { fill: #9198a1 }
    .ours { fill: #8c9eff }
    .peer { fill: #4b535d }
    .floor { stroke: #9198a1 }
  }
"""


def draw_chart(report: Report) -> str:
    """Return an SVG with the headlines of the report, or with all where it has none.

    A workload is a block of bars: ours, the peers, the floor. The blocks fill two columns.
    """
    workloads = report.headlines or [one for found in report.suites.values() for one in found]
    blocks = [(one, _drawn(one, report)) for one in workloads]
    title = f"pyfunc beside its peers and its floors, {report.date}"
    note = (
        f"{report.machine}. Shorter is better: bars are times, those of rates too; "
        "each block has a scale of its own."
    )
    top = MARGIN + 48
    bottoms = [top, top]
    parts: list[str] = []
    half = sum(map(_height, blocks)) / 2
    for block in blocks:
        column = int(bottoms[0] - top + _height(block) / 2 > half)
        left = MARGIN + column * (COLUMN + BETWEEN)
        parts.extend(_block(*block, left, bottoms[column]))
        bottoms[column] += _height(block)
    height = max(bottoms) - AFTER + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" role="img" aria-labelledby="title what">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="what">{escape(note)}</desc>',
            f"<style>{STYLE}</style>",
            f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" '
            'rx="6"/>',
            _text("title", MARGIN, MARGIN + 12, title),
            _text("note", MARGIN, MARGIN + 32, note),
            *parts,
            "</svg>\n",
        ]
    )


def _drawn(workload: Workload, report: Report) -> dict[str, float]:
    """Return what is drawn of a workload: ours, the peers with a version, and the floor."""
    measure = "wall" if workload.rate else workload.measure
    found = {
        name: getattr(figure, measure)
        for name, figure in workload.figures.items()
        if name in (workload.subject, workload.floor, *report.versions)
    }
    return {name: value for name, value in found.items() if value is not None}


def _height(block: tuple[Workload, dict[str, float]]) -> int:
    return TITLE + len(block[1]) * STEP + AFTER


def _block(workload: Workload, drawn: dict[str, float], left: int, top: int) -> Iterator[str]:
    longest = max(drawn.values(), default=1.0) or 1.0
    yield _text("work", left, top + 14, workload.name)
    for number, (name, value) in enumerate(drawn.items()):
        y = top + TITLE + number * STEP
        kind = "ours" if not number else "floor" if name == workload.floor else "peer"
        length = max(1.0, (COLUMN - LABELS - VALUES) * value / longest)
        yield _text("who", left, y + 11, f"floor: {name}" if kind == "floor" else name)
        yield (
            f'<rect class="{kind}" x="{left + LABELS}" y="{y + 0.5}" width="{length:.1f}" '
            f'height="{BAR - 1}" rx="2"/>'
        )
        yield _text("value", left + LABELS + length + 7, y + 11, format_figure(workload, name))


def _text(kind: str, x: float, y: float, text: str) -> str:
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}">{escape(text)}</text>'
