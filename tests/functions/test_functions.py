"""What a function is made of: parameters, code sources, and how its code is loaded."""

from __future__ import annotations

import base64
import os
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyfunc.errors import (
    ModelFormatError,
    ModelNotFoundError,
    ModelPathError,
    RunError,
    SchemaError,
)
from pyfunc.functions import Function, Project, new_function
from pyfunc.functions.archives import Limits, extract_zip
from pyfunc.functions.function import PYTHON_VERSIONS
from pyfunc.functions.sources import fetch_source

Make = Callable[..., Function]
V = "PYTHON3_11"


def test_all_problems_are_told_at_once(project: Project) -> None:
    with pytest.raises(SchemaError) as raised:
        project.new_function(
            "a b", "other", python_version="PYTHON3_8", init_function="a b", code_src="missing.py",
            requirements=["numpy", "no requirement"], image=3, uuid="x",  # type: ignore[arg-type]
            description=1, labels=[2], embedded=3,  # type: ignore[arg-type,list-item]
        )  # fmt: skip
    assert [problem.path for problem in raised.value.problems] == [
        "code_src", "description", "embedded", "handler", "image", "init_function", "kind",
        "labels", "name", "python_version", "requirements[1]", "uuid",
    ]  # fmt: skip
    assert project.list_functions() == []


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        pytest.param({}, "code_src", id="no-source"),
        pytest.param({"code_src": "file:///x.py"}, "code_src", id="file-scheme"),
        pytest.param({"code_src": "local://x.py"}, "code_src", id="local-scheme"),
        pytest.param({"code_src": "s3://b/x.py"}, "code_src", id="s3-without-zip"),
        pytest.param({"code_src": "ftp://h/x.py"}, "code_src", id="unknown-scheme"),
        pytest.param({"code_src": "git+https:///x"}, "code_src", id="no-host"),
        pytest.param({"code_src": "."}, "code_src", id="directory"),
        pytest.param({"base64": "%"}, "base64", id="no-base64"),
        pytest.param({"code": "", "requirements": "numpy"}, "requirements", id="requirements-str"),
        pytest.param({"code": "", "handler": "a-b"}, "handler", id="no-handler"),
        pytest.param({"code": "", "handler": "../a:f"}, "handler", id="handler-outside"),
    ],
)
def test_a_problem_is_named(project: Project, arguments: dict[str, Any], path: str) -> None:
    with pytest.raises(SchemaError) as raised:
        project.new_function("f", python_version=V, **{"handler": "f", **arguments})
    assert [problem.path for problem in raised.value.problems] == [path]


def test_unknown_arguments_are_refused(project: Project) -> None:
    with pytest.raises(TypeError, match="code_source"):
        project.new_function("f", python_version=V, handler="f", code_source="")  # type: ignore[call-arg]


@pytest.mark.parametrize("version", PYTHON_VERSIONS)
def test_every_python_version_is_taken(project: Project, version: str) -> None:
    function = project.new_function(
        "f", code="def f(): return 1", handler="f", python_version=version
    )
    assert function.spec.python_version == version
    assert function.run(env="local").results() == {"output_0": 1}


def test_a_file_becomes_part_of_the_function(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "main.py"
    path.write_text("def f():\n    return 'first'\n")
    function = project.new_function("f", code_src=str(path), handler="f", python_version=V)
    path.unlink()
    assert function.spec.source["source"] == str(path)
    assert function.run(env="local").results() == {"output_0": "first"}


def test_text_goes_before_base64_and_a_dict_can_say_it_all(project: Project) -> None:
    one = base64.b64encode(b"def f(): return 1").decode()
    both = project.new_function(
        "f", code="def f(): return 2", base64=one, handler="f", python_version=V
    )
    source = {"base64": one, "handler": "f"}
    from_dict = project.new_function("f", source=source, python_version=V)
    assert both.run(env="local").result("output_0") == 2
    assert from_dict.run(env="local").result("output_0") == 1


def test_a_name_has_versions(project: Project) -> None:
    old = project.new_function("f", code="def f(): return 1", handler="f", python_version=V)
    new = project.new_function("f", code="def f(): return 2", handler="f", python_version=V)
    assert project.get_function("f") == new
    assert project.get_function(old.key).run(env="local").result("output_0") == 1
    assert project.list_functions("f") == [old, new]
    project.delete_function("f")
    assert project.get_function("f") == old


def test_from_the_library_below_a_root(project: Project, root: Path) -> None:
    made = new_function("demo", "g", root=root, code="def f(): 1", handler="f", python_version=V)
    assert project.get_function("g").key == made.key


def test_from_the_library(project: Project, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The environment is how a script names its store.
    monkeypatch.setenv("PYFUNC_FUNCTIONS_ROOT", str(root))
    made = new_function("demo", "f", code="def f(): pass", handler="f", python_version=V)
    assert project.get_function("f") == made


PACKAGE = {
    "pkg/__init__.py": "",
    "pkg/mod.py": "from helper import name\nfrom . import near\ndef f(): return name, near.value",
    "pkg/near.py": "value = 'near'",
    "helper.py": "name = 'helper'",
}


def test_code_from_the_web_and_from_an_archive(project: Project, site: tuple[Path, str]) -> None:
    folder, url = site
    folder.joinpath("tools.py").write_text("def f(): return 'web'")
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        for name, text in PACKAGE.items():
            archive.writestr(name, text)
    web = project.new_function(
        "w", code_src=f"{url}/tools.py", handler="tools:f", python_version=V
    )
    zipped = project.new_function(
        "z", code_src=f"zip+{url}/a.zip", handler="pkg.mod:f", python_version=V
    )
    assert web.run(env="local").results() == {"output_0": "web"}
    assert zipped.run(env="local").results() == {"output_0": "helper", "output_1": "near"}
    folder.joinpath("tools.py").write_text("def f(): return 'changed'")
    assert web.run(env="local").results() == {"output_0": "changed"}


def test_nothing_at_the_place_is_told(project: Project, site: tuple[Path, str]) -> None:
    function = project.new_function(
        "w", code_src=f"{site[1]}/none.py", handler="none:f", python_version=V
    )
    with pytest.raises(RunError, match="cannot be fetched") as raised:
        function.run(env="local")
    assert isinstance(raised.value.__cause__, ModelNotFoundError)


def run_git(folder: Path, *arguments: str) -> None:
    names = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *names, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository that git finds at https://example.org/repo."""
    folder = tmp_path / "repo"
    folder.mkdir()
    run_git(folder, "init", "-q", "-b", "main")
    folder.joinpath("mod.py").write_text("def f(): return 'old'")
    run_git(folder, "add", ".")
    run_git(folder, "commit", "-qm", "old")
    run_git(folder, "tag", "v1")
    folder.joinpath("mod.py").write_text("def f(): return 'new'")
    folder.joinpath("link").symlink_to("/etc/passwd")
    run_git(folder, "add", ".")
    run_git(folder, "commit", "-qm", "new")
    run_git(folder, "branch", "side")
    # Only so is an https address found without a network.
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.file://{tmp_path}/.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://example.org/")
    return folder


@pytest.mark.parametrize(("ref", "expected"), [("", "new"), ("#v1", "old"), ("#side", "new")])
def test_code_from_git(project: Project, repository: Path, ref: str, expected: str) -> None:
    function = project.new_function(
        "g", code_src=f"git+https://example.org/repo{ref}", handler="mod:f", python_version=V
    )
    assert function.run(env="local").results() == {"output_0": expected}


def test_links_in_a_repository_lead_nowhere(repository: Path, tmp_path: Path) -> None:
    tree = fetch_source({"source": "git+https://example.org/repo"}, tmp_path / "sources")
    assert sorted(path.name for path in tree.iterdir()) == ["link", "mod.py"]
    assert not (tree / "link").is_symlink()


def test_credentials_for_git_stand_in_the_environment_only(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    tools.joinpath("git").write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/seen\n'
        f"env | grep -h Basic >> {tmp_path}/seen-env\nexit 1\n"
    )
    tools.joinpath("git").chmod(0o755)
    # What a user sets to reach a repository that is not public.
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GIT_TOKEN", "github_pat_secret")
    monkeypatch.setenv("GIT_USERNAME", "unused")
    monkeypatch.setenv("GIT_PASSWORD", "unused")
    with pytest.raises(Exception, match="git clone failed") as raised:
        fetch_source({"source": "git+https://example.org/repo"}, tmp_path / "sources")
    token = base64.b64encode(b"oauth2:github_pat_secret").decode()
    assert token in (tmp_path / "seen-env").read_text()
    assert token not in (tmp_path / "seen").read_text()
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("ref", ["none", "-x"])
def test_a_ref_that_is_not_there_is_told(repository: Path, tmp_path: Path, ref: str) -> None:
    with pytest.raises((ModelNotFoundError, ValueError), match="branch, tag or commit"):
        fetch_source({"source": f"git+https://example.org/repo#{ref}"}, tmp_path / "sources")


def write_zip(path: Path, name: str, data: bytes = b"x", mode: int = 0o100644) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        entry.create_system = 3
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, data)
    return path


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        pytest.param("../evil", 0o100644, id="above"),
        pytest.param("a/../../evil", 0o100644, id="above-later"),
        pytest.param("/evil", 0o100644, id="absolute"),
        pytest.param("a\\..\\evil", 0o100644, id="backslash"),
        pytest.param("C:/evil", 0o100644, id="drive"),
        pytest.param("link", 0o120777, id="link"),
        pytest.param("device", 0o020644, id="device"),
        pytest.param("fifo", 0o010644, id="fifo"),
    ],
)
def test_archives_that_lead_outside_are_refused(tmp_path: Path, name: str, mode: int) -> None:
    target = tmp_path / "deep" / "target"
    target.mkdir(parents=True)
    archive = write_zip(tmp_path / "a.zip", name, b"/etc", mode)
    with pytest.raises(ModelPathError):
        extract_zip(archive, target)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.zip", "deep", "target"]


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param(Limits(total=1000), id="total"),
        pytest.param(Limits(ratio=2, free=1000), id="ratio"),
        pytest.param(Limits(entries=0), id="entries"),
    ],
)
def test_bombs_are_refused_while_they_unfold(tmp_path: Path, limits: Limits) -> None:
    archive = write_zip(tmp_path / "a.zip", "zeros", bytes(50_000_000))
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(ModelFormatError):
        extract_zip(archive, target, limits)
    assert sum(path.stat().st_size for path in target.rglob("*")) < 10_000_000


def test_a_damaged_archive_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"PK no zip")
    with pytest.raises(ModelFormatError, match="cannot be unpacked"):
        extract_zip(path, tmp_path)


def test_two_functions_each_get_their_own_modules(
    project: Project, site: tuple[Path, str]
) -> None:
    folder, url = site
    for name in ("one", "two"):
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
            archive.writestr(
                "mod.py",
                "import helper\ndef f():\n    import late\n    return helper.name, late.name",
            )
            archive.writestr("helper.py", f"name = {name!r}")
            archive.writestr("late.py", f"name = 'late {name}'")
    runs = [
        project.new_function(
            name, code_src=f"zip+{url}/{name}.zip", handler="mod:f", python_version=V
        ).run(env="local")
        for name in ("one", "two")
    ]
    assert [run.results() for run in runs] == [
        {"output_0": "one", "output_1": "late one"},
        {"output_0": "two", "output_1": "late two"},
    ]


def test_nothing_of_a_run_is_left_in_the_modules_of_the_next(make: Make) -> None:
    function = make("seen = []\ndef f():\n    seen.append(1)\n    return len(seen)")
    assert [function.run().result("output_0") for _ in range(2)] == [1, 1]


@pytest.mark.parametrize(
    ("code", "handler", "match"),
    [
        pytest.param("x = 1", "f", "'f' is not there; the module has no functions", id="missing"),
        pytest.param("f = 1", "f", "'f' cannot be called", id="no-function"),
        pytest.param("def f(): pass", "mod:f", "no module 'mod'", id="no-module"),
        pytest.param(
            "import no_such_module", "f", "neither installed nor in the source", id="import"
        ),
        pytest.param("def f(:", "f", "SyntaxError", id="syntax"),
        pytest.param("1 / 0", "f", "ZeroDivisionError", id="import-fails"),
    ],
)
def test_code_that_has_no_such_function_is_told(
    make: Make, code: str, handler: str, match: str
) -> None:
    with pytest.raises(RunError, match=match):
        make(code, handler=handler).run()


def test_a_source_argument_of_another_type_is_told(project: Project) -> None:
    with pytest.raises(SchemaError, match="code: expected str"):
        project.new_function("f", code=3, handler="f", python_version=V)  # type: ignore[arg-type]
    with pytest.raises(SchemaError, match="labels: expected a list of str"):
        project.new_function("f", code="", handler="f", python_version=V, labels="ab")
