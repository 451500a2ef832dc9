"""The chart is an SVG by itself: well-formed, in both colour modes, nothing from elsewhere."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from benchmarks.charts import draw_chart
from benchmarks.results import Effort, Figure, Report, Workload

SVG = "{http://www.w3.org/2000/svg}"
FIGURES = {
    "pyfunc": Figure(cpu=0.001),
    "MLflow": Figure(cpu=0.004),
    "a <peer> & more": Figure(cpu=0.1),
    "disk": Figure(cpu=0.0005),
}


def report_of(*works: Workload) -> Report:
    return Report("2026-01-02", "2 cores", Effort(), {"MLflow": "3"}, {"model": list(works)})


def bars_of(svg: str) -> dict[str, list[float]]:
    rows = ElementTree.fromstring(svg).iter(f"{SVG}rect")
    bars: dict[str, list[float]] = {}
    for row in rows:
        bars.setdefault(row.attrib["class"], []).append(float(row.attrib["width"]))
    return bars


def texts_of(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_bars_are_as_long_as_their_times_beside_the_longest() -> None:
    bars = bars_of(draw_chart(report_of(Workload("load", FIGURES, "disk"))))
    assert bars["ours"][0] == pytest.approx(bars["peer"][0] / 4, abs=0.1)
    assert bars["floor"][0] == pytest.approx(bars["peer"][0] / 8, abs=0.1)


def test_a_rate_is_drawn_as_a_time_and_told_as_a_rate() -> None:
    figures = {"pyfunc": Figure(wall=0.001), "MLflow": Figure(wall=0.01)}
    svg = draw_chart(report_of(Workload("serve", figures, rate=True)))
    assert bars_of(svg)["ours"][0] == pytest.approx(bars_of(svg)["peer"][0] / 10, abs=0.1)
    assert {"1,000 / s", "100 / s"} <= set(texts_of(svg))


def test_only_headlines_are_drawn_where_there_are_some() -> None:
    works = [Workload("shown", FIGURES, headline=True), Workload("hidden", FIGURES)]
    assert "shown" in texts_of(draw_chart(report_of(*works)))
    assert "hidden" not in texts_of(draw_chart(report_of(*works)))


def test_names_are_text_whatever_is_in_them() -> None:
    work = Workload('<script>"&', {'<&"': Figure(cpu=1.0)})
    assert {'<script>"&', '<&"'} <= set(texts_of(draw_chart(report_of(work))))


@pytest.mark.parametrize(
    "works",
    [
        pytest.param([], id="nothing"),
        pytest.param([Workload("load", {"pyfunc": Figure()})], id="nothing-measured"),
        pytest.param([Workload("load", {"pyfunc": Figure(cpu=0.0)})], id="no-time-at-all"),
        pytest.param([Workload(str(n), FIGURES, "disk") for n in range(9)], id="two-columns"),
    ],
)
def test_every_bar_and_text_lies_on_the_page(works: list[Workload]) -> None:
    root = ElementTree.fromstring(draw_chart(report_of(*works)))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for element in [*root.iter(f"{SVG}rect"), *root.iter(f"{SVG}text")]:
        place = {
            name: float(element.attrib.get(name, 0)) for name in ("x", "y", "width", "height")
        }
        assert 0 <= place["x"] <= place["x"] + place["width"] <= width
        assert 0 <= place["y"] <= place["y"] + place["height"] <= height


def test_both_colour_modes_have_a_colour_for_everything_and_nothing_is_fetched() -> None:
    svg = draw_chart(report_of(Workload("load", FIGURES, "disk")))
    light, dark = svg.split("@media (prefers-color-scheme: dark)")
    for kind in ("text", ".page", ".note", ".ours", ".peer", ".floor"):
        for mode in (light, dark):
            assert re.search(rf"{re.escape(kind)}[ ,][^}}]*#[0-9a-f]{{6}}", mode)
    assert re.findall(r"(?:href|src|url\(|@import|https?://)[^ ]*", svg) == [
        'http://www.w3.org/2000/svg"'
    ]
