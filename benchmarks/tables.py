"""Reports as Markdown: whole, with a table per suite, or the table of the README alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.results import OURS, Failure, Figure, Goal, Measure, Report, Workload

__all__ = [
    "format_failures",
    "format_figure",
    "format_headlines",
    "format_origin",
    "format_report",
    "format_suite",
]

MEASURES: dict[Measure, str] = {
    "cpu": "CPU time",
    "wall": "time",
    "p99": "99th percentile",
    "memory": "memory",
}
Cell = Callable[[Workload, Figure], str]


def format_report(report: Report) -> str:
    """Return the whole report: where it comes from, the tables of its suites, what failed."""
    tables = [f"### {name}\n\n{format_suite(found)}" for name, found in report.suites.items()]
    parts = [format_origin(report), *tables, format_failures(report.failures)]
    return "\n\n".join(filter(None, parts)) + "\n"


def format_origin(report: Report) -> str:
    """Return the sentence that says when, where and with which versions was measured."""
    effort = report.effort
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    return (
        f"Measured on {report.date}, on {report.machine}; the least of {effort.rounds} rounds. "
        f"Versions: {versions}."
    )


def format_failures(failures: list[Failure]) -> str:
    """Return a list of what could not be measured; empty where all was."""
    lines = [f"- {one.what}: {one.why}" for one in failures]
    return "\n".join(["Not measured:", "", *lines]) if lines else ""


def format_suite(workloads: list[Workload]) -> str:
    """Return one table with a line per workload and subject.

    A column that no line has anything for is left out. The floor stands in italics.
    """
    lines = [
        (one, name, figure, not position)
        for one in workloads
        for position, (name, figure) in enumerate(one.figures.items())
    ]
    columns: dict[str, list[str]] = {
        "work": [one.name if first else "" for one, _, _, first in lines],
        "by": [f"*{name}*" if name == one.floor else name for one, name, _, _ in lines],
    }
    cells: dict[str, Cell] = {
        "CPU": lambda _, figure: format_seconds(figure.cpu),
        "time": lambda _, figure: format_seconds(figure.wall),
        "per second": lambda one, figure: format_rate(figure.wall) if one.rate else "",
        "p99": lambda _, figure: format_seconds(figure.p99),
        "memory": lambda _, figure: format_bytes(figure.memory),
    }
    for title, cell in cells.items():
        columns[title] = [cell(one, figure) for one, _, figure, _ in lines]
    columns["ours / it"] = [
        "" if first else format_ratio(one.ratio(name)) for one, name, _, first in lines
    ]
    columns["wanted"] = ["; ".join(_goals(one, name)) for one, name, _, _ in lines]
    return _table({title: cells for title, cells in columns.items() if any(cells)})


def _goals(workload: Workload, against: str) -> Iterator[str]:
    for goal in workload.goals:
        if goal.against == against:
            yield format_goal(workload, goal)


def format_goal(workload: Workload, goal: Goal) -> str:
    """Return what was wanted and whether it is so, with the ratio if no other column has it."""
    met = {True: "met", False: "missed", None: "not measured"}[workload.is_met(goal)]
    if goal.measure == workload.measure:
        return f"{format_ratio(goal.ratio)}: {met}"
    found = format_ratio(workload.ratio(goal.against, goal.measure))
    return f"{format_ratio(goal.ratio)} of its {MEASURES[goal.measure]}: {met}, {found}"


def format_headlines(report: Report) -> str:
    """Return the table of the README: a line per headline, a column for each peer."""
    found = report.headlines
    shown = {name for one in found for name in one.figures if name != one.floor}
    peers = [name for name in report.versions if name in shown]
    columns = {"": [one.name for one in found]}
    for peer in peers:
        title = peer if peer == OURS else f"{peer} {report.versions[peer]}"
        columns[title] = [format_figure(one, peer) for one in found]
    columns["the floor"] = [format_figure(one, one.floor) for one in found]
    return _table(columns)


def format_figure(workload: Workload, name: str | None) -> str:
    """Return the figure of ``name`` in the measure that counts; empty if there is none."""
    figure = workload.figures.get(name or "")
    if figure is None:
        return ""
    if workload.rate:
        return f"{format_rate(figure.wall)} / s" if figure.wall else ""
    value = getattr(figure, workload.measure)
    return format_bytes(value) if workload.measure == "memory" else format_seconds(value)


def format_seconds(seconds: float | None) -> str:
    """Return a time with about three digits, in the unit that it is read in."""
    if seconds is None:
        return ""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= 0.9995 * size:
            return f"{_digits(seconds / size)} {unit}"
    return f"{_digits(seconds * 1e9)} ns"


def format_rate(seconds: float | None) -> str:
    """Return how many that take ``seconds`` each are done in a second."""
    return "" if not seconds else _digits(1 / seconds)


def format_bytes(count: float | None) -> str:
    """Return a size in MiB."""
    return "" if count is None else f"{_digits(count / 2**20)} MiB"


def format_ratio(ratio: float | None) -> str:
    """Return a ratio as a multiple, or below a half as a fraction with 1 above the line."""
    if ratio is None:
        return ""
    return _digits(ratio) if ratio >= 0.5 or not ratio else f"1/{_digits(1 / ratio)}"


def _digits(value: float) -> str:
    """Return a number with three digits, or with all that stand before the point."""
    for limit, form in ((9.995, ".2f"), (99.95, ".1f")):
        if abs(value) < limit:
            return f"{value:{form}}".rstrip("0").rstrip(".")
    return f"{value:,.0f}"


def _table(columns: dict[str, list[str]]) -> str:
    rows = [list(columns), ["---"] * len(columns), *map(list, zip(*columns.values(), strict=True))]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
