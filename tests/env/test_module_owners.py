"""Modules are mapped to the distributions that own them (env/module_owners.py)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pyfunc.env.installed import module_owners
from pyfunc.env.installed.module_owners import find_owners, find_source

Install = Callable[..., Path]


def keys(*modules: str) -> dict[str, tuple[str, ...]]:
    return {name: tuple(d.key for d in owners) for name, owners in find_owners(modules).items()}


def test_a_package_of_the_same_name(site: Install) -> None:
    site("made_up", files=["made_up/__init__.py", "made_up/sub.py"])
    assert keys("made_up", "made_up.sub.Class") == {
        "made_up": ("made-up",),
        "made_up.sub.Class": ("made-up",),
    }


def test_a_single_file_module(site: Install) -> None:
    site("single", files=["single.py"])
    assert keys("single") == {"single": ("single",)}


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(
            {"top_level": "imgs\nother\n", "files": ["imgs/__init__.py"]}, id="top-level"
        ),
        pytest.param({"files": ["imgs/__init__.py"]}, id="record"),
        pytest.param({"files": ["imgs.cpython-311-x86_64-linux-gnu.so"]}, id="extension"),
        pytest.param({"files": ["imgs.abi3.so"]}, id="extension-of-any-python"),
        pytest.param({"files": ["imgs.so"]}, id="extension-without-a-tag"),
        pytest.param({"files": ["imgs.pyd"]}, id="extension-of-windows"),
        pytest.param({"files": ["imgs.cp311-win_amd64.pyd"]}, id="extension-of-one-windows"),
        pytest.param({"record": "./imgs/__init__.py,,\n"}, id="with-a-dot"),
        pytest.param({"record": '"imgs/a,b.py","sha256=x",1\n'}, id="quoted"),
        pytest.param({"record": '"./imgs.py",,\r\n'}, id="quoted-with-a-dot"),
        pytest.param({"record": "a.py,,\r\nimgs.py,,\r\n"}, id="lines-of-windows"),
    ],
)
def test_a_module_of_another_name(site: Install, how: dict[str, object]) -> None:
    site("other")
    site("pillowy", **how)
    assert keys("imgs.draw") == {"imgs.draw": ("pillowy",)}


@pytest.mark.parametrize("file", ["imgs.txt", "imgs.pyx", "imgs.so.1", "imgsx/__init__.py"])
def test_other_files_make_no_owner(site: Install, file: str) -> None:
    site("pillowy", files=[file])
    assert keys("imgs") == {}


def test_old_lists_of_files_are_read(site: Install) -> None:
    folder = site("other")
    info = folder / "old_images-1.0-py3.11.egg-info"
    info.mkdir()
    (info / "PKG-INFO").write_text("Name: old-images\nVersion: 1.0\n")
    (info / "installed-files.txt").write_text("../imgs/__init__.py\nPKG-INFO\n")
    assert keys("imgs") == {"imgs": ("old-images",)}


def test_a_shared_namespace_is_told_apart_by_the_deepest_part(site: Install) -> None:
    site("cloud_a", files=["spaced/a/__init__.py", "spaced/a/blob.py"])
    site("cloud_b", files=["spaced/b/__init__.py", "spaced/common.py"])
    assert keys("spaced.a.blob.Blob", "spaced.b", "spaced.common.f") == {
        "spaced.a.blob.Blob": ("cloud-a",),
        "spaced.b": ("cloud-b",),
        "spaced.common.f": ("cloud-b",),
    }
    assert keys("spaced") == {}


def test_two_distributions_with_the_same_package_both_own_it(site: Install) -> None:
    for name in ("vision", "vision_headless"):
        site(name, files=["cvx/__init__.py"])
    assert keys("cvx") == {"cvx": ("vision", "vision-headless")}


def test_the_standard_library_and_unknown_modules_have_no_owner() -> None:
    assert keys("os.path", "__main__", "surely_not_there", "") == {}


def test_what_was_found_is_kept_until_the_folder_changes(
    site: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    site("made_up", files=["made_up/__init__.py"])
    assert keys("made_up", "unknown_one")
    monkeypatch.setattr(module_owners, "read_file", lambda *_: pytest.fail("read again"))
    assert keys("made_up", "unknown_one") == {"made_up": ("made-up",)}


def test_a_local_module_of_the_same_name_hides_the_distribution(
    site: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site("helper_lib", files=["helper_lib/__init__.py"])
    local = tmp_path / "project"
    local.mkdir()
    (local / "helper_lib.py").touch()
    monkeypatch.syspath_prepend(str(local))
    assert keys("helper_lib") == {}


@pytest.mark.parametrize("editable", [True, False])
def test_an_editable_installation_owns_what_lies_in_its_folder(
    site: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, editable: bool
) -> None:
    project = tmp_path / "a project"
    (project / "editable_pkg").mkdir(parents=True)
    (project / "editable_pkg" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(project))
    url = {"url": project.as_uri(), "dir_info": {"editable": editable}}
    site("unrelated")
    site("edits", direct_url=json.dumps(url))
    assert keys("editable_pkg") == ({"editable_pkg": ("edits",)} if editable else {})


@pytest.mark.parametrize("text", ['{"editable"', '{"dir_info": "editable"}', '["editable"]'])
def test_a_broken_record_of_an_installation_owns_nothing(
    site: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "lonely_mod.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    site("edits", direct_url=text)
    assert keys("lonely_mod") == {}


def test_sources_of_a_local_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "local_pkg"
    (package / "sub").mkdir(parents=True)
    for name in ("__init__.py", "sub/__init__.py", "sub/mod.py"):
        (package / name).touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_source("local_pkg.sub.mod.Class") == [
        ("local_pkg", package / "__init__.py"),
        ("local_pkg.sub", package / "sub" / "__init__.py"),
        ("local_pkg.sub.mod", package / "sub" / "mod.py"),
    ]


def test_sources_of_other_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flat_mod.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_source("flat_mod.f") == [("flat_mod", tmp_path / "flat_mod.py")]
    assert find_source("surely_not_there") == []
    assert find_source("_socket") == []


def test_a_module_whose_spec_is_broken_has_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> None:
        raise ValueError

    monkeypatch.delitem(sys.modules, "surely_not_there", raising=False)
    monkeypatch.setattr("pyfunc.env.installed.module_owners.PathFinder.find_spec", broken)
    assert find_source("surely_not_there") == []
