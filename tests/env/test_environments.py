"""Environments are made once, completely or not at all (env/environments.py and its parts).

Made-up installers stand in for uv, pip and conda here; what really gets installed is tested
in test_real_environments.py.
"""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import textwrap
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pyfunc.env import prepare_environment
from pyfunc.env.creating.environments import default_manager, environments_root, show_progress
from pyfunc.env.creating.installers import find_conda
from pyfunc.env.creating.own_wheel import OwnSource, read_own_source, requirement_names
from pyfunc.env.installed import interpreters
from pyfunc.env.installed.interpreters import Interpreter, find_interpreter, find_uv
from pyfunc.errors import (
    EnvironmentCreationError,
    InvalidArgumentError,
    MissingDependencyError,
    ModelNotFoundError,
)
from pyfunc.version import VERSION

HERE = "{}.{}.{}".format(*sys.version_info)

# Stands for uv and for conda: makes the folder, writes down its arguments and what is in the
# file of requirements, and fails if a line asks for it.
FAKE = f"""#!{sys.executable}
import os, pathlib, sys, time
arguments = sys.argv[1:]
log = pathlib.Path(os.environ["FAKE_LOG"])
files = [pathlib.Path(a).read_text() for a in arguments if a.endswith(".txt")]
content = "".join("|" + text.replace(chr(10), " ") for text in files)
with log.open("a") as file:
    file.write(" ".join(arguments) + content + chr(10))
if "fail" in content.replace("|", " ").split():
    print("the index is on fire")
    sys.exit(7)
if "venv" in arguments or "create" in arguments:
    place = arguments[arguments.index("--prefix") + 1] if "create" in arguments else arguments[-1]
    (pathlib.Path(place) / "bin").mkdir(parents=True)
    (pathlib.Path(place) / "bin" / "python").symlink_to(sys.argv[0])
    time.sleep(float(os.environ.get("FAKE_SLEEP", "0")))
"""


class Fakes:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"

    def add(self, name: str, text: str = FAKE) -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fakes:
    """Return a folder of made-up programs that is the whole PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    found = Fakes(folder)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("FAKE_LOG", str(found.log))
    monkeypatch.setenv("PYFUNC_ENV_ROOT", str(tmp_path / "envs"))
    for name in ("CONDA_EXE", "MLFLOW_CONDA_HOME", "MLFLOW_CONDA_CREATE_ENV_CMD"):
        monkeypatch.delenv(name, raising=False)
    return found


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    directory.mkdir()
    (directory / "requirements.txt").write_text("mlflow==3\nsix==1.16.0\n-c constraints.txt")
    (directory / "constraints.txt").write_text("numpy<3")
    (directory / "python_env.yaml").write_text(
        f"python: {HERE}\nbuild_dependencies: [pip==23]\ndependencies: [-r requirements.txt]\n"
    )
    (directory / "conda.yaml").write_text(
        "channels: [conda-forge]\ndependencies: [python=3.9.1, libx]\n"
    )
    return directory


def test_uv_is_given_files_and_never_a_shell(fakes: Fakes, model: Path) -> None:
    fakes.add("uv")
    said: list[str] = []
    found = prepare_environment(model, env_manager="uv", progress=said.append)
    place = f"{found.directory}/bin/python"
    base = getattr(sys, "_base_executable", sys.executable)
    calls = fakes.calls()
    assert calls[0] == f"venv --quiet --no-project --python {base} {found.directory}"
    assert all(call.startswith(f"pip install --quiet --python {place} ") for call in calls[1:])
    assert [call.split("|", 1)[1].strip() for call in calls[1:4]] == [
        "pip==23",
        "six==1.16.0 |numpy<3",
        " ".join(requirement_names()) + " |numpy<3",
    ]
    assert calls[4].endswith(f"pyfunc_format-{VERSION}-py3-none-any.whl")
    assert "--no-deps --no-index" in calls[4]
    assert (found.manager, found.python, found.python_version) == ("uv", Path(place), HERE)
    assert said[0].startswith(f"creating an environment with Python {HERE} and 1 requirement(s)")
    assert said[-1].startswith("the environment is ready")


def test_an_environment_is_reused_until_its_content_changes(fakes: Fakes, model: Path) -> None:
    fakes.add("uv")
    first = prepare_environment(model, env_manager="uv", progress=print)
    again = prepare_environment(model, env_manager="uv", progress=pytest.fail)
    assert (first.reused, again.reused) == (False, True)
    assert first.directory == again.directory
    (model / "requirements.txt").write_text("six==1.17.0")
    assert prepare_environment(model, progress=print).directory != first.directory


def test_an_override_makes_an_environment_of_its_own(fakes: Fakes, model: Path) -> None:
    fakes.add("uv")
    plain = prepare_environment(model, env_manager="uv", progress=print)
    override = ["six==1.15", "numpy==2.1"]
    other = prepare_environment(
        model, env_manager="uv", pip_requirements_override=override, progress=print
    )
    assert other.directory != plain.directory
    assert "six==1.15 numpy==2.1" in " ".join(fakes.calls())


def test_a_failed_installation_leaves_nothing(fakes: Fakes, model: Path, tmp_path: Path) -> None:
    fakes.add("uv")
    (model / "requirements.txt").write_text("fail")
    for _ in range(2):
        with pytest.raises(EnvironmentCreationError, match="exit status 7 of uv\nthe index is on"):
            prepare_environment(model, env_manager="uv", progress=print)
        assert [path.suffix for path in (tmp_path / "envs").iterdir()] == [".lock"]


def test_an_interrupted_installation_leaves_nothing(
    fakes: Fakes, model: Path, tmp_path: Path
) -> None:
    fakes.add("uv")

    def interrupt(text: str) -> None:
        if text == "install pyfunc itself":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_environment(model, env_manager="uv", progress=interrupt)
    assert [path.suffix for path in (tmp_path / "envs").iterdir()] == [".lock"]


def test_a_model_without_build_tools_and_requirements(fakes: Fakes, model: Path) -> None:
    fakes.add("uv")
    (model / "python_env.yaml").write_text("dependencies: []\n")
    prepare_environment(model, env_manager="uv", progress=print)
    assert [call.split()[0] for call in fakes.calls()] == ["venv", "pip", "pip"]


def test_build_tools_that_cannot_be_installed_do_not_matter(fakes: Fakes, model: Path) -> None:
    fakes.add("uv")
    (model / "python_env.yaml").write_text("build_dependencies: [fail]\n")
    said: list[str] = []
    prepare_environment(model, env_manager="uv", progress=said.append)
    assert "the model's build tools cannot be installed; going on without" in said


def test_what_a_killed_process_left_is_made_anew(fakes: Fakes, model: Path) -> None:
    fakes.add("uv")
    found = prepare_environment(model, env_manager="uv", progress=print)
    (found.directory / ".pyfunc-ready.json").unlink()
    (found.directory / "rubbish").touch()
    again = prepare_environment(model, env_manager="uv", progress=print)
    assert again == found
    assert not (found.directory / "rubbish").exists()


def test_two_processes_make_one_environment_together(fakes: Fakes, model: Path) -> None:
    fakes.add("uv")
    code = (
        "import sys; from pyfunc.env import prepare_environment as p; "
        "e = p(sys.argv[1], env_manager='uv'); print(e.directory, e.reused)"
    )
    environment = {**os.environ, "FAKE_SLEEP": "0.3"}
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(model)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [child.communicate(timeout=60) for child in children]
    assert [child.returncode for child in children] == [0, 0]
    places, reused = zip(*(out.split() for out, _ in outputs), strict=True)
    assert len(set(places)) == 1
    assert sorted(reused) == ["False", "True"]
    assert sum(call.startswith("venv") for call in fakes.calls()) == 1


def test_the_installer_of_a_killed_process_is_waited_for(
    fakes: Fakes, model: Path, tmp_path: Path
) -> None:
    fakes.add("uv")
    code = "import sys; from pyfunc.env import prepare_environment as p; p(sys.argv[1])"
    environment = {**os.environ, "FAKE_SLEEP": "2"}
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(model)], env=environment, stderr=subprocess.DEVNULL
    )
    while not any((tmp_path / "envs").glob("*/bin/python")):
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    said: list[str] = []
    found = prepare_environment(model, env_manager="uv", progress=said.append)
    assert said[0].startswith("waiting for another process")
    assert not found.reused
    assert sum(call.startswith("venv") for call in fakes.calls()) == 2


def test_waiting_for_another_process_is_said(fakes: Fakes, model: Path, tmp_path: Path) -> None:
    fakes.add("uv")
    found = prepare_environment(model, env_manager="uv", progress=print)
    (found.directory / ".pyfunc-ready.json").unlink()
    said: list[str] = []
    with open(found.directory.with_name(found.directory.name + ".lock"), "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        def release(text: str) -> None:
            said.append(text)
            fcntl.flock(lock, fcntl.LOCK_UN)

        prepare_environment(model, env_manager="uv", progress=release)
    assert said[0].startswith("waiting for another process")


def test_the_standard_library_makes_one_with_pip(
    fakes: Fakes, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = fakes.add("python3.99", FAKE)
    monkeypatch.setattr(
        "pyfunc.env.creating.environments.find_interpreter",
        lambda _: Interpreter(str(python), (3, 99, 0)),
    )
    found = prepare_environment(model, env_manager="virtualenv", progress=print)
    calls = fakes.calls()
    assert calls[0] == f"-m venv {found.directory}"
    assert calls[2].startswith("-m pip install --quiet --disable-pip-version-check -r ")


def test_conda_gets_the_conda_dependencies_and_pip_the_rest(fakes: Fakes, model: Path) -> None:
    fakes.add("micromamba")
    found = prepare_environment(model, env_manager="conda", progress=print)
    calls = fakes.calls()
    assert calls[0] == (
        f"create --yes --prefix {found.directory} --channel conda-forge python=3.9.1 libx"
    )
    assert "six==1.16.0" in calls[2]


def test_conda_without_a_conda_file(fakes: Fakes, model: Path) -> None:
    fakes.add("conda")
    (model / "conda.yaml").unlink()
    prepare_environment(model, env_manager="conda", progress=print)
    assert fakes.calls()[0].startswith("create --quiet --yes --prefix ")
    assert fakes.calls()[0].endswith(f" python={HERE} pip")


@pytest.mark.parametrize("way", ["home", "command", "path", "exe"])
def test_ways_to_find_conda(
    fakes: Fakes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "home":
        (tmp_path / "bin").exists()
        expected = fakes.add("conda")
        monkeypatch.setenv("MLFLOW_CONDA_HOME", str(tmp_path))
    elif way == "command":
        expected = fakes.add("my-mamba")
        monkeypatch.setenv("MLFLOW_CONDA_CREATE_ENV_CMD", "my-mamba")
    elif way == "path":
        expected = fakes.add("mamba")
    else:
        expected = fakes.add("hidden-conda")
        monkeypatch.setenv("CONDA_EXE", str(expected))
    assert find_conda() == str(expected)


def test_without_conda_the_error_says_what_to_install(fakes: Fakes, model: Path) -> None:
    with pytest.raises(MissingDependencyError, match="micromamba"):
        prepare_environment(model, env_manager="conda")


def test_without_uv_the_standard_library_is_used(
    fakes: Fakes, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    assert find_uv() is None
    assert default_manager() == "virtualenv"
    with pytest.raises(MissingDependencyError, match="envs"):
        prepare_environment(model, env_manager="uv", progress=print)


def test_uv_beside_the_interpreter_is_found(
    fakes: Fakes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    venv = Fakes(tmp_path / "venv")
    venv.folder.mkdir()
    uv = venv.add("uv")
    monkeypatch.setattr(sys, "executable", str(venv.folder / "python"))
    assert find_uv() == str(uv)
    assert default_manager() == "uv"


def test_a_program_that_does_not_run_is_an_error(fakes: Fakes, model: Path) -> None:
    fakes.add("uv", "#!/nonexistent/interpreter\n")
    with pytest.raises(EnvironmentCreationError, match="cannot create the environment"):
        prepare_environment(model, env_manager="uv", progress=print)


def test_the_local_environment_is_the_running_one(model: Path) -> None:
    found = prepare_environment(model, env_manager="local")
    assert (found.python, found.reused) == (Path(sys.executable), True)


def test_wrong_calls(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="'local', 'virtualenv', 'uv', 'conda'"):
        prepare_environment(model, env_manager="docker")  # type: ignore[arg-type]
    with pytest.raises(ModelNotFoundError):
        prepare_environment(tmp_path / "none")


def test_an_interpreter_that_is_not_there(fakes: Fakes, model: Path) -> None:
    fakes.add("uv", "#!/bin/sh\nexit 1\n")
    (model / "python_env.yaml").write_text("python: 2.1.3\n")
    with pytest.raises(ModelNotFoundError, match=r"no Python 2\.1 .*\n.*uv python install 2\.1"):
        prepare_environment(model)


def test_where_environments_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PYFUNC_ENV_ROOT", "MLFLOW_ENV_ROOT", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/x")
    assert environments_root() == Path("/home/x/.cache/pyfunc/envs")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert environments_root() == Path("/cache/pyfunc/envs")
    monkeypatch.setenv("MLFLOW_ENV_ROOT", "/mlflow")
    assert environments_root() == Path("/mlflow")
    monkeypatch.setenv("PYFUNC_ENV_ROOT", "/ours")
    assert environments_root() == Path("/ours")


def test_progress_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    show_progress("working")
    assert capsys.readouterr() == ("", "pyfunc: working\n")


def speaking(version: str, path: str = "/x/python") -> str:
    """Return a script that answers like an interpreter of that version."""
    return f"#!/bin/sh\necho {version}\necho {path}\n"


@pytest.mark.parametrize(
    "script", ["exit 1", "echo", "echo what; echo x", "echo 3.10; echo x"], ids=repr
)
def test_what_does_not_answer_like_an_interpreter_is_none(bare: Fakes, script: str) -> None:
    bare.add("python3.10", f"#!/bin/sh\n{script}\n")
    with pytest.raises(ModelNotFoundError, match=r"found: 2\.7\.1\)"):
        find_interpreter("3.10")


@pytest.fixture
def bare(fakes: Fakes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fakes:
    """Return ``fakes`` without the interpreters of this machine; the running one is 2.7.1."""
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setattr(sys, "version_info", (2, 7, 1))
    monkeypatch.setattr(sys, "executable", "/running/python")
    monkeypatch.setattr(sys, "_base_executable", "/running/python", raising=False)
    interpreters._probe.cache_clear()
    return fakes


def test_the_running_interpreter_is_preferred(bare: Fakes) -> None:
    assert find_interpreter("2.7").path == "/running/python"
    assert find_interpreter("2.7.1").text == "2.7.1"


def test_interpreters_of_pyenv(bare: Fakes, tmp_path: Path) -> None:
    for name in ("3.10.4", "3.10.13", "3.11-dev", "3.9.1"):
        place = tmp_path / "pyenv" / "versions" / name / "bin"
        place.mkdir(parents=True)
        if name != "3.9.1":
            (place / "python").touch()
    assert find_interpreter("3.10.4").text == "3.10.4"
    assert find_interpreter("3.10.5").text == "3.10.4"
    assert find_interpreter("3.10.12").text == "3.10.13"
    with pytest.raises(ModelNotFoundError, match=r"found: 2\.7\.1, 3\.10\.4, 3\.10\.13"):
        find_interpreter("3.9.1")


def test_interpreters_on_the_path(bare: Fakes) -> None:
    bare.add("python3.10", speaking("3.10.2", "/x/python3.10"))
    bare.add("python3", "#!/bin/sh\nexit 1\n")
    bare.add("python", speaking("what"))
    bare.add("python2", speaking("2.7.9"))
    found = find_interpreter("3.10")
    assert (found.path, found.version) == ("/x/python3.10", (3, 10, 2))


def test_interpreters_that_uv_knows(bare: Fakes) -> None:
    managed = bare.add("managed", speaking("3.12.1", ""))
    bare.add("uv", f"#!/bin/sh\n[ $5 = 3.12 ] && echo {managed} || exit 2\n")
    assert find_interpreter("3.12.1").path == str(managed)
    with pytest.raises(ModelNotFoundError):
        find_interpreter("3.13")


def test_a_uv_that_does_not_run_knows_none(bare: Fakes) -> None:
    bare.add("uv", "#!/nonexistent/interpreter\n")
    with pytest.raises(ModelNotFoundError):
        find_interpreter("3.12")


def test_a_version_that_is_none(bare: Fakes) -> None:
    with pytest.raises(ModelNotFoundError, match="'pypy' is no Python version"):
        find_interpreter("pypy")


def test_the_wheel_holds_every_module_once(tmp_path: Path) -> None:
    source = read_own_source()
    wheel = source.write_wheel(tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        record = archive.read(f"pyfunc_format-{VERSION}.dist-info/RECORD").decode()
        assert archive.testzip() is None
    assert len(names) == len(set(names))
    for module in (
        "__init__",
        "py.typed",
        "env/creating/own_wheel",
        "schema/__init__",
        "flavors/__init__",
    ):
        assert f"pyfunc/{module}.py".replace(".typed.py", ".typed") in names
    assert not any("__pycache__" in name for name in names)
    assert sorted(line.partition(",")[0] for line in record.splitlines()) == sorted(names)


def test_equal_files_give_an_equal_wheel(tmp_path: Path) -> None:
    source = OwnSource((("pyfunc/__init__.py", b"x = 1\n"),))
    (tmp_path / "other").mkdir()
    first, second = source.write_wheel(tmp_path), source.write_wheel(tmp_path / "other")
    assert first.read_bytes() == second.read_bytes()
    assert source.digest != OwnSource((("pyfunc/__init__.py", b"x = 2\n"),)).digest
    assert source.digest != OwnSource((("pyfunc/__init__.pyx", b" = 1\n"),)).digest


def test_what_the_wheel_requires_is_what_the_package_requires() -> None:
    import configparser

    from packaging.requirements import Requirement

    config = configparser.ConfigParser()
    config.read(Path(__file__).parents[2] / "setup.cfg")
    declared = textwrap.dedent(config["options"]["install_requires"]).split("\n")
    parsed = [Requirement(line) for line in declared if line]
    expected = {(r.name, str(r.marker or "")) for r in parsed}
    ours = [Requirement(line) for line in requirement_names()]
    assert {(r.name, str(r.marker or "")) for r in ours} == expected


def test_the_wheel_can_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = read_own_source().write_wheel(tmp_path)
    code = "import pyfunc.env.creating.own_wheel as w; print(w.__file__)"
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": str(wheel)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(wheel))
