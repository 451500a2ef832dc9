"""Many processes at one target (reliability 4.1, S7 and S8; 4.6, C5)."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pyfunc.directory.opened import ModelFiles
from pyfunc.directory.verification import write_manifest
from pyfunc.errors import PyfuncError, SaveConflictError
from pyfunc.files.publishing import staged_directory

RACERS = 8
ROUNDS = int(os.environ.get("PYFUNC_RACES", "25"))
READS = int(os.environ.get("PYFUNC_READS", "2000"))
NAMES = ("MLmodel", "python_model.pkl", "code/module.py", "artifacts/x")
WON, LOST, FAILED = 0, 7, 1


def save(target: Path, content: str, *, overwrite: bool = False) -> None:
    with staged_directory(target, overwrite=overwrite) as directory:
        for name in NAMES:
            (directory / name).parent.mkdir(exist_ok=True)
            (directory / name).write_text(content * 100)
        write_manifest(directory)


def read_whole(target: Path) -> str:
    """Return the one content that all files of a model have."""
    files = ModelFiles.open(target, verify="require")
    contents = {files.read(name, key=name).decode()[:1] for name in NAMES}
    files.verify_all()
    (content,) = contents
    return content


def race(work: Callable[[int], int]) -> list[int]:
    """Start ``work`` at the same moment in forked processes; return what each returned."""
    wait, go = os.pipe()
    children = []
    for number in range(RACERS):
        child = os.fork()
        if child == 0:
            code = FAILED
            try:
                os.close(go)
                os.read(wait, 1)  # returns when the parent closes its end
                code = work(number)
            finally:
                os._exit(code)
        children.append(child)
    os.close(wait)
    os.close(go)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


class TestS8:
    """Eight processes that save to one target."""

    def test_exactly_one_wins(self, tmp_path: Path) -> None:
        winners = set()
        for number in range(ROUNDS):
            target = tmp_path / f"round{number}" / "m"

            def attempt(racer: int, target: Path = target) -> int:
                try:
                    save(target, "abcdefgh"[racer])
                except SaveConflictError:
                    return LOST
                return WON

            codes = race(attempt)
            assert Counter(codes) == {WON: 1, LOST: RACERS - 1}
            assert read_whole(target) == "abcdefgh"[codes.index(WON)]
            assert os.listdir(target.parent) == ["m"]
            winners.add(codes.index(WON))
        assert winners

    def test_all_win_that_overwrite_and_the_last_stays(self, tmp_path: Path) -> None:
        for number in range(ROUNDS):
            target = tmp_path / f"round{number}" / "m"

            def attempt(racer: int, target: Path = target) -> int:
                save(target, "abcdefgh"[racer], overwrite=True)
                return WON

            assert set(race(attempt)) == {WON}
            assert read_whole(target) in "abcdefgh"
            assert os.listdir(target.parent) == ["m"]

    def test_losers_that_created_the_parents_leave_them_to_the_winner(
        self, tmp_path: Path
    ) -> None:
        for number in range(ROUNDS):
            parent = tmp_path / f"round{number}" / "deep"

            def attempt(racer: int, parent: Path = parent) -> int:
                with suppress(ZeroDivisionError), staged_directory(parent / f"m{racer}") as new:
                    (new / "MLmodel").write_text(str(1 // (1 - racer % 2)))
                return LOST if racer % 2 else WON

            assert Counter(race(attempt)) == {WON: RACERS // 2, LOST: RACERS // 2}
            assert sorted(os.listdir(parent)) == [f"m{racer}" for racer in range(0, RACERS, 2)]


@contextmanager
def overwriting(target: Path) -> Iterator[None]:
    """Overwrite ``target`` again and again from another process."""
    child = os.fork()
    if child == 0:
        try:
            while True:
                for content in "abcdefgh":
                    save(target, content, overwrite=True)
        finally:
            os._exit(FAILED)
    try:
        yield
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "the writer has stopped"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


class TestS7:
    """Readers while another process overwrites."""

    def test_the_target_is_always_there_and_complete(self, tmp_path: Path) -> None:
        target = tmp_path / "m"
        save(target, "a")
        seen: Counter[str | None] = Counter()
        with overwriting(target):
            for _ in reads(seen):
                assert target.is_dir()
                seen[read_at_once(target)] += 1
        assert len(seen) > 2

    def test_a_checked_reader_gets_one_version_or_a_clean_error(self, tmp_path: Path) -> None:
        target = tmp_path / "m"
        save(target, "a")
        seen: Counter[str | None] = Counter()
        with overwriting(target):
            for _ in reads(seen):
                seen[self.read_or_fail(target)] += 1
        errors = {outcome for outcome in seen if outcome and len(outcome) > 1}
        assert len(seen) - len(errors) > 2
        assert errors <= {"ModelIntegrityError", "ModelIncompleteError", "ModelFormatError"}

    @staticmethod
    def read_or_fail(target: Path) -> str:
        try:
            return read_whole(target)
        except PyfuncError as error:
            return type(error).__name__


def reads(seen: Counter[str | None]) -> Iterator[None]:
    """Go on until many reads have seen several versions; give up after half a minute."""
    until = time.monotonic() + 30
    while (seen.total() < READS or len(seen) < 6) and time.monotonic() < until:
        yield


def read_at_once(target: Path) -> str | None:
    """Return the content of all files of one directory; None if it was removed meanwhile.

    The directory is opened once, so that all files are looked up in the same one.
    """
    try:
        directory = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        pytest.fail("there was a moment without a target")
    try:
        contents = set()
        for name in NAMES:
            file = os.open(name, os.O_RDONLY, dir_fd=directory)
            contents.add(os.read(file, 10_000))
            os.close(file)
    except FileNotFoundError:
        return None
    finally:
        os.close(directory)
    (content,) = contents
    assert len(content) == 100
    return content.decode()[:1]
