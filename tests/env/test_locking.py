"""Lock files (PEP 751) are written and read (env/lock_file.py, env/locking.py)."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfunc.directory.verification import verify_files, write_manifest
from pyfunc.env import check, lock
from pyfunc.env.checking import locking
from pyfunc.env.checking.lock_file import (
    LOCK_PATH,
    LockedPackage,
    parse_lock,
    read_lock,
    write_lock_text,
)
from pyfunc.env.checking.locking import locked_packages
from pyfunc.errors import ModelFormatError, ModelIncompleteError

Install = Callable[..., Path]


@pytest.fixture
def only(site: Install, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return ``site`` with nothing else installed, and no uv."""

    def install(*arguments: Any, **keywords: Any) -> Path:
        folder = site(*arguments, **keywords)
        monkeypatch.setattr(sys, "path", [str(folder)])
        return folder

    monkeypatch.setattr(locking, "find_uv", lambda: None)
    return install


def fake_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """Make ``find_uv`` return a shell script; ``$OUT`` is the file it has to write."""
    path = tmp_path / "uv"
    path.write_text(
        "#!/bin/sh\nwhile [ $# -gt 1 ]; do [ $1 = --output-file ] && OUT=$2; shift; done\n"
        f"IN=$1\n{script}\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(locking, "find_uv", lambda: str(path))
    return path


def test_what_an_installer_recorded_is_the_source(only: Install) -> None:
    def url(**content: Any) -> str:
        return json.dumps(content)

    only("plain", "1.0")
    only("broken", direct_url="{")
    only("odd", direct_url="[3]")
    only("unhashed", direct_url=url(url="https://h/u.whl", archive_info={}))
    only("bare", direct_url=url(url="https://h/u.whl"))
    only(
        "repo",
        direct_url=url(
            url="https://u:p@h/r", subdirectory="s", vcs_info={"vcs": "git", "commit_id": "abc"}
        ),
    )
    only("work", direct_url=url(url="file:///src/work", dir_info={"editable": True}))
    only("copied", direct_url=url(url="file:///src/copied", dir_info={}))
    only("old", direct_url=url(url="https://h/o.whl", archive_info={"hash": "sha256=11"}))
    only("new", direct_url=url(url="https://h/n.whl", archive_info={"hashes": {"sha256": "22"}}))
    assert {p.name: p.source for p in locked_packages()} == {
        "bare": {},
        "broken": {},
        "copied": {"directory": {"path": "/src/copied"}},
        "new": {"archive": {"url": "https://h/n.whl", "hashes": {"sha256": "22"}}},
        "odd": {},
        "old": {"archive": {"url": "https://h/o.whl", "hashes": {"sha256": "11"}}},
        "plain": {},
        "repo": {
            "vcs": {
                "type": "git",
                "url": "https://h/r",
                "commit-id": "abc",
                "subdirectory": "s",
            }
        },
        "unhashed": {},
        "work": {"directory": {"path": "/src/work", "editable": True}},
    }


UV_LOCK = """cat > $OUT <<X
lock-version = "1.0"
created-by = "uv"
[[packages]]
name = "plain"
version = "1.0"
[[packages.wheels]]
url = "https://u:p@h/plain-1.0-py3-none-any.whl"
upload-time = 2026-01-01T00:00:00Z
hashes = { sha256 = "33" }
size = 5
[[packages]]
name = "other"
version = "9"
X"""


def test_uv_gives_the_files_of_an_index(
    only: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only("plain", "1.0")
    only("other", "1.0")
    fake_uv(tmp_path, monkeypatch, UV_LOCK)
    found = {package.name: package.source for package in locked_packages()}
    wheel = {"url": "https://h/plain-1.0-py3-none-any.whl", "hashes": {"sha256": "33"}, "size": 5}
    assert found == {"plain": {"wheels": [wheel]}, "other": {}}
    assert locked_packages(resolve=False)[1].source == {}


def test_packages_that_no_index_knows_are_asked_for_only_once(
    only: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only("plain", "1.0")
    only("mine", "1.0")
    refuse = (
        "if grep -q mine $IN; then echo 'there is no version of\n mine==1.0' >&2; exit 1; fi\n"
    )
    fake_uv(tmp_path, monkeypatch, refuse + UV_LOCK)
    assert {p.name: bool(p.source) for p in locked_packages()} == {"plain": True, "mine": False}


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("echo no network >&2; exit 1", id="fails"),
        pytest.param("echo 'not = [toml' > $OUT", id="writes-no-toml"),
        pytest.param("exit 0", id="writes-nothing"),
    ],
)
def test_without_an_answer_of_uv_the_lock_has_no_sources(
    only: Install,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    script: str,
) -> None:
    only("plain", "1.0")
    fake_uv(tmp_path, monkeypatch, script)
    assert [p.source for p in locked_packages()] == [{}]
    assert "no hashes" in caplog.text


def test_a_uv_that_does_not_run(
    only: Install, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    only("plain", "1.0")
    monkeypatch.setattr(locking, "find_uv", lambda: "/nonexistent/uv")
    assert [p.source for p in locked_packages()] == [{}]
    assert "no hashes" in caplog.text


def test_every_package_unknown_to_every_index(
    only: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only("mine", "1.0")
    fake_uv(tmp_path, monkeypatch, "echo 'mine was not found' >&2; exit 1")
    assert [p.source for p in locked_packages()] == [{}]


def test_a_lock_lies_beside_the_files_and_the_manifest_is_renewed(
    only: Install, tmp_path: Path
) -> None:
    only("plain", "1.0")
    model = tmp_path / "model"
    model.mkdir()
    (model / "MLmodel").write_text("flavors: {}")
    assert lock(model) == model / LOCK_PATH
    assert not (model / ".pyfunc" / "manifest.json").exists()
    write_manifest(model)
    lock(model, resolve=False)
    verify_files(model)
    assert read_lock(model / LOCK_PATH) == [LockedPackage("plain", "1.0", {})]


def test_an_environment_is_held_against_a_lock(only: Install, tmp_path: Path) -> None:
    only("same", "1.0")
    only("extra", "3.0")
    only("changed", "2.0")
    (tmp_path / ".pyfunc").mkdir()
    packages = [LockedPackage(n, "1.0", {}) for n in ("same", "changed", "gone")]
    text = write_lock_text(packages, requires_python="==3.11.*")
    (tmp_path / LOCK_PATH).write_text(text)
    report = check(tmp_path, lock=True)
    assert [(str(m), m.severity) for m in report.mismatches[1:]] == [
        ("changed (current: 2.0, required: changed==1.0)", "likely"),
        ("gone (current: uninstalled, required: gone==1.0)", "likely"),
        ("extra (current: 3.0, required: extra)", "info"),
    ]
    assert report.requirement_count == 3


def test_a_model_without_a_lock(tmp_path: Path) -> None:
    with pytest.raises(ModelIncompleteError):
        check(tmp_path, lock=True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"\xff", "not a TOML"),
        (b"a = [", "not a TOML"),
        (b"packages = []", "lock-version"),
        (b'lock-version = "2.0"', "lock-version"),
        (b'lock-version = "1.0"', "packages"),
        (b'lock-version = "1.0"\npackages = 3', "packages"),
        (b'lock-version = "1.0"\npackages = [3]', "no name"),
        (b'lock-version = "1.0"\npackages = [{name = 3}]', "no name"),
        (b'lock-version = "1.0"\npackages = [{name = "a", version = 3}]', "no name"),
    ],
)
def test_broken_locks(text: bytes, reason: str) -> None:
    with pytest.raises(ModelFormatError, match=reason) as caught:
        parse_lock(text, path="x/pylock.toml")
    assert caught.value.path == "x/pylock.toml"


@pytest.mark.parametrize("tool", ["", "tool = 3", "[tool]\npyfunc = 3", "[tool.x]\ny = 1"])
def test_tables_of_other_tools_do_not_matter(tool: str) -> None:
    text = f'lock-version = "1.0"\npackages = [{{name = "B_x"}}]\n{tool}'
    assert parse_lock(text.encode(), path="x") == [LockedPackage("b-x", "", {})]


def test_a_huge_lock_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyfunc.env.checking.lock_file._MAX_BYTES", 3)
    (tmp_path / "x").write_bytes(b"1234")
    with pytest.raises(ModelFormatError, match="larger than 3 bytes"):
        read_lock(tmp_path / "x")


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=10)
LEAVES = TEXT | st.integers(-(2**63), 2**63 - 1) | st.booleans()
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
)
NAMES = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)


@given(
    st.dictionaries(
        NAMES,
        st.tuples(TEXT, st.dictionaries(st.sampled_from(["vcs", "wheels"]), VALUES, max_size=2)),
        max_size=4,
    )
)
def test_what_is_written_is_read_back(content: dict[str, tuple[str, dict[str, Any]]]) -> None:
    packages = [LockedPackage(name, *content[name]) for name in sorted(content)]
    text = write_lock_text(packages, requires_python="==3.11.*")
    assert parse_lock(text.encode(), path="x") == packages
