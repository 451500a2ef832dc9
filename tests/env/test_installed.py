"""What is installed is read from the names of metadata folders (env/installed.py)."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pyfunc.env.installed import distributions as installed
from pyfunc.env.installed.distributions import (
    find_distribution,
    find_requirements_of,
    installed_version,
    iter_distributions,
)
from pyfunc.env.installed.module_owners import find_owners

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
    def fail(*_: object) -> list[object]:
        raise error

    finder = types.SimpleNamespace(find_spec=lambda *_: None, find_distributions=fail)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, finder])
    assert installed_version("surely-not-installed") is None


def test_a_distribution_of_another_finder_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Served(importlib.metadata.Distribution):
        """What a finder that unpacks nothing to disk serves."""

        def read_text(self, filename: str) -> str | None:
            files = {"METADATA": "Name: Ser_ved\nVersion: 4.5\nRequires-Dist: six>=1\n"}
            return {**files, "top_level.txt": "served_module\n"}.get(filename)

        def locate_file(self, path: object) -> Path:
            raise NotImplementedError

    finder = types.SimpleNamespace(
        find_spec=lambda *_: None, find_distributions=lambda *_: [Served()]
    )
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, finder])
    assert installed_version("ser.ved") == "4.5"
    assert [r.name for r in find_requirements_of("ser-ved")] == ["six"]
    assert [d.key for d in find_owners(["served_module"])["served_module"]] == ["ser-ved"]
    assert "ser-ved" in [d.key for d in iter_distributions()]


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


@pytest.mark.parametrize(
    ("folder", "metadata"),
    [
        pytest.param("zipped-1.5.dist-info", "METADATA", id="dist-info"),
        pytest.param("zipped-1.5-py3.11.egg-info", "PKG-INFO", id="egg-info"),
    ],
)
def test_a_distribution_in_a_zip_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, metadata: str
) -> None:
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        text = "Name: zipped\nVersion: 1.5\nRequires-Dist: six\n"
        archive.writestr(f"{folder}/{metadata}", text)
        archive.writestr(f"{folder}/top_level.txt", "zipped_module\n")
        archive.writestr("zipped_module/__init__.py", "")
    monkeypatch.syspath_prepend(str(tmp_path / "app.zip"))
    assert importlib.metadata.version("zipped") == installed_version("zipped") == "1.5"
    assert [r.name for r in find_requirements_of("zipped")] == ["six"]
    owners = find_owners(["zipped_module.part"])["zipped_module.part"]
    assert [d.version for d in owners] == ["1.5"]


def test_an_egg_that_is_a_zip_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    egg = tmp_path / "old_one-0.7-py3.11.egg"
    with zipfile.ZipFile(egg, "w") as archive:
        archive.writestr("EGG-INFO/PKG-INFO", "Name: old-one\nVersion: 0.7\n")
        archive.writestr("EGG-INFO/top_level.txt", "old_one\n")
        archive.writestr("old_one.py", "")
    monkeypatch.syspath_prepend(str(egg))
    assert importlib.metadata.version("old-one") == installed_version("old-one") == "0.7"
    assert [d.key for d in find_owners(["old_one"])["old_one"]] == ["old-one"]


@pytest.mark.parametrize("leftover", ["0.9", "2.0"], ids=["older", "newer"])
@pytest.mark.parametrize("content", [{}, {"METADATA": ""}, {"INSTALLER": "pip"}], ids=str)
def test_a_leftover_beside_the_real_one_does_not_hide_it(
    site: Install, leftover: str, content: dict[str, str]
) -> None:
    folder = site("twice", "1.0", files=["twice/__init__.py"])
    info = folder / f"twice-{leftover}.dist-info"
    info.mkdir()
    for name, text in content.items():
        (info / name).write_text(text)
    assert installed_version("twice") == "1.0"
    assert [d.version for d in find_owners(["twice"])["twice"]] == ["1.0"]


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
    folder = site("gone", requires=["six"])
    found = find_distribution("gone")
    (folder / "gone-1.0.dist-info").rename(folder / "away")
    monkeypatch.setattr(installed, "find_distribution", lambda _: found)
    assert find_requirements_of("gone") == []
