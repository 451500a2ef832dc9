"""The build context of a model's image, held against the rules of a Dockerfile linter."""

from __future__ import annotations

import configparser
import json
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import pyfunc
from pyfunc.cli.app import app
from pyfunc.deploy import (
    DockerfilePlan,
    ImageContents,
    build_image,
    find_engine,
    render_dockerfile,
    write_context,
    write_image,
)
from pyfunc.deploy.image import EXTRAS
from pyfunc.env import lock
from pyfunc.env.checking.lock_file import LockedPackage, write_lock_text
from pyfunc.errors import (
    EnvironmentCreationError,
    InvalidArgumentError,
    MissingDependencyError,
    ModelIntegrityError,
    SaveConflictError,
)

WHEEL = "pyfunc_format-0.1.0-py3-none-any.whl"
COMMAND = ("python", "-m", "pyfunc", "serve")
PLAN = DockerfilePlan("3.11.7", WHEEL, COMMAND)
PLANS = [
    pytest.param(PLAN, id="plain"),
    pytest.param(
        DockerfilePlan(
            "3.12.1",
            WHEEL,
            COMMAND,
            copies=(("model", "/opt/ml/model"), ("model/project", "/mnt/project")),
            has_constraints=True,
            has_hashes=True,
            has_unhashed=True,
            secrets=("PIP_TOKEN", "USER_2"),
            system_packages=("libgomp1", "curl=7.88.1-10"),
            port=9000,
        ),
        id="with-everything",
    ),
]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    handler = tmp_path / "source" / "handler.py"
    handler.parent.mkdir()
    handler.write_text("")
    (handler.parent / "config.json").write_text("{}")
    pyfunc.save_model(
        tmp_path / "model",
        python_model=lambda model_input: model_input,
        pip_requirements=["numpy==2.1.0", "-c constraints.txt"],
        handler="handler.py",
        project_dir=handler.parent,
    )
    return tmp_path / "model"


@pytest.fixture(autouse=True)
def _constraints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "constraints.txt").write_text("scipy<2\n")


def instructions(text: str) -> Iterator[tuple[str, str]]:
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, rest = line.partition(" ")
            yield name, rest


# The rules of hadolint that can be seen in one instruction: number -> (instruction, breaks it).
RULES: dict[str, tuple[str, Callable[[str], object]]] = {
    "DL3000": ("WORKDIR", lambda rest: not rest.startswith("/")),
    "DL3003": ("RUN", lambda rest: re.search(r"\bcd\b", rest)),
    "DL3004": ("RUN", lambda rest: "sudo" in rest),
    "DL3005": ("RUN", lambda rest: "apt-get upgrade" in rest),
    "DL3006": ("FROM", lambda rest: ":" not in rest),
    "DL3007": ("FROM", lambda rest: rest.endswith(":latest")),
    "DL3009": ("RUN", lambda rest: "apt-get" in rest and "rm -rf /var/lib/apt/lists" not in rest),
    "DL3011": ("EXPOSE", lambda rest: not 0 < int(rest) < 65536),
    "DL3014": ("RUN", lambda rest: "apt-get install" in rest and "--yes" not in rest),
    "DL3015": (
        "RUN",
        lambda rest: "apt-get install" in rest and "--no-install-recommends" not in rest,
    ),
    "DL3020": ("ADD", lambda rest: True),
    "DL3021": ("COPY", lambda rest: len(rest.split()) > 2 and not rest.endswith("/")),
    "DL3025": ("CMD ENTRYPOINT", lambda rest: not rest.startswith("[")),
    "DL3027": ("RUN", lambda rest: re.search(r"\bapt ", rest)),
    "DL3042": ("RUN", lambda rest: "pip install" in rest and "--no-cache-dir" not in rest),
    "DL3046": ("RUN", lambda rest: "useradd" in rest and "--no-log-init" not in rest),
    "DL4000": ("MAINTAINER", lambda rest: True),
    "DL4006": ("RUN", lambda rest: "|" in rest),
}


def find_lint(text: str) -> list[str]:
    """Return the numbers of the rules that the text breaks, sorted."""
    steps = list(instructions(text))
    names = [name for name, _ in steps]
    found = {
        rule
        for rule, (where, breaks) in RULES.items()
        for name, rest in steps
        if name in where.split() and breaks(rest)
    }
    users = [rest for name, rest in steps if name == "USER"]
    if not users or users[-1].split(":")[0] in ("root", "0"):
        found.add("DL3002")
    if names.count("HEALTHCHECK") != 1:
        found.add("DL3012")
    if names.count("CMD") > 1 or names.count("ENTRYPOINT") != 1:
        found.add("DL4003")
    return sorted(found)


@pytest.mark.parametrize("plan", PLANS)
def test_the_text_keeps_the_rules(plan: DockerfilePlan) -> None:
    assert find_lint(render_dockerfile(plan)) == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        pytest.param("FROM python\n", "DL3006", id="tag"),
        pytest.param("RUN apt-get install x\n", "DL3015", id="recommends"),
        pytest.param("RUN pip install x\n", "DL3042", id="cache"),
        pytest.param("CMD run me\n", "DL3025", id="shell"),
        pytest.param("USER root\n", "DL3002", id="root"),
    ],
)
def test_the_rules_find_what_breaks_them(text: str, rule: str) -> None:
    assert rule in find_lint(text)


def test_the_text_of_everything() -> None:
    text = render_dockerfile(PLANS[1].values[0])  # type: ignore[arg-type]
    steps = list(instructions(text))
    assert steps[0] == ("FROM", "python:3.12.1-slim")
    copies = [rest for name, rest in steps if name == "COPY"]
    assert copies[0] == "requirements.txt constraints.txt ./"
    assert copies[-2:] == ["model /opt/ml/model", "model/project /mnt/project"]
    runs = [re.sub(" +", " ", rest) for name, rest in steps if name == "RUN"]
    assert "curl=7.88.1-10 libgomp1 " in runs[0]
    assert any("--require-hashes -r requirements.txt" in run for run in runs)
    assert json.loads(dict(steps)["ENTRYPOINT"]) == list(COMMAND)
    assert dict(steps)["EXPOSE"] == "9000"
    assert "/ping" in dict(steps)["HEALTHCHECK"]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"python": "3.11; rm -rf /"}, id="python"),
        pytest.param({"wheel": "a b.whl"}, id="wheel"),
        pytest.param({"system_packages": ("x && y",)}, id="package"),
        pytest.param({"system_packages": ("--option",)}, id="package-option"),
        pytest.param({"base_image": "x\nRUN evil"}, id="image"),
        pytest.param({"copies": (("a", "/b\nRUN evil"),)}, id="copy"),
        pytest.param({"port": 80}, id="port-of-root"),
        pytest.param({"secrets": ("A$(evil)",)}, id="secret"),
    ],
)
def test_what_becomes_part_of_commands_is_checked(changes: dict[str, Any]) -> None:
    given = {"python": "3.11", "wheel": "a.whl", "command": ("x",), **changes}
    with pytest.raises(InvalidArgumentError):
        DockerfilePlan(**given)


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_context_has_what_the_text_copies(model: Path, tmp_path: Path) -> None:
    context = write_context(model, tmp_path / "context")
    files = files_in(context.directory)
    for name, rest in instructions(context.dockerfile):
        for source in rest.split()[:-1] if name == "COPY" else []:
            assert (context.directory / source).exists()
    assert files["Dockerfile"].decode() == context.dockerfile
    assert files["requirements.txt"] == b"-c constraints.txt\nnumpy==2.1.0\n"
    assert files["constraints.txt"] == b"scipy<2\n"
    assert "COPY model/project /mnt/project" in context.dockerfile
    assert files["model/project/config.json"] == b"{}"
    assert pyfunc.verify(context.directory / "model").digest == pyfunc.verify(model).digest
    assert not context.is_locked


def test_the_wheel_holds_this_library_with_its_page(model: Path, tmp_path: Path) -> None:
    context = write_context(model, tmp_path / "context")
    [wheel] = context.directory.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {
        "pyfunc/__main__.py",
        "pyfunc/serving/pages/page.html",
        "pyfunc/serving/pages/look/look.css",
        "pyfunc/serving/pages/form/page.js",
        "pyfunc/functions/ui/page.css",
        "pyfunc/schema/enforce/plan.py",
    } <= set(names)


def test_the_server_of_a_model_listens_at_the_port(model: Path, tmp_path: Path) -> None:
    text = write_context(model, tmp_path / "context", port=9000).dockerfile
    entry = json.loads(dict(instructions(text))["ENTRYPOINT"])
    assert entry[:6] == [*COMMAND, "--model-uri", "/opt/ml/model"]
    assert entry[6:] == ["--host", "0.0.0.0", "--allowed-host", "*", "--port", "9000"]


def test_an_image_of_anything_else(tmp_path: Path) -> None:
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "one.py").write_text("x = 1\n")
    contents = ImageContents(
        python="3.12",
        requirements=["lightgbm==4.6.0"],
        command=("python", "-m", "one"),
        extras=(),
        folders={"functions": tmp_path / "functions"},
        copies=(("functions", "/opt/functions"),),
    )
    context = write_image(contents, tmp_path / "context")
    files = files_in(context.directory)
    assert find_lint(context.dockerfile) == []
    assert "COPY functions /opt/functions" in context.dockerfile
    assert files["functions/one.py"] == b"x = 1\n"
    assert files["server-requirements.txt"] == b""
    assert context.system_packages == ("libgomp1",)


@pytest.mark.parametrize("extra", EXTRAS)
def test_what_an_extra_needs_is_what_the_package_says(extra: str) -> None:
    declared = configparser.ConfigParser()
    declared.read(Path(__file__).parents[2] / "setup.cfg")
    lines = declared["options.extras_require"][extra].split("\n")
    assert sorted(EXTRAS[extra]) == sorted(line for line in lines if line)


@pytest.mark.parametrize(
    ("line", "package"),
    [
        ("a @ git+https://h/a@v1", "git"),
        ("git+ssh://git@h/a#egg=a", "git"),
        ("a @ hg+https://h/a", "mercurial"),
        ("a @ svn+https://h/a", "subversion"),
    ],
)
def test_what_fetches_a_commit_is_in_the_image(tmp_path: Path, line: str, package: str) -> None:
    pyfunc.save_model(tmp_path / "m", python_model=lambda model_input: 1, pip_requirements=[line])
    assert write_context(tmp_path / "m", tmp_path / "context").system_packages == (package,)


def test_references_become_secrets_of_the_build(
    tmp_path: Path, engine: Callable[..., Path]
) -> None:
    lines = [
        "--extra-index-url https://${PIP_USER_2}:${PIP_TOKEN}@h/simple",
        "a @ git+https://oauth2:${GIT_TOKEN}@h/a@v1",
    ]
    pyfunc.save_model(tmp_path / "m", python_model=lambda model_input: 1, pip_requirements=lines)
    context = write_context(tmp_path / "m", tmp_path / "context")
    assert context.secrets == ("GIT_TOKEN", "PIP_TOKEN", "PIP_USER_2")
    assert (context.directory / "requirements.txt").read_text().splitlines() == lines
    [run] = [rest for name, rest in instructions(context.dockerfile) if "-r requirements" in rest]
    for name in context.secrets:
        assert f"--mount=type=secret,id={name},required=true" in run
        assert f'{name}="$(cat /run/secrets/{name})" ' in run
    assert context.dockerfile.count("/run/secrets/") == 3
    calls = engine("docker")
    done = CliRunner().invoke(
        app, ["dockerfile", str(tmp_path / "m"), "-d", str(tmp_path / "c2"), "--build"]
    )
    assert done.exit_code == 0
    assert "--secret id=GIT_TOKEN,env=GIT_TOKEN --secret id=PIP_TOKEN" in calls.read_text()


def test_equal_models_give_equal_files(model: Path, tmp_path: Path) -> None:
    one = write_context(model, tmp_path / "one", system_packages=["libb", "liba"])
    two = write_context(model, tmp_path / "two", system_packages=["liba", "libb"])
    assert files_in(one.directory) == files_in(two.directory)


def test_a_lock_pins_everything(model: Path, tmp_path: Path) -> None:
    lock(model, resolve=False)
    context = write_context(model, tmp_path / "context")
    lines = (context.directory / "requirements.txt").read_text().splitlines()
    assert context.is_locked
    assert all("==" in line for line in lines)
    assert not [line for line in lines if line.startswith("pyfunc-format")]
    assert [line for line in lines if line.startswith("numpy==")]


def test_hashes_of_a_lock_are_required(model: Path, tmp_path: Path) -> None:
    wheel = {"name": "six-1.16.0-py3-none-any.whl", "hashes": {"sha256": "ab" * 32}}
    text = write_lock_text(
        [LockedPackage("six", "1.16.0", {"wheels": [wheel]})], requires_python="==3.11.*"
    )
    (model / ".pyfunc" / "manifest.json").unlink()
    (model / ".pyfunc" / "pylock.toml").write_text(text)
    context = write_context(model, tmp_path / "context")
    line = (context.directory / "requirements.txt").read_text()
    assert line == f"six==1.16.0 --hash=sha256:{'ab' * 32}\n"
    assert "--require-hashes" in context.dockerfile


def test_a_changed_model_gets_no_context(model: Path, tmp_path: Path) -> None:
    (model / "requirements.txt").write_text("evil")
    with pytest.raises(ModelIntegrityError):
        write_context(model, tmp_path / "context")
    assert not (tmp_path / "context").exists()


def test_a_context_is_not_overwritten_unasked(model: Path, tmp_path: Path) -> None:
    write_context(model, tmp_path / "context")
    with pytest.raises(SaveConflictError):
        write_context(model, tmp_path / "context")
    write_context(model, tmp_path / "context", overwrite=True)


def test_a_requirement_beside_the_model_is_refused(model: Path, tmp_path: Path) -> None:
    (model / ".pyfunc" / "manifest.json").unlink()
    (model / "own-1.0-py3-none-any.whl").write_bytes(b"")
    (model / "requirements.txt").write_text("./own-1.0-py3-none-any.whl")
    with pytest.raises(InvalidArgumentError, match="which an image cannot install"):
        write_context(model, tmp_path / "context")


@pytest.mark.parametrize(
    ("line", "wanted", "packages"),
    [
        pytest.param("numpy", [], (), id="nothing"),
        pytest.param("LightGBM==4.6.0", [], ("libgomp1",), id="needed"),
        pytest.param("paddlepaddle", ["curl"], ("curl", "libgomp1"), id="both"),
        pytest.param("lightgbm", ["libgomp1=12.2"], ("libgomp1=12.2",), id="in-a-version"),
    ],
)
def test_libraries_that_wheels_need_are_installed(
    tmp_path: Path, line: str, wanted: list[str], packages: tuple[str, ...]
) -> None:
    pyfunc.save_model(tmp_path / "m", python_model=lambda model_input: 1, pip_requirements=[line])
    context = write_context(tmp_path / "m", tmp_path / "context", system_packages=wanted)
    assert context.system_packages == packages
    assert ("apt-get" in context.dockerfile) is bool(packages)
    assert find_lint(context.dockerfile) == []


def test_the_flavor_of_a_model_says_what_it_needs_too(model: Path, tmp_path: Path) -> None:
    (model / ".pyfunc" / "manifest.json").unlink()
    description = yaml.safe_load((model / "MLmodel").read_text())
    description["flavors"]["lightgbm"] = {}
    (model / "MLmodel").write_text(yaml.safe_dump(description))
    assert write_context(model, tmp_path / "context").system_packages == ("libgomp1",)


def test_mlflow_can_be_in_the_image(model: Path, tmp_path: Path) -> None:
    context = write_context(model, tmp_path / "context", install_mlflow=True)
    lines = (context.directory / "requirements.txt").read_text().splitlines()
    assert lines[-1] == f"mlflow=={pyfunc.Model.load(model).mlflow_version}"


def test_mlflow_cannot_be_added_to_a_lock(model: Path, tmp_path: Path) -> None:
    text = write_lock_text([LockedPackage("six", "1.16.0", {})], requires_python="==3.11.*")
    (model / ".pyfunc" / "manifest.json").unlink()
    (model / ".pyfunc" / "pylock.toml").write_text(text)
    with pytest.raises(InvalidArgumentError, match="the lock of the model says all"):
        write_context(model, tmp_path / "context", install_mlflow=True)


def test_the_python_of_the_model_decides(model: Path, tmp_path: Path) -> None:
    (model / ".pyfunc" / "manifest.json").unlink()
    env = yaml.safe_load((model / "python_env.yaml").read_text())
    (model / "python_env.yaml").write_text(yaml.safe_dump({**env, "python": "3.12.4"}))
    assert write_context(model, tmp_path / "context").image == "python:3.12.4-slim"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that puts a made-up engine on the path; it notes how it was called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def make(name: str, status: int = 0, *, complaint: str = "") -> Path:
        program, calls = folder / name, tmp_path / f"{name}.calls"
        broken = f"echo '{complaint}' >&2; exit 1" if complaint else "exit 0"
        program.write_text(
            f'#!/bin/sh\ntest "$1" = build || {{ {broken}; }}\n'
            f'echo "$PWD" "$@" >> {calls}\necho building\nexit {status}\n'
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return calls

    return make


@pytest.mark.parametrize("name", ["docker", "podman", "buildah"])
def test_an_engine_builds_the_image(
    engine: Callable[..., Path], tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    calls = engine(name)
    command = build_image(tmp_path, "iris:1")
    kept = [] if name == "docker" else ["--format", "docker"]  # so that HEALTHCHECK stays
    assert command[1:] == ["build", *kept, "--tag", "iris:1", "--file", "Dockerfile", "."]
    assert calls.read_text() == f"{tmp_path} {' '.join(command[1:])}\n"
    assert Path(find_engine()).name == name
    assert capfd.readouterr().out == ""


def test_docker_comes_first(engine: Callable[..., Path]) -> None:
    engine("podman")
    engine("docker")
    assert Path(find_engine()).name == "docker"
    assert Path(find_engine("podman")).name == "podman"


def test_no_engine(engine: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(MissingDependencyError, match="install docker, podman or buildah"):
        build_image(tmp_path, "iris")
    with pytest.raises(InvalidArgumentError, match="engine"):
        find_engine("rkt")


def test_an_engine_that_does_not_work_is_passed_over(
    engine: Callable[..., Path], tmp_path: Path
) -> None:
    engine("docker", complaint="Cannot connect to the Docker daemon")
    engine("buildah")
    assert Path(build_image(tmp_path, "iris")[0]).name == "buildah"
    with pytest.raises(EnvironmentCreationError, match="docker: Cannot connect to the Docker"):
        find_engine("docker")


def test_the_error_says_what_each_engine_answered(engine: Callable[..., Path]) -> None:
    engine("docker", complaint="Cannot connect to the Docker daemon")
    engine("podman", complaint="cannot set up namespace")
    with pytest.raises(EnvironmentCreationError) as caught:
        find_engine()
    assert str(caught.value) == (
        "no engine that builds images works\n"
        "  - docker: Cannot connect to the Docker daemon\n"
        "  - podman: cannot set up namespace"
    )


def test_what_cannot_be_run_is_no_engine(engine: Callable[..., Path], tmp_path: Path) -> None:
    engine("docker")
    (tmp_path / "bin" / "docker").write_text("no program", encoding="utf-8")
    with pytest.raises(EnvironmentCreationError, match="Exec format error"):
        find_engine()


def test_an_engine_that_fails(engine: Callable[..., Path], tmp_path: Path) -> None:
    engine("docker", status=3)
    with pytest.raises(EnvironmentCreationError, match="docker ended with status 3"):
        build_image(tmp_path, "iris")


@pytest.mark.parametrize("tag", ["", "Up", "a b", "--file=x", "a:"])
def test_names_of_images_are_checked(
    engine: Callable[..., Path], tmp_path: Path, tag: str
) -> None:
    engine("docker")
    with pytest.raises(InvalidArgumentError, match="tag"):
        build_image(tmp_path, tag)


@pytest.mark.parametrize("tag", ["iris", "iris:1.0", "here/iris:v1", "host:5000/a/b_c:latest"])
def test_names_of_images(engine: Callable[..., Path], tmp_path: Path, tag: str) -> None:
    engine("docker")
    assert tag in build_image(tmp_path, tag)


def test_the_command_writes_a_context(model: Path, tmp_path: Path) -> None:
    arguments = ["dockerfile", str(model), "-d", str(tmp_path / "context")]
    more = ["--system-package", "libgomp1", "--install-java", "true", "--install-mlflow"]
    done = CliRunner().invoke(app, [*arguments, *more])
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path}/context\n")
    assert "no lock" in done.stderr
    assert (
        "default-jre-headless \\\n    libgomp1 \\"
        in (tmp_path / "context" / "Dockerfile").read_text()
    )
    assert "mlflow==" in (tmp_path / "context" / "requirements.txt").read_text()
    assert CliRunner().invoke(app, arguments).exit_code == 8


def test_the_command_builds_an_image(
    model: Path, tmp_path: Path, engine: Callable[..., Path]
) -> None:
    arguments = ["dockerfile", str(model), "-d", str(tmp_path / "context"), "--build", "--json"]
    assert CliRunner().invoke(app, arguments).exit_code == 7
    assert not os.path.exists(tmp_path / "context")
    calls = engine("podman")
    done = CliRunner().invoke(app, [*arguments, "-n", "iris"])
    tree = json.loads(done.stdout)
    assert (done.exit_code, tree["image"], tree["locked"]) == (0, "iris", False)
    assert calls.read_text().startswith(f"{tmp_path}/context build")
