"""Builds, containers and manifests, with programs that answer as the engines do."""

from __future__ import annotations

import json
import os
import shlex
import signal
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pyfunc.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    PyfuncWarning,
    RunError,
    SchemaError,
)
from pyfunc.functions import Function, Project, Run
from pyfunc.functions.worker import open_in_pod
from tests.functions.conftest import HERE, Make

Engine = Callable[..., Path]
# Answers as an engine: it builds what is asked for, runs a command here that is said to run in a
# container, and ends it when it is told to remove it.
PROGRAM = """
import os, signal, subprocess, sys
folder, complaint, building = {folder!r}, {complaint!r}, {building!r}
name, arguments = sys.argv[1], sys.argv[2:]
if name in ("info", "version"):
    sys.exit(complaint or 0)
with open(folder + "/calls", "a") as file:
    file.write(repr(sys.argv[1:]) + "\\n")
if name == "build":
    print("it builds", flush=True)
    sys.exit(subprocess.run(["/bin/sh", "-c", building]).returncode)
if name == "run":
    image = next(i for i, part in enumerate(arguments) if part.startswith("localhost/"))
    pairs = [p for o, p in zip(arguments, arguments[1:]) if o == "--env" and "=" in p]
    more = dict(pair.split("=", 1) for pair in pairs)
    environment = dict(os.environ, PYTHONPATH=os.environ["PYTHONPATH"], **more)
    command = [sys.executable, *arguments[image + 1:]]
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    with open(folder + "/" + arguments[arguments.index("--name") + 1], "w") as file:
        file.write(str(process.pid))
    sys.exit(process.wait() % 256)
if name == "kill":
    os.kill(int(open(folder + "/" + arguments[0]).read()), signal.SIGKILL)
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Return a function that puts an engine on the path, where there is none besides."""
    folder = tmp_path / "engines"
    folder.mkdir()
    # Engines are what is found on the path.
    monkeypatch.setenv("PATH", str(folder))

    def make(name: str = "podman", complaint: str = "", building: str = "exit 0") -> Path:
        text = PROGRAM.format(folder=str(folder), complaint=complaint, building=building)
        script = folder / f"{name}.py"
        script.write_text(text)
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {script} "$@"\n')
        program.chmod(0o755)
        return folder / "calls"

    return make


def wait_until(is_true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


CODE = """
import os
import time
from pathlib import Path

def f(x=1):
    print("it runs", flush=True)
    return x + 1, {"a": x}, os.environ.get("A"), len(os.environ.get("TOKEN", ""))

def fail():
    raise KeyError("no such thing")

def leave():
    os._exit(7)

def sleep(path):
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)

def serve(event):
    return "served"
"""


def test_a_build_lets_the_function_name_its_image(
    engine: Engine, make: Make, project: Project
) -> None:
    calls = engine()
    function = make(CODE)
    assert function.spec.image is None
    instructions = ["apt-get install -y git"]
    run = function.run(action="build", instructions=instructions)
    assert [item["status"] for item in run.status.transitions] == [
        "CREATED", "BUILT", "RUNNING", "COMPLETED",
    ]  # fmt: skip
    context = run.path / "context"
    image = f"localhost/pyfunc-demo-f:{run.id[:12]}"
    assert run.results() == {"context": str(context), "image": image}
    assert function.image == image == project.get_function(function.key).image
    assert "RUN apt-get install -y git\n" in (context / "Dockerfile").read_text()
    assert "def serve" in (context / "source" / "main.py").read_text()
    assert json.loads((context / "function.json").read_text())["host"] == "0.0.0.0"
    assert "it builds" in list(run.logs())
    [call] = calls.read_text().splitlines()
    assert f"'--tag', '{image}'" in call
    assert "'--format', 'docker'" in call
    assert run.spec.instructions == instructions
    assert run.to_dict("0.15")["kind"] == "python+build:run"
    assert [task.kind for task in project.list_tasks()] == ["python+build"]
    again = function.run("build", bind="json", workers=1)
    assert function.image == again.result("image") != image
    plan = json.loads((again.path / "context" / "function.json").read_text())
    assert (plan["bind"], plan["workers"]) == ("json", 1)


def test_the_oldest_python_is_that_of_this_library(project: Project, engine: Engine) -> None:
    function = project.new_function("f", code=CODE, handler="f", python_version="PYTHON3_9")
    with pytest.warns(PyfuncWarning, match="the image has Python 3.10"):
        run = function.run("build")
    text = (run.path / "context" / "Dockerfile").read_text()
    assert text.startswith("FROM python:3.10-slim\n")


@pytest.mark.parametrize(
    ("complaint", "said"),
    [
        pytest.param(None, "install docker, podman or buildah", id="none"),
        pytest.param("no daemon", "podman: no daemon", id="broken"),
    ],
)
def test_without_an_engine_there_is_a_context_and_no_image(
    engine: Engine, make: Make, complaint: str | None, said: str
) -> None:
    if complaint:
        engine(complaint=complaint)
    function = make(CODE)
    run = function.run("build")
    assert run.status.state == "COMPLETED"
    assert run.results() == {"context": str(run.path / "context")}
    assert "no image was built" in run.status.message
    assert said in run.status.message
    assert said in "\n".join(run.logs())
    assert (run.path / "context" / "Dockerfile").is_file()
    assert function.image is None


def test_a_build_that_fails_leaves_the_image_that_was(engine: Engine, make: Make) -> None:
    engine()
    function = make(CODE)
    before = function.run("build").result("image")
    engine(building="echo no space >&2; exit 3")
    with pytest.raises(RunError, match="podman ended with status 3"):
        function.run("build")
    run = function.runs()[-1]
    assert run.status.state == "ERROR"
    assert run.status.error["type"].endswith("EnvironmentCreationError")
    assert "no space" in list(run.logs())
    function.refresh()
    assert function.image == before


@pytest.mark.parametrize("how", ["stopped", "killed", "timeout"])
def test_a_build_that_is_ended_leaves_nothing_half(
    engine: Engine, make: Make, tmp_path: Path, how: str
) -> None:
    # What an engine runs has an environment and a group of its own.
    pid = tmp_path / "pid"
    sleeping = f"import os, time; os.setsid(); open('{pid}', 'w').write(str(os.getpid())); "
    command = [sys.executable, "-c", f"{sleeping} time.sleep(600)"]
    engine(building=f"/usr/bin/env -i {shlex.join(command)}")
    function = make(CODE)
    run = function.run("build", wait=False, timeout=20 if how == "timeout" else None)
    wait_until(lambda: is_written(pid) or (how == "timeout" and is_over(run)))
    run.refresh()
    if how == "stopped":
        run.stop()
    elif how == "killed":
        os.kill(run.status.process, signal.SIGKILL)
    run.wait(60)
    assert run.status.state == ("STOPPED" if how == "stopped" else "ERROR")
    wait_until(lambda: not is_written(pid) or not is_running(int(pid.read_text())))
    function.refresh()
    assert function.image is None


def is_written(path: Path) -> bool:
    return path.exists() and path.read_text() != ""


def is_over(run: Run) -> bool:
    run.refresh()
    return run.status.state in ("COMPLETED", "ERROR", "STOPPED")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        pytest.param({"instructions": "apt"}, "instructions: expected a list", id="text"),
        pytest.param(
            {"instructions": ["a", "b\nc", 3], "envs": [{"name": "1"}]},
            r"envs\[0\].name[^$]*envs\[0\].value[^$]*instructions\[1\][^$]*instructions\[2\]",
            id="all",
        ),
        pytest.param({"backoff_limit": 1}, "unexpected arguments: backoff_limit", id="job's"),
        pytest.param({"parameters": {"a": 1}}, "parameters: a build has no use", id="parameters"),
        pytest.param({"local_execution": False}, "images are built here", id="elsewhere"),
        pytest.param({"env": "container"}, "'container' is for jobs", id="container"),
    ],
)
def test_arguments_of_a_build_are_checked(
    make: Make, project: Project, arguments: dict[str, Any], match: str
) -> None:
    with pytest.raises((InvalidArgumentError, InvalidTypeError, SchemaError), match=match):
        make(CODE).run("build", **arguments)
    assert project.list_runs() == []


def define(project: Project, handler: str = "f", image: str | None = "localhost/f:1") -> Function:
    return project.new_function("f", code=CODE, handler=handler, python_version=HERE, image=image)


def test_a_job_runs_in_a_container(engine: Engine, project: Project) -> None:
    calls = engine()
    project.new_secret("TOKEN", "hush")
    run = define(project).run(
        env="container", parameters={"x": 2}, secrets=["TOKEN"], envs=[{"name": "A", "value": "b"}]
    )
    assert [*run.results().values()] == [3, "b", 4]
    [thing] = run.outputs().values()
    assert thing.relationships == [{"type": "produced_by", "dest": run.key}]
    assert "it runs" in list(run.logs())
    name = f"pyfunc-{run.id}"
    assert run.status.container["name"] == name
    text = calls.read_text()
    assert f"'--name', '{name}'" in text
    assert "'--env', 'TOKEN'" in text
    assert "hush" not in text + run.path.joinpath("entity.json").read_text()


@pytest.mark.parametrize(
    ("handler", "match"),
    [("fail", "KeyError: 'no such thing'"), ("leave", "ended before the run: podman run .* 7")],
)
def test_a_failure_in_a_container_is_an_error(
    engine: Engine, project: Project, handler: str, match: str
) -> None:
    engine()
    function = define(project, handler)
    with pytest.raises(RunError, match=match):
        function.run(env="container")
    assert function.runs()[0].status.state == "ERROR"


def test_without_an_engine_no_container_runs(engine: Engine, project: Project) -> None:
    engine("buildah")  # which runs nothing
    with pytest.raises(RunError, match="install docker or podman"):
        define(project).run(env="container")


@pytest.mark.parametrize("how", ["stopped", "killed", "timeout"])
def test_a_container_ends_with_its_run(
    engine: Engine, project: Project, tmp_path: Path, how: str
) -> None:
    engine()
    pid = tmp_path / "pid"
    run = define(project, "sleep").run(
        env="container", parameters={"path": str(pid)}, wait=False,
        timeout=20 if how == "timeout" else None,
    )  # fmt: skip
    wait_until(lambda: is_written(pid) or (how == "timeout" and is_over(run)))
    run.refresh()
    if how == "stopped":
        project.get_run(run.id).stop()
    elif how == "killed":
        os.kill(run.status.process, signal.SIGKILL)
        # By itself: nobody has looked at the run.
        wait_until(lambda: not is_running(int(pid.read_text())))
    run.wait(60)
    assert run.status.state == ("STOPPED" if how == "stopped" else "ERROR")
    wait_until(lambda: not is_written(pid) or not is_running(int(pid.read_text())))


@pytest.mark.parametrize("arguments", [{"env": "container"}, {"local_execution": False}])
def test_what_needs_an_image_says_so(project: Project, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"has no image\nhint: run..build"):
        define(project, image=None).run(**arguments)
    assert project.list_runs() == []


POD: dict[str, Any] = {
    "node_selector": [{"key": "disk", "value": "ssd"}],
    "volumes": [
        {"volume_type": "empty_dir", "name": "a", "mount_path": "/a"},
        {
            "volume_type": "persistent_volume_claim",
            "name": "b",
            "mount_path": "/b",
            "spec": {"size": "1Gi"},
        },
    ],
    "resources": {"cpu": {"requests": "1", "limits": "2"}, "mem": {"limits": "1Gi"}},
    "affinity": {
        "node_affinity": {
            "required_during_scheduling_ignored_during_execution": {
                "node_selector_terms": [
                    {"match_expressions": [{"key": "k", "operator": "Exists"}]}
                ]
            }
        }
    },
    "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoSchedule"}],
    "envs": [{"name": "A", "value": "b"}],
    "secrets": ["TOKEN"],
    "profile": "large",
    "runtime_class": "fast",
    "priority_class": "high",
}
TASKS = [
    pytest.param("job", {"backoff_limit": 2}, "Job", id="job"),
    pytest.param("job", {"schedule": "0 3 * * *"}, "CronJob", id="cron-job"),
    pytest.param(
        "serve", {"replicas": 2, "service_type": "LoadBalancer"}, "Deployment", id="serve"
    ),
    pytest.param("serve", {"autoscaling": {"max_replicas": 3}}, "Deployment", id="autoscaled"),
]


@pytest.mark.parametrize(("action", "parameters", "kind"), TASKS)
def test_manifests_have_every_parameter(
    project: Project, tmp_path: Path, action: str, parameters: dict[str, Any], kind: str
) -> None:
    project.new_secret("TOKEN", "hush")
    run = define(project).run(action, local_execution=False, **POD, **parameters)
    manifests = run.to_manifests()
    assert kind in [item["kind"] for item in manifests]
    for version in ("1.30", "1.37"):
        for item in manifests:
            kubernetes_validate.validate(item, version, strict=True)
    config: Any = next(item for item in manifests if item["kind"] == "ConfigMap")
    told = json.loads(config["data"]["run.json"])
    assert told["key"] == run.key
    assert "base64" not in told["spec"]["source"]
    [secret] = [item for item in manifests if item["kind"] == "Secret"]
    assert secret["stringData"] == {"TOKEN": "hush"}
    assert "hush" not in run.path.joinpath("entity.json").read_text()
    text = json.dumps([item for item in manifests if item["kind"] == kind])
    for expected in ("localhost/f:1", "ssd", "/a", "/b", "1Gi", "Exists", "large", "fast", "high"):
        assert f'"{expected}"' in text
    paths = run.write_manifests(tmp_path / "manifests")
    assert [yaml.safe_load(path.read_text()) for path in paths] == manifests
    for path in paths:
        is_secret = path.name.endswith("-secret.yaml")
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 or not is_secret


def test_a_job_has_the_time_of_its_run(project: Project) -> None:
    run = define(project).run(local_execution=False, timeout=90, backoff_limit=2)
    config, job = run.to_manifests()
    spec: Any = job["spec"]
    assert (spec["activeDeadlineSeconds"], spec["backoffLimit"]) == (90, 2)
    data: Any = config["data"]
    assert "backoff_limit" not in json.loads(data["run.json"])["spec"]  # attempts are the Job's


def test_a_run_for_others_stays_built(project: Project) -> None:
    run = define(project).run(local_execution=False)
    assert [item["status"] for item in run.status.transitions] == ["CREATED", "BUILT"]
    assert project.get_run(run.id).status.state == "BUILT"
    assert list(run.logs(follow=True)) == []
    with pytest.raises(RunError, match="nothing here executes it"):
        run.wait()
    with pytest.raises(RunError, match="is BUILT after"):
        run.wait(timeout=0.01)
    with pytest.raises(RunError, match="has no service"):
        run.invoke()
    run.stop()
    assert run.status.state == "STOPPED"


def test_what_no_cluster_takes_is_refused_at_once(project: Project) -> None:
    project.new_secret("TOKEN", "hush")
    volumes = [
        {"volume_type": "empty_dir", "name": "a", "mount_path": "/a"},
        {"volume_type": "empty_dir", "name": "b", "mount_path": "/a"},
        {"volume_type": "nfs", "name": "C", "mount_path": "c"},
    ]
    function = define(project)
    with pytest.raises(SchemaError) as caught:
        function.run(volumes=volumes, resources={"cpu": {"limits": "abc"}}, backoff_limit=-1)
    assert [problem.path for problem in caught.value.problems] == [
        "backoff_limit",
        "resources.cpu.limits",
        "volumes[1].mount_path",
        "volumes[2].mount_path",
        "volumes[2].name",
        "volumes[2].volume_type",
    ]
    with pytest.raises(SchemaError, match=r"envs\[0\].name[^$]*secrets\[0\][^$]*volumes\[0\]"):
        function.run(
            local_execution=False,
            volumes=[{"volume_type": "empty_dir", "name": "t", "mount_path": "/tmp"}],
            envs=[{"name": "RUN_ID", "value": "x"}, {"name": "TOKEN", "value": "x"}],
            secrets=["TOKEN"],
        )
    assert project.list_runs() == []


@pytest.mark.parametrize("name", ["F", "9_lives", "a" * 200, "x.y+z", "-"])
def test_whatever_a_function_is_called_it_has_manifests(project: Project, name: str) -> None:
    function = project.new_function(
        name, code=CODE, handler="f", python_version=HERE, image="localhost/f:1"
    )
    for action in ("job", "serve"):
        run = function.run(action, local_execution=False)
        for item in run.to_manifests():
            kubernetes_validate.validate(item, "1.37", strict=True)


def test_a_pod_takes_up_its_run(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The variable says where a pod keeps what it puts out.
    monkeypatch.setenv("PYFUNC_FUNCTIONS_ROOT", str(tmp_path / "elsewhere"))
    run = define(project).run("serve", local_execution=False)
    config: Any = run.to_manifests()[0]
    (tmp_path / "run.json").write_text(config["data"]["run.json"])
    for _ in range(2):
        found: Any = open_in_pod(str(tmp_path / "run.json"))
        assert found["run"].key == run.key
        assert found["run"].status.state == "RUNNING"
        assert [item["status"] for item in found["run"].status.transitions][-1] == "RUNNING"
        assert len(found["run"].status.transitions) == 3
        assert found["project"].path == tmp_path / "elsewhere" / "demo"
    run.refresh()
    assert run.status.state == "BUILT"
    scheduled = define(project).run(local_execution=False, schedule="@daily")
    config = scheduled.to_manifests()[0]
    (tmp_path / "run.json").write_text(config["data"]["run.json"])
    ids = [open_in_pod(str(tmp_path / "run.json"))["run"] for _ in range(2)]
    assert len({scheduled, *ids}) == 3
