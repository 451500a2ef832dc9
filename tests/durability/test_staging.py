"""Publishing a directory: absent or complete, whatever fails (reliability 4.1)."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import pickle
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyfunc.errors import (
    InvalidArgumentError,
    ModelPathError,
    PyfuncError,
    SaveConflictError,
    SaveError,
)
from pyfunc.files import publishing
from pyfunc.files.atomic_files import staged_file, write_file_atomically
from pyfunc.files.publishing import staged_directory
from pyfunc.files.temporaries import is_staging_name

NOBODY = 65534


def save(target: Path | str, content: str = "new", *, overwrite: bool = False) -> None:
    with staged_directory(target, overwrite=overwrite) as directory:
        fill(directory, content)


def fill(directory: Path, content: str) -> None:
    (directory / "MLmodel").write_text(content)
    (directory / "code/inner").mkdir(parents=True)
    (directory / "code/inner/module.py").write_text(content)


def read_all(directory: Path) -> dict[str, str]:
    return {
        path.relative_to(directory).as_posix(): path.read_text()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def expected(content: str) -> dict[str, str]:
    return {"MLmodel": content, "code/inner/module.py": content}


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def in_child(work: Callable[[], object], *, user: int | None = None) -> int:
    """Run ``work`` in a forked child, as another user if given; return its exit code."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if user is not None:
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def open_to_all_users(directory: Path, base: Path) -> None:
    """Let another user reach ``directory``; pytest makes its directories private."""
    directory.chmod(0o777)
    if base.name.startswith("popen-"):
        base = base.parent  # each process of a distributed run has a directory of its own
    for path in directory.parents:
        if path.is_relative_to(base.parent):
            path.chmod(0o755)


def age(path: Path, seconds: float = 7200) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_a_save_appears_whole_under_its_name(tmp_path: Path) -> None:
    save(tmp_path / "m")
    assert read_all(tmp_path / "m") == expected("new")
    assert os.listdir(tmp_path) == ["m"]


def test_missing_parents_are_created(tmp_path: Path) -> None:
    save(tmp_path / "a/b/m")
    assert read_all(tmp_path / "a/b/m") == expected("new")


def test_a_relative_target_stays_where_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    with staged_directory("m") as directory:
        fill(directory, "new")
        os.chdir("elsewhere")
    assert read_all(tmp_path / "m") == expected("new")


@pytest.mark.parametrize("target", ["", "a\x00b"])
def test_a_target_that_is_no_path_is_refused(target: str) -> None:
    with pytest.raises(InvalidArgumentError):
        save(target)


def test_the_root_directory_is_refused() -> None:
    with pytest.raises(SaveConflictError):
        save("/", overwrite=True)


def test_names_of_the_greatest_length_work(tmp_path: Path) -> None:
    for name in ("x" * 255, "é" * 127):
        save(tmp_path / name)
        assert read_all(tmp_path / name) == expected("new")
    with pytest.raises(SaveError) as caught:
        save(tmp_path / ("x" * 256))
    assert caught.value.errno == errno.ENAMETOOLONG
    assert len(os.listdir(tmp_path)) == 2


def test_s12_the_directory_is_beside_the_target_and_named_for_it(tmp_path: Path) -> None:
    with staged_directory(tmp_path / "m") as directory:
        fill(directory, "new")
        assert directory.parent == tmp_path
        assert is_staging_name(directory.name)
        assert directory.name.startswith(".m.")
        assert not (tmp_path / "m").exists()
    assert not is_staging_name("m")
    assert not is_staging_name(".m.tmp")


class TestS1:
    """SIGKILL at every step: the target is absent or complete, and a retry succeeds."""

    STEPS = ("mkdir", "open", "rename", "fsync", "chmod", "close", "scandir")

    @staticmethod
    def save_and_die(target: Path, step: int, *, overwrite: bool) -> None:
        """Save, but be killed before the system call number ``step``."""
        steps = itertools.count(1)  # asked by several threads

        def wrap(call: Callable[..., object]) -> Callable[..., object]:
            def counted(*arguments: object, **named: object) -> object:
                if next(steps) == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*arguments, **named)

            return counted

        for name in TestS1.STEPS:
            setattr(os, name, wrap(getattr(os, name)))
        save(target, overwrite=overwrite)

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_kill_at_each_step(self, tmp_path: Path, overwrite: bool) -> None:
        seen = set()
        step = 0
        while True:
            step += 1
            target = tmp_path / f"s{step}" / "m"
            target.parent.mkdir()
            if overwrite:
                save(target, "old")
            code = in_child(lambda: self.save_and_die(target, step, overwrite=overwrite))  # noqa: B023
            content = read_all(target) if target.exists() else {}
            seen.add(content.get("MLmodel"))
            assert content in (
                [expected("old"), expected("new")] if overwrite else [{}, expected("new")]
            )
            if code == 0:
                break
            assert code == -signal.SIGKILL
            if target.exists() and not overwrite:
                with pytest.raises(SaveConflictError):
                    save(target, "retry")
            else:
                save(target, "retry", overwrite=overwrite)
                assert read_all(target) == expected("retry")
        assert step >= 20
        assert seen == {"old" if overwrite else None, "new"}


class TestS2:
    """What a dead process left behind goes with the next save, and nothing else does."""

    @staticmethod
    def leave_behind(target: Path, *, seconds: float = 7200) -> Path:
        def die() -> None:
            with staged_directory(target) as directory:
                fill(directory, "dead")
                os.chmod(directory / "code", 0)
                os.kill(os.getpid(), signal.SIGKILL)

        before = set(os.listdir(target.parent))
        assert in_child(die) == -signal.SIGKILL
        (left,) = set(os.listdir(target.parent)) - before
        age(target.parent / left, seconds)
        return target.parent / left

    def test_an_old_temporary_of_a_dead_process_is_removed(self, tmp_path: Path) -> None:
        left = self.leave_behind(tmp_path / "m")
        save(tmp_path / "m")
        assert not left.exists()
        assert os.listdir(tmp_path) == ["m"]

    def test_a_conflict_leaves_everything_as_it_is(self, tmp_path: Path) -> None:
        left = self.leave_behind(tmp_path / "m")
        save(tmp_path / "m", overwrite=True)
        left = self.leave_behind(tmp_path / "n")
        save(tmp_path / "other")
        assert left.exists()
        with pytest.raises(SaveConflictError):
            save(tmp_path / "m")

    def test_a_young_temporary_stays(self, tmp_path: Path) -> None:
        left = self.leave_behind(tmp_path / "m", seconds=3000)
        save(tmp_path / "m")
        assert left.exists()

    def test_a_temporary_of_a_live_process_stays(self, tmp_path: Path) -> None:
        with staged_directory(tmp_path / "m") as directory:
            fill(directory, "slow")
            age(directory)
            save(tmp_path / "m", "fast")
            assert directory.exists()
            shutil.rmtree(tmp_path / "m")
        assert read_all(tmp_path / "m") == expected("slow")

    def test_names_that_only_look_alike_stay(self, tmp_path: Path) -> None:
        names = [".m.tmp", ".m.0123456789abcdeg.tmp", "m.0123456789abcdef.tmp", ".m.x.tmp"]
        for name in names:
            (tmp_path / name).mkdir()
            age(tmp_path / name)
        (tmp_path / ".m.0123456789abcdef.tmp").symlink_to(".m.tmp")
        save(tmp_path / "m")
        assert set(names) < set(os.listdir(tmp_path))

    def test_a_name_with_pattern_characters_is_taken_literally(self, tmp_path: Path) -> None:
        (tmp_path / ".maybe.0123456789abcdef.tmp").mkdir()
        age(tmp_path / ".maybe.0123456789abcdef.tmp")
        save(tmp_path / "m.*")
        assert (tmp_path / ".maybe.0123456789abcdef.tmp").exists()

    def test_old_content_that_is_the_only_copy_stays(self, tmp_path: Path) -> None:
        aside = tmp_path / ".m.0123456789abcdef.old"
        aside.mkdir()
        age(aside)
        save(tmp_path / "m")
        assert aside.exists()
        save(tmp_path / "m", overwrite=True)
        assert not aside.exists()


class TestS4:
    """A place that cannot be written is found before any work."""

    @staticmethod
    def must_not_run(target: Path) -> None:
        with staged_directory(target):
            os._exit(3)

    def test_a_directory_without_permission(
        self, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        open_to_all_users(tmp_path, tmp_path_factory.getbasetemp())
        (tmp_path / "closed").mkdir(mode=0o755 if os.getuid() == 0 else 0o555)

        def attempt() -> None:
            for target in (tmp_path / "closed/m", tmp_path / "closed/new/m"):
                with pytest.raises(SaveError) as caught:
                    self.must_not_run(target)
                assert caught.value.errno == errno.EACCES
                assert isinstance(caught.value.__cause__, PermissionError)

        assert in_child(attempt, user=NOBODY if os.getuid() == 0 else None) == 0
        assert os.listdir(tmp_path / "closed") == []

    def test_a_target_that_cannot_be_looked_into(
        self, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        open_to_all_users(tmp_path, tmp_path_factory.getbasetemp())
        (tmp_path / "closed").mkdir(mode=0)

        def attempt() -> None:
            for target in (tmp_path / "closed", tmp_path / "closed/m"):
                with pytest.raises(SaveError) as caught:
                    self.must_not_run(target)
                assert caught.value.errno == errno.EACCES

        assert in_child(attempt, user=NOBODY if os.getuid() == 0 else None) == 0

    def test_a_parent_that_cannot_be_flushed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(descriptor: int) -> None:
            raise OSError(errno.EIO, "broken")

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(SaveError):
            self.must_not_run(tmp_path / "a/b/m")
        assert os.listdir(tmp_path) == []

    def test_a_read_only_file_system(self) -> None:
        with pytest.raises(SaveError) as caught:
            self.must_not_run(Path("/sys/fs/m"))
        assert caught.value.errno in (errno.EROFS, errno.EPERM, errno.EACCES)

    def test_a_parent_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(SaveError) as caught:
            self.must_not_run(tmp_path / "file/m")
        assert caught.value.errno == errno.ENOTDIR
        with pytest.raises(SaveError):
            self.must_not_run(tmp_path / "file/deeper/m")


def unread(path: Path) -> tuple[int, ...]:
    """Return what is known of ``path`` that looking into it does not change."""
    found = os.lstat(path)
    return found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class TestS5:
    """A target that is taken: found before the work, and again at the rename."""

    @pytest.mark.parametrize("kind", ["directory", "file", "fifo", "socket", "link-to-file"])
    def test_before_the_work(self, tmp_path: Path, kind: str) -> None:
        target = tmp_path / "m"
        with socket.socket(socket.AF_UNIX) as server:
            if kind == "directory":
                save(target, "old")
            elif kind == "file":
                target.write_text("old")
            elif kind == "fifo":
                os.mkfifo(target)
            elif kind == "socket":
                server.bind(str(target))
            else:
                (tmp_path / "f").write_text("old")
                target.symlink_to("f")
            before = sorted(os.listdir(tmp_path)), unread(target)
            with pytest.raises(SaveConflictError) as caught:
                TestS4.must_not_run(target)
        assert caught.value.error_code == "RESOURCE_ALREADY_EXISTS"
        assert str(target) in str(caught.value)
        assert (sorted(os.listdir(tmp_path)), unread(target)) == before

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_a_file_at_the_rename(self, tmp_path: Path, overwrite: bool) -> None:
        def race() -> None:
            with staged_directory(tmp_path / "m", overwrite=overwrite) as directory:
                fill(directory, "new")
                (tmp_path / "m").write_text("taken")

        with pytest.raises(SaveConflictError):
            race()
        assert (tmp_path / "m").read_text() == "taken"
        assert os.listdir(tmp_path) == ["m"]

    def test_a_directory_at_the_rename(self, tmp_path: Path) -> None:
        def race() -> None:
            with staged_directory(tmp_path / "m") as directory:
                fill(directory, "slow")
                save(tmp_path / "m", "fast")

        with pytest.raises(SaveConflictError):
            race()
        assert read_all(tmp_path / "m") == expected("fast")
        assert os.listdir(tmp_path) == ["m"]

    def test_a_file_is_never_overwritten(self, tmp_path: Path) -> None:
        (tmp_path / "m").write_text("old")
        with pytest.raises(SaveConflictError):
            save(tmp_path / "m", overwrite=True)
        assert (tmp_path / "m").read_text() == "old"


class TestS6:
    """An empty directory counts as absent."""

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_an_empty_directory_is_replaced(self, tmp_path: Path, overwrite: bool) -> None:
        (tmp_path / "m").mkdir()
        save(tmp_path / "m", overwrite=overwrite)
        assert read_all(tmp_path / "m") == expected("new")

    def test_a_link_is_followed(self, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "m").symlink_to("elsewhere")
        save(tmp_path / "m")
        assert read_all(tmp_path / "elsewhere") == expected("new")
        assert (tmp_path / "m").is_symlink()

    def test_a_dangling_link_is_followed(self, tmp_path: Path) -> None:
        (tmp_path / "m").symlink_to("elsewhere")
        save(tmp_path / "m")
        assert read_all(tmp_path / "elsewhere") == expected("new")


class TestS7:
    """Overwriting: in one step where the system can, and never losing both."""

    def test_the_old_content_is_gone(self, tmp_path: Path) -> None:
        save(tmp_path / "m", "old")
        (tmp_path / "m/extra").write_text("x")
        save(tmp_path / "m", overwrite=True)
        assert read_all(tmp_path / "m") == expected("new")
        assert os.listdir(tmp_path) == ["m"]

    def test_the_old_content_stays_if_the_block_fails(self, tmp_path: Path) -> None:
        save(tmp_path / "m", "old")

        def fail() -> None:
            with staged_directory(tmp_path / "m", overwrite=True) as directory:
                fill(directory, "new")
                raise KeyError("x")

        with pytest.raises(KeyError):
            fail()
        assert read_all(tmp_path / "m") == expected("old")
        assert os.listdir(tmp_path) == ["m"]

    def test_an_open_handle_of_a_reader_stays_usable(self, tmp_path: Path) -> None:
        save(tmp_path / "m", "old")
        reader = os.open(tmp_path / "m/code/inner", os.O_RDONLY)
        with (tmp_path / "m/MLmodel").open() as file:
            save(tmp_path / "m", overwrite=True)
            assert file.read() == "old"
        os.close(reader)

    def test_a_target_that_vanishes_meanwhile_is_created(self, tmp_path: Path) -> None:
        save(tmp_path / "m", "old")
        with staged_directory(tmp_path / "m", overwrite=True) as directory:
            fill(directory, "new")
            shutil.rmtree(tmp_path / "m")
        assert read_all(tmp_path / "m") == expected("new")

    @pytest.mark.parametrize("code", [errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP])
    def test_without_exchange(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
    ) -> None:
        def refuse(one: str, other: str) -> None:
            raise OSError(code, os.strerror(code), one, None, other)

        monkeypatch.setattr(publishing, "_exchange", refuse)
        save(tmp_path / "m", "old")
        save(tmp_path / "m", overwrite=True)
        assert read_all(tmp_path / "m") == expected("new")
        assert os.listdir(tmp_path) == ["m"]

    def test_without_exchange_a_failing_rename_brings_the_old_content_back(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(one: str, other: str) -> None:
            raise OSError(errno.ENOSYS, "not here")

        renames = 0
        rename = os.rename

        def fail_third(source: str, destination: str) -> None:
            nonlocal renames
            renames += 1
            if renames == 3:  # try plainly, put aside, put in place
                raise OSError(errno.EIO, "broken", source)
            rename(source, destination)

        save(tmp_path / "m", "old")
        monkeypatch.setattr(publishing, "_exchange", refuse)
        monkeypatch.setattr(os, "rename", fail_third)
        with pytest.raises(SaveError):
            save(tmp_path / "m", overwrite=True)
        assert read_all(tmp_path / "m") == expected("old")
        assert os.listdir(tmp_path) == ["m"]

    def test_an_exchange_that_fails_otherwise_is_an_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(one: str, other: str) -> None:
            raise OSError(errno.EIO, "broken", one)

        monkeypatch.setattr(publishing, "_exchange", fail)
        save(tmp_path / "m", "old")
        with pytest.raises(SaveError):
            save(tmp_path / "m", overwrite=True)
        assert read_all(tmp_path / "m") == expected("old")
        assert os.listdir(tmp_path) == ["m"]

    def test_a_target_that_is_replaced_again_and_again_is_a_conflict(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def lose(one: str, other: str) -> None:
            raise FileNotFoundError(errno.ENOENT, "gone", other)

        monkeypatch.setattr(publishing, "_exchange", lose)
        save(tmp_path / "m", "old")
        with pytest.raises(SaveConflictError):
            save(tmp_path / "m", overwrite=True)
        assert read_all(tmp_path / "m") == expected("old")

    def test_the_system_of_these_tests_can_exchange(self, tmp_path: Path) -> None:
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            (tmp_path / name / name).write_text("")
        publishing._exchange(str(tmp_path / "one"), str(tmp_path / "other"))
        assert os.listdir(tmp_path / "one") == ["other"]
        with pytest.raises(FileNotFoundError):
            publishing._exchange(str(tmp_path / "one"), str(tmp_path / "missing"))


class TestS9:
    """Whatever the block raises comes out unchanged, and nothing is left."""

    @pytest.mark.parametrize(
        "error",
        [
            pickle.PicklingError("x"), KeyboardInterrupt(), SystemExit(1), GeneratorExit(),
            FileNotFoundError(errno.ENOENT, "no such file", "elsewhere"), OSError("odd"),
            PermissionError(errno.EACCES, "denied", "elsewhere"), ModelPathError("x"),
        ],
        ids=lambda error: type(error).__name__,
    )  # fmt: skip
    def test_the_error_of_the_block(self, tmp_path: Path, error: BaseException) -> None:
        def fail() -> None:
            with staged_directory(tmp_path / "a/b/m") as directory:
                fill(directory, "new")
                raise error

        with pytest.raises(type(error)) as caught:
            fail()
        assert caught.value is error
        assert os.listdir(tmp_path) == []

    def test_directories_that_cannot_be_entered_are_removed_as_well(
        self, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        open_to_all_users(tmp_path, tmp_path_factory.getbasetemp())

        def fail() -> None:
            with staged_directory(tmp_path / "m") as directory:
                fill(directory, "new")
                os.chmod(directory / "code", 0)
                raise KeyError

        def attempt() -> None:
            with pytest.raises(KeyError):
                fail()

        assert in_child(attempt, user=NOBODY if os.getuid() == 0 else None) == 0
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize("kind", ["link", "fifo", "socket"])
    def test_only_files_and_directories_are_published(self, tmp_path: Path, kind: str) -> None:
        def attempt() -> None:
            with staged_directory(tmp_path / "m") as directory:
                fill(directory, "new")
                if kind == "link":
                    (directory / "code/x").symlink_to("inner")
                elif kind == "fifo":
                    os.mkfifo(directory / "code/x")
                else:
                    os.mknod(directory / "code/x", stat.S_IFSOCK | 0o600)

        with pytest.raises(ModelPathError, match="code/x"):
            attempt()
        assert os.listdir(tmp_path) == []


class TestS13:
    """Modes do not depend on the umask, and nobody else reads an unfinished save."""

    @pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
    def test_modes(self, tmp_path: Path, mask: int) -> None:
        with umask(mask), staged_directory(tmp_path / "m") as directory:
            assert stat.S_IMODE(directory.stat().st_mode) == 0o700
            fill(directory, "new")
            (directory / "script.sh").write_text("")
            (directory / "script.sh").chmod(0o777)
            (directory / "closed").write_text("")
            (directory / "closed").chmod(0)
        modes = {
            stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "m").rglob("*") if p.is_file()
        }
        assert modes == {0o644}
        folders = [tmp_path / "m", tmp_path / "m/code", tmp_path / "m/code/inner"]
        assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o755}


class TestS14:
    """A failing fsync: the error comes out, and the target is as before."""

    @pytest.mark.parametrize("overwrite", [False, True])
    @pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
    def test_each_fsync(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool, code: int
    ) -> None:
        fsync = os.fsync
        calls = itertools.count(1)  # asked by several threads
        failing = 0

        def count(descriptor: int) -> None:
            if next(calls) == failing:
                raise OSError(code, os.strerror(code))
            fsync(descriptor)

        target = tmp_path / "m"
        if overwrite:
            save(target, "old")
        monkeypatch.setattr(os, "fsync", count)
        while True:
            calls = itertools.count(1)
            failing += 1
            try:
                save(target, overwrite=overwrite)
                break
            except SaveError as error:
                found = error
            assert found.errno == code
            assert isinstance(found.__cause__, OSError)
            assert os.listdir(tmp_path) == (["m"] if overwrite else [])
            if overwrite:
                assert read_all(target) == expected("old")
        assert read_all(target) == expected("new")
        assert failing == 7  # two files, three directories, the parent; then all went well

    def test_everything_is_flushed_before_the_rename_and_the_parent_after(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        order: list[str] = []
        fsync, rename = os.fsync, os.rename

        def record(descriptor: int) -> None:
            order.append(os.readlink(f"/proc/self/fd/{descriptor}"))
            fsync(descriptor)

        def record_rename(source: str, destination: str) -> None:
            order.append("rename")
            rename(source, destination)

        monkeypatch.setattr(os, "fsync", record)
        monkeypatch.setattr(os, "rename", record_rename)
        save(tmp_path / "m")
        flushed, after = order[: order.index("rename")], order[order.index("rename") + 1 :]
        names = {Path(path).name for path in flushed}
        staging = {name for name in names if is_staging_name(name)}
        assert names - staging == {"MLmodel", "module.py", "inner", "code"}
        assert len(staging) == 1
        assert after == [str(tmp_path)]


def test_errors_of_the_disk_survive_pickling() -> None:
    error = SaveError("m: full", cause=OSError(errno.ENOSPC, "No space left on device", "x"))
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.errno, copy.strerror, copy.filename) == (
        "m: full",
        errno.ENOSPC,
        "No space left on device",
        "x",
    )
    assert isinstance(copy, OSError)
    assert isinstance(copy, PyfuncError)


def test_the_lock_is_released_at_the_end(tmp_path: Path) -> None:
    save(tmp_path / "m")
    descriptor = os.open(tmp_path / "m", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)


def test_no_file_descriptor_stays_open(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    for _ in range(20):
        save(tmp_path / "m", overwrite=True)
        with pytest.raises(SaveConflictError):
            save(tmp_path / "m")
    assert len(os.listdir("/proc/self/fd")) == len(before)


class TestWriteFileAtomically:
    """Replacing one file."""

    def test_a_new_file(self, tmp_path: Path) -> None:
        with umask(0o077):
            write_file_atomically(tmp_path / "f", b"new")
        assert (tmp_path / "f").read_bytes() == b"new"
        assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o644
        assert os.listdir(tmp_path) == ["f"]

    def test_an_existing_file_keeps_its_mode_and_its_links(self, tmp_path: Path) -> None:
        (tmp_path / "f").write_bytes(b"old")
        (tmp_path / "f").chmod(0o600)
        (tmp_path / "link").symlink_to("f")
        write_file_atomically(tmp_path / "link", b"new")
        assert (tmp_path / "f").read_bytes() == b"new"
        assert (tmp_path / "link").is_symlink()
        assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o600

    def test_a_failure_keeps_the_old_content(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "f").write_bytes(b"old")

        def fail(descriptor: int) -> None:
            raise OSError(errno.EIO, "broken")

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(SaveError):
            write_file_atomically(tmp_path / "f", b"new")
        assert (tmp_path / "f").read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["f"]

    def test_a_missing_parent_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(SaveError) as caught:
            write_file_atomically(tmp_path / "missing/f", b"new")
        assert caught.value.errno == errno.ENOENT

    @pytest.mark.parametrize(
        "error",
        [
            pytest.param(ValueError("x"), id="any"),
            pytest.param(ConnectionResetError(errno.ECONNRESET, "x"), id="system"),
            pytest.param(KeyboardInterrupt(), id="interrupt"),
        ],
    )
    def test_what_the_block_raises_is_raised_and_nothing_is_left(
        self, tmp_path: Path, error: BaseException
    ) -> None:
        (tmp_path / "f").write_bytes(b"old")

        def fail() -> None:
            with staged_file(tmp_path / "f") as file:
                file.write(b"half")
                raise error

        with pytest.raises(type(error)):
            fail()
        assert (tmp_path / "f").read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["f"]

    def test_a_missing_parent_is_found_first(self, tmp_path: Path) -> None:
        ran = []
        with pytest.raises(SaveError), staged_file(tmp_path / "missing/f"):
            ran.append(1)
        assert ran == []

    @pytest.mark.parametrize(
        ("hours", "locked", "stays"),
        [
            pytest.param(2, False, False, id="dead"),
            pytest.param(2, True, True, id="alive"),
            pytest.param(0, False, True, id="young"),
        ],
    )
    def test_what_a_killed_writer_left_is_removed_later(
        self, tmp_path: Path, hours: int, locked: bool, stays: bool
    ) -> None:
        left = tmp_path / f".f.{'0' * 16}.tmp"
        left.write_bytes(b"half")
        then = time.time() - hours * 3600
        os.utime(left, (then, then))
        with open(left, "rb") as owner:
            if locked:
                fcntl.flock(owner, fcntl.LOCK_EX)
            write_file_atomically(tmp_path / "f", b"new")
        assert left.exists() is stays

    def test_a_new_file_has_the_mode_asked_for(self, tmp_path: Path) -> None:
        with staged_file(tmp_path / "f", mode=0o600) as file:
            file.write(b"new")
        assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o600


def test_a_save_needs_no_temporary_directory_and_no_home(tmp_path: Path) -> None:
    code = "import sys; from test_staging import save; save(sys.argv[1])"
    environment = {"TMPDIR": "/nonexistent", "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "m")],
        env=environment,
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert read_all(tmp_path / "m") == expected("new")
