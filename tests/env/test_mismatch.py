"""Requirements are compared line by line with what is installed (env-serve 3)."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from pyfunc.env import Mismatch, Report, check
from pyfunc.env.checking.mismatch import check_requirements, compare, compare_python
from pyfunc.env.checking.report import attach_report, raise_mismatches, warn_mismatches, warn_text
from pyfunc.env.checking.severity import judge_version
from pyfunc.env.requirements.sources import Source
from pyfunc.env.specification import python_version
from pyfunc.errors import EnvironmentMismatchError, ModelFormatError, ModelNotFoundError

Install = Callable[..., Path]
HERE = python_version()
INSTALLED = {"numpy": "2.4.6", "torch": "2.0+cu1", "rc": "2.0rc1", "odd": "what", "mlflow": "3.0"}


def problems(*lines: str) -> list[tuple[str, str | None, str]]:
    return [(m.name, m.current, m.kind) for m in compare(lines, INSTALLED.get)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("numpy==2.4.6", [], id="met"),
        pytest.param("numpy", [], id="any-version"),
        pytest.param("numpy<1", [("numpy", "2.4.6", "version")], id="version"),
        pytest.param("nosuch", [("nosuch", None, "missing")], id="missing"),
        pytest.param("os", [("os", None, "missing")], id="standard-library"),
        pytest.param("nosuch; python_version < '3'", [], id="marker-false"),
        pytest.param("nosuch; extra == 'x'", [], id="marker-of-an-extra"),
        pytest.param("numpy==1 --hash=sha256:0", [("numpy", "2.4.6", "version")], id="options"),
        pytest.param("torch==2.0", [], id="label-here"),
        pytest.param("rc>=1", [], id="prerelease"),
        pytest.param("numpy @ https://h/x", [("numpy", "2.4.6", "url")], id="url-present"),
        pytest.param("nosuch @ https://h/x", [("nosuch", None, "missing")], id="url-missing"),
        pytest.param("git+https://h/x", [("git+https://h/x", None, "url")], id="bare-url"),
        pytest.param("./x.whl", [("./x.whl", None, "url")], id="path"),
        pytest.param("--index-url https://h", [], id="option"),
        pytest.param("what is this", [("what is this", None, "unreadable")], id="unreadable"),
        pytest.param("$(touch x)", [("$(touch x)", None, "unreadable")], id="hostile"),
        pytest.param("mlflow==2", [("mlflow", "3.0", "runtime")], id="mlflow"),
        pytest.param("mlflow-skinny", [("mlflow-skinny", None, "runtime")], id="mlflow-skinny"),
        pytest.param("pyfunc-format==9", [("pyfunc-format", None, "runtime")], id="ourselves"),
        pytest.param("mlflow[gateway]", [], id="mlflow-extra"),
        pytest.param("databricks-agents", [], id="ignored"),
        pytest.param("odd==1", [("odd", "what", "version")], id="odd-version"),
    ],
)
def test_one_line(line: str, expected: list[tuple[str, str | None, str]]) -> None:
    assert problems(line) == expected


def test_a_line_that_cannot_be_read_does_not_hide_the_others() -> None:
    found = problems("what is this", "numpy<1", "also this")
    assert [name for name, _, _ in found] == ["what is this", "numpy", "also this"]


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.just("1.0")))
def test_exact_pins_of_the_environment_never_mismatch(installed: dict[str, str]) -> None:
    assert list(compare([f"{n}=={v}" for n, v in installed.items()], installed.get)) == []


def test_the_library_that_loads_may_come_from_a_folder() -> None:
    folder = Source("directory", "file:///src")
    versions = {"numpy": "1.0", "pyfunc-format": "1.0"}
    found = compare([f"{name}==1.0" for name in versions], versions.get, lambda _: folder)
    assert [item.name for item in found] == ["numpy"]


def test_missing_requirements_of_an_extra_are_reported(site: Install) -> None:
    site("base", "1.0", requires=["fast>=2; extra == 'x'", "here; extra == 'x'"])
    site("here", "1.0")
    versions = {"base": "1.0", "here": "1.0"}
    (found,) = compare(["base[x]==1.0"], versions.get)
    assert found == Mismatch(
        "fast", str(Requirement("fast>=2; extra == 'x'")), None, "missing", "likely",
        "needed by base[x]",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "current", "expected"),
    [
        ("numpy==1.26.0", "2.4.6", "breaks"),
        ("numpy==2.3.0", "2.4.6", "likely"),
        ("numpy==2.4.0", "2.4.6", "cosmetic"),
        ("Scikit_Learn==1.2", "1.9", "likely"),
        ("other==1.0", "2.0", "likely"),
        ("other==1.0", "1.5", "cosmetic"),
        ("other==0.1", "0.2", "likely"),
        ("other~=1.0", "2.0", "likely"),
        ("other==1.*", "2.0", "likely"),
        ("other>=3", "2.0", "likely"),
        ("other===odd", "2.0", "likely"),
        ("other==1.0", "odd", "likely"),
        ("other==1!1.0", "1.0", "likely"),
    ],
)
def test_severity(line: str, current: str, expected: str) -> None:
    assert judge_version(Requirement(line), current) == expected


@pytest.mark.parametrize(
    ("required", "expected"),
    [
        pytest.param(HERE, [], id="same"),
        pytest.param(".".join(HERE.split(".")[:2]) + ".99", [], id="other-micro"),
        pytest.param("3.6.1", [("python==3.6.1", "likely")], id="other-minor"),
        pytest.param("odd", [("python==odd", "cosmetic")], id="no-version"),
        pytest.param(None, [("python", "info")], id="none"),
    ],
)
def test_python_versions(required: str | None, expected: list[tuple[str, str]]) -> None:
    found = list(compare_python(required))
    assert [(m.required, m.severity) for m in found] == expected
    assert all(m.current == HERE and m.kind == "python" for m in found)


def write(tmp_path: Path, text: str, python: str = HERE) -> Path:
    (tmp_path / "requirements.txt").write_text(text)
    (tmp_path / "MLmodel").write_text(
        f"flavors:\n  python_function:\n    python_version: {python}\n"
    )
    return tmp_path


def test_check_reads_the_model(tmp_path: Path) -> None:
    report = check(write(tmp_path, "pytest\nsurely-not>1 # why\n", "3.6.1"))
    assert [str(item) for item in report.mismatches] == [
        f"python (current: {HERE}, required: python==3.6.1)",
        "surely-not (current: uninstalled, required: surely-not>1)",
    ]
    assert (report.python_required, report.python_current) == ("3.6.1", HERE)
    assert report.requirement_count == 2
    assert report.severity == "breaks"


def test_a_requirement_that_names_a_module_finds_its_distribution(
    tmp_path: Path, site: Install
) -> None:
    site("made_dist", "2.0", files=["made_module/__init__.py"])
    (found,) = check(write(tmp_path, "made_module==1")).mismatches
    assert str(found) == "made_module (current: 2.0, required: made_module==1)"


def test_constraints_and_nested_files_are_compared_too(tmp_path: Path) -> None:
    (tmp_path / "constraints.txt").write_text("pytest<0")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.txt").write_text("-r b.txt")
    (tmp_path / "more" / "b.txt").write_text("surely-not")
    report = check(write(tmp_path, "-r more/a.txt\n-c constraints.txt"))
    assert [item.name for item in report.mismatches] == ["surely-not", "pytest"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("-r ../../x", "holds '..'"),
        ("-c gone.txt", "does not exist"),
        ("-r /etc/passwd", "absolute"),
        ("-r requirements.txt", "include each other"),
    ],
)
def test_includes_that_cannot_be_followed_are_unreadable(
    tmp_path: Path, line: str, reason: str
) -> None:
    report = check(write(tmp_path, f"{line}\nsurely-not"))
    kinds = {item.name: item.kind for item in report.mismatches}
    assert kinds == {line: "unreadable", "surely-not": "missing"}
    assert reason in report.mismatches[1].remark
    assert str(report.mismatches[1]) == f"{line} (current: unreadable, required: {line})"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(None, "FIFO", id="fifo"),
        pytest.param(b"\xff", "UTF-8", id="binary"),
        pytest.param(b"#" * (1 << 20) + b"#", "larger", id="huge"),
    ],
)
def test_a_requirements_file_that_cannot_be_read(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "requirements.txt"
    if content is None:
        os.mkfifo(path)
    else:
        path.write_bytes(content)
    (found,) = check_requirements(tmp_path, python=HERE).mismatches
    assert (found.name, found.kind) == ("requirements.txt", "unreadable")
    assert reason in found.remark


def test_a_requirements_file_without_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "requirements.txt").touch()

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)
    (found,) = check_requirements(tmp_path, python=HERE).mismatches
    assert "Permission denied" in found.remark


def test_a_model_without_files_requires_nothing(tmp_path: Path) -> None:
    report = check(tmp_path)
    assert report.ok
    assert [item.kind for item in report.mismatches] == ["python"]


def test_there_has_to_be_a_directory(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="no model directory"):
        check(tmp_path / "none")


def test_a_broken_mlmodel_file_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "")
    (tmp_path / "MLmodel").write_text("a: [")
    with pytest.raises(ModelFormatError):
        check(tmp_path)
    (tmp_path / "MLmodel").write_text("flavors: 3")
    assert check(tmp_path).python_required is None


REPORT = Report(
    "m<odel",
    (
        Mismatch("numpy", "numpy<1", "2.4.6", "version", "breaks"),
        Mismatch("mlflow", "mlflow==2", None, "runtime", "info", "the library"),
        Mismatch("a&b", "a&b", None, "unreadable", "cosmetic", "why"),
        Mismatch("x", "x==1", "1.1", "version", "likely"),
    ),
    "3.11.7",
    "3.11.7",
    7,
)
CLEAN = Report("m", (), "3.11.7", "3.11.7", 2)


def test_the_warning_has_the_lines_that_tools_parse() -> None:
    lines = warn_text(REPORT).splitlines()
    assert lines[1:4] == [
        " - numpy (current: 2.4.6, required: numpy<1)",
        " - a&b (current: unreadable, required: a&b)",
        " - x (current: 1.1, required: x==1)",
    ]
    assert "mlflow==2" not in warn_text(REPORT)
    assert lines[-1].startswith("hint: ")


def test_one_warning_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "pyfunc.env"):
        warn_mismatches(REPORT)
        warn_mismatches(CLEAN)
    assert [record.getMessage() for record in caplog.records] == [warn_text(REPORT)]


def test_problems_can_be_raised() -> None:
    raise_mismatches(CLEAN)
    with pytest.raises(EnvironmentMismatchError, match="required: numpy<1") as caught:
        raise_mismatches(REPORT)
    assert caught.value.mismatches == REPORT.problems


def test_a_report_is_attached_to_an_error() -> None:
    error = ValueError("x")
    attach_report(error, REPORT)
    assert error.environment_report is REPORT  # type: ignore[attr-defined]
    if sys.version_info >= (3, 11):
        assert error.__notes__ == [warn_text(REPORT)]
    quiet = ValueError("y")
    attach_report(quiet, CLEAN)
    assert not hasattr(quiet, "__notes__")


def test_the_table() -> None:
    assert str(REPORT).splitlines() == [
        "m<odel: 3 difference(s) in 7 requirement(s)",
        "package  current      required   severity  remark",
        "-------  -----------  ---------  --------  ------------------",
        "numpy    2.4.6        numpy<1    breaks    loading will fail",
        "mlflow   uninstalled  mlflow==2  info      the library",
        "a&b      unreadable   a&b        cosmetic  why",
        "x        1.1          x==1       likely    results may differ",
    ]
    assert str(CLEAN) == "m: no differences in 2 requirement(s)\n"


def test_the_table_in_colour() -> None:
    lines = REPORT.to_table(colour=True).splitlines()
    assert lines[3].startswith("\x1b[31mnumpy")
    assert lines[3].endswith("\x1b[0m")
    assert "\x1b" not in lines[1]


def test_html_is_escaped() -> None:
    text = REPORT._repr_html_()
    assert "<caption>m&lt;odel: 3 difference(s)" in text
    assert "<td>a&amp;b</td>" in text
    assert CLEAN._repr_html_() == "<p>m: no differences in 2 requirement(s)</p>"


def test_json() -> None:
    import json

    content = json.loads(REPORT.to_json())
    assert content["ok"] is False
    assert content["python"] == {"required": "3.11.7", "current": "3.11.7"}
    assert content["mismatches"][0] == {
        "name": "numpy",
        "required": "numpy<1",
        "current": "2.4.6",
        "kind": "version",
        "severity": "breaks",
        "remark": "",
    }


def test_the_worst_severity() -> None:
    assert REPORT.severity == "breaks"
    assert CLEAN.severity is None
    assert CLEAN.ok
    assert not REPORT.ok


def test_a_file_that_cannot_be_decoded_is_a_difference_that_counts(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_bytes(b"numpy\xff\xfe")
    report = check(tmp_path)
    [found] = report.problems
    assert (found.kind, found.severity) == ("unreadable", "likely")
    assert "UTF-8" in found.remark
