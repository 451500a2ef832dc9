"""On a slow disk several threads flush what a save wrote; the save waits for all of them."""

from __future__ import annotations

import _thread
import errno
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from pyfunc.errors import SaveError
from pyfunc.files import publishing
from pyfunc.files.publishing import staged_directory

FILES = 20
THREADS = 4
WAIT = 60.0  # seconds, for what comes at once unless something is wrong


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str], None]], None]:
    """Return what lets a function be told of every flush; each counts as slow from here on."""
    fsync = os.fsync

    def tell(of_flush: Callable[[str], None]) -> None:
        def told(descriptor: int) -> None:
            of_flush(os.readlink(f"/proc/self/fd/{descriptor}"))
            fsync(descriptor)

        # No disk here is slow whenever a test asks for it.
        monkeypatch.setattr(os, "fsync", told)
        monkeypatch.setattr(publishing, "_SLOW_FLUSH_SECONDS", -1.0)

    return tell


def save(target: Path) -> None:
    with staged_directory(target) as directory:
        for number in range(FILES):
            (directory / f"f{number}").write_text(str(number))


SlowDisk = Callable[[Callable[[str], None]], None]


def test_threads_share_what_is_left(tmp_path: Path, slow_disk: SlowDisk) -> None:
    flushed: list[str] = []
    busy: set[int] = set()
    all_busy = threading.Event()

    def note(path: str) -> None:
        if flushed:  # the first finds out that the disk is slow
            busy.add(threading.get_ident())
            if len(busy) == THREADS:
                all_busy.set()
            assert all_busy.wait(WAIT)
        flushed.append(os.path.basename(path))

    slow_disk(note)
    save(tmp_path / "m")
    assert [flushed.count(f"f{number}") for number in range(FILES)] == [1] * FILES


def test_a_failure_of_another_thread_comes_out(tmp_path: Path, slow_disk: SlowDisk) -> None:
    failed = threading.Event()
    flushed: list[str] = []
    caller = threading.get_ident()

    def fail(path: str) -> None:
        if threading.get_ident() != caller:
            failed.set()
            raise OSError(errno.EIO, "broken")
        if flushed:
            assert failed.wait(WAIT)
        flushed.append(path)

    slow_disk(fail)
    with pytest.raises(SaveError) as caught:
        save(tmp_path / "m")
    assert caught.value.errno == errno.EIO
    assert os.listdir(tmp_path) == []


def test_other_threads_have_ended_when_a_failure_comes_out(
    tmp_path: Path, slow_disk: SlowDisk
) -> None:
    failing, helping = threading.Event(), threading.Event()
    order: list[str] = []
    caller = threading.get_ident()

    def fail(path: str) -> None:
        if not order:
            order.append("first")
        elif threading.get_ident() == caller:
            assert helping.wait(WAIT)
            order.append("failure")
            failing.set()
            raise OSError(errno.ENOSPC, "full")
        else:
            helping.set()
            assert failing.wait(WAIT)
            order.extend(["flush"] if os.path.isfile(path) else [])

    slow_disk(fail)
    with pytest.raises(SaveError) as caught:
        save(tmp_path / "m")
    assert caught.value.errno == errno.ENOSPC
    # Nothing is left to a thread that lives on.
    assert order == ["first", "failure", *["flush"] * (FILES - 2)]


@pytest.mark.parametrize("possible", [0, 1, 2])
def test_without_threads_the_caller_flushes_the_rest(
    tmp_path: Path, slow_disk: SlowDisk, monkeypatch: pytest.MonkeyPatch, possible: int
) -> None:
    flushed: Counter[str] = Counter()
    started: list[object] = []
    start = _thread.start_new_thread

    def refuse(work: Callable[..., object], arguments: tuple[object, ...]) -> int:
        if len(started) >= possible:
            raise RuntimeError("can't create new thread at interpreter shutdown")
        started.append(work)
        return start(work, arguments)

    # What an interpreter does that is shutting down.
    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    slow_disk(lambda path: flushed.update([os.path.basename(path)]))
    save(tmp_path / "m")
    assert [flushed[f"f{number}"] for number in range(FILES)] == [1] * FILES
    assert len(started) == possible
