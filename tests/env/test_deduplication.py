"""Duplicate requirements are merged as MLflow merges them (env-serve 1.5), without a network."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import pyfunc
from pyfunc.env.requirements.deduplication import can_be_met, merge_duplicates, yield_to_given
from pyfunc.env.requirements.lines import RequirementLines
from pyfunc.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(["pandas >= 2.0 , <4"], ["pandas<4,>=2.0"], id="canonical-text"),
        pytest.param(["a", "a==1"], ["a==1"], id="missing-specifier-first"),
        pytest.param(["a==1", "a"], ["a==1"], id="missing-specifier-second"),
        pytest.param(["a[x]", "a[y]==1"], ["a[x,y]==1"], id="extras-united"),
        pytest.param(["n>=1", "b", "n<3", "n==2"], ["n<3,==2,>=1", "b"], id="combined-in-place"),
        pytest.param(["n_a>=1", "N.A<2"], ["n_a<2,>=1"], id="spelling-does-not-matter"),
        pytest.param(
            ["a; python_version>'3'", "a==1"],
            ['a; python_version > "3"', "a==1"],
            id="marker-is-part-of-the-key",
        ),
        pytest.param(["t==2+cu1", "t==2"], ["t==2"], id="label-first"),
        pytest.param(["t==2", "t==2+cu1"], ["t==2"], id="label-second"),
        pytest.param(["a==1", "a==1.0"], ["a==1.0"], id="equal-pins-keep-the-second"),
        pytest.param(["-e .", "./x.whl", "-e ."], ["-e .", "./x.whl"], id="others-once"),
        pytest.param(
            ["a==1 --hash=sha256:1", "a==1 --hash=sha256:1"], ["a==1 --hash=sha256:1"], id="hashes"
        ),
        pytest.param(["t==2", "t @ https://h/t.whl"], ["t @ https://h/t.whl"], id="url-wins"),
        pytest.param(["t @ https://h/t.whl", "t==2"], ["t @ https://h/t.whl"], id="url-stays"),
        pytest.param(["t @ https://h/t"] * 2, ["t @ https://h/t"], id="same-url"),
        pytest.param(["a==1.*", "a>=1.2"], ["a==1.*,>=1.2"], id="wildcard"),
        pytest.param(["a~=1.4", "a!=1.5"], ["a!=1.5,~=1.4"], id="compatible-release"),
    ],
)
def test_merged_lines(lines: list[str], expected: list[str]) -> None:
    # packaging before 24.2 writes a URL as "t@ https://...", which means the same.
    assert [line.replace("t@", "t @") for line in merge_duplicates(lines)] == expected


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["a==1", "a==2"], id="pins"),
        pytest.param(["a_b==1", "A-b==2"], id="spelling"),
        pytest.param(["a>=2", "a<2"], id="touching-ranges"),
        pytest.param(["a>1", "a<1"], id="ranges"),
        pytest.param(["a==1", "a!=1"], id="pin-excluded"),
        pytest.param(["a==1.*", "a>=2"], id="wildcard"),
        pytest.param(["a~=1.4", "a>=2"], id="compatible-release"),
        pytest.param(["t==2+cu1", "t==2+cpu"], id="labels"),
        pytest.param(["a @ https://h/1", "a @ https://h/2"], id="urls"),
        pytest.param(["a===x", "a==1"], id="arbitrary-equality"),
    ],
)
def test_contradictions_name_both_lines(lines: list[str]) -> None:
    with pytest.raises(InvalidArgumentError, match="contradict each other") as caught:
        merge_duplicates(lines)
    assert all(line.partition(" ")[0][:3] in str(caught.value) for line in lines)


@pytest.mark.parametrize(
    "text",
    [
        "!=0.0,<0.0.1",
        "<1.2.0,>1.1.5",
        ">1.0,<1.1",
        ">1,<1.0.1",
        "<1",
        ">1!2",
        "<=0.0.1,>0",
        ">=1.0a1,<1.0a3",
        "===x",
        ">0",
    ],
)
def test_satisfiable_ranges(text: str) -> None:
    assert can_be_met(SpecifierSet(text))


@pytest.mark.parametrize(
    ("given", "left"),
    [
        pytest.param(["pandas<3"], [], id="other-range"),
        pytest.param(["PANDAS<3"], [], id="other-spelling"),
        pytest.param(["pandas[excel]==2.2"], [], id="other-pin"),
        pytest.param(["pandas"], ["pandas==3.1.1"], id="name-only"),
        pytest.param(["pandas>=2"], ["pandas==3.1.1"], id="both-can-be-met"),
        pytest.param(["pandas<3; python_version>'3'"], [], id="marker-of-here"),
        pytest.param(
            ["pandas<3; python_version<'3'"], ["pandas==3.1.1"], id="marker-of-elsewhere"
        ),
        pytest.param(["pandas @ https://h/pandas-3.1.1.whl"], [], id="address"),
        pytest.param(["pandas==3.1.1 --hash=sha256:0"], [], id="hash"),
        pytest.param(["code/pandas-3.0-py3-none-any.whl"], [], id="wheel"),
        pytest.param(["git+https://h/pandas@v3#egg=pandas"], [], id="egg"),
        pytest.param(
            ["pandas-stubs<3", "--pre", "-e git+https://h/x"], ["pandas==3.1.1"], id="none"
        ),
    ],
)
def test_inferred_lines_yield_to_given_ones(given: list[str], left: list[str]) -> None:
    lines = RequirementLines(tuple(given), ())
    assert yield_to_given(["pandas==3.1.1"], lines) == left


@pytest.mark.parametrize(
    ("inferred", "given", "left"),
    [
        pytest.param("scikit-learn==1.9.1", "scikit_learn<1.5", False, id="underscore"),
        pytest.param("mine @ git+https://h/r@1", "mine==2", False, id="commit-and-version"),
        pytest.param("mine @ git+https://h/r@1", "mine[x]", True, id="commit-and-extra"),
        pytest.param("# install separately: mine==1, why", "mine", False, id="by-hand"),
    ],
)
def test_every_kind_of_inferred_line_yields(inferred: str, given: str, left: bool) -> None:
    found = yield_to_given([inferred], RequirementLines((given,), ()))
    assert found == ([inferred] if left else [])


@pytest.mark.parametrize(
    ("constraint", "line"),
    [
        ("pandas<3", "pandas"),
        ("Pandas<3; python_version>'3'", "pandas"),
        ("pandas<3; python_version<'3'", "pandas==3.1.1"),
        ("pandas>=3", "pandas==3.1.1"),
        ("numpy<3", "pandas==3.1.1"),
    ],
)
def test_a_pin_that_a_constraint_excludes_is_left_to_the_constraint(
    constraint: str, line: str
) -> None:
    assert yield_to_given(["pandas==3.1.1"], RequirementLines((), (constraint,))) == [line]


VERSIONS = st.builds("{}.{}.{}".format, *[st.integers(0, 3)] * 3)
SPECIFIERS = st.builds(
    "{}{}".format, st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "~="]), VERSIONS
)
GRID = [Version(f"{a}.{b}.{c}") for a in range(5) for b in range(5) for c in range(5)]


@given(st.lists(SPECIFIERS, min_size=1, max_size=3))
def test_what_a_plain_version_meets_can_be_met(parts: list[str]) -> None:
    specifiers = SpecifierSet(",".join(parts))
    if any(version in specifiers for version in GRID):
        assert can_be_met(specifiers)


@pytest.mark.parametrize("value", ["true", "1", "TRUE"])
def test_contradictions_are_written_down_where_the_check_is_switched_off(
    monkeypatch: pytest.MonkeyPatch, value: str, tmp_path: Path
) -> None:
    # The variable is what is tested.
    monkeypatch.setenv("MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK", value)
    lines = ["pandas<2", "pandas>=3", "scipy[a]>1", "scipy==1"]
    pyfunc.save_model(tmp_path / "model", python_model=len, pip_requirements=lines)
    written = (tmp_path / "model" / "requirements.txt").read_text().splitlines()
    assert {"pandas<2,>=3", "scipy[a]==1,>1"} <= set(written)
    monkeypatch.setenv("MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK", "false")
    with pytest.raises(InvalidArgumentError, match="contradict each other"):
        pyfunc.save_model(tmp_path / "other", python_model=len, pip_requirements=lines)


def test_an_inferred_line_yields_to_a_given_one_with_the_check_switched_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK", "true")  # what is tested
    given = RequirementLines(requirements=("pandas<3",), constraints=())
    assert yield_to_given(["pandas==3.0.0", "numpy==2.0"], given) == ["numpy==2.0"]
