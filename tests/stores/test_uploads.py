"""A save to a store is complete or not there, whatever ends it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

import pyfunc
from pyfunc.errors import StoreError

URL = "memory://bucket/model"
Words = Callable[..., dict[str, Any]]
Saver = Callable[[str, float], tuple[bool, float]]


def fail_at(told: Any, step: int, error: BaseException) -> None:
    """Let the store fail at the change of that number, and at each one after it."""
    changes = iter(range(10_000))

    def before(what: str, name: str) -> None:
        if what != "get" and next(changes) >= step:
            raise error

    told.before = before


def test_what_makes_it_a_model_is_sent_last(told: Any, words: Words) -> None:
    pyfunc.save_model(URL, **words())
    puts = [name for what, name in told.done if what == "put"]
    assert puts[-2:] == [".pyfunc/manifest.json", "MLmodel"]
    assert len(puts) == len(set(puts)) == len(told.names)


def test_what_makes_it_a_model_is_removed_first_and_sent_last_again(
    told: Any, words: Words
) -> None:
    pyfunc.save_model(URL, **words("first"), input_example=["a"])
    told.done.clear()
    pyfunc.save_model(URL, **words("second"), overwrite=True)
    assert told.done[:2] == [("remove", "MLmodel"), ("remove", ".pyfunc/manifest.json")]
    assert ("remove", "input_example.json") in told.done
    last_removal = max(n for n, (what, _) in enumerate(told.done) if what == "remove")
    assert last_removal < told.done.index(("put", "MLmodel")) == len(told.done) - 1


def clear(told: Any) -> None:
    for name in told.names:
        told.files.store.pop(f"/bucket/model/{name}")


def steps_of(told: Any, save: Callable[[], object]) -> int:
    told.done.clear()
    save()
    return sum(what != "get" for what, _ in told.done)


@pytest.mark.parametrize("kind", ["new", "overwritten"])
def test_a_store_that_fails_at_any_step_leaves_no_model(
    told: Any, words: Words, kind: str
) -> None:
    first, second = words("first"), words("second")

    def save() -> None:
        pyfunc.save_model(URL, **second, overwrite=True)

    if kind == "overwritten":
        pyfunc.save_model(URL, **first)
    steps = steps_of(told, save)
    for step in range(steps):
        told.before = lambda *_: None
        clear(told)
        if kind == "overwritten":
            pyfunc.save_model(URL, **first)
        fail_at(told, step, OSError("the line is dead"))
        with pytest.raises(StoreError, match="the line is dead"):
            save()
        # Before the first step the old model is as it was.
        assert ("MLmodel" in told.names) == (kind == "overwritten" and step == 0)


def test_what_was_sent_is_removed_when_sending_fails(told: Any, words: Words) -> None:
    def before(what: str, name: str) -> None:
        if (what, name) == ("put", "MLmodel"):
            raise OSError("no more room")

    told.before = before
    with pytest.raises(StoreError, match="no more room"):
        pyfunc.save_model(URL, **words())
    assert told.names == set()
    told.before = lambda *_: None
    pyfunc.save_model(URL, **words())
    assert pyfunc.load_model(URL, verify="require").predict([1]) == ["first-00"]


def test_an_argument_that_cannot_work_sends_nothing(told: Any, words: Words) -> None:
    with pytest.raises(pyfunc.PyfuncError):
        pyfunc.save_model(URL, **words(), signature=3)  # type: ignore[arg-type]
    with pytest.raises(pyfunc.PyfuncError):
        pyfunc.save_model(URL, python_model=lambda x: x / 0, input_example=[object()])
    assert told.done == []


def test_an_empty_folder_is_refused_since_it_would_not_come_back(
    told: Any, words: Words, tmp_path: Path
) -> None:
    arguments = words()
    arguments["artifacts"]["nothing"] = tmp_path / "nothing"
    (tmp_path / "nothing").mkdir()
    with pytest.raises(pyfunc.InvalidArgumentError, match="artifacts/nothing"):
        pyfunc.save_model(URL, **arguments)
    assert told.names == set()


def test_another_who_was_faster_is_not_overwritten(told: Any, words: Words) -> None:
    class Faster(type(words()["python_model"])):  # type: ignore[misc]
        def __reduce__(self) -> Any:
            fsspec.filesystem("memory").pipe_file("/bucket/model/MLmodel", b"theirs")
            return super().__reduce__()

    with pytest.raises(pyfunc.SaveConflictError):
        pyfunc.save_model(URL, **{**words(), "python_model": Faster()})
    assert fsspec.filesystem("memory").cat_file("/bucket/model/MLmodel") == b"theirs"


SAVER = """
import os, signal, sys, time
import fsspec, s3fs, cloudpickle, pyfunc, pyfunc.saving.entry
sys.path.insert(0, sys.argv[1])
from words_of_kills import arguments

print("ready", flush=True)
for line in sys.stdin:
    url, delay = line.split()
    child = os.fork()
    if child == 0:
        pyfunc.save_model(url, **arguments(), overwrite=True)
        os._exit(0)
    if float(delay) >= 0:
        time.sleep(float(delay))
        os.kill(child, signal.SIGKILL)
    before = time.perf_counter()
    _, status = os.waitpid(child, 0)
    print(os.WIFSIGNALED(status), time.perf_counter() - before, flush=True)
"""
ARGUMENTS = """
import pyfunc
from pathlib import Path

class Words(pyfunc.PythonModel):
    def load_context(self, context):
        self.words = [Path(path).read_text()[:6] for path in context.artifacts.values()]

    def predict(self, context, model_input):
        return self.words

def arguments():
    folder = Path(__file__).parent / "words"
    return {
        "python_model": Words(),
        "artifacts": {path.stem: path for path in folder.iterdir()},
        "code_paths": [__file__],
        "pip_requirements": ["pandas"],
    }
"""
MANY = 30


@pytest.fixture
def saver(s3_settings: dict[str, str], tmp_path: Path) -> Iterator[Saver]:
    """Return a function that saves in a process which it kills after a delay, if that is not -1.

    It tells whether the process was killed, and the seconds until its end.
    """
    (tmp_path / "words").mkdir()
    for n in range(MANY):
        (tmp_path / "words" / f"w{n}.txt").write_text(f"word{n:02}" + os.urandom(3000).hex())
    (tmp_path / "words_of_kills.py").write_text(ARGUMENTS)
    process = subprocess.Popen(
        [sys.executable, "-c", SAVER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **s3_settings},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"

    def save(url: str, delay: float) -> tuple[bool, float]:
        assert process.stdin is not None
        assert process.stdout is not None
        print(url, delay, file=process.stdin, flush=True)
        killed, seconds = process.stdout.readline().split()
        return killed == "True", float(seconds)

    yield save
    process.stdin.close()
    process.wait()
    process.stdout.close()


@pytest.mark.slow
def load_once_it_rests(place: str, folder: str) -> pyfunc.PyFuncModel:
    """Load a model, and once more as the hint says where the store changed meanwhile."""
    try:
        return pyfunc.load_model(place, dst_path=folder, verify="auto")
    except pyfunc.ModelIntegrityError:
        time.sleep(1)  # the server still worked on what it had got from the killed process
        return pyfunc.load_model(place, dst_path=folder, verify="auto")


def test_a_save_that_is_killed_leaves_no_partial_model(
    s3: str,
    saver: Saver,
    pytestconfig: pytest.Config,
) -> None:
    url = f"{s3}/model"
    killed, seconds = saver(url, -1)
    assert not killed
    whole = [f"word{n:02}" for n in range(MANY)]
    assert sorted(pyfunc.load_model(url, verify="require").predict([1])) == whole
    cut = complete = 0
    for turn in range(pytestconfig.getoption("--upload-kills")):
        place = url if turn % 2 else f"{s3}/new-{turn}"  # over a model, and where nothing is
        killed, _ = saver(place, random.uniform(0, seconds))
        with tempfile.TemporaryDirectory() as folder:
            try:
                model = load_once_it_rests(place, folder)
            except pyfunc.ModelNotFoundError:
                cut += 1
            else:
                complete += 1
                assert sorted(model.predict([1])) == whole
                pyfunc.verify(place)
    print(f"{cut} cut off, {complete} complete")
    saver(url, -1)
    assert sorted(pyfunc.load_model(url, verify="require").predict([1])) == whole
