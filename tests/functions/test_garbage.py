"""``gc``: what goes, and what a living process is writing, which never does."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyfunc.functions import Function, Project
from pyfunc.functions.names import new_id
from pyfunc.functions.sources import SOURCES
from tests.functions.conftest import HERE

Make = Callable[..., Function]

WRITER = """
import sys
from pathlib import Path
from pyfunc.functions.documents import new_document
from pyfunc.functions.names import Key, new_id
from pyfunc.functions.secret import write_secret
from pyfunc.functions.store import Store

store = Store(Path(sys.argv[1]))

def wait():
    print("begun", flush=True)
    sys.stdin.readline()

def fill(directory):
    (directory / "data").mkdir()
    wait()
    (directory / "data" / "file").write_text("complete")

kind = sys.argv[2]
if kind == "dataitem":
    key = Key("demo", "dataitem", "table", "d", new_id())
    store.create(key, new_document(key, {"path": "data/file"}), fill)
elif kind == "secret":
    key = Key("demo", "secret", "secret", "s", new_id())
    replace = store.replace
    store.replace = lambda *args, **kwargs: (wait(), replace(*args, **kwargs))
    write_secret(store, key, new_document(key, {}), "hush")
elif kind == "run":
    from pyfunc.functions import get_project
    function = get_project("demo", root=sys.argv[1]).get_function("f")
    replace = Store.replace
    Store.replace = lambda *args, **kwargs: (wait(), replace(*args, **kwargs))
    function.run()
"""


@contextmanager
def writer(root: Path, kind: str) -> Iterator[subprocess.Popen[str]]:
    """Yield a process that stands in the middle of writing something new."""
    command = [sys.executable, "-c", WRITER, str(root), kind]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        yield process
        process.kill()


@pytest.fixture
def task(make: Make) -> Function:
    """Return a function that has its task, so that the next that is written is a run."""
    function = make("def f(): pass")
    function.run()
    return function


@pytest.mark.parametrize("kind", ["dataitem", "secret", "run"])
def test_what_a_living_process_writes_stays(
    project: Project, root: Path, task: Function, kind: str
) -> None:
    def count() -> int:
        return len(project.list_dataitems() + project.list_secrets() + project.list_runs())

    before = count()
    with writer(root, kind) as process:
        assert project.collect_garbage() == []
        assert count() == before
        process.communicate("\n" * 9)
        assert process.returncode == 0
    assert count() == before + 1
    assert project.collect_garbage() == []


@pytest.mark.parametrize("kind", ["dataitem", "secret", "run"])
def test_what_a_killed_process_had_begun_goes(
    project: Project, root: Path, task: Function, kind: str
) -> None:
    files = {*project.path.rglob("*")}
    with writer(root, kind) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    left = project.collect_garbage(dry_run=True)
    assert len(left) == 1
    assert left[0].exists()
    assert project.collect_garbage() == left
    assert {*project.path.rglob("*")} - files <= {left[0].parent, left[0].parent.parent}
    assert len(project.list_runs()) == 1


def test_code_that_nothing_is_made_of_goes(project: Project, make: Make) -> None:
    kept, gone = make("def f(): return 1"), make("def f(): return 2", name="g")
    run, other = kept.run(), gone.run()
    sources = project.path / SOURCES
    assert len([*sources.iterdir()]) == 2
    gone.delete()
    assert project.collect_garbage() == []  # the run is of that code
    other.delete()
    [found] = project.collect_garbage(dry_run=True)
    assert (found / "tree" / "main.py").read_text() == "def f(): return 2"
    assert project.collect_garbage() == [found]
    kept.delete()
    assert project.collect_garbage() == []
    run.delete()
    assert len(project.collect_garbage()) == 1
    assert [*sources.iterdir()] == []


def test_code_that_was_fetched_stays_while_there_is_a_function_like_that(
    project: Project, make: Make
) -> None:
    make("def f(): return 1").run()
    fetched = project.path / SOURCES / "ab" / "tree"
    fetched.mkdir(parents=True)
    fetched.joinpath("mod.py").write_text("")
    url = "https://localhost/mod.py"
    function = project.new_function("h", code_src=url, handler="mod:f", python_version=HERE)
    assert project.collect_garbage() == []
    function.delete()
    assert project.collect_garbage() == [fetched.parent]


def test_notes_of_the_cache_go_with_their_runs(make: Make, project: Project) -> None:
    run = make("def f(): return 1").run(cache=True)
    assert project.collect_garbage() == []
    run.delete()
    [note] = project.collect_garbage()
    assert note.parent.name == "cache"


def test_what_a_deletion_left_goes(project: Project, root: Path) -> None:
    half = project.path / "artifacts" / "a" / new_id()
    half.joinpath("data").mkdir(parents=True)
    half.joinpath("data", "file").touch()
    temporary = project.path / f".entity.json.{'0' * 16}.tmp"
    temporary.touch()
    imported = root / f".demo.{'0' * 16}.tmp"
    imported.mkdir()
    assert project.collect_garbage() == sorted([half, temporary, imported])


LOGGING = """
import sys
from pyfunc.functions import get_project
project = get_project("demo", root=sys.argv[1])
function = project.get_function("f")
for number in range(60):
    run = function.run(cache=number % 2 == 0, outputs=["o"])
    assert run.output("o").as_object() == {"a": 1}
    project.new_secret("s", "hush").read_secret_value()
    project.new_function(f"g{number}", code=f"def f(): return {number}", handler="f",
                         python_version=sys.argv[2]).run()
"""


def test_it_may_run_while_others_work(project: Project, root: Path, make: Make) -> None:
    make("def f(): return {'a': 1}")
    command = [sys.executable, "-c", LOGGING, str(root), HERE]
    workers = [subprocess.Popen(command) for _ in range(2)]
    rounds = 0
    while any(worker.poll() is None for worker in workers) or rounds < 3:
        project.collect_garbage()
        rounds += 1
    assert [worker.wait() for worker in workers] == [0, 0]
    assert len(project.list_runs()) == 240
    assert len(project.list_secrets()) == 120
