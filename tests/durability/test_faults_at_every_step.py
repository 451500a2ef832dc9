"""A disk that is full, or a signal, at every step of a save and of the making of an environment.

The steps are what Python itself tells an audit hook: files opened to be written, directories made,
things renamed, linked and given modes. Each runs in a child process, which the hook ends with.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import signal
import stat
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import pyfunc
from pyfunc.env import prepare_environment
from pyfunc.errors import PyfuncError, SaveError

STEPS = frozenset(["open", "os.mkdir", "os.rename", "os.link", "os.chmod", "os.symlink"])
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
FAULTS = {"disk-full": errno.ENOSPC, "interrupted": errno.EINTR, "disk-broken": errno.EIO}

INSTALLER = """\
#!/bin/sh
case "$1" in
  venv) for last; do :; done; mkdir -p "$last/bin"; printf x > "$last/bin/python" ;;
esac
"""


class Steps:
    """Counts the steps below a folder, and lets the one of a number fail."""

    def __init__(self, folder: Path, number: int, error: int) -> None:
        self._folder = os.fspath(folder)
        self._left = number
        self._error = error
        self.has_failed = False

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if event not in STEPS or self.has_failed:
            return
        if event == "open":
            flags = arguments[2]
            if not isinstance(flags, int) or not flags & WRITING:
                return
        if not any(self._is_below(place) for place in arguments[:2]):
            return
        self._left -= 1
        if self._left < 0:
            self.has_failed = True
            raise OSError(self._error, os.strerror(self._error), str(arguments[0]))

    def _is_below(self, place: object) -> bool:
        return isinstance(place, (str, bytes)) and os.fsdecode(place).startswith(self._folder)


def outcome(work: Callable[[], object], steps: Steps) -> dict[str, object]:
    """Return what became of ``work`` in a forked child: ``done``, or the error."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            sys.addaudithook(steps)
            try:
                work()
                found: dict[str, object] = {"done": True}
            except PyfuncError as error:
                found = {"ours": type(error).__name__, "text": str(error)}
            except BaseException:
                found = {"raw": traceback.format_exc()[-3000:]}
            os.write(write, json.dumps({**found, "failed": steps.has_failed}).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        found = json.loads(pipe.read())
    os.waitpid(child, 0)
    return found


def every_step(
    folder: Path, work: Callable[[], object], error: int
) -> Iterator[dict[str, object]]:
    """Yield the outcome with the first step failing, then the second, until none is left."""
    for number in range(400):
        found = outcome(work, Steps(folder, number, error))
        if not found["failed"]:
            assert found.get("done"), found
            return
        yield found
    raise AssertionError("there are more steps than that")


def echo(model_input: list[str]) -> list[str]:
    return model_input


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("overwrite", [False, True], ids=["new", "overwrite"])
def test_a_save_fails_as_a_whole(tmp_path: Path, fault: str, overwrite: bool) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (tmp_path / "helper.py").write_text("VALUE = 1\n")
    (tmp_path / "weights.bin").write_bytes(b"w" * 5000)
    digest = None
    if overwrite:
        pyfunc.save_model(place / "m", python_model=echo, pip_requirements=["numpy"])
        digest = pyfunc.verify(place / "m").digest
    before = sorted(os.listdir(place))

    def save() -> None:
        pyfunc.save_model(
            place / "m", python_model=echo, pip_requirements=[], overwrite=overwrite,
            code_paths=[str(tmp_path / "helper.py")],
            artifacts={"weights": str(tmp_path / "weights.bin")},
        )  # fmt: skip

    count = 0
    for found in every_step(place, save, FAULTS[fault]):
        count += 1
        if found.get("done"):  # a step that only tidies up
            pyfunc.verify(place / "m")
            return
        assert found.get("ours") == "SaveError", found
        assert sorted(os.listdir(place)) == before, found
        if overwrite:
            assert pyfunc.verify(place / "m").digest == digest
    assert count > 8
    pyfunc.verify(place / "m")


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a model; what makes environments is a small program that takes no package."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    uv = bin_folder / "uv"
    uv.write_text(INSTALLER)
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setattr("pyfunc.env.creating.installers.find_uv", lambda: str(uv), raising=False)
    root = tmp_path / "m"
    pyfunc.save_model(root, python_model=echo, pip_requirements=["six==1.16.0"])
    text = f"python: {platform.python_version()}\ndependencies: [-r requirements.txt]\n"
    (root / "python_env.yaml").write_text(text)
    return root


@pytest.mark.parametrize("fault", FAULTS)
def test_an_environment_is_made_as_a_whole(recipe: Path, tmp_path: Path, fault: str) -> None:
    envs = tmp_path / "envs"

    def make() -> None:
        prepare_environment(recipe, env_manager="uv", root=envs, progress=lambda _: None)

    count = 0
    for found in every_step(envs, make, FAULTS[fault]):
        count += 1
        assert found.get("ours") == "EnvironmentCreationError", found
        left = [path for path in envs.iterdir() if path.suffix != ".lock"] if envs.exists() else []
        assert left == [], found
    assert count >= 4
    assert [path.is_dir() for path in envs.iterdir() if path.suffix != ".lock"] == [True]


@contextmanager
def storm(each: float) -> Iterator[list[int]]:
    """Let a signal arrive all the time; its handler does nothing."""
    arrived = [0]

    def handle(_signal: int, _frame: object) -> None:
        arrived[0] += 1

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, each, each)
    try:
        yield arrived
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_signals_disturb_neither(recipe: Path, tmp_path: Path) -> None:
    with storm(0.001) as arrived:
        pyfunc.save_model(tmp_path / "n", python_model=echo, pip_requirements=[])
        assert pyfunc.load_model(tmp_path / "n").predict(["a"]) == ["a"]
        pyfunc.verify(tmp_path / "n")
        prepare_environment(
            recipe, env_manager="uv", root=tmp_path / "envs", progress=lambda _: None
        )
    assert arrived[0] > 0


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o027, 0o077], ids=oct)
def test_a_umask_takes_nothing_from_what_is_saved_or_made(
    recipe: Path, tmp_path: Path, mask: int
) -> None:
    """It is of the whole process, and is set back."""
    before = os.umask(mask)
    try:
        pyfunc.save_model(tmp_path / "n", python_model=echo, pip_requirements=[])
        prepare_environment(
            recipe, env_manager="uv", root=tmp_path / "envs", progress=lambda _: None
        )
    finally:
        os.umask(before)
    assert pyfunc.load_model(tmp_path / "n").predict(["a"]) == ["a"]
    for path in (tmp_path / "n").rglob("*"):
        wanted = 0o755 if path.is_dir() else 0o644
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path
    made = [path for path in (tmp_path / "envs").iterdir() if path.is_dir()]
    assert [(path / ".pyfunc-ready.json").is_file() for path in made] == [True]


def test_a_umask_by_which_nobody_can_use_what_is_made(tmp_path: Path) -> None:
    """Whom modes bind is told, and there is no model; root saves as ever."""
    before = os.umask(0o777)
    try:
        if os.geteuid():
            with pytest.raises(SaveError, match="cannot be written: Permission denied"):
                pyfunc.save_model(tmp_path / "n", python_model=echo, pip_requirements=[])
        else:
            pyfunc.save_model(tmp_path / "n", python_model=echo, pip_requirements=[])
    finally:
        os.umask(before)
    if os.geteuid():
        assert not (tmp_path / "n").exists()
        return
    for path in (tmp_path / "n").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path
