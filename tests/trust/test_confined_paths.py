"""Paths that a model file names (reliability 4.3)."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfunc.errors import ModelIncompleteError, ModelPathError, PyfuncError
from pyfunc.files.paths import check_relative, confine, normal_relative, open_regular_file

KEYS = (
    "flavors.python_function.data",
    "flavors.python_function.code",
    "flavors.python_function.python_model",
    "flavors.python_function.model_code_path",
    "flavors.python_function.env",
    "flavors.python_function.env.conda",
    "flavors.python_function.env.virtualenv",
    "flavors.python_function.artifacts.x.path",
    "flavors.python_function.extra_files[0].path",
    "flavors.sklearn.pickled_model",
    "saved_input_example_info.artifact_path",
    "saved_input_example_info.serving_input_path",
    "resources",
)

TEXTS = [
    pytest.param("..", id="parent"),
    pytest.param("../x", id="below-parent"),
    pytest.param("a/../../x", id="parent-inside"),
    pytest.param("/etc/hostname", id="absolute"),
    pytest.param("//etc/hostname", id="two-slashes"),
    pytest.param("~", id="home"),
    pytest.param("~/x", id="below-home"),
    pytest.param("~root/x", id="home-of-another"),
    pytest.param("C:\\x", id="drive-backslash"),
    pytest.param("C:/x", id="drive-slash"),
    pytest.param("c:x", id="drive-relative"),
    pytest.param("a\\..\\..\\x", id="backslashes"),
    pytest.param("\\\\host\\share", id="network-share"),
    pytest.param("a\x00", id="nul"),
    pytest.param("\x00", id="nul-only"),
    pytest.param("", id="empty"),
    pytest.param("x" * 5000, id="5000-characters"),
    pytest.param("x/" * 2500 + "x", id="2500-levels"),
    pytest.param("x" * 256, id="name-of-256-bytes"),
    pytest.param("é" * 128, id="name-of-256-bytes-utf8"),
    pytest.param("%2e%2e/x", id="percent-encoded"),
    pytest.param("%2E./x", id="percent-encoded-partly"),
    pytest.param("a/..%2fx", id="percent-encoded-slash"),
    pytest.param("\u2025/x", id="two-dot-leader"),
    pytest.param("\uff0e\uff0e/x", id="fullwidth-dots"),
    pytest.param("\uff0e\uff0e\uff0fx", id="fullwidth-dots-and-slash"),
    pytest.param("\ud800", id="surrogate"),
]
# Text -> the place below the root that it means. The names of a manifest are not spelled so.
SPELLINGS = [
    pytest.param("a/..", ".", id="parent-at-end"),
    pytest.param("a/b/../f", "a/f", id="parent-that-stays-inside"),
    pytest.param("to-outside-dir/../f", "f", id="parent-of-a-link"),
    pytest.param("no-such-folder/../f", "f", id="parent-of-nothing"),
    pytest.param(".", ".", id="dot"),
    pytest.param("./.", ".", id="dots"),
    pytest.param("./", ".", id="dot-slash"),
    pytest.param("a/", "a", id="trailing-slash"),
    pytest.param("a//", "a", id="trailing-slashes"),
    pytest.param("./a/b/", "a/b", id="dot-and-slash"),
    pytest.param("a\\f", "a/f", id="backslash"),
    pytest.param(".\\a\\b\\..\\f", "a/f", id="backslashes-and-parent"),
    pytest.param("a\\b\\", "a/b", id="trailing-backslash"),
]
NOT_TEXTS = [
    pytest.param(None, id="null"),
    pytest.param(1, id="int"),
    pytest.param(1.5, id="float"),
    pytest.param(True, id="bool"),
    pytest.param([], id="list"),
    pytest.param({"path": "a"}, id="dict"),
    pytest.param(b"a", id="bytes"),
    pytest.param(Path("a"), id="path-object"),
]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "model"
    (root / "a/b").mkdir(parents=True)
    (root / "a/f").write_text("inside")
    (root / "f").write_text("inside")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    links = {
        "to-outside-file": "../outside/secret",
        "to-outside-dir": "../outside",
        "to-parent": "..",
        "to-absolute": "/etc/hostname",
        "to-loop": "to-loop",
        "to-loop-1": "to-loop-2",
        "to-loop-2": "to-loop-1",
        "to-nothing": "nothing",
        "to-nothing-outside": "../outside/nothing",
        "to-link-outside": "to-outside-dir",
        "to-file": "f",
        "to-dir": "a",
        "to-link": "to-dir",
        "around": "../model/f",
        "to-self": ".",
        "to-device": "/dev/null",
        "to-fifo": "fifo",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    (root / "a/to-sibling").symlink_to("../f")
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(root)  # the path of a socket is limited to 107 bytes
        server.bind("socket")
        os.chdir(here)
        yield root


@pytest.mark.parametrize(("spelled", "meant"), SPELLINGS)
def test_spellings_that_leave_nothing_mean_a_place(root: Path, spelled: str, meant: str) -> None:
    assert confine(root, spelled, key="data") == root / meant
    assert confine(root, spelled, key="data", must_exist=False) == root / meant
    assert normal_relative(spelled, key="data") == meant
    with pytest.raises(ModelPathError):
        confine(root, spelled, key="data", kind="dir" if meant.endswith("f") else "file")
    with pytest.raises(ModelPathError):
        check_relative(spelled, key="data")


@pytest.mark.parametrize("spelled", ["f/", "a/f//", "a\\f\\", "./f/"])
def test_a_slash_at_the_end_wants_a_directory(root: Path, spelled: str) -> None:
    with pytest.raises(ModelPathError, match="expected a file, got the path of a directory"):
        confine(root, spelled, key="data", kind="file")
    with pytest.raises(ModelPathError, match="expected a directory, got a file"):
        confine(root, spelled, key="data")


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("payload", [*TEXTS, *NOT_TEXTS])
def test_paths_that_cannot_be_below_a_root_are_refused(
    root: Path, key: str, payload: object
) -> None:
    with pytest.raises(ModelPathError) as caught:
        confine(root, payload, key=key)
    assert caught.value.key == key
    assert caught.value.path == "MLmodel"
    with pytest.raises(ModelPathError):
        confine(root, payload, key=key, must_exist=False)
    with pytest.raises(ModelPathError):
        check_relative(payload, key=key)


@pytest.mark.parametrize(
    "relative",
    [
        "to-outside-file", "to-outside-dir", "to-outside-dir/secret", "to-outside-dir/nothing",
        "to-parent", "to-parent/outside/secret", "to-absolute", "to-loop", "to-loop-1",
        "to-loop/x", "to-nothing", "to-nothing-outside", "to-link-outside/secret", "to-self",
        "fifo", "socket", "to-device", "to-fifo", "f/x", "fifo/x", "a/f/..x",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["file", "dir", "any"])
def test_files_that_are_outside_or_special_are_refused(
    root: Path, relative: str, kind: Literal["file", "dir", "any"]
) -> None:
    with pytest.raises(ModelPathError) as caught:
        confine(root, relative, key="data", file=root / "MLmodel", kind=kind)
    assert caught.value.key == "data"
    assert caught.value.path == str(root / "MLmodel")


@pytest.mark.parametrize(
    ("relative", "expected"),
    [
        pytest.param("f", "f", id="file"),
        pytest.param("a", "a", id="directory"),
        pytest.param("./a//b/.", "a/b", id="dots-and-slashes"),
        pytest.param("to-file", "f", id="link-to-file"),
        pytest.param("to-link/f", "a/f", id="link-to-link"),
        pytest.param("to-self/a/f", "a/f", id="link-to-root"),
        pytest.param("a/to-sibling", "f", id="link-over-parent"),
        pytest.param("around", "f", id="link-around-the-root"),
        pytest.param("to-dir/b", "a/b", id="below-link"),
    ],
)
def test_paths_inside_come_back_with_links_resolved(
    root: Path, relative: str, expected: str
) -> None:
    assert confine(root, relative, key="data") == root / expected


@pytest.mark.parametrize(
    "name", ["..x", "x..", "...", "a\uff0fb", "%41", "a%2fb", "-x", " ", "a b", "é", ".hidden"]
)
def test_odd_names_that_stay_inside_are_accepted(root: Path, name: str) -> None:
    (root / name).write_text("x")
    assert confine(root, name, key="data", kind="file") == root / name


def test_a_hard_link_is_an_ordinary_file(root: Path) -> None:
    os.link(root.parent / "outside/secret", root / "hard")
    assert confine(root, "hard", key="data").read_text() == "secret"


@pytest.mark.parametrize(("relative", "kind"), [("a", "file"), ("f", "dir"), ("to-dir", "file")])
def test_the_wrong_kind_is_refused(
    root: Path, relative: str, kind: Literal["file", "dir"]
) -> None:
    with pytest.raises(ModelPathError, match="expected"):
        confine(root, relative, key="data", kind=kind)


@pytest.mark.parametrize("relative", ["nothing", "a/nothing", "nothing/x", "to-dir/nothing"])
def test_a_missing_file_makes_the_model_incomplete(root: Path, relative: str) -> None:
    error = ModelPathError if relative.startswith("to-") else ModelIncompleteError
    with pytest.raises(error, match="data"):
        confine(root, relative, key="data")


@pytest.mark.parametrize(
    ("relative", "expected"),
    [("nothing", "nothing"), ("a/new", "a/new"), ("to-dir/new", "a/new"), ("f", "f")],
)
def test_a_missing_file_is_allowed_where_one_is_to_be_written(
    root: Path, relative: str, expected: str
) -> None:
    assert confine(root, relative, key="data", must_exist=False) == root / expected


@pytest.mark.parametrize("relative", ["to-outside-dir/new", "to-nothing-outside", "to-parent/x"])
def test_a_link_out_is_refused_also_where_a_file_is_to_be_written(
    root: Path, relative: str
) -> None:
    with pytest.raises(ModelPathError):
        confine(root, relative, key="data", must_exist=False)


def test_the_root_itself_may_be_reached_through_a_link(root: Path) -> None:
    link = root.parent / "latest"
    link.symlink_to("model")
    assert confine(link, "to-file", key="data") == link / "f"
    assert confine(link, "a/f", key="data").read_text() == "inside"


def test_a_root_with_the_name_of_another_as_prefix_is_not_confused(root: Path) -> None:
    other = root.parent / "model2"
    other.mkdir()
    (other / "f").write_text("x")
    (root / "to-model2").symlink_to("../model2/f")
    with pytest.raises(ModelPathError, match="out of the model directory"):
        confine(root, "to-model2", key="data")


_PARTS = st.sampled_from(
    [
        "a", "b", "f", "..", ".", "", "~", "to-dir", "to-link", "to-parent", "to-outside-dir",
        "to-loop", "to-self", "around", "to-file", "outside", "secret", "model", "fifo", "socket",
        "nothing", "to-nothing", "%2e%2e", "\uff0e\uff0e", "C:", "a\\b",
    ]
)  # fmt: skip
_RELATIVE = st.one_of(
    st.lists(_PARTS, max_size=6).map("/".join),
    st.text(max_size=20),
    st.text(alphabet="./af~\\\x00%2e", max_size=12),
)


@pytest.fixture(scope="module")
def shared_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("paths")
    root = base / "model"
    (root / "a/b").mkdir(parents=True)
    (root / "f").write_text("")
    (root / "a/f").write_text("")
    (base / "outside").mkdir()
    (base / "outside/secret").write_text("")
    for name, target in {
        "to-dir": "a", "to-link": "to-dir", "to-parent": "..", "to-outside-dir": "../outside",
        "to-loop": "to-loop", "to-self": ".", "around": "../model/f", "to-file": "f",
        "to-nothing": "nothing",
    }.items():  # fmt: skip
        (root / name).symlink_to(target)
    os.mkfifo(root / "fifo")
    return root


@given(relative=_RELATIVE)
def test_what_comes_back_is_inside_and_is_what_the_system_resolves(
    shared_root: Path, relative: str
) -> None:
    try:
        found = confine(shared_root, relative, key="data")
    except PyfuncError:
        return
    real_root = os.path.realpath(shared_root)
    meant = os.path.normpath(relative.replace("\\", "/"))  # a parent is that of the text
    real = os.path.realpath(os.path.join(shared_root, meant))
    assert os.path.realpath(found) == real
    assert real == real_root or real.startswith(real_root + os.sep)
    assert stat.S_IFMT(os.lstat(real).st_mode) in (stat.S_IFREG, stat.S_IFDIR)


@given(
    parts=st.lists(st.sampled_from(["a", "b", "f", "to-dir", "to-link", "to-self"]), min_size=1)
)
def test_nothing_that_the_system_finds_inside_is_refused(
    shared_root: Path, parts: list[str]
) -> None:
    relative = "/".join(parts)
    real = os.path.realpath(os.path.join(shared_root, relative))
    inside = real.startswith(os.path.realpath(shared_root) + os.sep) and os.path.exists(real)
    try:
        confine(shared_root, relative, key="data")
        accepted = True
    except PyfuncError:
        accepted = False
    assert accepted is inside


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(os.mkfifo, id="fifo"),
        pytest.param(os.mkdir, id="directory"),
        pytest.param(lambda path: os.symlink("/dev/zero", path), id="device"),
    ],
)
def test_only_ordinary_files_are_opened(tmp_path: Path, make: Callable[[str], None]) -> None:
    make(str(tmp_path / "x"))
    with pytest.raises(ModelPathError, match="expected a file"):
        open_regular_file(tmp_path / "x")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (errno.EACCES, ModelIncompleteError),
        (errno.EIO, ModelIncompleteError),
        (errno.ENAMETOOLONG, ModelPathError),
    ],
)
def test_what_the_system_refuses_is_an_error_of_ours(
    root: Path, monkeypatch: pytest.MonkeyPatch, code: int, error: type[PyfuncError]
) -> None:
    def refuse(path: str, *arguments: object, **named: object) -> None:
        raise OSError(code, os.strerror(code), path)

    monkeypatch.setattr(os, "lstat", refuse)
    with pytest.raises(error, match="data"):
        confine(root, "f", key="data")
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ModelIncompleteError, match="cannot be opened"):
        open_regular_file(root / "f")


def test_a_file_that_becomes_a_fifo_before_it_is_opened_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_text("x")
    real_open = os.open

    def replace_and_open(path: Path, flags: int) -> int:
        path.unlink()
        os.mkfifo(path)
        return real_open(path, flags)

    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "open", replace_and_open)
    with pytest.raises(ModelPathError, match="FIFO"):
        open_regular_file(tmp_path / "x")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_missing_file_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ModelIncompleteError, match="does not exist"):
        open_regular_file(tmp_path / "x")


def test_links_are_opened_only_where_they_are_followed(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    (tmp_path / "link").symlink_to("f")
    (tmp_path / "loop").symlink_to("loop")
    with open_regular_file(tmp_path / "link") as file:
        assert file.read() == b"x"
    with pytest.raises(ModelPathError):
        open_regular_file(tmp_path / "link", follow=False)
    with pytest.raises(ModelPathError, match="loop"):
        open_regular_file(tmp_path / "loop")
