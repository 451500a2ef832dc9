"""What holds on systems that these tests do not run on, as far as it can be held here."""

from __future__ import annotations

import errno
import ntpath
import os
import posixpath
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pyfunc.env.creating.environments import prepare_environment
from pyfunc.env.creating.installers import find_python
from pyfunc.errors import EnvironmentCreationError, InvalidArgumentError, SaveConflictError
from pyfunc.files import locks, publishing
from pyfunc.files.locks import lock_now, wait_for_lock
from pyfunc.files.paths import find_problem_on_windows, is_below, is_link
from pyfunc.files.publishing import staged_directory
from pyfunc.loading import isolated
from pyfunc.model.description import Model

HERE = Path(__file__).parent


def run(code: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


IMPORT_ALL = """
import importlib, pkgutil, sys
for name in ("fcntl", "msvcrt", "resource", "grp", "pwd", "termios"):
    sys.modules[name] = None
import pyfunc
from pyfunc.errors import MissingDependencyError
count = 0
for found in pkgutil.walk_packages(pyfunc.__path__, "pyfunc."):
    if found.name == "pyfunc.__main__":
        continue
    try:
        importlib.import_module(found.name)
    except MissingDependencyError:
        pass
    count += 1
print(count)
"""


def test_every_module_is_imported_without_the_modules_of_one_system() -> None:
    assert int(run(IMPORT_ALL)) > 200


def test_the_poorer_system_is_seen_by_pyfunc_and_by_nothing_else() -> None:
    code = (
        "import os, fcntl, pyfunc.files.locks as locks, pyfunc.files.opening as opening\n"
        "print(locks._posix, locks._windows, hasattr(opening.os, 'fork'), hasattr(os, 'fork'))\n"
    )
    assert run(code, PYTHONPATH=str(HERE)) == "None None False True\n"


@pytest.mark.parametrize(
    ("root", "path", "below"),
    [
        pytest.param("C:\\m", "C:\\m\\a", True, id="file"),
        pytest.param("C:\\m", "c:\\M\\A", True, id="other-case"),
        pytest.param("C:\\m", "C:/m/a", True, id="slashes"),
        pytest.param("C:\\", "C:\\a", True, id="drive"),
        pytest.param("C:\\m", "\\\\?\\C:\\m\\a", True, id="long"),
        pytest.param("\\\\?\\C:\\m", "C:\\m\\a", True, id="long-root"),
        pytest.param("\\\\h\\s\\m", "\\\\?\\UNC\\h\\s\\m\\a", True, id="long-share"),
        pytest.param("C:\\m", "C:\\m", False, id="itself"),
        pytest.param("C:\\m", "C:\\mm\\a", False, id="same-start"),
        pytest.param("C:\\m", "D:\\m\\a", False, id="other-drive"),
        pytest.param("C:\\m", "C:\\", False, id="above"),
        pytest.param("\\\\h\\s\\m", "\\\\h\\other\\m\\a", False, id="other-share"),
    ],
)
def test_what_is_below_a_folder_of_windows(root: str, path: str, below: bool) -> None:
    assert is_below(root, path, flavour=ntpath) is below


@pytest.mark.parametrize(
    ("root", "path", "below"),
    [("/m", "/m/a", True), ("/", "/a", True), ("/m", "/M/a", False), ("/m", "/mm", False)],
)
def test_what_is_below_a_folder_of_posix(root: str, path: str, below: bool) -> None:
    assert is_below(root, path, flavour=posixpath) is below


@pytest.mark.parametrize(
    "relative",
    [
        "nul", "a/CON", "aux.txt", "a/com1.tar.gz", "LPT9/x", "com\u00b9", "prn .txt", "conin$",
        "a:b", "a/f:stream:$DATA", "a.", "a./b", "a /b", "...", "a/ ",
    ],
)  # fmt: skip
def test_names_that_windows_takes_for_something_else(relative: str) -> None:
    assert find_problem_on_windows(relative) is not None


@pytest.mark.parametrize(
    "relative",
    [
        "null", "icon", "auxiliary/x", "com", "com10", "a.b", ".hidden", "a b/c", "./a", "xaux",
        "a/.", "console.txt", "lpt",
    ],
)  # fmt: skip
def test_names_that_windows_takes_as_they_are(relative: str) -> None:
    assert find_problem_on_windows(relative) is None


class Status:
    """What ``os.lstat`` gives for a directory of Windows."""

    st_mode = 0o040777

    def __init__(self, tag: int) -> None:
        self.st_reparse_tag = tag


@pytest.mark.parametrize(("tag", "leads_elsewhere"), [(0, False), (0xA0000003, True)])
def test_a_junction_is_a_link(tag: int, leads_elsewhere: bool) -> None:
    assert is_link(Status(tag)) is leads_elsewhere


def windows_locks(*, taken: int) -> ModuleType:
    """Return a ``msvcrt`` whose lock is taken the first ``taken`` times."""
    module = ModuleType("msvcrt")
    calls: list[tuple[int, int, int]] = []

    def locking(descriptor: int, mode: int, count: int) -> None:
        calls.append((os.lseek(descriptor, 0, os.SEEK_CUR), mode, count))
        if len(calls) <= taken:
            raise PermissionError(errno.EACCES, "Permission denied")

    module.__dict__.update(LK_NBLCK=2, locking=locking, calls=calls)
    return module


def test_windows_locks_the_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = windows_locks(taken=0)
    monkeypatch.setattr(locks, "_posix", None)
    monkeypatch.setattr(locks, "_windows", module)
    with open(tmp_path / "f", "wb") as file:
        file.write(b"half")
        file.flush()
        lock_now(file.fileno())
        assert file.tell() == 4
    assert module.calls == [(0, 2, 1)]


def test_a_lock_of_windows_that_is_taken_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = windows_locks(taken=3)
    monkeypatch.setattr(locks, "_posix", None)
    monkeypatch.setattr(locks, "_windows", module)
    monkeypatch.setattr(locks, "_LOOK_EVERY", 0.0)
    with open(tmp_path / "f", "wb") as file:
        with pytest.raises(BlockingIOError):
            lock_now(file.fileno())
        wait_for_lock(file.fileno())
    assert len(module.calls) == 4


def test_without_locks_no_environment_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m/MLmodel").write_text("flavors: {}\n")
    (tmp_path / "m/requirements.txt").write_text("")
    monkeypatch.setattr(locks, "_posix", None)
    monkeypatch.setattr(locks, "_windows", None)
    with pytest.raises(EnvironmentCreationError, match="files cannot be locked here"):
        prepare_environment(tmp_path / "m", env_manager="virtualenv", root=tmp_path / "envs")


def test_isolated_models_are_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated, "_CHILDREN_INHERIT", False)
    monkeypatch.delattr(isolated, "prepare_environment")
    with pytest.raises(InvalidArgumentError, match="env='isolated': Windows"):
        isolated.load_isolated(tmp_path, Model(), options={})


def test_where_an_environment_has_its_interpreter(tmp_path: Path) -> None:
    assert find_python(tmp_path, "posix") == tmp_path / "bin" / "python"
    assert find_python(tmp_path, "nt") == tmp_path / "Scripts" / "python.exe"
    (tmp_path / "python.exe").write_text("")
    assert find_python(tmp_path, "nt") == tmp_path / "python.exe"


def test_without_exchange_another_writer_in_between_is_overwritten_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, seen = os.rename, []

    def refuse(one: str, other: str) -> None:
        raise OSError(errno.ENOSYS, "not here")

    def rename_after_another(source: str, destination: str) -> None:
        seen.append(Path(source).suffix)
        if len(seen) == 3:  # tried plainly, put aside; now another process is faster
            (tmp_path / "m").mkdir()
            (tmp_path / "m/MLmodel").write_text("other")
        rename(source, destination)

    (tmp_path / "m").mkdir()
    (tmp_path / "m/MLmodel").write_text("old")
    monkeypatch.setattr(publishing, "_exchange", refuse)
    monkeypatch.setattr(os, "rename", rename_after_another)
    with staged_directory(tmp_path / "m", overwrite=True) as directory:
        (directory / "MLmodel").write_text("new")
    assert (tmp_path / "m/MLmodel").read_text() == "new"
    assert os.listdir(tmp_path) == ["m"]
    assert len(seen) > 4


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_system_that_renames_to_nothing_that_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    rename = os.rename

    def refuse(one: str, other: str) -> None:
        raise OSError(errno.ENOSYS, "not here")

    def rename_to_nothing(source: str, destination: str) -> None:
        if os.path.lexists(destination):
            raise FileExistsError(errno.EEXIST, "exists", source, None, destination)
        rename(source, destination)

    monkeypatch.setattr(publishing, "_exchange", refuse)
    monkeypatch.setattr(os, "rename", rename_to_nothing)
    (tmp_path / "m").mkdir()
    with staged_directory(tmp_path / "m", overwrite=overwrite) as directory:
        (directory / "MLmodel").write_text("new")
    assert (tmp_path / "m/MLmodel").read_text() == "new"

    def save_again() -> None:
        with staged_directory(tmp_path / "m", overwrite=overwrite) as directory:
            (directory / "MLmodel").write_text("newer")

    if overwrite:
        save_again()
        assert (tmp_path / "m/MLmodel").read_text() == "newer"
    else:
        with pytest.raises(SaveConflictError):
            save_again()
    assert os.listdir(tmp_path) == ["m"]
