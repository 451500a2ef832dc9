"""Every suite runs: each of its workloads once, with the smallest inputs."""

from __future__ import annotations

import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import bench_serving
from benchmarks.__main__ import EFFORTS, main
from benchmarks.results import OURS, Failure, Figure, Report, Workload
from benchmarks.suites import find_suites, run_suite

pytestmark = pytest.mark.slow
ONCE, SECONDS = EFFORTS["once"]
# The others need what is not installed: environments of peers, and Spark.
ALONE = sorted({*find_suites()} - {"serving", "spark"})


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return False


def check_found(found: list[Workload | Failure]) -> list[Workload]:
    """Return what was found where all of it was measured, ours among it, with goals that hold."""
    assert [one for one in found if isinstance(one, Failure)] == []
    workloads = [one for one in found if isinstance(one, Workload)]
    for one in workloads:
        assert one.subject == OURS
        assert one.floor is None or one.floor in one.figures
        for figure in one.figures.values():
            assert (figure.wall or figure.memory or 0) > 0
        assert [goal for goal in one.goals if one.is_met(goal) is None] == []
    assert workloads
    return workloads


@pytest.mark.parametrize("name", ALONE)
def test_a_suite_finds_all_its_workloads(name: str) -> None:
    check_found(run_suite(name, ONCE, SECONDS))


def test_servers_are_compared_over_both_protocols(monkeypatch: pytest.MonkeyPatch) -> None:
    # Those of the peers are in environments that an index is needed for; three shapes take long.
    servers = [one for one in bench_serving.SERVERS if one.name in (OURS, bench_serving.BAR)]
    monkeypatch.setattr(bench_serving, "SERVERS", tuple(servers))
    monkeypatch.setattr(bench_serving, "SHAPES", ((1, 3),))
    found = [*bench_serving.measure(ONCE)]
    assert [one for one in found if isinstance(one, Failure)] == []
    names = [one.name for one in found if isinstance(one, Workload)]
    for protocol in ("MLflow's protocol", "Open Inference"):
        for who in ("1 client", "16 clients"):
            assert f"serve 1 x 3, {protocol}, {who}" in names


def test_a_peer_that_does_not_start_is_told_and_the_others_are_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(shape: bench_serving.Shape, port: int) -> list[str]:
        raise RuntimeError("the environment of MLServer cannot be made: no index")

    own = [one for one in bench_serving.SERVERS if one.name == OURS]
    peer = bench_serving.Server(bench_serving.MLSERVER, broken, bench_serving.Shape.infer)
    # Only a peer that fails at once; the real ones need an index.
    monkeypatch.setattr(bench_serving, "SERVERS", (*own, peer))
    monkeypatch.setattr(bench_serving, "FOR_ONE_ROW", ())
    monkeypatch.setattr(bench_serving, "SHAPES", ((1, 3),))
    found = [*bench_serving.measure(ONCE)]
    failures = [one for one in found if isinstance(one, Failure)]
    assert [one.what for one in failures] == ["MLServer, 1 x 3"]
    assert "no index" in failures[0].why
    assert any("Open Inference" in one.name for one in found if isinstance(one, Workload))


ENDS = {
    "raises": ("raise OSError('no more room')", "no more room"),
    "dies": ("print('out of memory', file=sys.stderr, flush=True); os._exit(3)", "out of memory"),
    "is-killed": ("os.kill(os.getpid(), 9)", "it ended with status -9"),
    "never-ends": ("time.sleep(3600)", "it was ended after 20 s"),
}


@pytest.mark.parametrize(("code", "why"), ENDS.values(), ids=ENDS)
def test_what_a_suite_has_found_before_it_fails_is_kept(
    code: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "bench_failing.py").write_text(
        "import os, sys, time\n"
        "from benchmarks.results import Figure, Workload\n\n"
        "def measure(effort):\n"
        "    yield Workload('first', {'pyfunc': Figure(wall=effort.seconds)})\n"
        f"    {code}\n"
    )
    # The suite of this test, for the process that runs it.
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    first, failure = run_suite("failing", ONCE, 20.0)
    assert first == Workload("first", {"pyfunc": Figure(wall=ONCE.seconds)})
    assert isinstance(failure, Failure)
    assert failure.what == "failing"
    assert why in failure.why


def test_a_suite_that_is_ended_takes_along_what_it_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "bench_starting.py").write_text(
        "import subprocess, sys\n"
        "from benchmarks.results import Failure\n\n"
        "def measure(effort):\n"
        "    command = [sys.executable, '-c', 'import time; time.sleep(3600)']\n"
        "    yield Failure('started', str(subprocess.Popen(command).pid))\n"
    )
    # The suite of this test, for the process that runs it.
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (found,) = run_suite("starting", ONCE, SECONDS)
    assert isinstance(found, Failure)
    while is_running(int(found.why)):  # it was killed; the system takes a moment
        time.sleep(0.01)


def test_the_command_prints_a_table_and_writes_json_and_a_chart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--json", str(tmp_path / "found.json"), "--chart", str(tmp_path / "found.svg")]
    assert main(["bodies", "--once", *files]) == 0
    printed = capsys.readouterr().out
    assert "| read dataframe_split | pyfunc |" in printed
    report = Report.from_json((tmp_path / "found.json").read_text("utf-8"))
    assert list(report.suites) == ["bodies"]
    assert report.versions["pyfunc"]
    assert report.machine
    ElementTree.fromstring((tmp_path / "found.svg").read_text("utf-8"))
    assert main(["--from", str(tmp_path / "found.json")]) == 0
    assert capsys.readouterr().out == printed


def test_a_run_of_which_something_failed_ends_with_1(tmp_path: Path) -> None:
    report = Report("2026-01-02", "2 cores", ONCE, failures=[Failure("spark", "no Java")])
    (tmp_path / "found.json").write_text(report.to_json())
    assert main(["--from", str(tmp_path / "found.json")]) == 1


def test_a_suite_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["model", "moodel"])
    assert "no such suite: moodel" in capsys.readouterr().err
