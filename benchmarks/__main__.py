"""``python -m benchmarks``: every workload, by us, by its floor and by our peers, in one run.

It makes the environments of the peers, measures, and prints a table per suite.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.charts import draw_chart
from benchmarks.machine import describe_machine, installed_versions, today
from benchmarks.publishing import FIGURES, publish
from benchmarks.results import Effort, Failure, Report, Workload
from benchmarks.suites import PEERS, find_suites, run_suite
from benchmarks.tables import format_report

__all__ = ["main"]

# An effort, and the seconds after which a suite is ended.
EFFORTS = {
    "full": (Effort(), 3600.0),
    "quick": (Effort(rounds=4, seconds=0.1, size=0.2), 900.0),
    "once": (Effort(rounds=1, seconds=0.01, size=0.001), 300.0),
}


def main(words: Sequence[str] | None = None) -> int:
    """Measure and show; return 1 where something could not be measured."""
    parser = _parser()
    options = parser.parse_args(words)
    unknown = sorted(set(options.suite) - set(find_suites()))
    if unknown:
        parser.error(f"no such suite: {', '.join(unknown)}")
    if options.readme and options.suite:
        parser.error("--readme shows all suites, of one run; name none")
    given = options.given
    report = (
        Report.from_json(given.read_text(encoding="utf-8"))
        if given
        else _measure(options.suite or find_suites(), options.effort)
    )
    print(format_report(report))
    if options.json:
        options.json.write_text(report.to_json(), encoding="utf-8")
    if options.chart:
        options.chart.write_text(draw_chart(report), encoding="utf-8")
    if options.readme:
        FIGURES.write_text(report.to_json(), encoding="utf-8")
        publish(report)
    return 1 if report.failures else 0


def _measure(suites: Sequence[str], effort: str) -> Report:
    how, seconds = EFFORTS[effort]
    report = Report(today(), describe_machine(), how, installed_versions())
    _make_environments(suites, report)
    for name in suites:
        begin = time.perf_counter()
        found = run_suite(name, how, seconds)
        report.suites[name] = [one for one in found if isinstance(one, Workload)]
        report.failures += [one for one in found if isinstance(one, Failure)]
        print(f"{name}: {time.perf_counter() - begin:.0f} s", file=sys.stderr)
    return report


def _make_environments(suites: Sequence[str], report: Report) -> None:
    """Make those of the peers before anything is measured; whose cannot be made is left out."""
    for peer in dict.fromkeys(peer for name in suites for peer in PEERS.get(name, ())):
        print(f"environment of {peer.name}", file=sys.stderr)
        try:
            report.versions |= peer.versions()
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            print(error, file=sys.stderr)
            report.failures.append(Failure(peer.name, str(error)).shortened())


def _parser() -> argparse.ArgumentParser:
    known = find_suites()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suite", nargs="*", help=f"some of: {', '.join(known)}; or all")
    effort = parser.add_mutually_exclusive_group()
    for name, text in {
        "quick": "all of it in minutes: fewer and shorter rounds, the largest inputs a fifth",
        "once": "each workload once with the smallest inputs, to see that all of it works",
    }.items():
        effort.add_argument(
            f"--{name}", action="store_const", dest="effort", const=name, help=text
        )
    parser.set_defaults(effort="full")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found as JSON")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="write a chart as SVG")
    parser.add_argument(
        "--readme",
        action="store_true",
        help="renew the figures of README.md and docs/benchmarks.md, and benchmarks/figures.json",
    )
    parser.add_argument(
        "--from", type=Path, dest="given", metavar="FILE", help="show such JSON; measure nothing"
    )
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what it has started, too
    raise SystemExit(main())
