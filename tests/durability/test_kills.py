"""Saves that are killed at random moments (reliability 4.1, S1, S2 and S2b)."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pyfunc
from pyfunc.errors import SaveConflictError

KILLS = int(os.environ.get("PYFUNC_KILLS", "500"))
ARTIFACT_BYTES = 1 << 19
MEMORY = Path("/dev/shm")


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A directory on the disk, or in memory where there is such a file system.

    What a killed process leaves is the same on both, but memory takes hundreds of saves in
    seconds however busy the disk is.
    """
    if request.param == "disk" or not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        yield Path(directory)


@pytest.fixture
def source(place: Path) -> Path:
    source = place / "source"
    for folder in ("package/inner", "tmp"):
        (source / folder).mkdir(parents=True)
    (source / "weights.bin").write_bytes(random.Random(0).randbytes(ARTIFACT_BYTES))
    (source / "package/__init__.py").write_text("")
    (source / "package/inner/__init__.py").write_text("")
    for number in range(6):
        (source / f"package/inner/module{number}.py").write_text(f"VALUE = {number}\n")
    return source


def make_model(version: int) -> Any:
    """Return a model that answers with all that its parts know; its class goes by value."""
    scope: dict[str, Any] = {"__name__": "__main__", "PythonModel": pyfunc.PythonModel}
    exec(MODEL, scope)
    model = scope["Model"]()
    model.version = version
    return model


MODEL = """
class Model(PythonModel):
    def load_context(self, context):
        with open(context.artifacts["weights"], "rb") as file:
            self.size = len(file.read())

    def predict(self, context, model_input, params=None):
        from package.inner import module5
        return [self.version, self.size, module5.VALUE]
"""


def save(target: Path, source: Path, version: int, *, overwrite: bool = False) -> None:
    pyfunc.save_model(
        target,
        python_model=make_model(version),
        artifacts={"weights": str(source / "weights.bin")},
        code_paths=[str(source / "package")],
        pip_requirements=["numpy"],
        metadata={"version": version},
        overwrite=overwrite,
    )


def read_version(target: Path) -> int | None:
    """Return what version is at ``target``, from the answer of the loaded model, if any is."""
    if not target.exists():
        return None
    model = pyfunc.load_model(target, suppress_warnings=True, verify="require")
    version, size, value = model.predict([1])
    model.close()
    assert (size, value) == (ARTIFACT_BYTES, 5)
    assert model.metadata.metadata == {"version": version}
    assert sorted(path.name for path in target.iterdir()) == FILES
    return int(version)


FILES = [
    ".pyfunc", "MLmodel", "artifacts", "code", "conda.yaml", "python_env.yaml", "python_model.pkl",
    "requirements.txt",
]  # fmt: skip


def kill_a_save(
    target: Path, source: Path, version: int, delay: float, *, overwrite: bool
) -> bool:
    """Fork a save and kill it after ``delay`` seconds; return whether it was still running."""
    ready, started = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.environ["TMPDIR"] = str(source / "tmp")
            os.write(started, b"x")
            save(target, source, version, overwrite=overwrite)
        finally:
            os._exit(0)
    os.read(ready, 1)
    os.close(ready)
    os.close(started)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


class Moments:
    """Random delays over the time that a save takes, which it learns as it goes."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._longest = 0.01

    def draw(self) -> float:
        return self._chance.uniform(0, self._longest)

    def learn(self, *, was_running: bool) -> None:
        self._longest = min(4.0, self._longest * (1.3 if was_running else 0.77))


def age_everything(parent: Path) -> int:
    """Make what was left behind two hours old; return how much it is."""
    then = time.time() - 7200
    left = [entry for entry in os.scandir(parent) if entry.name.startswith(".")]
    for entry in left:
        os.utime(entry.path, (then, then))
    return len(left)


@pytest.mark.parametrize(
    ("place", "kills"), [("memory", KILLS), ("disk", max(50, KILLS // 10))], indirect=["place"]
)
def test_s1_s2_s2b_kills_leave_nothing_or_a_complete_model(
    place: Path, source: Path, kills: int
) -> None:
    moments = Moments(20)
    parent = place / "models"
    outcomes: Counter[str] = Counter()
    for number in range(kills):
        target = parent / f"m{number % 10}"
        running = kill_a_save(target, source, number, moments.draw(), overwrite=False)
        moments.learn(was_running=running)
        found = read_version(target)
        assert found in (None, number)
        outcomes["absent" if found is None else "complete"] += 1
        outcomes["killed"] += running
        if found is None:
            save(target, source, -number)
        else:
            with pytest.raises(SaveConflictError):
                save(target, source, -number)
        assert read_version(target) in (number, -number)
        shutil.rmtree(target)
    # That both happen often shows that the moments are the right ones.
    assert outcomes["absent"] > kills // 20, outcomes
    assert outcomes["complete"] > kills // 20, outcomes
    assert outcomes["killed"] > kills // 10, outcomes
    assert os.listdir(source / "tmp") == []
    assert age_everything(parent) > 0
    for number in range(10):
        save(parent / f"m{number}", source, number)
    assert sorted(os.listdir(parent)) == [f"m{number}" for number in range(10)]


@pytest.mark.parametrize(
    ("place", "kills"),
    [("memory", KILLS // 2), ("disk", max(50, KILLS // 10))],
    indirect=["place"],
)
def test_s1_s7_kills_while_overwriting_leave_the_old_or_the_new_model(
    place: Path, source: Path, kills: int
) -> None:
    moments = Moments(21)
    target = place / "models/m"
    save(target, source, 0)
    current = 0
    outcomes: Counter[str] = Counter()
    for number in range(1, kills + 1):
        running = kill_a_save(target, source, number, moments.draw(), overwrite=True)
        moments.learn(was_running=running)
        found = read_version(target)
        assert found in (current, number)
        outcomes["old" if found == current else "new"] += 1
        current = number if found == number else current
    assert min(outcomes["old"], outcomes["new"]) > kills // 20, outcomes
    assert age_everything(target.parent) > 0
    save(target, source, -1, overwrite=True)
    assert os.listdir(target.parent) == ["m"]
    assert read_version(target) == -1
