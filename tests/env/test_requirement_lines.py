"""Requirement values as MLflow reads them (env-serve 1.4), and lines that nothing may run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfunc.env.requirements.credentials import without_credentials
from pyfunc.env.requirements.lines import (
    RequirementLines,
    check_line,
    clean_lines,
    decode_lines,
    expand_lines,
    name_of,
    parse_argument,
    parse_requirement,
)
from pyfunc.env.requirements.of_model import read_requirements
from pyfunc.errors import InvalidArgumentError, InvalidTypeError, ModelNotFoundError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([" a ", "", "  ", "#b", " # c"], ["a"], id="blank-and-comment-lines"),
        pytest.param(
            ["a # why", "a#frag", "u/x#egg=y"], ["a", "a#frag", "u/x#egg=y"], id="inline"
        ),
        pytest.param(["a==1 \\", "  --hash=sha256:1"], ["a==1 --hash=sha256:1"], id="continued"),
        pytest.param(["a\\"], ["a"], id="continued-at-the-end"),
        pytest.param(["\\", "b"], ["b"], id="continuation-of-nothing"),
        pytest.param(["a\t# why", "b \t #c"], ["a", "b"], id="tab-before-a-comment"),
        pytest.param(["a\\", "# why", "b"], ["a", "b"], id="comment-ends-what-is-continued"),
        pytest.param(["# a \\", "b"], ["b"], id="comment-is-not-continued"),
        pytest.param(
            ["# install separately: a==1, why", "# pandas==2"],
            ["# install separately: a==1, why"],
            id="by-hand",
        ),
    ],
)
def test_clean_lines(lines: list[str], expected: list[str]) -> None:
    assert clean_lines(lines) == expected


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(["a", "b==1"], id="list"),
        pytest.param(("a", "b==1"), id="tuple"),
        pytest.param({"a": 1, "b==1": 2}, id="keys-of-a-dict"),
        pytest.param((line for line in ("a", "b==1")), id="generator"),
    ],
)
def test_an_iterable_of_strings_gives_lines(value: Any) -> None:
    assert parse_argument(value, name="pip_requirements").requirements == ("a", "b==1")


def test_none_gives_no_lines() -> None:
    assert parse_argument(None, name="pip_requirements") == RequirementLines((), ())


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(Path("requirements.txt"), id="path-object"),
        pytest.param(3, id="number"),
        pytest.param(["a", 3], id="list-with-a-number"),
        pytest.param([Path("a")], id="list-with-a-path"),
        pytest.param(b"a", id="bytes"),
    ],
)
def test_other_types_are_refused_by_name(value: Any) -> None:
    with pytest.raises(InvalidTypeError, match="extra_pip_requirements must be the path"):
        parse_argument(value, name="extra_pip_requirements")


def test_a_file_is_read_and_nested_files_are_relative_to_it(here: Path) -> None:
    (here / "sub").mkdir()
    (here / "top.txt").write_text("first\n-r sub/inner.txt\nlast\n")
    (here / "sub" / "inner.txt").write_text("second\n-c bounds.txt\n--requirement deep.txt")
    (here / "sub" / "bounds.txt").write_text("numpy<3\n# why\n-r deep.txt")
    (here / "sub" / "deep.txt").write_text("third")
    found = parse_argument("top.txt", name="pip_requirements")
    assert found.requirements == ("first", "second", "third", "third", "last")
    assert found.constraints == ("numpy<3",)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xef\xbb\xbfa\xc3\xa9\n", id="mark-of-utf-8"),
        pytest.param("\ufeffa\u00e9\r\n".encode("utf-16-le"), id="mark-of-utf-16"),
        pytest.param("\ufeffa\u00e9\n".encode("utf-32-be"), id="mark-of-utf-32"),
        pytest.param(b"# -*- coding: latin-1 -*-\na\xe9\n", id="coding-line"),
        pytest.param(b"# \n# vim: set fileencoding=cp1252 :\na\xe9", id="second-line"),
        pytest.param("# coding: unheard-of\na\u00e9".encode(), id="unknown-coding"),
        pytest.param("a\u00e9".encode(), id="utf-8"),
    ],
)
def test_a_file_is_decoded_as_pip_does(data: bytes) -> None:
    assert clean_lines(decode_lines(data).splitlines()) == ["a\u00e9"]


def test_a_save_and_a_check_decode_alike(here: Path) -> None:
    (here / "own.txt").write_bytes(b"\xef\xbb\xbfnumpy\t# why\n-rmore.txt\n")
    (here / "more.txt").write_bytes("six==0".encode("utf-16"))
    assert parse_argument("own.txt", name="x").requirements == ("numpy", "six==0")
    (here / "requirements.txt").write_bytes((here / "own.txt").read_bytes())
    assert read_requirements(here) == (["numpy", "six==0"], [])


@pytest.mark.parametrize(
    "line",
    [
        "-r sub dir/more.txt",
        "-rsub dir/more.txt",
        "--requirement sub dir/more.txt",
        "--requirement=sub dir/more.txt",
        '-r "sub dir/more.txt"',
        "--requirement='sub dir/more.txt'",
    ],
)
def test_every_spelling_of_an_included_file(here: Path, line: str) -> None:
    (here / "sub dir").mkdir()
    (here / "sub dir" / "more.txt").write_text("a")
    assert parse_argument([line], name="x").requirements == ("a",)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("Scikit_Learn>=1; python_version>'3'", "scikit-learn"),
        ("a.b @ https://h/x.whl", "a-b"),
        ("a==1 --hash=sha256:0", "a"),
        ("code/A_b-1.0-py3-none-any.whl[x] ; python_version>'3'", "a-b"),
        ("./my wheels/a-1.0-py3-none-any.whl", "a"),
        ("git+https://h/x#subdirectory=s&egg=A_b", "a-b"),
        ("./sub", None),
        ("--pre", None),
    ],
)
def test_the_name_of_what_a_line_installs(line: str, name: str | None) -> None:
    assert name_of(line) == name


def test_names_in_a_list_are_relative_to_the_working_directory(here: Path) -> None:
    (here / "more.txt").write_text("a")
    (here / "bounds.txt").write_text("b<2")
    found = parse_argument(["-r more.txt", "--constraint bounds.txt"], name="pip_requirements")
    assert found == RequirementLines(("a",), ("b<2",))


@pytest.mark.parametrize("lines", ["none.txt", ["-r none.txt"], ["-c none.txt"]])
def test_a_missing_file_is_named(here: Path, lines: Any) -> None:
    with pytest.raises(ModelNotFoundError, match=r"none\.txt.*does not exist"):
        parse_argument(lines, name="pip_requirements")


def test_a_directory_is_no_requirements_file(here: Path) -> None:
    with pytest.raises(FileNotFoundError, match="not an ordinary file"):
        parse_argument(str(here), name="pip_requirements")


def test_a_file_that_is_no_text_is_refused(here: Path) -> None:
    (here / "x.txt").write_bytes(b"\xff\xfd")
    with pytest.raises(ModelNotFoundError, match="UTF-8"):
        parse_argument("x.txt", name="pip_requirements")


def test_files_that_include_each_other_end_with_an_error(here: Path) -> None:
    (here / "a.txt").write_text("-r b.txt")
    (here / "b.txt").write_text("-r a.txt")
    with pytest.raises(InvalidArgumentError, match="include each other"):
        parse_argument("a.txt", name="pip_requirements")


GOOD = [
    "a",
    "a[x,y]>=1,<2; python_version<'4'",
    "a @ https://host/a.whl",
    "a@git+https://host/a",
    "a==1 --hash=sha256:0 --hash=sha256:1",
    "git+https://host/a@v1#egg=a",
    "https://host/a.whl ; python_version > '3'",
    "./a.whl",
    "sub/a",
    "./my wheels/a-1.0-py3-none-any.whl",
    "my wheels/a-1.0-py3-none-any.whl[x]; python_version>'3'",
    "a==1 -C key=value --config-settings=other=value",
    "--find-links 'my wheels'",
    "-e git+https://host/a@v1#egg=a",
    "a-1.0.tar.gz",
    "a.whl[extra]",
    "-i https://host/simple",
    "--index-url https://host/simple",
    "--extra-index-url=https://host/simple",
    "--find-links wheels",
    "--no-binary :all:",
    "--no-index",
    "--pre",
    "--index-url https://a/s --extra-index-url=https://b/s --pre -fwheels",
    "--require-hashes",
]


@pytest.mark.parametrize("line", GOOD)
def test_lines_that_installers_understand_are_kept(line: str) -> None:
    check_line(line, source="x")
    assert parse_argument([line], name="pip_requirements").requirements == (line,)


FOREIGN = [
    "../a.whl",
    "/abs/a.whl",
    "~/a.whl",
    "C:\\wheels\\a.whl",
    "-e .",
    "-e./sub",
    "--editable=./sub",
    "-e file:///src/a",
    "a @ file:///src/a",
    "a @ file:a.whl",
    "a @ git+file:///src/a@main",
    "file:///src/a.whl",
]


@pytest.mark.parametrize("line", FOREIGN)
def test_lines_that_only_this_machine_can_follow_are_refused_with_a_remedy(line: str) -> None:
    check_line(line, source="x")
    with pytest.raises(InvalidArgumentError, match=r"(?s)cannot be restored.*hint:"):
        parse_argument([line], name="pip_requirements")


HOSTILE = [
    "$(touch pwned)",
    "a==1; $(touch pwned)",
    "a==`id`",
    "a\nb",
    "a\r--index-url https://evil",
    "a\x00b",
    "a\u2028b",
    "not a requirement!!",
    "a==",
    "a && rm -rf x",
    "a | sh",
    "x > /etc/passwd",
    "-",
    "--",
    "--bogus",
    "--bogus=1",
    "-x",
    "--index-url",
    "--index-url=",
    "--no-index now",
    "--target=/etc --index-url=x",
    "a==1 --bogus=1",
    "--find-links --bogus",
    "-e . --bogus",
    "=1",
]


@pytest.mark.parametrize("line", HOSTILE)
def test_other_lines_are_refused_and_named(line: str) -> None:
    with pytest.raises(InvalidArgumentError, match="pip_requirements: line") as caught:
        parse_argument([line], name="pip_requirements")
    assert repr(line)[1:-1][:20] in str(caught.value)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        pytest.param("A_b==1", "A_b", id="plain"),
        pytest.param("a==1 --hash=sha256:0", "a", id="with-options"),
        pytest.param("-e .", None, id="option"),
        pytest.param("./x --hash=1", None, id="path-with-option"),
        pytest.param("git+https://h/x", None, id="url"),
    ],
)
def test_parse_requirement(line: str, name: str | None) -> None:
    found = parse_requirement(line)
    assert (None if found is None else found.name) == name


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("--index-url https://u:p@h/s", "--index-url https://h/s", id="password"),
        pytest.param("git+https://tok@h/x@v1#egg=x", "git+https://h/x@v1#egg=x", id="token"),
        pytest.param("a @ https://u:p%40x@h/a.whl", "a @ https://h/a.whl", id="quoted"),
        pytest.param("-i https://u:p@w@h/s", "-i https://h/s", id="at-sign-in-password"),
        pytest.param("-i https://h/s?token=x&b=1", "-i https://h/s?b=1", id="token-in-query"),
        pytest.param("-i https://h/s?b=1&api_key=x#f", "-i https://h/s?b=1#f", id="key-in-query"),
        pytest.param("-i https://h/s?sig=x", "-i https://h/s", id="only-query"),
        pytest.param("a @ git+ssh://u:pw@h/r@v1", "a @ git+ssh://u@h/r@v1", id="ssh-password"),
        pytest.param("git+ssh://git:t@h:22/r#egg=a", "git+ssh://git@h:22/r#egg=a", id="ssh-port"),
        pytest.param("a @ git+ssh://u:p@w@h/r", "a @ git+ssh://u@h/r", id="ssh-at-sign"),
        pytest.param("a @ git+ssh://:pw@h/r", "a @ git+ssh://h/r", id="ssh-password-alone"),
        pytest.param("a @ git+https://u:pw@h/r@v1", "a @ git+https://h/r@v1", id="git-over-https"),
        pytest.param("a @ git+https://token@h/r", "a @ git+https://h/r", id="git-token"),
        pytest.param("-i https://h/s?a=1&token=x&b=2", "-i https://h/s?a=1&b=2", id="in-between"),
    ],
)
def test_credentials_are_left_out_with_one_log_line(
    line: str, expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "pyfunc.env"):
        assert without_credentials(line) == expected
    assert len(caplog.records) == 1
    assert parse_argument([line], name="pip_requirements").requirements == (expected,)


@pytest.mark.parametrize(
    "line",
    [
        "git+ssh://git@h/x",
        "--index-url https://${USER}:${TOKEN}@h/s",
        "--index-url https://${TOKEN}@h/s",
        "--extra-index-url https://oauth2:${TOKEN}@h/s",
        "a @ https://h/a.whl?token=${TOKEN}",
        "a @ https://h/a.whl?monkey=1",
        "a @ https://h/a@1.whl",
        "a==1",
    ],
)
def test_lines_without_credentials_stay_as_they_are(line: str) -> None:
    assert without_credentials(line) == line


@given(st.lists(st.text(max_size=30), max_size=5))
def test_any_list_of_text_gives_lines_or_an_error_of_ours(lines: list[str]) -> None:
    wanted = [line for line in lines if not line.lstrip().startswith(("-r", "-c", "--r", "--c"))]
    try:
        found = parse_argument(wanted, name="pip_requirements")
    except InvalidArgumentError:
        return
    for line in found.requirements:
        check_line(line, source="again")


def test_expand_lines_hands_on_what_the_reader_raises(tmp_path: Path) -> None:
    def read(name: str, base: Path) -> tuple[Path, str]:
        raise InvalidArgumentError(f"{name} at {base}")

    with pytest.raises(InvalidArgumentError, match=f"x at {tmp_path}"):
        expand_lines(["-r x"], tmp_path, read)
