"""Reports as Markdown: every figure, ratio and goal in its cell, in the units it is read in."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.results import Effort, Failure, Figure, Goal, Measure, Report, Workload
from benchmarks.tables import (
    format_bytes,
    format_headlines,
    format_rate,
    format_ratio,
    format_report,
    format_seconds,
    format_suite,
)


def cells_of(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (format_seconds, 12.34, "12.3 s"),
        (format_seconds, 0.9999, "1 s"),
        (format_seconds, 0.0123, "12.3 ms"),
        (format_seconds, 0.00000999, "9.99 us"),
        (format_seconds, 5e-8, "50 ns"),
        (format_seconds, 0.1, "100 ms"),
        (format_seconds, None, ""),
        (format_rate, 0.0002, "5,000"),
        (format_rate, 3.0, "0.33"),
        (format_rate, None, ""),
        (format_bytes, 137.26 * 2**20, "137 MiB"),
        (format_ratio, 1.0, "1"),
        (format_ratio, 1.204, "1.2"),
        (format_ratio, 0.6, "0.6"),
        (format_ratio, 0.1, "1/10"),
        (format_ratio, 0.0004, "1/2,500"),
        (format_ratio, None, ""),
    ],
)
def test_values_have_about_three_digits(
    form: Callable[[float | None], str], value: float | None, text: str
) -> None:
    assert form(value) == text


def test_a_suite_has_a_line_per_subject_and_only_columns_with_something_in_them() -> None:
    works = [
        Workload(
            "load",
            {"pyfunc": Figure(cpu=0.003), "MLflow": Figure(cpu=0.03), "disk": Figure(cpu=0.001)},
            "disk",
            (Goal("MLflow", 1 / 5), Goal("disk", 2.0)),
        ),
        Workload("call", {"pyfunc": Figure(cpu=1e-6)}),
    ]
    assert cells_of(format_suite(works)) == [
        ["work", "by", "CPU", "ours / it", "wanted"],
        ["---"] * 5,
        ["load", "pyfunc", "3 ms", "", ""],
        ["", "MLflow", "30 ms", "1/10", "1/5: met"],
        ["", "*disk*", "1 ms", "3", "2: missed"],
        ["call", "pyfunc", "1 us", "", ""],
    ]


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        ("wall", "0.5 of its time: met, 1/4"),
        ("p99", "0.5 of its 99th percentile: not measured, "),
        ("memory", "0.5 of its memory: missed, 3"),
    ],
)
def test_a_goal_of_another_measure_says_of_which_and_what_was_found(
    measure: Measure, said: str
) -> None:
    figures = {"pyfunc": Figure(1, 1, memory=3), "peer": Figure(1, 4, p99=1, memory=1)}
    work = Workload("serve", figures, goals=(Goal("peer", 0.5, measure),), rate=True)
    assert cells_of(format_suite([work]))[3][-1] == said.strip()


def test_the_headlines_have_a_column_for_each_peer_with_a_version() -> None:
    works = [
        Workload(
            "serve",
            {"pyfunc": Figure(wall=0.001), "MLServer": Figure(wall=0.01), "other": Figure(wall=1)},
            rate=True,
            headline=True,
        ),
        Workload(
            "memory",
            {"pyfunc": Figure(memory=2**20), "orjson": Figure(memory=2**19)},
            "orjson",
            measure="memory",
            headline=True,
        ),
        Workload("hidden", {"pyfunc": Figure(wall=1)}),
    ]
    versions = {"pyfunc": "1.0", "orjson": "3", "MLServer": "1.7"}
    report = Report("", "", Effort(), versions, {"serving": works})
    assert cells_of(format_headlines(report)) == [
        ["", "pyfunc", "MLServer 1.7", "the floor"],
        ["---"] * 4,
        ["serve", "1,000 / s", "100 / s", ""],
        ["memory", "1 MiB", "", "0.5 MiB"],
    ]


def test_a_report_says_when_where_with_what_and_what_failed() -> None:
    suites = {"model": [Workload("load", {"pyfunc": Figure(cpu=1)})]}
    failures = [Failure("MLServer", "it did not start")]
    report = Report("2026-01-02", "4 cores", Effort(7), {"pyfunc": "1.0"}, suites, failures)
    text = format_report(report)
    for said in ("2026-01-02", "4 cores", "7 rounds", "pyfunc 1.0", "### model", "| load |"):
        assert said in text
    assert text.endswith("Not measured:\n\n- MLServer: it did not start\n")


def test_a_report_of_which_all_was_measured_says_nothing_of_failures() -> None:
    assert "Not measured" not in format_report(Report("", "", Effort()))
