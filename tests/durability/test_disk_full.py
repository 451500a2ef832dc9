"""Saves on a disk without room (reliability 4.1, S3), on a real small file system."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from pyfunc.directory.verification import refresh_manifest, verify_files, write_manifest
from pyfunc.errors import SaveError
from pyfunc.files.copying import copy_into
from pyfunc.files.publishing import staged_directory

PAGE = 4096
ARTIFACT_BYTES = 10 * PAGE

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
MS_PRIVATE_RECURSIVE = (1 << 18) | (1 << 14)


def in_child(work: Callable[[], object]) -> None:
    """Run ``work`` in a forked child; fail with its traceback if it fails."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            os.write(write, traceback.format_exc().encode()[-4000:])
        finally:
            os._exit(1)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        report = pipe.read().decode()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        pytest.fail(f"the child ended with {code}\n{report}")


def mount_small_disk(place: Path, options: str) -> bool:
    """Mount a tmpfs that only this process sees; return whether the machine allows it."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWNS):
        if libc.unshare(CLONE_NEWNS | CLONE_NEWUSER):
            return False
        # Without a name for this user the disk would belong to nobody here.
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    if libc.mount(None, b"/", None, ctypes.c_ulong(MS_PRIVATE_RECURSIVE), None):
        return False
    place.mkdir()
    code = libc.mount(b"tmpfs", os.fsencode(place), b"tmpfs", ctypes.c_ulong(0), options.encode())
    return not code


def save(target: Path, source: Path, *, overwrite: bool = False) -> None:
    with staged_directory(target, overwrite=overwrite) as directory:
        (directory / "python_model.pkl").write_bytes(b"x" * PAGE)
        copy_into(source, directory / "artifacts/weights.bin")
        (directory / "code").mkdir()
        for name in ("MLmodel", "code/module.py", "conda.yaml", "requirements.txt"):
            (directory / name).write_bytes(b"y" * 100)
        write_manifest(directory)


def count_refusals(
    disk: Path, source: Path, set_room: Callable[[int], object], *, overwrite: bool
) -> int:
    """Save with more and more room until it succeeds; return how often it did not."""
    target = disk / "m"
    before = sorted(os.listdir(disk))
    old = verify_files(target).digest if overwrite else None
    for room in range(200):
        set_room(room)
        try:
            save(target, source, overwrite=overwrite)
        except SaveError as error:
            found = error
        else:
            verify_files(target)
            return room
        assert found.errno in (errno.ENOSPC, errno.EFBIG)
        assert isinstance(found.__cause__, OSError)
        assert sorted(os.listdir(disk)) == before
        assert old is None or verify_files(target).digest == old
    raise AssertionError("no room was enough")


class Filler:
    """A file that takes all of a disk but some pages."""

    def __init__(self, disk: Path) -> None:
        self._disk = disk
        self._path = disk / "filler"
        self._path.write_bytes(b"")

    def leave(self, pages: int) -> None:
        self._path.write_bytes(b"")
        free = os.statvfs(self._disk).f_bavail
        self._path.write_bytes(b"f" * PAGE * max(0, free - pages))
        assert os.statvfs(self._disk).f_bavail == pages


def limit_file_size(pages: int) -> None:
    """Let no file of this process grow beyond so many pages: the disk is full for it then."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (pages * PAGE, resource.RLIM_INFINITY))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "weights.bin"
    source.write_bytes(os.urandom(ARTIFACT_BYTES))
    return source


@pytest.mark.parametrize("overwrite", [False, True])
def test_s3_a_full_disk_leaves_everything_as_it_was(
    tmp_path: Path, source: Path, overwrite: bool
) -> None:
    def check() -> None:
        disk = tmp_path / "disk"
        if mount_small_disk(disk, f"size={100 * PAGE}"):
            set_room: Callable[[int], object] = Filler(disk).leave
            least = 14  # ten for the artifact, four or more for the rest
        else:
            disk.mkdir(exist_ok=True)
            set_room, least = limit_file_size, 10
        if overwrite:
            save(disk / "m", source)
        assert count_refusals(disk, source, set_room, overwrite=overwrite) >= least

    in_child(check)


def test_s3_a_disk_without_free_inodes_leaves_everything_as_it_was(
    tmp_path: Path, source: Path
) -> None:
    def check() -> None:
        disk = tmp_path / "disk"
        if not mount_small_disk(disk, "nr_inodes=60"):
            disk.mkdir(exist_ok=True)
            assert count_refusals(disk, source, limit_file_size, overwrite=False) == 10
            return
        spare = [disk / f"spare{number}" for number in range(59)]
        for path in spare:
            path.write_bytes(b"")

        def free_one(room: int) -> None:
            if room:
                spare.pop().unlink()

        refusals = 0
        while True:
            free_one(refusals)
            before = sorted(os.listdir(disk))
            try:
                save(disk / "m", source)
                break
            except SaveError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017
            refusals += 1
            assert sorted(os.listdir(disk)) == before
        verify_files(disk / "m")
        assert refusals >= 10

    in_child(check)


def test_s3_a_limit_on_file_sizes_leaves_everything_as_it_was(
    tmp_path: Path, source: Path
) -> None:
    def check() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        (tmp_path / "disk").mkdir()
        refusals = count_refusals(tmp_path / "disk", source, limit_file_size, overwrite=False)
        assert refusals == ARTIFACT_BYTES // PAGE

    in_child(check)


def test_s3_a_manifest_that_cannot_be_rewritten_stays(tmp_path: Path, source: Path) -> None:
    save(tmp_path / "m", source)
    (tmp_path / "m/MLmodel").write_bytes(b"changed")
    before = (tmp_path / "m/.pyfunc/manifest.json").read_bytes()

    def check() -> None:
        limit_file_size(0)
        with pytest.raises(SaveError):
            refresh_manifest(tmp_path / "m")

    in_child(check)
    assert (tmp_path / "m/.pyfunc/manifest.json").read_bytes() == before
    assert os.listdir(tmp_path / "m/.pyfunc") == ["manifest.json"]


def test_s12_a_target_on_another_file_system_than_the_sources_and_temporary_files(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def check() -> None:
        disk = tmp_path / "disk"
        if not mount_small_disk(disk, f"size={100 * PAGE}"):
            disk.mkdir(exist_ok=True)
        else:
            assert disk.stat().st_dev != source.stat().st_dev
        for overwrite in (False, True):
            save(disk / "m", source, overwrite=overwrite)
            verify_files(disk / "m")
            assert os.listdir(disk) == ["m"]
        assert sorted(os.listdir(tmp_path)) == ["disk", source.name]

    in_child(check)
