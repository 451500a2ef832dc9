"""What a suite finds stays what it is through JSON; ratios and goals are of the first subject."""

from __future__ import annotations

import pytest

from benchmarks.results import Effort, Failure, Figure, Goal, Measure, Report, Workload

OURS = Figure(cpu=2.0, wall=3.0, count=10, p99=4.0, memory=5.0)
WORK = Workload(
    "work",
    {"pyfunc": OURS, "peer": Figure(cpu=4.0), "bottom": Figure(cpu=0.0, wall=1.5)},
    "bottom",
    (Goal("peer", 0.6), Goal("bottom", 1.9, "wall"), Goal("nobody", 1.0)),
    rate=True,
    headline=True,
)


def test_a_report_comes_back_from_json() -> None:
    report = Report(
        "2026-01-02",
        "2 cores",
        Effort(3, 0.5, 0.1),
        {"pyfunc": "1"},
        {"one": [WORK, Workload("bare", {"pyfunc": Figure()})], "none": []},
        [Failure("peer", 'it said "no"\n')],
    )
    assert Report.from_json(report.to_json()) == report


@pytest.mark.parametrize(
    ("against", "measure", "ratio"),
    [
        pytest.param("peer", None, 0.5, id="by-the-measure-that-counts"),
        pytest.param("bottom", "wall", 2.0, id="by-another-measure"),
        pytest.param("peer", "wall", None, id="not-measured"),
        pytest.param("bottom", None, None, id="no-ratio-to-nothing"),
        pytest.param("nobody", None, None, id="not-there"),
    ],
)
def test_a_ratio_is_ours_by_theirs(
    against: str, measure: Measure | None, ratio: float | None
) -> None:
    assert WORK.ratio(against, measure) == ratio


def test_goals_are_met_missed_or_unknown() -> None:
    assert [WORK.is_met(goal) for goal in WORK.goals] == [True, False, None]


@pytest.mark.parametrize(
    ("why", "short"),
    [
        ("  one\n two ", "one two"),
        (
            'File "/home/me/lib-1.0/a_b.py", line 3 of 1/2 per r/s',
            'File "a_b.py", line 3 of 1/2 per r/s',
        ),
        ("no ./build/peers/one here", "no one here"),
        ("a" * 300 + " end", "... " + "a" * 296 + " end"),
    ],
)
def test_a_failure_is_shown_by_its_end_without_folders(why: str, short: str) -> None:
    assert Failure("x", why).shortened() == Failure("x", short)


def test_headlines_are_found_in_all_suites() -> None:
    suites = {"a": [Workload("x", {"pyfunc": OURS})], "b": [WORK]}
    assert Report("", "", Effort(), suites=suites).headlines == [WORK]


def test_an_effort_never_makes_nothing_of_a_size() -> None:
    assert [Effort(size=0.1).of(size) for size in (1000, 10, 1)] == [100, 1, 1]
