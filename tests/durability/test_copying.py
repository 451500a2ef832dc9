"""Copying what the user names into a model (reliability 4.1, S10 and S11)."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyfunc.errors import InvalidArgumentError, ModelNotFoundError, ModelPathError
from pyfunc.files import copying
from pyfunc.files.copying import copy_into
from pyfunc.files.publishing import staged_directory


def listing(directory: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(directory.rglob("*"))
    }


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "inner/empty").mkdir(parents=True)
    (tree / "inner/f").write_bytes(b"content")
    (tree / "zero").write_bytes(b"")
    return tree


def test_a_file_is_copied(tmp_path: Path, tree: Path) -> None:
    assert copy_into(tree / "inner/f", tmp_path / "new/parents/copy") == 7
    assert (tmp_path / "new/parents/copy").read_bytes() == b"content"


def test_a_tree_is_copied(tmp_path: Path, tree: Path) -> None:
    assert copy_into(tree, tmp_path / "copy") == 7
    assert listing(tmp_path / "copy") == listing(tree)


def test_a_trailing_slash_does_not_matter(tmp_path: Path, tree: Path) -> None:
    copy_into(f"{tree}/", tmp_path / "copy")
    assert listing(tmp_path / "copy") == listing(tree)


def test_bytecode_and_unfinished_saves_are_left_out(tmp_path: Path, tree: Path) -> None:
    before = listing(tree)
    (tree / "inner/__pycache__").mkdir()
    (tree / "inner/__pycache__/x.pyc").write_bytes(b"x")
    (tree / ".m.0123456789abcdef.tmp").mkdir()
    copy_into(tree, tmp_path / "copy")
    assert listing(tmp_path / "copy") == before


def test_a_tree_can_be_copied_into_a_model_inside_it(tree: Path) -> None:
    before = listing(tree)
    with staged_directory(tree / "models/m") as directory:
        copy_into(tree, directory / "code/tree")
    copied = listing(tree / "models/m/code/tree")
    assert {**before, "models": None} == copied


def test_a_tree_can_be_copied_into_itself(tree: Path) -> None:
    before = listing(tree)
    copy_into(tree, tree / "inner/copy")
    assert listing(tree / "inner/copy") == before


def test_an_existing_file_is_not_overwritten(tmp_path: Path, tree: Path) -> None:
    (tmp_path / "taken").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        copy_into(tree / "inner/f", tmp_path / "taken")
    assert (tmp_path / "taken").read_bytes() == b"mine"


@pytest.mark.parametrize("source", ["", "a\x00b"])
def test_a_source_that_is_no_path_is_refused(tmp_path: Path, source: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"artifacts\['k'\]"):
        copy_into(source, tmp_path / "copy", key="artifacts['k']")


class TestS10:
    """Sources that are missing, special, or change while they are copied."""

    @pytest.fixture
    def special(self, tmp_path: Path) -> Iterator[Path]:
        directory = tmp_path / "special"
        directory.mkdir()
        os.mkfifo(directory / "fifo")
        (directory / "device").symlink_to("/dev/zero")
        (directory / "fifo-link").symlink_to("fifo")
        (directory / "loop").symlink_to("loop")
        (directory / "dangling").symlink_to("nothing")
        with socket.socket(socket.AF_UNIX) as server:
            here = Path.cwd()
            os.chdir(directory)  # the path of a socket is limited to 107 bytes
            server.bind("socket")
            os.chdir(here)
            yield directory

    @pytest.mark.parametrize("inside", [False, True], ids=["itself", "in-a-tree"])
    @pytest.mark.parametrize("name", ["fifo", "device", "fifo-link", "socket", "loop", "dangling"])
    def test_special_files_are_refused_at_once(
        self, tmp_path: Path, special: Path, name: str, inside: bool
    ) -> None:
        source = special / name
        if inside:
            for other in special.iterdir():
                if other.name not in (name, "fifo"):
                    other.unlink()
            source = special
        with pytest.raises(ModelPathError) as caught:
            copy_into(source, tmp_path / "copy", key="artifacts['k']")
        assert caught.value.key == "artifacts['k']"
        assert "special" in str(caught.value.path)

    def test_a_missing_source(self, tmp_path: Path) -> None:
        with pytest.raises(ModelNotFoundError, match=r"artifacts\['k'\]: .*nothing"):
            copy_into(tmp_path / "nothing", tmp_path / "copy", key="artifacts['k']")
        assert issubclass(ModelNotFoundError, FileNotFoundError)

    def test_a_file_that_is_deleted_before_its_turn(
        self, tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real_open = os.open

        def open_and_delete(path: str, *arguments: int, **named: int) -> int:
            if path.endswith("inner/f") and "copy" not in path:
                os.unlink(tree / "zero")
            return real_open(path, *arguments, **named)

        monkeypatch.setattr(os, "open", open_and_delete)
        with pytest.raises(ModelNotFoundError, match="zero"):
            copy_into(tree, tmp_path / "copy")

    @pytest.mark.parametrize("turned_into", ["fifo", "missing", "directory"])
    def test_a_file_that_is_replaced_between_look_and_open(
        self, tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch, turned_into: str
    ) -> None:
        real_open = os.open

        def replace_and_open(path: str, *arguments: int, **named: int) -> int:
            if path == str(tree / "zero"):
                os.unlink(path)
                if turned_into == "fifo":
                    os.mkfifo(path)
                elif turned_into == "directory":
                    os.mkdir(path)
            return real_open(path, *arguments, **named)

        monkeypatch.setattr(os, "open", replace_and_open)
        with pytest.raises((ModelPathError, ModelNotFoundError), match="zero"):
            copy_into(tree / "zero", tmp_path / "copy")

    def test_a_file_that_grows_while_it_is_copied(self, tmp_path: Path) -> None:
        source = tmp_path / "log"
        source.write_bytes(b"x" * 1_000_000)
        stop = threading.Event()

        def grow() -> None:
            with source.open("ab", buffering=0) as file:
                while not stop.is_set():
                    file.write(b"y" * 1000)

        writer = threading.Thread(target=grow)
        writer.start()
        problem = ""
        try:
            until = time.monotonic() + 20
            while not problem and time.monotonic() < until:
                problem = self.find_problem(source, tmp_path / "copy")
        finally:
            stop.set()
            writer.join()
        assert "changed while it was copied" in problem

    @staticmethod
    def find_problem(source: Path, destination: Path) -> str:
        try:
            copy_into(source, destination)
        except ModelPathError as error:
            return str(error)
        destination.unlink()
        return ""

    def test_a_file_that_shrinks_while_it_is_copied(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = tmp_path / "data"
        source.write_bytes(b"x" * 1000)
        copy_bytes = copying._copy_bytes

        def truncate_first(reader: int, writer: int, size: int) -> int:
            os.truncate(source, 10)
            return copy_bytes(reader, writer, size)

        monkeypatch.setattr(copying, "_copy_bytes", truncate_first)
        with pytest.raises(ModelPathError, match="changed"):
            copy_into(source, tmp_path / "copy")

    def test_a_file_that_may_not_be_read(
        self, tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real_open = os.open

        def deny(path: str, *arguments: int, **named: int) -> int:
            if path == str(tree / "zero"):
                raise PermissionError(errno.EACCES, "Permission denied", path)
            return real_open(path, *arguments, **named)

        monkeypatch.setattr(os, "open", deny)
        with pytest.raises(ModelPathError, match="Permission denied"):
            copy_into(tree, tmp_path / "copy")


class TestS11:
    """Links are copied as what they point to, or refused."""

    def test_links_become_content(self, tmp_path: Path, tree: Path) -> None:
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside/f").write_bytes(b"outside")
        (tree / "to-dir").symlink_to("../outside")
        (tree / "to-file").symlink_to("../outside/f")
        (tree / "to-absolute").symlink_to(tmp_path / "outside/f")
        copy_into(tree, tmp_path / "copy")
        links = [path for path in (tmp_path / "copy").rglob("*") if path.is_symlink()]
        assert links == []
        assert (tmp_path / "copy/to-dir/f").read_bytes() == b"outside"
        assert (tmp_path / "copy/to-file").read_bytes() == b"outside"
        assert (tmp_path / "copy/to-absolute").read_bytes() == b"outside"

    def test_the_source_itself_may_be_a_link(self, tmp_path: Path, tree: Path) -> None:
        (tmp_path / "link").symlink_to("tree")
        copy_into(tmp_path / "link", tmp_path / "copy", links="refuse")
        assert listing(tmp_path / "copy") == listing(tree)

    @pytest.mark.parametrize("target", ["inner/f", "inner", "nothing"])
    def test_links_can_be_refused(self, tmp_path: Path, tree: Path, target: str) -> None:
        (tree / "link").symlink_to(target)
        with pytest.raises(ModelPathError, match="symbolic links are refused"):
            copy_into(tree, tmp_path / "copy", links="refuse")

    @pytest.mark.parametrize("target", ["..", ".", "../.."])
    def test_a_link_to_a_directory_above_ends_in_an_error(
        self, tmp_path: Path, tree: Path, target: str
    ) -> None:
        (tree / "inner/up").symlink_to(target)
        with pytest.raises(ModelPathError, match="contains it"):
            copy_into(tree, tmp_path.parent / f"{tmp_path.name}-copy")

    def test_a_hard_link_is_copied_not_linked(self, tmp_path: Path, tree: Path) -> None:
        os.link(tree / "inner/f", tree / "hard")
        copy_into(tree, tmp_path / "copy")
        (tree / "inner/f").write_bytes(b"changed")
        assert (tmp_path / "copy/hard").read_bytes() == b"content"
        assert (tmp_path / "copy/hard").stat().st_nlink == 1


@pytest.mark.parametrize("missing", [(), ("copy_file_range",), ("copy_file_range", "sendfile")])
@pytest.mark.parametrize("size", [0, 1, 4096, 3_000_001])
def test_every_way_of_copying_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...], size: int
) -> None:
    for name in missing:
        monkeypatch.delattr(os, name)
    content = os.urandom(size)
    (tmp_path / "source").write_bytes(content)
    assert copy_into(tmp_path / "source", tmp_path / "copy") == size
    assert (tmp_path / "copy").read_bytes() == content


@pytest.mark.parametrize("code", [errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP])
def test_a_kernel_that_cannot_copy_between_these_files_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*arguments: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "copy_file_range", refuse)
    monkeypatch.setattr(os, "sendfile", refuse)
    (tmp_path / "source").write_bytes(b"content")
    assert copy_into(tmp_path / "source", tmp_path / "copy") == 7
    assert (tmp_path / "copy").read_bytes() == b"content"


def test_an_error_of_the_disk_comes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "copy_file_range", full)
    (tmp_path / "source").write_bytes(b"content")
    with pytest.raises(OSError, match="No space") as caught:
        copy_into(tmp_path / "source", tmp_path / "copy")
    assert caught.value.errno == errno.ENOSPC
