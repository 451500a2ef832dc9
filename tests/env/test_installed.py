"""What is installed is read from the names of metadata folders (env/installed.py)."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pyfunc.env.installed import distributions as installed
from pyfunc.env.installed.distributions import (
    find_distribution,
    find_requirements_of,
    installed_version,
    iter_distributions,
    pinned,
)

Install = Callable[..., Path]


def test_a_name_is_found_in_any_spelling(site: Install) -> None:
    site("Made_up.Thing", "1.2")
    assert {installed_version(n) for n in ("made-up-thing", "MADE.UP_thing")} == {"1.2"}


def test_what_is_not_installed_has_no_version() -> None:
    assert installed_version("surely-not-installed") is None
    assert find_distribution("surely-not-installed") is None


@pytest.mark.parametrize(
    "error", [FileNotFoundError("METADATA"), KeyError("Version")], ids=lambda e: type(e).__name__
)
def test_what_another_finder_cannot_read_is_not_installed(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Finder:
        """Fails as that of the backport importlib_metadata does."""

        def find_spec(self, *_: object) -> None:
            return None

        def find_distributions(self, *_: object) -> list[object]:
            raise error

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert installed_version("surely-not-installed") is None


def test_a_new_installation_is_seen(site: Install) -> None:
    folder = site("one")
    assert installed_version("two") is None
    site("two")
    stamp = os.stat(folder).st_mtime_ns + 1_000_000
    os.utime(folder, ns=(stamp, stamp))
    assert installed_version("two") == "1.0"


def test_the_first_folder_on_the_path_wins(
    site: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site("made", "1.0")
    other = tmp_path / "other"
    (other / "made-2.0.dist-info").mkdir(parents=True)
    (other / "made-2.0.dist-info" / "METADATA").write_text("Version: 2.0")
    monkeypatch.syspath_prepend(str(other))
    assert installed_version("made") == "2.0"
    assert [d.version for d in iter_distributions() if d.key == "made"] == ["2.0"]


def test_leftovers_of_an_uninstall_do_not_count(site: Install) -> None:
    folder = site("kept")
    (folder / "gone-1.0.dist-info").mkdir()
    (folder / "~kept-0.9.dist-info").mkdir()
    assert installed_version("gone") is None
    assert installed_version("kept") == "1.0"


def test_a_version_that_the_folder_does_not_tell_is_read_from_the_metadata(site: Install) -> None:
    folder = site("odd")
    (folder / "odd-1.0.dist-info").rename(folder / "odd-1_2.0.dist-info")
    (folder / "odd-1_2.0.dist-info" / "METADATA").write_text("Name: odd\nversion: 1!2.0\n\nx")
    assert installed_version("odd") == "1!2.0"


@pytest.mark.parametrize(
    "metadata", ["Name: odd\n\nVersion: 3\n", "Name: odd"], ids=["in-the-body", "nowhere"]
)
def test_a_distribution_without_a_version_does_not_count(site: Install, metadata: str) -> None:
    folder = site("seen")
    info = folder / "odd-what.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(metadata)
    assert installed_version("odd") is None


def test_old_metadata_files_and_folders_are_read(site: Install) -> None:
    folder = site("seen")
    (folder / "debian-2.5.egg-info").write_text("Name: debian\nVersion: 2.5\n")
    (folder / "develop.egg-info").mkdir()
    (folder / "develop.egg-info" / "PKG-INFO").write_text("Name: develop\nVersion: 0.3\n")
    assert installed_version("debian") == "2.5"
    assert installed_version("develop") == "0.3"
    found = find_distribution("debian")
    assert found is not None
    assert found.read_text("METADATA") is None


def test_folders_that_cannot_be_listed_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "none"), str(tmp_path / "file"), *sys.path])
    assert installed_version("pytest") is not None


def test_an_empty_entry_is_the_working_directory(
    site: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = site("here")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [""])
    assert installed_version("here") == "1.0"


def test_other_finders_are_asked_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "x.zip")])
    assert installed_version("surely-not-installed") is None
    monkeypatch.setattr(installed, "find_distribution", lambda _: None)
    assert installed_version("pytest") is not None


def test_requirements_are_evaluated_here(site: Install) -> None:
    site(
        "top",
        requires=[
            "plain>=1",
            "old; python_version < '3'",
            "new; python_version > '3'",
            "more; extra == 'x'",
            "most; extra == 'y' and python_version > '3'",
            "not a requirement !!",
        ],
    )
    assert [r.name for r in find_requirements_of("top")] == ["plain", "new"]
    assert [r.name for r in find_requirements_of("top", ["x"])] == ["more"]
    assert [r.name for r in find_requirements_of("top", ["x", "y"])] == ["more", "most"]
    assert find_requirements_of("surely-not-installed") == []


def test_requirements_of_a_distribution_that_just_vanished(
    site: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = site("gone")
    found = find_distribution("gone")
    (folder / "gone-1.0.dist-info").rename(folder / "away")
    monkeypatch.setattr(installed, "find_distribution", lambda _: found)
    assert find_requirements_of("gone") == []


def test_pins(site: Install, caplog: pytest.LogCaptureFixture) -> None:
    site("plain", "1.2")
    assert pinned("plain") == "plain==1.2"
    assert pinned("plain", extras="x,y") == "plain[x,y]==1.2"
    assert pinned("surely-not-installed") == "surely-not-installed"
    assert not caplog.records


def test_a_local_label_is_left_out_of_a_pin(
    site: Install, caplog: pytest.LogCaptureFixture
) -> None:
    site("torchy", "2.7.1+cu128")
    with caplog.at_level(logging.WARNING, "pyfunc.env"):
        assert pinned("torchy") == "torchy==2.7.1"
    assert "+cu128" in caplog.text
