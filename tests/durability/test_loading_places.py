"""Loading in odd places and at bad moments, in real processes (reliability 4.6: C5, C6, C10)."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pyfunc

TIMEOUT = 120


def save(target: Path, answer: str, **options: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "helper.py").write_text(f"ANSWER = {answer!r}\n")
        Path(folder, "a.txt").write_text(answer)
        script = Path(folder, "script.py")
        script.write_text(SCRIPT)
        pyfunc.save_model(
            target,
            python_model=str(script),
            artifacts={"a": str(Path(folder, "a.txt"))},
            code_paths=[str(Path(folder, "helper.py"))],
            pip_requirements=[],
            **options,
        )


SCRIPT = """
import pyfunc

class Model(pyfunc.PythonModel):
    def load_context(self, context):
        import helper
        self.answer = helper.ANSWER
        with open(context.artifacts["a"]) as file:
            self.text = file.read()

    def predict(self, model_input):
        import helper as late
        return [self.answer, late.ANSWER, self.text]

pyfunc.set_model(Model())
"""

LOADING = """
import json, os, sys
place = json.loads(sys.argv[1])
import pyfunc
for name in place.get("preload", ()):
    __import__(name)
if place.get("gone"):
    os.chdir(place["gone"]); os.rmdir(place["gone"])
if place.get("uid"):
    os.setgroups([]); os.setgid(place["gid"]); os.setuid(place["uid"])
    assert os.geteuid() == place["uid"]
model = pyfunc.load_model(place["model"])
print(json.dumps(model.predict(None)))
model.close()
"""
# What a load imports: another user may not be able to read the installation.
PRELOAD = [
    "pyfunc.loading.entry", "pyfunc.loading.python_models", "pyfunc.env.checking.mismatch",
    "pyfunc.env.checking.report",
    "pyfunc.schema", "cloudpickle", "pyfunc.model.hints",
    "pyfunc.model.script", "encodings.idna",
]  # fmt: skip


def load_in_child(model: Path, *, environment: dict[str, str] | None = None, **place: Any) -> Any:
    plan = json.dumps({"model": str(model), **place})
    finished = subprocess.run(
        [sys.executable, "-c", LOADING, plan],
        env=dict(os.environ) if environment is None else environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """Return a folder that every user can reach."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def model(open_folder: Path) -> Path:
    save(open_folder / "model", "A")
    return open_folder / "model"


def tree_of(root: Path) -> dict[str, tuple[int, int]]:
    return {
        path.relative_to(root).as_posix(): (path.lstat().st_mode, path.lstat().st_mtime_ns)
        for path in root.rglob("*")
    }


class TestC6:
    """Places that lack something, and users who may do little."""

    def test_another_user_loads_what_it_can_only_read(self, model: Path) -> None:
        nobody = pwd.getpwnam("nobody")
        place: dict[str, Any] = {}
        if os.geteuid() == 0:
            place = {"uid": nobody.pw_uid, "gid": nobody.pw_gid, "preload": PRELOAD}
        before = tree_of(model)
        assert load_in_child(model, **place) == ["A", "A", "A"]
        assert tree_of(model) == before

    def test_folders_without_write_permission(self, model: Path, tmp_path: Path) -> None:
        shutil.copytree(model, tmp_path / "m")
        folders = [path for path in (tmp_path / "m").rglob("*") if path.is_dir()]
        for folder in [*folders, tmp_path / "m"]:
            folder.chmod(0o555)
        try:
            assert load_in_child(tmp_path / "m") == ["A", "A", "A"]
        finally:
            for folder in [*folders, tmp_path / "m"]:
                folder.chmod(0o755)

    def test_a_working_directory_that_is_gone(self, model: Path, tmp_path: Path) -> None:
        (tmp_path / "gone").mkdir()
        assert load_in_child(model, gone=str(tmp_path / "gone")) == ["A", "A", "A"]

    @pytest.mark.parametrize("kept", [["PATH"], []], ids=["no-home", "nothing"])
    def test_an_environment_without_a_home(self, model: Path, kept: list[str]) -> None:
        environment = {name: os.environ[name] for name in kept}
        assert load_in_child(model, environment=environment) == ["A", "A", "A"]

    def test_no_place_for_temporary_files(self, model: Path) -> None:
        environment = {**os.environ, "TMPDIR": "/no/such/place", "HOME": "/no/such/home"}
        assert load_in_child(model, environment=environment) == ["A", "A", "A"]

    def test_a_file_system_that_is_read_only_and_without_execution(
        self, model: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "disk").mkdir()
        mount = f"""
            mount --make-rprivate / &&
            mount -t tmpfs -o size=4m tmpfs {tmp_path}/disk &&
            cp -r {model} {tmp_path}/disk/m &&
            mount -o remount,ro,noexec,nosuid,nodev {tmp_path}/disk &&
            ! touch {tmp_path}/disk/m/x 2>/dev/null && echo all-is-mounted >&2 &&
            exec "$0" -c "$1" "$2"
        """
        plan = json.dumps({"model": f"{tmp_path}/disk/m"})
        finished = subprocess.run(
            ["unshare", "--mount", "--map-root-user", "sh", "-c", mount,
             sys.executable, LOADING, plan],
            capture_output=True, text=True, timeout=TIMEOUT, check=False,
        )  # fmt: skip
        if "all-is-mounted" not in finished.stderr:  # no right to mount: a folder has to do
            assert load_in_child(model) == ["A", "A", "A"]
            return
        assert finished.returncode == 0, finished.stderr
        assert json.loads(finished.stdout) == ["A", "A", "A"]


class TestC5:
    """Loading while another process saves and overwrites the very model."""

    LOADS = 60

    def test_a_load_gives_the_old_or_the_new_model_or_a_clean_error(self, tmp_path: Path) -> None:
        target = tmp_path / "model"
        save(target, "a")
        child = os.fork()
        if child == 0:
            try:
                while True:
                    for answer in "bcdefgh":
                        save(target, answer, overwrite=True)
                        time.sleep(0.005)
            finally:
                os._exit(1)
        try:
            found = [self.load(target) for _ in range(self.LOADS)]
            assert os.waitpid(child, os.WNOHANG) == (0, 0), "the writer has stopped"
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        answers = {answer for answer in found if answer is not None}
        assert answers
        assert answers <= {(answer,) * 3 for answer in "abcdefgh"}, "a mix of two models"

    @staticmethod
    def load(target: Path) -> tuple[str, ...] | None:
        """Return what the model predicts, or None after an error of our tree."""
        try:
            loaded = pyfunc.load_model(target, suppress_warnings=True)
            found = tuple(loaded.predict(None))
            loaded.close()
        except pyfunc.PyfuncError:
            return None
        return found

    @pytest.mark.parametrize("how", ["replaced", "removed"])
    @pytest.mark.parametrize("manifest", [True, False])
    def test_a_model_that_is_replaced_while_it_loads_is_an_error(
        self, tmp_path: Path, how: str, manifest: bool
    ) -> None:
        class Waits(pyfunc.PythonModel):
            def load_context(self, context: Any) -> None:
                work(Path(context.artifacts["a"]).parent.parent)

            def predict(self, model_input: Any) -> Any:
                return model_input

        def work(root: Path) -> None:
            root.rename(root.with_name("aside"))
            if how == "replaced":
                shutil.copytree(root.with_name("aside"), root)

        (tmp_path / "a.txt").write_text("a")
        pyfunc.save_model(
            tmp_path / "model",
            python_model=Waits(),
            artifacts={"a": str(tmp_path / "a.txt")},
            pip_requirements=[],
        )
        if not manifest:
            shutil.rmtree(tmp_path / "model" / ".pyfunc")
        with pytest.raises(pyfunc.ModelIntegrityError, match="replaced while it was loaded"):
            pyfunc.load_model(tmp_path / "model", suppress_warnings=True)

    def test_a_model_that_changes_the_working_directory_loads(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "script.py").write_text(
            "import os, pyfunc\nos.chdir('/')\npyfunc.set_model(lambda model_input: 1)\n"
        )
        pyfunc.save_model("model", python_model="script.py", pip_requirements=[])
        monkeypatch.chdir(tmp_path)
        assert pyfunc.load_model("model", suppress_warnings=True).predict(None) == 1


INTERRUPTED = """
import os, sys, threading
import pyfunc
from pyfunc.code import aliases as code_aliases

def state():
    return (
        list(sys.path), sorted(n for n in sys.modules if n.startswith("_pyfunc")),
        len(code_aliases._aliases), code_aliases.current.get(), len(os.listdir("/proc/self/fd")),
    )

class Told(BaseException):
    pass

import signal
def tell(*_):
    raise Told

if sys.argv[2] == "SIGTERM":
    signal.signal(signal.SIGTERM, tell)
try:
    pyfunc.load_model(sys.argv[1], suppress_warnings=True).close()
except (Told, KeyboardInterrupt):
    pass
before = state()
try:
    pyfunc.load_model(sys.argv[1], suppress_warnings=True)
except (Told, KeyboardInterrupt) as error:
    print("stopped by", type(error).__name__, flush=True)
assert state() == before, (state(), before)
print("restored", flush=True)
"""
WAITING = """
import sys, time
import pyfunc

class Model(pyfunc.PythonModel):
    def load_context(self, context):
        import helper
        print("waiting", flush=True)
        for _ in range(1000):
            time.sleep(0.05)

    def predict(self, model_input):
        return None

pyfunc.set_model(Model())
"""


class TestC10:
    """Signals that arrive while ``load_context`` runs."""

    @pytest.mark.parametrize(
        ("name", "stopped_by"), [("SIGTERM", "Told"), ("SIGINT", "KeyboardInterrupt")]
    )
    def test_the_import_system_is_as_it_was(
        self, tmp_path: Path, name: str, stopped_by: str
    ) -> None:
        (tmp_path / "helper.py").write_text("ANSWER = 1\n")
        (tmp_path / "script.py").write_text(WAITING)
        pyfunc.save_model(
            tmp_path / "model",
            python_model=str(tmp_path / "script.py"),
            code_paths=[str(tmp_path / "helper.py")],
            pip_requirements=[],
        )
        with subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED, str(tmp_path / "model"), name],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            try:
                for _ in range(2):
                    assert process.stdout.readline() == "waiting\n"
                    time.sleep(0.2)
                    process.send_signal(getattr(signal, name))
                rest = process.stdout.read()
                process.wait(TIMEOUT)
            finally:
                process.kill()
        assert rest.splitlines() == [f"stopped by {stopped_by}", "restored"]
        assert process.returncode == 0

    def test_sigterm_without_a_handler_ends_the_process_and_leaves_nothing(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "script.py").write_text(WAITING.replace("import helper", ""))
        pyfunc.save_model(
            tmp_path / "model", python_model=str(tmp_path / "script.py"), pip_requirements=[]
        )
        before = tree_of(tmp_path / "model")
        plan = json.dumps({"model": str(tmp_path / "model")})
        with subprocess.Popen(
            [sys.executable, "-c", LOADING, plan], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "waiting\n"
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT) == -signal.SIGTERM
        assert tree_of(tmp_path / "model") == before
